"""The four tags in a tokenizer: their ids are looked up, never written into code."""

import json
from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError
from jaxrl.train.rundir import write_atomically
from reasoning.e2c.format import CLOSE_PLAN, OPEN_EXECUTION, TAGS
from reasoning.e2c.masks import Markers


def missing_tags(tokenizer: Any) -> list[str]:
    """Tags that are not one token."""
    return [tag for tag in TAGS if len(tokenizer.encode(tag, add_special_tokens=False)) != 1]


def tag_ids(tokenizer: Any) -> dict[str, int]:
    """The id of every tag.

    Raises:
      UserError: the tokenizer lacks one.
    """
    if lacking := missing_tags(tokenizer):
        raise UserError(
            f"the tokenizer does not know {', '.join(lacking)} as one token each: load the model "
            "with --model.add-tags True and train "
            "it, or choose a checkpoint that was trained with the tags"
        )
    return {tag: tokenizer.encode(tag, add_special_tokens=False)[0] for tag in TAGS}


def markers(tokenizer: Any) -> Markers:
    """Ids of the tags that part a response."""
    ids = tag_ids(tokenizer)
    return Markers(ids[CLOSE_PLAN], ids[OPEN_EXECUTION])


def add_tags(tokenizer: Any) -> int:
    """Add the tags that are missing, in place; how many were added."""
    return (
        tokenizer.add_special_tokens({"additional_special_tokens": list(TAGS)})
        if missing_tags(tokenizer)
        else 0
    )


def write_tags(folder: Path, ids: dict[str, int]) -> None:
    """The ids next to the checkpoints that are trained with them."""
    write_atomically(folder / "tags.json", json.dumps(ids) + "\n")


def check_tags(folder: Path, ids: dict[str, int]) -> None:
    """Refuse a run that was trained with other ids.

    Raises:
      UserError: it was, or it has none.
    """
    file = folder / "tags.json"
    if not file.is_file():
        raise UserError(
            f"{folder} holds no tags.json: name the run folder of an sft, ef-sft or rl training"
        )
    stored = json.loads(file.read_text())
    if stored != ids:
        raise UserError(
            f"{folder} was trained with the tags {stored}, but this tokenizer has {ids}: use the "
            "checkpoint it began with"
        )
