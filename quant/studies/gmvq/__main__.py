"""`python -m quant.studies.gmvq`: GM-VQ and its bound compared with other quantizers, with
figures and a report.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from quant.studies import commands
from quant.studies.gmvq.config import PRESETS, GMVQStudyConfig
from quant.studies.gmvq.run import run

PresetName = Literal[
    "tiny", "digits", "patches", "fashion_mnist", "cifar10", "celeba128", "generated"
]


@dataclass(frozen=True)
class Command:
    """Train the same autoencoder with several quantizers between encoder and decoder, and compare
    what comes back and which codes are used. A folder that was begun is continued, cell by cell.
    """

    preset: PresetName
    """tiny (a minute on a CPU), digits or patches (all methods and sweeps), fashion_mnist (all
    baselines at equal bits, for one core), cifar10, celeba128 (the paper's sizes, for an
    accelerator), generated (speed only).
    """
    config: Annotated[GMVQStudyConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/gmvq/<data>-<preset>-seed<seed>."""


parse, main = commands.entry_points("gmvq", Command, PRESETS, run)

if __name__ == "__main__":
    sys.exit(main())
