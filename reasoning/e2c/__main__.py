"""`python -m reasoning.e2c demo | study | smoke | tts | gen-data | sft | ef-sft | rl |
fetch`.
"""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jaxrl.app import cli
from jaxrl.app.errors import UserError

if TYPE_CHECKING:
    from reasoning.e2c.asking import Backend
    from reasoning.e2c.commands import GenData, Source, Tts

ABOUT = "Explore-Execute Chain: plan stochastically, execute deterministically."
TABLE = {
    "demo": "Train a tiny model for minutes and measure what plans are good for.",
    "study": "Train tiny models from nothing and measure what plans are good for.",
    "smoke": "Run the study at its smallest, to see that everything works.",
    "word-study": "Train a small real model on word problems and measure the same claims.",
    "tts": "Let a policy answer a benchmark.",
    "gen-data": "Make rows for training from solved problems.",
    "sft": "Train a local model on E2C rows.",
    "ef-sft": "Train the plans of a local model alone.",
    "rl": "Train a local model by one stage of reinforcement learning.",
    "fetch": "Convert a small real model from an installed package.",
}


def parse(arguments: list[str]):
    """Make the command; nothing heavy is imported before a command was named."""
    name, rest = cli.subcommand(arguments, cli.program("reasoning.e2c"), TABLE, ABOUT)
    from reasoning.e2c.commands import parse

    return parse([name, *rest])


def main(arguments: list[str] | None = None) -> int:
    """Run a command; exit status 0, 2 if something was refused, 130 if interrupted."""
    return cli.main(parse, carry_out, arguments)


def carry_out(command) -> None:
    """Do it, and print what came out."""
    from jaxrl.train.compiled import keep_programs
    from reasoning.e2c.commands import EfSft, Fetch, GenData, Rl, Sft, Study, Tts, WordStudy

    keep_programs()
    match command:
        case Study():
            from reasoning.e2c.study.run import run

            report = run(command.config, command.run_dir)
            print(report.read_text())
            print(f"report: {report}")
        case WordStudy():
            from reasoning.e2c.word_problems.study import run as run_words

            print(f"report: {run_words(command.config, command.run_dir)}")
        case Tts():
            print(json.dumps(scale(command), indent=2))
        case GenData():
            print(json.dumps(generate_data(command), indent=2))
        case Fetch():
            from reasoning.e2c.llm.fetch import fetch

            out = command.out or Path("runs/e2c/models") / command.name
            print(f"model: {fetch(command.name, out)}")
        case Rl():
            from reasoning.e2c.llm.rl import train

            train(command.model, command.training, command.run_dir)
        case EfSft():
            from reasoning.e2c.llm.sft import train

            train(command.model, replace(command.training, trained="plan"), command.run_dir)
        case Sft():
            from reasoning.e2c.llm.sft import train

            train(command.model, command.training, command.run_dir)


def backend_of(source: "Source") -> "Backend":
    """The local model, if its folder is named; else the server."""
    if source.local.path is not None:
        from reasoning.e2c.backends.tunix_local import TunixBackend

        return TunixBackend.load(source.local)
    from reasoning.e2c.backends.endpoint import Endpoint

    return Endpoint(source.endpoint)


CHANGING = ("api", "template", "extra", "trained", "chat", "lora_rank", "lora_alpha")
"""Options of a source, besides its name, that change what it says."""


def name_of(source: "Source") -> str:
    """The model, and what is not as by default; long texts, and those that may hold a key, by a
    digest.
    """
    local = source.local.path is not None
    given = source.local if local else source.endpoint
    named = str(source.local.path) if local else source.endpoint.model
    for option in CHANGING:
        value = getattr(given, option, None)
        if value != getattr(type(given)(), option, None):
            text = str(value)
            if option in ("template", "extra"):
                text = hashlib.sha256(text.encode()).hexdigest()[:8]
            named += f", {option} {text}"
    return named


def server_of(source: "Source") -> str:
    """The address of the server without keys; empty for a model of this machine."""
    from jaxrl.app.chat import shown_address

    return "" if source.local.path is not None else shown_address(source.endpoint.base_url)


def scale(command: "Tts") -> dict:
    """A policy on a benchmark."""
    from reasoning.e2c.benchmarks import BENCHMARKS, load
    from reasoning.e2c.evaluate import Evaluation, evaluate
    from reasoning.e2c.policies.by_name import check_policy
    from reasoning.e2c.policies.settings import Settings

    if command.limit is not None and command.limit < 1:
        raise UserError(f"--limit is {command.limit}: it must be at least 1")
    tasks = load(command.bench, command.file, command.fields)[: command.limit]
    print(
        f"{command.bench}: {len(tasks)} problems, so one problem is {100 / len(tasks):.2g} points",
        file=sys.stderr,
    )
    default = Settings()
    settings = replace(
        default,
        k=command.k,
        chains=command.chains,
        judge=command.judge,
        budget=command.budget,
        plan=replace(default.plan, max_tokens=command.max_plan_tokens),
        execution=replace(default.execution, max_tokens=command.max_execution_tokens),
        chain=replace(default.chain, max_tokens=command.max_execution_tokens),
    )
    check_policy(command.policy, settings)
    checker = BENCHMARKS[command.bench].check
    backend = backend_of(command.source)
    asked = Evaluation(
        command.policy,
        settings,
        checker,
        samples=command.samples,
        batch=command.batch,
        seed=command.seed,
        source=f"{name_of(command.source)}, {command.file.name}",
        server=server_of(command.source),
    )
    return evaluate(tasks, backend, asked, command.out)


def generate_data(command: "GenData") -> dict:
    """Rows, and the yield."""
    from reasoning.e2c.datagen import DataConfig, generate, questions_from
    from reasoning.e2c.records import read_records

    questions = questions_from(read_records(command.file), str(command.file))
    config = DataConfig(
        solutions=command.solutions,
        adherence=command.adherence,
        post_hoc=command.post_hoc,
        batch=command.batch,
        source=name_of(command.source),
        server=server_of(command.source),
    )
    return generate(questions, backend_of(command.source), config, command.out, command.seed)


if __name__ == "__main__":
    sys.exit(main())
