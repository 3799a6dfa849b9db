"""Module paths of version 0.1 (see `jaxrl.app.old_names`)."""

from jaxrl.app import old_names

MOVED = """
activations transcoders.activations
attribution patterns.attribution
catalogue patterns.catalogue
commands cli
config pipeline.config
embedding pipeline.embed
encoder classifier.small_encoder
ensemble transcoders.ensemble
gallery patterns.exemplars
learn transcoders.train_step
losses transcoders.losses
matching patterns.matching
measures patterns.labels
modules transcoders.flax_module
planted pipeline.planted_recovery
presets transcoders.baselines
run pipeline.run
svg report.svg
training pipeline.train_ensemble
transcoder transcoders.model
"""
"""Module, and where it is now, inside of sae."""

OLD = dict(line.split() for line in MOVED.strip().splitlines())


ATTRIBUTES = {
    "sae.learn": {
        "Knobs": "sae.transcoders.train_step:MemberHParams",  # old name
        "knobs": "sae.transcoders.train_step:hparams",
    }
}


def install() -> None:
    """Make the old paths importable."""
    old_names.modules({f"sae.{old}": f"sae.{new}" for old, new in OLD.items()}, ATTRIBUTES)
