"""Command lines: one `main` for exit codes, presets that set the other defaults, and the console
script `latentax`.

Nothing here imports JAX or another package of the project before a command was chosen, so help is
printed at once.
"""

import contextlib
import dataclasses
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, get_origin

from jaxrl.app.errors import UserError

C = TypeVar("C")

INTERRUPTED = "interrupted; finished work is kept, and the same command continues"
"""Printed after Ctrl-C, unless a system has its own sentence."""
PIPE_CLOSED = 141
"""Exit code when the reader of the output went away (`| head`): 128 + SIGPIPE, as the shell gives
it.
"""


def main(
    parse: Callable[[list[str]], C],
    run: Callable[[C], int | None],
    arguments: Sequence[str] | None = None,
    interrupted: str = INTERRUPTED,
) -> int:
    """Parse and run a command.

    Args:
      parse: makes a command of the arguments; may exit by itself, as tyro does (code 2).
      run: does it; returns an exit code, or None for 0.
      arguments: those of the process if absent.
      interrupted: sentence for Ctrl-C.

    Returns:
      The exit code: that of `run`; 2 after a `UserError`, 130 after Ctrl-C, 141 if standard output
      was closed.
    """
    _print_anything()
    try:
        code = run(parse(list(sys.argv[1:] if arguments is None else arguments)))
        sys.stdout.flush()  # here, because at exit a closed pipe would print a traceback
        return int(code or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python flushes standard output again at exit; let it flush into nothing.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _print_anything() -> None:
    """Make output with other letters than the terminal's encoding an approximation, not a crash."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and (stream.encoding or "").lower().replace("-", "") != "utf8":
            reconfigure(errors="backslashreplace")


def first_pass(
    arguments: Sequence[str], program: str, **options: tuple[Any, Any]
) -> SimpleNamespace:
    """Read a few options that the defaults of all others depend on; everything else is left to the
    second pass.

    Args:
      arguments: of the command.
      program: for messages.
      **options: by name, the type and the default, for example `preset=(Literal["tiny", "paper"],
        "tiny")`.

    Returns:
      The values by name. A wrong value ends the process with code 2, as tyro does.
    """
    import tyro

    fields = [(name, kind, default) for name, (kind, default) in options.items()]
    start = dataclasses.make_dataclass("Start", fields, frozen=True)
    rest = [argument for argument in arguments if argument not in ("-h", "--help")]
    found, _ = tyro.cli(start, args=rest, return_unknown_args=True, add_help=False, prog=program)
    return SimpleNamespace(**vars(found))


def wants_help(arguments: Sequence[str]) -> bool:
    """True if the arguments ask for help."""
    return "-h" in arguments or "--help" in arguments


def join_repeats(arguments: Sequence[str], commands: Iterable[type]) -> list[str]:
    """The arguments, with the values of an option that is given several times behind the first.

    Our choice: `--rename a=b --rename c=d` is `--rename a=b c=d`; tyro would keep the last alone.

    Args:
      arguments: of the program.
      commands: dataclasses of its commands; options of type `tuple[...]` take several values.
    """
    several = {
        f"--{one.name.replace('_', '-')}"
        for command in commands
        for one in dataclasses.fields(command)
        if get_origin(one.type) is tuple
    }
    here: list[str] = []
    found, lists = [here], {}
    for argument in arguments:
        option, sign, value = argument.partition("=")
        name = option.replace("_", "-")
        if name in several:
            if name not in lists:
                lists[name] = [option]
                found.append(lists[name])
            here = lists[name]
            here += [value] if sign else []
        elif argument.startswith("--") or argument == "-h":
            here = [argument]
            found.append(here)
        else:
            here.append(argument)
    return [word for words in found for word in words]


def read_options(kind: type[C], arguments: Sequence[str], program: str) -> C:
    """Make a configuration of a command line, with switches as `--write False`.

    Args:
      kind: its dataclass.
      arguments: of the command.
      program: for messages.
    """
    import tyro

    off = (tyro.conf.FlagConversionOff,)
    return tyro.cli(kind, args=list(arguments), config=off, prog=program)


def parse_with_preset(
    arguments: Sequence[str],
    program: str,
    command: type[C],
    presets: Mapping[str, Callable[[], Any]],
    default: str | None = None,
) -> C:
    """Make a command of which the preset decides the defaults of everything else.

    Args:
      arguments: of the command.
      program: for messages.
      command: a dataclass whose first two fields are the preset's name and its configuration.
      presets: functions that make a configuration, by name.
      default: name of the preset if none is given; the first one if absent.

    Returns:
      The command.
    """
    import tyro

    names = tuple(presets)
    chosen = first_pass(
        arguments,
        program,
        preset=(Literal[names], default or names[0]),  # type: ignore[valid-type]
    ).preset
    make: Any = command
    start: Any = make(chosen, presets[chosen]())
    settings = (tyro.conf.FlagConversionOff,)
    return tyro.cli(command, args=list(arguments), default=start, config=settings, prog=program)


def subcommand(
    arguments: Sequence[str], program: str, table: Mapping[str, str], about: str = ""
) -> tuple[str, list[str]]:
    """Split off the name of a subcommand, printing help or a refusal without importing anything.

    Args:
      arguments: of the program.
      program: for messages.
      table: one sentence by name.
      about: one sentence about the program.

    Returns:
      The name and the arguments after it. Help ends the process with code 0, a wrong name with 2.
    """
    listed = f"{{{','.join(table)}}}"
    width = max(map(len, table))
    lines = [f"usage: {program} {listed} [options]", ""]
    lines += [about, ""] if about else []
    lines += [f"  {name:{width}}  {text}" for name, text in table.items()]
    lines += ["", f"Options of one of them: {program} NAME --help"]
    if not arguments:
        print("\n".join(lines), file=sys.stderr)
        raise SystemExit(2)
    name, *rest = arguments
    if name in ("-h", "--help"):
        print("\n".join(lines))
        raise SystemExit(0)
    if name not in table:
        close = difflib.get_close_matches(name, table, 1)
        hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(table)}"
        print(f"error: {program} has no command {name!r}: {hint}", file=sys.stderr)
        raise SystemExit(2)
    return name, rest


SYSTEMS: dict[str, tuple[str, str | dict[str, tuple[str, str]]]] = {
    "jedi": ("Train world models and agents: JEDI and its baselines.", "jaxrl.jedi"),
    "quant": (
        "Studies of vector quantization and discrete gradients.",
        {
            "collapse": ("Representation collapse in VQ and its cures.", "quant.studies.collapse"),
            "estimators": ("Gradient estimators of discrete choices.", "quant.studies.estimators"),
            "gmvq": ("Gaussian mixture VQ with its bound.", "quant.studies.gmvq"),
        },
    ),
    "sae": ("Sparse transcoders on chest radiographs: patterns and predictions.", "sae"),
    "e2c": ("Explore-Execute Chain: plan, then execute.", "reasoning.e2c"),
    "dynamite": ("Migrate data by example.", "reasoning.synthesis.dynamite"),
    "migrator": ("Rewrite SQL programs after a schema change.", "reasoning.synthesis.migrator"),
    "compositionality": (
        "Prune networks and measure their structure.",
        "reasoning.compositionality",
    ),
}
"""Commands of `latentax`: a sentence, and the module or its own commands."""
ABOUT = "World models, discrete representations, sparse transcoders and program synthesis, in JAX."


def program(module: str) -> str:
    """Name of a program as it was started: `latentax sae` or `python -m sae`."""
    if Path(sys.argv[0]).name == "latentax":
        for name, (_, place) in SYSTEMS.items():
            if place == module:
                return f"latentax {name}"
            if isinstance(place, dict):
                for study, (_, inner) in place.items():
                    if inner == module:
                        return f"latentax {name} {study}"
    return f"python -m {module}"


def latentax(arguments: Sequence[str] | None = None) -> int:
    """Run the console script: `latentax jedi train ...` is `python -m jaxrl.jedi train ...`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"latentax {version('latentax')}")
        return 0
    table = {name: text for name, (text, _) in SYSTEMS.items()}
    name, rest = subcommand(arguments, "latentax", table, ABOUT)
    place = SYSTEMS[name][1]
    if isinstance(place, dict):
        inner = {study: text for study, (text, _) in place.items()}
        study, rest = subcommand(rest, f"latentax {name}", inner, SYSTEMS[name][0])
        place = place[study][1]
    module = f"{place}.__main__"
    return main(list, lambda given: importlib.import_module(module).main(given), rest)
