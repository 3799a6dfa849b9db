"""The command line: train, embed, catalogue, explain, report, annotate, export. Options are made
from dataclasses.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from jaxrl.train.compiled import keep_programs
from jaxrl.train.config import from_dict, to_dict
from jaxrl.train.errors import Refusal, writing
from jaxrl.train.progress import aloud
from jaxrl.train.rundir import open_run, read_config, write_atomically
from jaxrl.train.signals import stop_on_signals
from sae.annotate.run import AnnotateConfig, annotate_run
from sae.data.cases import Unreadable
from sae.data.embeddings import load as load_embeddings
from sae.data.films import read_film
from sae.interop.export import export_run
from sae.patterns.attribution import strongest
from sae.patterns.catalogue import CatalogueConfig
from sae.patterns.catalogue import check as check_catalogue
from sae.pipeline import run as runs
from sae.pipeline.config import PRESETS, RunConfig
from sae.pipeline.embed import EmbedConfig, embed_source
from sae.report import html as pages

PresetName = Literal["phantom", "tiny", "paper"]
Format = Literal["saelens", "sparsify", "dictionary-learning"]


@dataclass(frozen=True)
class Start:
    """What the other defaults of train depend on."""

    preset: PresetName = "phantom"
    """phantom: 100 transcoders on synthetic films, minutes on a CPU. tiny: a minute. paper: your
    embeddings, on an accelerator.
    """


@dataclass(frozen=True)
class Train:
    """Everything from films (or embeddings) to the report. A folder that was begun is
    gone on with.
    """

    preset: PresetName
    """phantom: 100 transcoders on synthetic films, minutes on a CPU. tiny: a minute. paper: your
    embeddings, on an accelerator.
    """
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/sae/<data>-<preset>-seed<seed>."""


