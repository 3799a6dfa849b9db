"""`python -m quant.studies.collapse`: when codebooks collapse, and what cures them, with figures
and a report.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from quant.studies import commands
from quant.studies.collapse.config import PRESETS, CollapseConfig
from quant.studies.collapse.run import run

PresetName = Literal["tiny", "mixture", "fashion_mnist", "everything"]


@dataclass(frozen=True)
class Command:
    """Train vector-quantized autoencoders by several recipes, and say which of them collapse. A
    folder that was begun is continued, cell by cell.
    """

    preset: PresetName
    """tiny (a minute on a CPU), mixture (the claim, 5 seeds, minutes), everything (all figures, an
    hour or more on a CPU).
    """
    config: Annotated[CollapseConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/collapse/<data>-<preset>-seed<seed>."""


parse, main = commands.entry_points("collapse", Command, PRESETS, run)

if __name__ == "__main__":
    sys.exit(main())
