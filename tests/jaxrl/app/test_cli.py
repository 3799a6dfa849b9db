import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import tyro

from jaxrl.app import cli
from jaxrl.app.errors import UserError


def raiser(error):
    def run(command):
        raise error

    return run


@pytest.mark.parametrize(
    "run, code, said",
    [
        (lambda command: None, 0, ""),
        (lambda command: 3, 3, ""),
        (raiser(UserError("x is wrong: do y")), 2, "error: x is wrong: do y\n"),
        (raiser(KeyboardInterrupt), 130, f"{cli.INTERRUPTED}\n"),
    ],
)
def test_exit_codes(run, code, said, capsys):
    assert cli.main(list, run, []) == code
    assert capsys.readouterr().err == said


def test_an_error_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        cli.main(list, lambda command: 1 // 0, [])


@dataclass(frozen=True)
class Several:
    out: str
    rename: tuple[str, ...] = ()
    down_to: tuple[int, ...] = ()


@pytest.mark.parametrize(
    "given, joined",
    [
        ("go --rename a=b --out x --rename c=d", "go --rename a=b c=d --out x"),
        ("--rename=a=b --out x --rename c=d e=f", "--rename a=b c=d e=f --out x"),
        ("--down_to 1 --down-to -2 --out x", "--down_to 1 -2 --out x"),
        ("--out x --out y", "--out x --out y"),
    ],
)
def test_a_repeated_option_of_several_values_has_them_all(given, joined):
    assert cli.join_repeats(given.split(), [Several]) == joined.split()


def test_a_refusal_while_parsing_counts_too(capsys):
    assert cli.main(raiser(UserError("no")), lambda command: 0, ["a"]) == 2
    assert capsys.readouterr().err == "error: no\n"


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_closed_pipe_is_quiet():
    script = "import sys\nfrom jaxrl.app.cli import main\n" + (
        "sys.exit(main(list, lambda c: [print('x' * 99) for _ in range(9999)] and 0, []))"
    )
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "$0" | head -1; echo ${{PIPESTATUS[0]}}', script],
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == str(cli.PIPE_CLOSED)
    assert done.stderr == ""


def test_letters_that_the_terminal_does_not_have_are_no_crash():
    script = "from jaxrl.app.cli import main\nmain(list, lambda c: print('1 \\u00b1 2'), [])"
    done = python(script, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 0 and done.stdout == "1 \\xb1 2\n"


@dataclass(frozen=True)
class Config:
    size: int
    name: str = "a"


@dataclass(frozen=True)
class Train:
    """Train something."""

    preset: Literal["tiny", "paper"]
    """Sizes."""
    config: Annotated[Config, tyro.conf.arg(name="")]
    run_dir: str | None = None


PRESETS = {"tiny": lambda: Config(1), "paper": lambda: Config(1000, "b")}


def parse(*arguments):
    return cli.parse_with_preset(arguments, "prog", Train, PRESETS)


def test_the_preset_decides_the_other_defaults():
    assert parse() == Train("tiny", Config(1))
    assert parse("--preset", "paper") == Train("paper", Config(1000, "b"))
    assert parse("--size", "5", "--preset=paper", "--run-dir", "x") == Train(
        "paper", Config(5, "b"), "x"
    )


@pytest.mark.parametrize(
    "arguments", [["--preset", "huge"], ["--size", "many"], ["--sise", "3"], ["x"]]
)
def test_what_is_not_understood_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 2


def test_help_shows_the_defaults_of_the_preset(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--preset", "paper", "--help")
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "1000" in said and "usage: prog" in said


def test_first_pass_reads_only_what_it_is_asked_for():
    found = cli.first_pass(
        ["--env", "pong", "--other", "3", "--help"], "prog", env=(str, "catch"), seed=(int, 0)
    )
    assert (found.env, found.seed) == ("pong", 0)


def test_subcommand(capsys):
    table = {"train": "Train.", "report": "Report."}
    assert cli.subcommand(["train", "--x", "1"], "p", table) == ("train", ["--x", "1"])
    for arguments, code in ((["--help"], 0), ([], 2), (["trian"], 2), (["qqq"], 2)):
        with pytest.raises(SystemExit) as caught:
            cli.subcommand(arguments, "p", table, "About.")
        assert caught.value.code == code
    said = capsys.readouterr()
    assert "usage: p {train,report} [options]" in said.out and "  report  Report." in said.out
    assert "error: p has no command 'trian': did you mean train?" in said.err
    assert "choose among train, report" in said.err


def test_the_console_script_hands_arguments_on(monkeypatch, tmp_path, capsys):
    package = tmp_path / "fake_system"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "def main(arguments):\n    print(arguments)\n    return 4\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.SYSTEMS, "jedi", ("A system.", "fake_system"))
    monkeypatch.setitem(cli.SYSTEMS, "quant", ("Studies.", {"one": ("A study.", "fake_system")}))
    assert cli.latentax(["jedi", "train", "--x"]) == 4
    assert cli.latentax(["quant", "one", "y"]) == 4
    assert capsys.readouterr().out == "['train', '--x']\n['y']\n"
    with pytest.raises(SystemExit) as caught:
        cli.latentax(["quant"])
    assert caught.value.code == 2


def test_every_system_exists():
    modules = []
    for _, place in cli.SYSTEMS.values():
        modules += [place] if isinstance(place, str) else [module for _, module in place.values()]
    for module in modules:
        path = os.path.join(*module.split("."), "__main__.py")
        assert os.path.isfile(path), path


def test_help_of_the_console_script_imports_no_jax():
    script = (
        "import sys\nfrom jaxrl.app.cli import latentax\n"
        "try:\n    latentax(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'jax', 'numpy', 'tyro', 'scipy', 'httpx', 'jinja2', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules)"
    )
    done = python(script)
    assert done.returncode == 0, done.stderr
    assert "compositionality" in done.stdout


LIGHT = ("jedi", "sae", "e2c", "dynamite", "migrator", "compositionality")
"""Systems of several commands: help lists them before anything heavy is imported."""


def test_help_of_systems_with_commands_imports_no_jax():
    script = (
        "import sys\nfrom jaxrl.app.cli import latentax\n"
        "heavy = {'jax', 'flax', 'optax', 'orbax', 'scipy', 'sqlglot', 'duckdb'}\n"
        f"for name in {LIGHT!r}:\n"
        "    try:\n        latentax([name, '--help'])\n"
        "    except SystemExit as end:\n        assert end.code == 0\n"
        "    assert not heavy & set(sys.modules), (name, heavy & set(sys.modules))\n"
    )
    done = python(script)
    assert done.returncode == 0, done.stderr
    assert "train-offline" in done.stdout and "catalogue" in done.stdout


@pytest.mark.parametrize("package", ["jaxrl.jedi", "sae"])
def test_a_package_imports_what_is_used(package):
    """All public names are found, in another order than they are defined; others are not."""
    module = importlib.import_module(package)
    for name in reversed(module.__all__):
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_the_name_of_a_program_is_the_one_it_was_started_by(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/latentax", "sae"])
    assert cli.program("sae") == "latentax sae"
    assert cli.program("quant.studies.gmvq") == "latentax quant gmvq"
    assert cli.program("other") == "python -m other"
    monkeypatch.setattr(sys, "argv", ["sae/__main__.py"])
    assert cli.program("sae") == "python -m sae"


def test_no_module_of_the_package_imports_jax():
    script = (
        "import importlib, pkgutil, sys, jaxrl.app\n"
        "for found in pkgutil.iter_modules(jaxrl.app.__path__):\n"
        "    importlib.import_module('jaxrl.app.' + found.name)\n"
        "slow = {'jax', 'flax', 'scipy', 'matplotlib', 'httpx', 'jinja2', 'rich', 'tyro'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    assert python(script).stdout == "[]\n"
