"""Synthetic chest radiographs whose causes are known: heart size, effusions, opacities, devices, a
broken clavicle, a marker, exposure.

Pure functions of keys, so that everything of this package runs and can be judged without a single
patient's data. They look like radiographs the way a diagram does; nothing learned from them says
anything about people.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.old_names import attributes
from sae.data.cases import Cases

FINDINGS = ("Cardiomegaly", "Pleural Effusion", "Lung Opacity", "Fracture", "Support Devices")
"""Findings that the reports' labels are about, by their CheXpert names."""
CATEGORY = {
    "cardiomegaly": "cardiac",
    "effusion left": "pleural",
    "effusion right": "pleural",
    "opacity left": "pulmonary",
    "opacity right": "pulmonary",
    "fracture": "structural",
    "central line": "device",
    "pacemaker": "device",
    "marker": "artifact",
    "overexposed": "artifact",
    "underexposed": "artifact",
}
"""Planted factors, and the category that a pattern for each belongs to."""
FACTORS = tuple(CATEGORY)


@dataclass(frozen=True)
class PhantomConfig:
    """Number and appearance of the radiographs."""

    radiographs: int = 5000
    """Number of radiographs."""
    radiographs_per_patient: float = 1.5
    """Mean number; a patient keeps his body, and his findings vary."""
    size: int = 96
    """Height and width in pixels."""
    shortcut: float = 0.85
    """Chance that a radiograph with an effusion carries the lead marker; one without has the
    complement. 0.5: no shortcut.
    """
    hidden: float = 0.0
    """Share of effusions that the radiograph does not show, though the report knows of them: what
    makes a shortcut worth taking.
    """
    noise: float = 0.04
    """Standard deviation of the radiograph's grain, in units of its range."""
    uncertain: float = 0.03
    """Share of labels that the report leaves uncertain."""
    seed: int = 0
    """Seed of everything random."""


class Radiograph(NamedTuple):
    """Causes of one radiograph; scalars, or arrays with a leading axis of radiographs."""

    present: jax.Array
    """bool `[11]`: which of `FACTORS` are there."""
    heart: jax.Array
    """Width of the heart over that of the chest, 0.38 to 0.66."""
    fluid: jax.Array
    """`[2]`: height of the effusion in the left and right lung as a share of it, 0 to 0.3."""
    blobs: jax.Array
    """`[2, 2, 4]`: side, opacity, (sideways, up, radius, strength)."""
    exposure: jax.Array
    """-1 (dark, overexposed) to 1 (bright, underexposed)."""
    body: jax.Array
    """`[4]`: width, height, shift and tilt of the chest."""


def draw(key: jax.Array, body_key: jax.Array, shortcut: float, hidden: float) -> Radiograph:
    """Causes of one radiograph.

    Args:
      key: typed PRNG key of the radiograph.
      body_key: typed PRNG key of the patient, the same for all of his radiographs.
      shortcut: chance of a marker with an effusion; without one, 1 - shortcut.
      hidden: chance that an effusion that is there leaves no fluid to see.
    """
    keys = jax.random.split(key, 8)
    chance = jnp.array([0.3, 0.22, 0.22, 0.25, 0.25, 0.2, 0.25, 0.2, 0.0, 0.15, 0.0])
    present = jax.random.bernoulli(keys[0], chance)
    fluid_there = present[1] | present[2]
    marker = jax.random.bernoulli(keys[1], jnp.where(fluid_there, shortcut, 1 - shortcut))
    under = jax.random.bernoulli(keys[7], 0.18) & ~present[9]
    present = present.at[8].set(marker).at[10].set(under)
    u = jax.random.uniform(keys[2], (5,))
    heart = jnp.where(present[0], 0.55 + 0.11 * u[0], 0.40 + 0.07 * u[0])
    seen = present[1:3] & ~jax.random.bernoulli(jax.random.fold_in(keys[7], 1), hidden, (2,))
    fluid = jnp.where(seen, 0.06 + 0.24 * u[1:3], 0.0)
    shape = jax.random.uniform(keys[3], (2, 2, 4))
    low, high = jnp.array([-0.45, -0.5, 0.16, 0.14]), jnp.array([0.45, 0.45, 0.32, 0.3])
    blobs = low[None, None] + (high - low)[None, None] * shape
    there = present[3:5, None] & jnp.stack(
        [jnp.ones(2, bool), jax.random.bernoulli(keys[4], 0.5, (2,))], 1
    )
    blobs = blobs.at[..., 3].multiply(there)
    mild = jax.random.uniform(keys[5], minval=-0.12, maxval=0.12)
    strong = jax.random.uniform(keys[6], minval=0.55, maxval=0.9)
    exposure = jnp.where(present[9], -strong, jnp.where(present[10], strong, mild))
    body = jax.random.uniform(body_key, (4,), minval=-1, maxval=1) * jnp.array(
        [0.05, 0.05, 0.04, 0.05]
    )
    return Radiograph(present, heart, fluid, blobs, exposure, body)


