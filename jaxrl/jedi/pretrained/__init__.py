"""Trained agents that come with the package, one folder each: config.json as in a run's folder,
agent.safetensors (no pickle) and score.json (what it was measured to reach, and how).

`--pretrained NAME` of evaluate, imagine, horizon and play takes such a folder for a run's.
"""

from pathlib import Path

from jaxrl.app.errors import UserError

FOLDER = Path(__file__).parent
SCORE = "score.json"


def pretrained_names() -> list[str]:
    """Names of the agents that are there."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def pretrained_folder(name: str) -> Path:
    """Folder of an agent.

    Raises:
      UserError: there is none of that name.
    """
    if name not in pretrained_names():
        raise UserError(
            f"there is no pretrained agent called {name!r}: there are "
            f"{', '.join(pretrained_names()) or 'none'}"
        )
    return FOLDER / name
