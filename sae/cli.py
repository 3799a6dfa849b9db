"""The command line: train, embed, catalogue, explain, report, annotate, language, export. Options
are made from dataclasses.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxrl.app.cli import first_pass, parse_with_preset, program, subcommand, wants_help
from jaxrl.app.cli import main as app_main
from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import log
from jaxrl.train.compiled import keep_programs
from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run
from jaxrl.train.signals import stop_on_signals
from sae.annotate.run import AnnotateConfig, annotate_run
from sae.command_names import TABLE
from sae.data.cases import by_reason
from sae.interop.export import ExportConfig, export_run
from sae.language.study import LanguageConfig
from sae.language.study import run as run_language
from sae.patterns.catalogue import CatalogueConfig
from sae.patterns.catalogue import check as check_catalogue
from sae.pipeline import run as runs
from sae.pipeline.config import PRESETS, RENAMED, RunConfig, upgraded
from sae.pipeline.embed import EmbedConfig, embed_source
from sae.pipeline.explain import explain as explain_image
from sae.pipeline.explain import lines as explain_lines

PresetName = Literal["phantom", "tiny", "paper", "fashion"]


@dataclass(frozen=True)
class Train:
    """Everything from radiographs (or embeddings) to the report. A folder that was begun is
    continued.
    """

    preset: PresetName
    """phantom: 100 transcoders on synthetic radiographs, minutes on a CPU. tiny: a minute. paper:
    your embeddings, on an accelerator.
    """
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/sae/<data>-<preset>-seed<seed>."""