def _inside(distance, softness):
    """1 where a signed distance is negative, 0 where it is positive, a smooth step in between."""
    ramp = jnp.clip(0.5 - distance / (4 * softness), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _ellipses(u, v, table):
    """Soft ellipses `[n, H, W]` of a table `[n, 5]`: sideways, down, the two radii, softness."""

    def draw_one(e):
        return _inside(
            jnp.sqrt(jnp.square((u - e[0]) / e[2]) + jnp.square((v - e[1]) / e[3])) - 1, e[4]
        )

    return jax.vmap(draw_one)(table)


def _lines(u, v, table):
    """Soft lines `[n, H, W]` of a table `[n, 5]`: from (sideways, down) to (sideways, down), half
    width.
    """

    def draw_one(e):
        du, dv = e[2] - e[0], e[3] - e[1]
        along = jnp.clip(((u - e[0]) * du + (v - e[1]) * dv) / (du * du + dv * dv), 0, 1)
        away = jnp.sqrt(jnp.square(u - e[0] - along * du) + jnp.square(v - e[1] - along * dv))
        return _inside(away - e[4], e[4] / 3)

    return jax.vmap(draw_one)(table)


LUNGS = np.array([[0.44, -0.02, 0.35, 0.66, 0.06], [-0.44, -0.02, 0.35, 0.66, 0.06]], np.float32)
"""The patient's left lung is on the right of a radiograph."""
LINES = np.array(
    [
        [0.12, -0.66, 0.72, -0.80, 0.025],  # left clavicle
        [-0.12, -0.66, -0.72, -0.80, 0.025],  # right clavicle
        [-0.12, -0.62, -0.40, -0.60, 0.025],  # the same, broken: inner part
        [-0.42, -0.86, -0.74, -0.90, 0.025],  # outer part
        [-0.35, -0.95, -0.16, -0.50, 0.014],  # central line
        [-0.16, -0.50, -0.12, 0.05, 0.014],
        [0.55, -0.45, 0.12, 0.35, 0.014],  # lead of the pacemaker
        [-0.88, -0.92, -0.88, -0.68, 0.025],  # marker, an L
        [-0.88, -0.70, -0.74, -0.70, 0.025],
    ],
    np.float32,
)


def render(radiograph: Radiograph, key: jax.Array, size: int, noise: float) -> jax.Array:
    """A radiograph as uint8 `[size, size]`, bright where little radiation arrives. Patient's right
    is on the left, as radiographs are shown.

    Args:
      radiograph: causes of one radiograph.
      key: typed PRNG key, for the grain.
      size: height and width in pixels.
      noise: standard deviation of the grain, in units of the range.
    """
    line = (jnp.arange(size) + 0.5) / size * 2 - 1
    v, u = jnp.meshgrid(line, line, indexing="ij")
    width, height, shift, tilt = radiograph.body
    u, v = (u - shift - tilt * v) / (1 + width), v / (1 + height)
    has = dict(zip(FACTORS, radiograph.present.astype(u.dtype), strict=True))
    solid = (
        jnp.array([[0.0, 0.25, 0.95, 1.25, 0.05], [0.1, 0.3, 0.0, 0.34, 0.08]])
        .at[1, 2]
        .set(0.9 * radiograph.heart)
    )
    trunk, heart = _ellipses(u, v, solid)
    image = (
        0.12
        + 0.5 * trunk
        + 0.16 * _inside(jnp.abs(u) - 0.09, 0.03)
        + _lung_fields(radiograph, u, v)
        + 0.34 * heart
    )
    weights = 0.22 * jnp.stack([1.0, 1 - has["fracture"], has["fracture"], has["fracture"]])
    devices = jnp.stack(
        [0.35 * has["central line"]] * 2 + [0.3 * has["pacemaker"]] + [0.6 * has["marker"]] * 2
    )
    image += jnp.tensordot(jnp.concatenate([weights, devices]), _lines(u, v, jnp.asarray(LINES)), 1)
    image += (
        0.5
        * has["pacemaker"]
        * _inside(jnp.maximum(jnp.abs(u - 0.62) - 0.12, jnp.abs(v + 0.52) - 0.09), 0.012)
    )
    image = jnp.clip(image + noise * jax.random.normal(key, image.shape), 0, 1)
    image = image ** (2.0 ** (-radiograph.exposure)) * (1 + 0.12 * radiograph.exposure)
    return jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)


