"""START HERE: the study from configuration to page: sweep, then report."""

from pathlib import Path

from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run
from reasoning.compositionality.study.config import SweepConfig, check
from reasoning.compositionality.study.report import write_report
from reasoning.compositionality.study.sweep import sweep


def run(config: SweepConfig, run_dir: str | Path) -> tuple[Path, str]:
    """Train and measure what is not there yet, and write the report: the path of its page, and its
    answer.

    Raises:
      UserError: the configuration, a target or the folder do not work.
    """
    check(config)
    folder = open_run(run_dir, to_dict(config))
    results = folder / "results"
    results.mkdir(exist_ok=True)
    sweep(config, results)
    return write_report(folder, config)
