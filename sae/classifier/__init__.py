"""The classifier that is explained: `head` on frozen embeddings, and `small_encoder`, an image
encoder that is trained when BiomedCLIP's weights are not there.
"""

from jaxrl.app.old_names import attributes

HEAD = (
    "ClassifierConfig",
    "Head",
    "Modality",
    "hidden",
    "inputs",
    "logits",
    "masked_loss",
    "readout",
    "train_head",
)
"""Names that this module had when it was a file."""
__getattr__ = attributes(
    __name__,
    {"judge": "sae.classifier.head:evaluate"}
    | {name: f"sae.classifier.head:{name}" for name in HEAD},
)
