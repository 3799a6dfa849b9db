"""Cases, as every source of data gives them: cases with patients, labels, reports, and radiographs
that are read when they are needed.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from jaxrl.app.errors import UserError

CHEXPERT = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The fourteen observations of the CheXpert labeler, in the order of its files."""
NORMAL = "No Finding"
"""The label of radiographs without any finding; made up where the data lack it."""


@dataclass(frozen=True)
class Cases:
    """N studies. Labels: 1 present, 0 absent, -1 uncertain, NaN not mentioned."""

    ids: tuple[str, ...]
    """One name per radiograph, all different."""
    patients: tuple[str, ...]
    """Patient of each radiograph."""
    findings: tuple[str, ...]
    """Names of the C labels."""
    labels: np.ndarray
    """float32 `[N, C]`: labels."""
    read: Callable[[int], np.ndarray]
    """The radiograph of a number: uint8 `[H, W]` or `[H, W, 3]`. Raises `Unreadable` for one that
    is damaged.
    """
    reports: tuple[str, ...] = ()
    """Their texts; empty: there are none."""
    acquisition: dict[str, np.ndarray] = field(default_factory=dict)
    """Numbers `[N]` about how radiographs were taken (view, device, exposure, ...), for telling
    artifacts.
    """
    split: tuple[str, ...] = ()
    """"train", "validate" or "test" per radiograph, if the source decides; empty: it does not."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Radiographs that could not be used, with the reason."""
    source: str = ""
    """Source of the radiographs, for readers."""

    def __len__(self):
        return len(self.ids)

    def __post_init__(self):
        if not self.ids:
            raise UserError(f"{self.source or 'the data'} holds no usable radiograph{self._why()}")
        if len(set(self.ids)) != len(self.ids):
            twice = Counter(self.ids).most_common(1)[0][0]
            raise UserError(
                f"the name {twice} stands for several radiographs of {self.source or 'the data'}: "
                "give each a name of its own"
            )

    def _why(self):
        return (
            f": all {len(self.skipped)} were skipped, the first because {self.skipped[0][1]}"
            if self.skipped
            else ""
        )


class Unreadable(Exception):
    """A radiograph that cannot be read; it is skipped, counted and listed."""


def by_reason(skipped: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names of skipped radiographs by the reason, the most frequent first."""
    found: dict[str, list[str]] = {}
    for name, reason in skipped:
        found.setdefault(reason, []).append(name)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def take(cases: Cases, rows: np.ndarray) -> Cases:
    """The cases of these rows, in their order."""
    rows = np.asarray(rows)

    def pick(values):
        return tuple(values[i] for i in rows) if values else ()

    return Cases(
        pick(cases.ids),
        pick(cases.patients),
        cases.findings,
        cases.labels[rows],
        lambda i: cases.read(int(rows[i])),
        pick(cases.reports),
        {name: a[rows] for name, a in cases.acquisition.items()},
        pick(cases.split),
        cases.skipped,
        cases.source,
    )


def read_all(
    cases: Cases, prepare: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, tuple[tuple[str, str], ...]]:
    """All radiographs, prepared to one shape; `(radiographs [n, ...], their rows, the skipped ones
    with reasons)`.
    """
    radiographs, rows, skipped = [], [], []
    for number, name in enumerate(cases.ids):
        try:
            radiographs.append(prepare(cases.read(number)))
            rows.append(number)
        except Unreadable as trouble:
            skipped.append((name, str(trouble)))
    if not radiographs:
        raise UserError(
            f"none of the {len(cases)} radiographs of {cases.source} could be read; the first: "
            f"{skipped[0][1]}"
        )
    return np.stack(radiographs), np.array(rows), tuple(skipped)


def select_findings(cases: Cases, names: tuple[str, ...]) -> np.ndarray:
    """Labels `[N, len(names)]` of the named findings.

    Raises:
      UserError: some are not there (all of these are named).
    """
    missing = [name for name in names if name not in cases.findings]
    if missing:
        raise UserError(
            f"there is no label column {', '.join(missing)} in {cases.source or 'the data'}; it "
            f"has {', '.join(cases.findings)}: "
            "choose findings among these"
        )
    return cases.labels[:, [cases.findings.index(name) for name in names]]


SIDES = ("train", "validate", "test")


SIDE_NAMES = {
    "val": "validate",
    "valid": "validate",
    "validation": "validate",
    "dev": "validate",
    "training": "train",
    "testing": "test",
}
"""Other common names of the sides."""


def side(text: str | None) -> str:
    """Name a side in our words: "val", "Validation" and the like are "validate"."""
    word = (text or "").strip()
    return SIDE_NAMES.get(word.lower(), word.lower() if word.lower() in SIDES else word)


def check_split(cases: Cases) -> None:
    """Refuse a source's split that says something else than `SIDES`, or puts a patient on two of
    them.

    Raises:
      UserError: naming the word or the patient.
    """
    unknown = sorted(set(cases.split) - set(SIDES))
    if unknown:
        raise UserError(
            f"the split of {cases.source} says {unknown[0]!r} somewhere: it must say train, "
            "validate or test"
        )
    where = {}
    for patient, side in zip(
        cases.patients, cases.split, strict=False
    ):  # without a split there is nothing to see
        other = where.setdefault(patient, side)
        if other != side:
            both = " and ".join(sorted((other, side), key=SIDES.index))
            raise UserError(
                f"patient {patient} is in both {both} of {cases.source}: split by patient"
            )


def split_by_patient(
    cases: Cases, seed: int = 0, shares: tuple[float, float] = (0.6, 0.2)
) -> dict[str, np.ndarray]:
    """Rows of "train", "validate" and "test"; every patient is on one side only. The source's own
    split has the last word.

    Args:
      seed: patients are shuffled with it.
      shares: of patients, for train and validate; the rest is for test.

    Raises:
      UserError: the source's split puts a patient on two sides or says something else, or a side
        would be empty.
    """
    check_split(cases)
    if cases.split:
        mine = np.array(cases.split)
    else:
        people = sorted(set(cases.patients))
        order = np.random.default_rng(seed).permutation(len(people))
        first, second = round(shares[0] * len(people)), round((shares[0] + shares[1]) * len(people))
        side_of = {
            people[p]: SIDES[(rank >= first) + (rank >= second)] for rank, p in enumerate(order)
        }
        mine = np.array([side_of[person] for person in cases.patients])
    parts = {side: np.flatnonzero(mine == side) for side in SIDES}
    empty = [side for side, rows in parts.items() if not len(rows)]
    if empty:
        raise UserError(
            f"no radiograph is left for {', '.join(empty)}: {len(set(cases.patients))} patients "
            "are "
            "too few, or the split has no such part"
        )
    return parts
