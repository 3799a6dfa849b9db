"""The classifier that is explained: `head` on frozen embeddings, and `small_encoder`, an image
encoder that is trained when BiomedCLIP's weights are not there.
"""

from jaxrl.app.old_names import attributes

__getattr__ = attributes(__name__, {"judge": "sae.classifier.head:evaluate"})  # old name
