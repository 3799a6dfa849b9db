"""One run from radiographs to explanations, and its presets."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sae.classifier.head import ClassifierConfig, Modality
from sae.classifier.small_encoder import EncoderConfig
from sae.data.phantom import FINDINGS, PhantomConfig
from sae.data.sets.fashion import CLASSES
from sae.patterns.catalogue import CatalogueConfig
from sae.patterns.matching import MatchConfig
from sae.transcoders.ensemble import EnsembleConfig
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes."""

    data: str = "phantom"
    """phantom: synthetic radiographs. Else a file of embeddings (see sae/data/embeddings.py and
    `python -m sae embed`).
    """
    findings: tuple[str, ...] = FINDINGS
    """Findings that the head predicts. The paper's five are not known; of CheXpert's one would take
    Atelectasis, Cardiomegaly, Consolidation, Edema, Pleural Effusion.
    """
    phantom: PhantomConfig = field(default_factory=PhantomConfig)
    """The synthetic radiographs."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The small image network, where radiographs are not embedded yet."""
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    """The head."""
    transcoder: TranscoderConfig = field(default_factory=TranscoderConfig)
    """Shape of every member; d_in and d_out are set to the embedding's and the hidden layer's
    width.
    """
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss of the members."""
    learn: LearnConfig = field(default_factory=LearnConfig)
    """Training of the members."""
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    """Number of members, and their differences."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    """Limits that make a group of latents a pattern."""
    member_modalities: tuple[Modality, ...] = ()
    """With a head that sees both: grid of what members see of it, for instance image, text, both;
    empty: all see all.
    """
    cases: int = 12
    """Held-out cases that get a page in the report."""
    show_images: bool = True
    """False: the report names radiographs and holds no pixels or reports."""
    devices: int = 1
    """Devices that share the members, 0 for all; their number must divide the members. Results do
    not depend on it.
    """
    form: Literal["jit", "pmap"] = "jit"
    """Program for several devices: one jitted with shardings, or pmap."""
    seed: int = 0
    """Seed of the split, the image network and the head."""


def phantom() -> RunConfig:
    """100 members on 5000 synthetic radiographs: about five minutes on two cores.

    Our choice, by measurement: a wide head that is trained briefly keeps much of its random
    mixtures, so that causes which it needs for the same finding (the marker and the effusions) stay
    apart in its hidden layer. Trained long or narrow, their directions become one, and no
    transcoder of that layer can tell them apart. More latents than about three per cause are split
    among mixtures of causes.
    """
    return RunConfig(
        phantom=PhantomConfig(shortcut=0.85, hidden=0.1),
        classifier=ClassifierConfig(hidden=256, epochs=10, learning_rate=3e-4),
        transcoder=TranscoderConfig(d_in=96, d_out=256, latents=32, k=10, encoder_norm=1.0),
        loss=LossConfig(aux=0.0),
        learn=LearnConfig(learning_rate=3e-3, warmup=50, unit_rows=True),
        ensemble=EnsembleConfig(members=100, updates=600, batch=256, chunk=50),
        catalogue=CatalogueConfig(support=0.05, most_density=0.6),
    )


def tiny() -> RunConfig:
    """Eight small members on 1200 radiographs: about a minute on two cores, for trying
    things out.
    """
    return RunConfig(
        phantom=PhantomConfig(radiographs=1200, size=64),
        encoder=EncoderConfig(width=16, features=48, size=64, epochs=10),
        classifier=ClassifierConfig(hidden=32, batch=64, epochs=60, learning_rate=5e-3),
        transcoder=TranscoderConfig(d_in=48, d_out=32, latents=48, k=5, encoder_norm=1.0),
        loss=LossConfig(aux=0.0),
        learn=LearnConfig(learning_rate=3e-3, warmup=20, unit_rows=True),
        ensemble=EnsembleConfig(members=8, updates=300, batch=128, chunk=50),
        catalogue=CatalogueConfig(
            MatchConfig(cosine=0.8, correlation=0.7), support=0.25, most_density=0.6
        ),
        cases=4,
    )


def paper() -> RunConfig:
    """100 members of 2048 latents on embeddings that are given: for an accelerator. What the paper
    leaves open is our choice.
    """
    five = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
    return RunConfig(
        data="embeddings.npz",
        findings=five,
        transcoder=TranscoderConfig(latents=2048, k=32),
        ensemble=EnsembleConfig(members=100, updates=30_000, batch=1024),
        devices=0,
    )


def fashion() -> RunConfig:
    """Thirty members on Fashion-MNIST with a planted mark (see sae/data/sets/fashion.py): some
    minutes on one core. The head is wide and briefly trained, as in `phantom`.
    """
    return RunConfig(
        data="fashion.npz",
        findings=CLASSES,
        classifier=ClassifierConfig(hidden=256, epochs=10, learning_rate=3e-4),
        transcoder=TranscoderConfig(d_in=96, d_out=256, latents=64, k=12, encoder_norm=1.0),
        loss=LossConfig(aux=0.0),
        learn=LearnConfig(learning_rate=3e-3, warmup=50, unit_rows=True),
        ensemble=EnsembleConfig(members=30, updates=800, batch=512, chunk=50),
        catalogue=CatalogueConfig(support=0.1, most_density=0.6, probes=3000),
    )


PRESETS = {"phantom": phantom, "tiny": tiny, "paper": paper, "fashion": fashion}

RENAMED = {
    "show_films": "show_images",  # old name
    "phantom.films": "phantom.radiographs",  # old name
    "phantom.films_per_patient": "phantom.radiographs_per_patient",  # old name
    "learn.sleep_after": "learn.dead_after",  # old name
    "transcoder.centred": "transcoder.centered",  # old name
}
"""Fields as 0.1 called them, and their present names."""


def upgraded(stored: dict[str, Any]) -> dict[str, Any]:
    """Give the fields of a stored configuration their present names, and those that it lacks the
    values that held when it was written.
    """
    found = {k: dict(v) if isinstance(v, dict) else v for k, v in stored.items()}
    for old, new in RENAMED.items():
        *parents, name = old.split(".")
        inner = found
        for parent in parents:
            inner = inner.get(parent, {})
        if name in inner:
            inner[new.rsplit(".", 1)[-1]] = inner.pop(name)
    if "transcoder" in found:  # encoders began at length 1 before that was a field
        found["transcoder"].setdefault("encoder_norm", 1.0)
    if "learn" in found:
        found["learn"].setdefault("step", "auto")
    return found