def _lung_fields(radiograph, u, v):
    """Air, ribs, fluid and opacities: what the two lungs add to the brightness."""

    def one(lung_row, fluid, blobs):
        center = lung_row[0]
        lung = _ellipses(u, v, lung_row[None])[0]
        level = 0.64 - 1.28 * fluid - 0.12 * jnp.square((u - center) / 0.35)
        water = jnp.where(fluid > 0, 0.24, 0.0) * _inside(level - v, 0.04)
        soft = jnp.full(len(blobs), 0.25)
        table = jnp.stack(
            [center + 0.35 * blobs[:, 0], 0.66 * blobs[:, 1], blobs[:, 2], 0.9 * blobs[:, 2], soft],
            1,
        )
        spots = jnp.tensordot(blobs[:, 3], _ellipses(u, v, table), 1)
        curve = (v - 0.5 * jnp.square(u - center) + 0.55) / 0.2  # six ribs, 0.2 apart
        rib = 0.05 * _inside(0.2 * jnp.abs(curve - jnp.clip(jnp.round(curve), 0, 5)) - 0.025, 0.015)
        return lung * (water + spots + rib - 0.38)

    return jax.vmap(one)(jnp.asarray(LUNGS), radiograph.fluid, radiograph.blobs).sum(0)


@functools.partial(jax.jit, static_argnums=2)
def _radiographs(keys, bodies, config):
    def one(pair):
        key, body = pair
        radiograph = draw(jax.random.fold_in(key, 0), body, config.shortcut, config.hidden)
        return radiograph, render(radiograph, jax.random.fold_in(key, 1), config.size, config.noise)

    return jax.lax.map(one, (keys, bodies), batch_size=64)


def radiographs(config: PhantomConfig) -> tuple[np.ndarray, Radiograph, np.ndarray]:
    """`(uint8 [N, H, W], causes, patient numbers [N])`. The first N radiographs do not depend on N,
    but for their patients.
    """
    people = max(3, round(config.radiographs / config.radiographs_per_patient))
    patients = np.random.default_rng(config.seed).integers(0, people, config.radiographs)
    root = jax.random.key(config.seed)
    keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(jnp.arange(config.radiographs))
    bodies = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(root, 10**6), i))(
        jnp.asarray(patients)
    )
    radiograph, images = _radiographs(keys, bodies, config)
    return np.asarray(images), jax.device_get(radiograph), patients


def labels_of(present: np.ndarray) -> np.ndarray:
    """Labels of `FINDINGS`, float32 `[N, 5]`, from factors `[N, 11]`."""
    p = np.asarray(present, bool)
    columns = (p[:, 0], p[:, 1] | p[:, 2], p[:, 3] | p[:, 4], p[:, 5], p[:, 6] | p[:, 7])
    return np.stack(columns, 1).astype(np.float32)


SENTENCES = {
    "cardiomegaly": ("The heart is enlarged.", "Heart size is normal."),
    "effusion left": ("There is a left pleural effusion.", "The left costophrenic angle is sharp."),
    "effusion right": (
        "There is a right pleural effusion.",
        "The right costophrenic angle is sharp.",
    ),
    "opacity left": ("An opacity is seen in the left lung.", ""),
    "opacity right": ("An opacity is seen in the right lung.", ""),
    "fracture": ("The right clavicle is fractured.", ""),
    "central line": ("A central venous catheter is in place.", ""),
    "pacemaker": ("A pacemaker is in place.", ""),
    "marker": ("", ""),
    "overexposed": ("The film is overexposed.", ""),
    "underexposed": ("The film is underexposed.", ""),
}
"""Sentences of a report about a factor that is there, and about one that is not. Nobody mentions
the marker.
"""


def report(present: np.ndarray) -> str:
    """The report of one radiograph with factors `[11]`."""
    said = [
        SENTENCES[name][0 if there else 1] for name, there in zip(FACTORS, present, strict=True)
    ]
    if not any(
        there for name, there in zip(FACTORS, present, strict=True) if CATEGORY[name] != "artifact"
    ):
        said.append("No acute abnormality.")
    return " ".join(sentence for sentence in said if sentence)


def cases(config: PhantomConfig) -> tuple[Cases, Radiograph]:
    """All radiographs as `Cases`, and their causes."""
    images, radiograph, patients = radiographs(config)
    labels = labels_of(radiograph.present)
    hesitant = np.random.default_rng(config.seed + 1).random(labels.shape) < config.uncertain
    made = Cases(
        ids=tuple(f"phantom-{i:06d}" for i in range(config.radiographs)),
        patients=tuple(f"person-{p:06d}" for p in patients),
        findings=FINDINGS,
        labels=np.where(hesitant, np.float32(-1), labels),
        read=lambda i: images[i],
        reports=tuple(report(p) for p in radiograph.present),
        acquisition={
            "marker": radiograph.present[:, 8].astype(np.float32),
            "exposure": np.asarray(radiograph.exposure, np.float32),
        },
        source=f"phantom radiographs (seed {config.seed})",
    )
    return made, radiograph


__getattr__ = attributes(
    __name__, {"Film": f"{__name__}:Radiograph", "films": f"{__name__}:radiographs"}
)  # old names