@dataclass(frozen=True)
class Embed:
    """Embed radiographs and reports with BiomedCLIP, on all devices; what is done is kept, and the
    same command continues.
    """

    config: Annotated[EmbedConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class MakeCatalogue:
    """Make the catalogue of a trained run again, with other limits; what is not given stays as it
    was.
    """

    run_dir: str
    """Folder of the run."""
    config: Annotated[CatalogueConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Explain:
    """Decompose the logits of one radiograph into patterns; print them and write a page."""

    run_dir: str
    """Folder of the run."""
    case: str
    """A radiograph (.png, .jpg, .dcm), an embeddings file, or the name of a radiograph of the run's
    own data.
    """
    name: str | None = None
    """Name of a radiograph of an embeddings file; its first if not given."""
    report: str | None = None
    """A file with the radiograph's report, where the head sees text."""
    out: str | None = None
    """The page to write. Default: case.html in the run's folder explained/."""
    shown: int = 10
    """Patterns printed per finding; the page has all."""


@dataclass(frozen=True)
class Report:
    """Write the site of a trained run again."""

    run_dir: str
    """Folder of the run."""
    cases: int | None = None
    """Cases with a page of their own; as before if not given."""
    show_images: bool | None = None
    """False: path-only mode, no pixel and no report text is written; as before if not given. The
    run remembers both.
    """


@dataclass(frozen=True)
class Annotate:
    """Name patterns from one half of their galleries, and verify the names on the other half and on
    negatives.
    """

    run_dir: str
    """Folder of the run."""
    config: Annotated[AnnotateConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Language:
    """Train a transcoder or an autoencoder of one perceptron of a Llama on text, measure what the
    model loses with it in place, and write a page of its patterns.
    """

    config: Annotated[LanguageConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/sae/language-<kind>-<layer>-seed<seed>."""


@dataclass(frozen=True)
class Export:
    """Write members in the layout of another library."""

    run_dir: str
    """Folder of the run."""
    out: str
    """Folder to write; one folder per member below it."""
    config: Annotated[ExportConfig, tyro.conf.arg(name="")]


def train(command: Train) -> int:
    """See `Train`."""
    config = command.config
    name = "".join(c if c.isalnum() else "_" for c in Path(config.data).stem)
    folder = command.run_dir or f"runs/sae/{name}-{command.preset}-seed{config.seed}"
    if config.classifier.modality != "image":
        log(
            f"warning: modality {config.classifier.modality}: labels come from the reports; its "
            "AUC is no diagnosis from images"
        )
    with stop_on_signals() as stop:
        index = runs.train(config, folder, lambda: bool(stop))
    if index is None:
        log(f"stopped; the same command continues in {folder}")
        return 130
    log(f"report: {index}")
    return 0


def embed(command: Embed) -> int:
    """See `Embed`."""
    with stop_on_signals() as stop:
        done, skipped = embed_source(command.config, lambda: bool(stop))
    for why, names in by_reason(skipped).items():
        log(f"  skipped {len(names)}, since {why}: {', '.join(names[:5])}")
    if not done:
        log("stopped; the same command continues")
        return 130
    log(f"embeddings: {command.config.out} ({len(skipped)} radiographs skipped)")
    return 0


def make_catalogue(command: MakeCatalogue) -> int:
    """See `MakeCatalogue`."""
    run = runs.load(command.run_dir)
    check_catalogue(command.config)
    config = replace(run.config, catalogue=command.config)
    found = runs.step_catalogue(run._replace(config=config), again=True)
    open_run(
        command.run_dir, to_dict(config), free=tuple(_catalogue_fields(config)), complete=upgraded
    )
    for support, count in found.curve[:: max(1, len(found.curve) // 10)]:
        log(f"  support {support:.0%}: {count} patterns")
    log(f"report: {runs.step_report(runs.load(command.run_dir))}")
    return 0


def _catalogue_fields(config):
    from jaxrl.train.config import flatten

    return [name for name in flatten(to_dict(config)) if name.startswith("catalogue.")] + list(
        runs.FREE
    )


def explain(command: Explain) -> int:
    """See `Explain`."""
    found = explain_image(command.run_dir, command.case, command.name, _text_of(command.report))
    for line in explain_lines(found, command.shown):
        log(line)
    folder = found.artifacts.run.folder
    page = Path(command.out) if command.out else folder / "explained" / "case.html"
    with writing(page):
        page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, found.to_html())
    log(f"page: {page}")
    return 0


def _text_of(report: str | None) -> str:
    try:
        return Path(report).read_text(errors="replace") if report else ""
    except OSError as error:
        raise UserError(
            f"the report {report} cannot be read ({error.strerror}): name a file with its text"
        ) from None


def report(command: Report) -> int:
    """See `Report`."""
    run = runs.load(command.run_dir)
    given = {
        name: value
        for name in ("show_images", "cases")
        if (value := getattr(command, name)) is not None
    }
    config = replace(run.config, **given)
    open_run(
        command.run_dir, to_dict(config), runs.FREE, complete=upgraded
    )  # so that annotate, catalogue and explain keep to it
    log(f"report: {runs.step_report(run._replace(config=config))}")
    return 0


def annotate(command: Annotate) -> int:
    """See `Annotate`."""
    run = runs.load(command.run_dir)
    for line in annotate_run(run, command.config):
        log(f"  {line}")
    log(f"report: {runs.step_report(runs.load(command.run_dir))}")
    return 0


def language(command: Language) -> int:
    """See `Language`."""
    c = command.config
    folder = command.run_dir or f"runs/sae/language-{c.kind}-{c.layer}-seed{c.seed}"
    with stop_on_signals() as stop:
        page = run_language(c, folder, lambda: bool(stop))
    if page is None:
        log(f"stopped; the same command continues in {folder}")
        return 130
    log(f"report: {page}")
    return 0


def export(command: Export) -> int:
    """See `Export`."""
    run = runs.load(command.run_dir)
    x = run.x[run.parts["validate"]]
    for line in export_run(run.members, run.shape, x, Path(command.out), command.config):
        log(f"  {line}")
    return 0


COMMANDS = {
    "train": (Train, train),
    "embed": (Embed, embed),
    "catalogue": (MakeCatalogue, make_catalogue),
    "explain": (Explain, explain),
    "report": (Report, report),
    "annotate": (Annotate, annotate),
    "language": (Language, language),
    "export": (Export, export),
}


def renamed(arguments: list[str]) -> list[str]:
    """Replace options that 0.1 had under another name, with a warning; they work until 0.3."""
    names = {}
    for old, new in RENAMED.items():
        for form in (str, lambda text: text.replace("_", "-")):
            names["--" + form(old)] = "--" + form(new)
    found = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option in names:
            print(
                f"warning: {option} is called {names[option]} now; the old name works until 0.3",
                file=sys.stderr,
            )
            option = names[option]
        found.append(option + equals + value)
    return found


def parse(arguments: list[str]):
    """`(command, function)`; argparse's exit with status 2 for what is not understood."""
    name, rest = subcommand(renamed(arguments), program("sae"), TABLE)
    kind, function = COMMANDS[name]
    called = f"{program('sae')} {name}"
    if kind is Train:
        return parse_with_preset(rest, called, Train, PRESETS, "phantom"), function
    stored: dict[str, Any] = {}
    if kind is MakeCatalogue and not wants_help(rest):
        where = first_pass(rest, called, run_dir=(str | None, None)).run_dir
        if where is not None:  # what is not given stays as the run has it
            stored = {"default": MakeCatalogue(where, runs.stored_run_config(where).catalogue)}
    settings = (tyro.conf.FlagConversionOff,)
    return tyro.cli(kind, args=rest, prog=called, config=settings, **stored), function


def run(parsed) -> int:
    """Do what was parsed; XLA's programs are kept for the next command."""
    command, function = parsed
    keep_programs()
    return function(command)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 2 if refused, 130 if interrupted."""
    return app_main(parse, run, arguments)
