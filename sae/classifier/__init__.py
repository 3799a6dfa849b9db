"""The classifier that is explained: `head` on frozen embeddings, and `small_encoder`, an image
encoder that is trained when BiomedCLIP's weights are not there.
"""

from sae.old_names import aliases

__getattr__ = aliases(__name__, {"judge": "sae.classifier.head:evaluate"})  # old name