@dataclass(frozen=True)
class Embed:
    """Embed films and reports with BiomedCLIP, on all devices; what is done is kept, and the same
    command goes on.
    """

    config: Annotated[EmbedConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Where:
    """What the other defaults of catalogue depend on."""

    run_dir: str | None = None
    """The run."""


@dataclass(frozen=True)
class MakeCatalogue:
    """Make the catalogue of a trained run again, with other limits; what is not given stays as it
    was.
    """

    run_dir: str
    """The run."""
    config: Annotated[CatalogueConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Explain:
    """Decompose the logits of one film into patterns; print them and write a page."""

    run_dir: str
    """The run."""
    case: str
    """A film (.png, .jpg, .dcm), an embeddings file, or the name of a film of the run's own data.
    """
    name: str | None = None
    """Which film of an embeddings file; its first if not given."""
    report: str | None = None
    """A file with the film's report, where the head sees text."""
    out: str | None = None
    """The page to write. Default: case.html in the run's folder explained/."""
    shown: int = 10
    """Patterns printed per finding; the page has all."""


@dataclass(frozen=True)
class Report:
    """Write the site of a trained run again."""

    run_dir: str
    """The run."""
    cases: int | None = None
    """Cases with a page of their own; as before if not given."""
    show_films: bool | None = None
    """False: path-only mode, no pixel and no report text is written; as before if not given. The
    run remembers both.
    """


@dataclass(frozen=True)
class Annotate:
    """Name patterns from one half of their galleries, and verify the names on the other half and on
    negatives.
    """

    run_dir: str
    """The run."""
    config: Annotated[AnnotateConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Export:
    """Write members in the layout of another library."""

    run_dir: str
    """The run."""
    out: str
    """Folder to write; one folder per member below it."""
    format: Format = "saelens"
    """Whose layout."""
    members: tuple[int, ...] = ()
    """Which members; none given: all."""
    approximate: bool = False
    """Where the layout cannot say what the member computes, write calibrated thresholds, with the
    measured mismatch.
    """
    together: bool = False
    """Write the whole ensemble as one transcoder instead (saelens)."""


def train(command: Train) -> int:
    """See `Train`."""
    config = command.config
    name = "".join(c if c.isalnum() else "_" for c in Path(config.data).stem)
    folder = command.run_dir or f"runs/sae/{name}-{command.preset}-seed{config.seed}"
    if config.classifier.modality != "image":
        aloud(
            f"warning: modality {config.classifier.modality}: labels come from the reports; its "
            "AUC is no diagnosis from images"
        )
    with stop_on_signals() as stop:
        index = runs.train(config, folder, lambda: bool(stop))
    if index is None:
        aloud(f"stopped; the same command goes on in {folder}")
        return 130
    aloud(f"report: {index}")
    return 0


def embed(command: Embed) -> int:
    """See `Embed`."""
    with stop_on_signals() as stop:
        done, skipped = embed_source(command.config, lambda: bool(stop))
    for name, why in skipped[:20]:
        aloud(f"  skipped {name}: {why}")
    if not done:
        aloud("stopped; the same command goes on")
        return 130
    aloud(f"embeddings: {command.config.out} ({len(skipped)} films skipped)")
    return 0


def make_catalogue(command: MakeCatalogue) -> int:
    """See `MakeCatalogue`."""
    run = runs.load(command.run_dir)
    check_catalogue(command.config)
    config = replace(run.config, catalogue=command.config)
    found = runs.step_catalogue(run._replace(config=config), again=True)
    open_run(command.run_dir, to_dict(config), free=tuple(_catalogue_fields(config)))
    for support, count in found.curve[:: max(1, len(found.curve) // 10)]:
        aloud(f"  support {support:.0%}: {count} patterns")
    aloud(f"report: {runs.step_report(runs.load(command.run_dir))}")
    return 0


def _catalogue_fields(config):
    from jaxrl.train.config import flatten

    return [name for name in flatten(to_dict(config)) if name.startswith("catalogue.")] + list(
        runs.FREE
    )


def explain(command: Explain) -> int:
    """See `Explain`."""
    run = runs.load(command.run_dir)
    catalogue = runs.step_catalogue(run)
    case, x = _case(run, command)
    found, gaps = runs.explain_rows(run, catalogue, x)
    for column, finding in enumerate(run.config.findings):
        one = strongest(found.patterns[0, :, column])
        aloud(
            f"{finding}: logit {found.logit[0, column]:+.4f}, probability "
            f"{1 / (1 + np.exp(-found.logit[0, column])):.3f}"
        )
        aloud(
            f"  base {found.base[0, column]:+.4f}, in no pattern "
            f"{found.uncatalogued[0, column]:+.4f}, missed {found.error[0, column]:+.4f}"
        )
        for pattern, amount in list(zip(one.patterns, one.amounts, strict=True))[: command.shown]:
            entry = catalogue.patterns[pattern]
            aloud(f"  {amount:+.4f}  {entry.name} [{entry.category}]")
        rest = found.patterns[0, :, column].sum() - one.amounts[: command.shown].sum()
        aloud(f"  {rest:+.4f}  all other patterns; 90 % takes {one.needed}")
    aloud(f"largest gap between the parts and a logit: {gaps[0]:.1e}")
    site = runs.site_of(run, runs.summarise(run, catalogue, run.parts["test"][:50]), {})
    page = Path(command.out) if command.out else run.folder / "explained" / "case.html"
    with writing(page):
        page.parent.mkdir(parents=True, exist_ok=True)
    text = pages.case_page(
        0, type(found)(*(a[0] for a in found)), catalogue, case, site, float(gaps[0])
    )
    up = f"{(run.folder / 'report').resolve()}/"
    write_atomically(page, text.replace('href="../', f'href="{up}'))
    aloud(f"page: {page}")
    return 0


def _case(run, command: Explain):
    """The case, and what goes into the head for it."""
    path, cases = Path(command.case), run.embedded.cases
    if command.case in cases.ids:
        row = cases.ids.index(command.case)
        return runs.take(cases, np.array([row])), run.x[[row]]
    if path.suffix == ".npz":
        given = load_embeddings(path)
        x, _ = runs.head_inputs(run.config, given)
        runs.embeddings.check_rows(x, f"embeddings of {path}", run.x.shape[1])
        row = _row_of(given.cases, command.name, path)
        if given.encoder != run.embedded.encoder:
            aloud(
                f"warning: {path} was made by {given.encoder}, the run's embeddings by "
                f"{run.embedded.encoder}"
            )
        return runs.take(given.cases, np.array([row])), x[[row]]
    try:
        pixels = read_film(path)
    except Unreadable as trouble:
        raise Refusal(
            f"{path} cannot be explained: {trouble}; name a film, an embeddings file, or one of "
            "the run's films"
        ) from None
    try:
        text = Path(command.report).read_text(errors="replace") if command.report else ""
    except OSError as error:
        raise Refusal(
            f"the report {command.report} cannot be read ({error.strerror}): name a file with its "
            "text"
        ) from None
    return runs.case_of(path.name, pixels, run.config, text), runs.embed_film(run, pixels, text)


def _row_of(cases, name, path):
    if name is None:
        if len(cases) > 1:
            aloud(
                f"{path} holds {len(cases)} films; the first, {cases.ids[0]}, is explained (--name "
                "chooses another)"
            )
        return 0
    if name not in cases.ids:
        raise Refusal(
            f"{path} holds no film {name}; it holds "
            f"{', '.join(cases.ids[:5])}{', ...' if len(cases) > 5 else ''}"
        )
    return cases.ids.index(name)


def report(command: Report) -> int:
    """See `Report`."""
    run = runs.load(command.run_dir)
    given = {
        name: value
        for name in ("show_films", "cases")
        if (value := getattr(command, name)) is not None
    }
    config = replace(run.config, **given)
    open_run(
        command.run_dir, to_dict(config), runs.FREE
    )  # so that annotate, catalogue and explain keep to it
    aloud(f"report: {runs.step_report(run._replace(config=config))}")
    return 0


def annotate(command: Annotate) -> int:
    """See `Annotate`."""
    run = runs.load(command.run_dir)
    for line in annotate_run(run, command.config):
        aloud(f"  {line}")
    aloud(f"report: {runs.step_report(runs.load(command.run_dir))}")
    return 0


def export(command: Export) -> int:
    """See `Export`."""
    run = runs.load(command.run_dir)
    x = run.x[run.parts["validate"]]
    for line in export_run(
        run.members,
        run.shape,
        x,
        command.format,
        Path(command.out),
        command.members,
        command.approximate,
        command.together,
    ):
        aloud(f"  {line}")
    return 0


COMMANDS = {
    "train": (Train, train),
    "embed": (Embed, embed),
    "catalogue": (MakeCatalogue, make_catalogue),
    "explain": (Explain, explain),
    "report": (Report, report),
    "annotate": (Annotate, annotate),
    "export": (Export, export),
}
USAGE = f"usage: python -m sae {{{','.join(COMMANDS)}}} [options]\n\n" + "\n".join(
    f"  {name:10} {kind.__doc__.splitlines()[0]}" for name, (kind, _) in COMMANDS.items()
)


def parse(arguments: list[str]):
    """`(command, function)`; argparse's exit with status 2 for what is not understood."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        raise SystemExit(0 if arguments else 2)
    if arguments[0] not in COMMANDS:
        print(f"{USAGE}\n\nerror: there is no command {arguments[0]}", file=sys.stderr)
        raise SystemExit(2)
    kind, function = COMMANDS[arguments[0]]
    program, rest = f"python -m sae {arguments[0]}", arguments[1:]
    if kind is MakeCatalogue:
        plain = [argument for argument in rest if argument not in ("-h", "--help")]
        where, _ = tyro.cli(
            Where, args=plain, return_unknown_args=True, add_help=False, prog=program
        )
        if where.run_dir is not None and len(plain) == len(rest):
            stored = from_dict(RunConfig, read_config(where.run_dir)).catalogue
            default = MakeCatalogue(where.run_dir, stored)
            return tyro.cli(
                kind,
                args=rest,
                default=default,
                prog=program,
                config=(tyro.conf.FlagConversionOff,),
            ), function
    if kind is not Train:
        return tyro.cli(
            kind, args=rest, prog=program, config=(tyro.conf.FlagConversionOff,)
        ), function
    plain = [argument for argument in rest if argument not in ("-h", "--help")]
    first, _ = tyro.cli(Start, args=plain, return_unknown_args=True, add_help=False, prog=program)
    default = Train(first.preset, PRESETS[first.preset]())
    return tyro.cli(
        Train, args=rest, default=default, prog=program, config=(tyro.conf.FlagConversionOff,)
    ), function


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 2 if refused, 130 if interrupted."""
    try:
        command, function = parse(sys.argv[1:] if arguments is None else arguments)
        keep_programs()
        return function(command)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; what is finished is kept, and the same command goes on", file=sys.stderr
        )
        return 130
