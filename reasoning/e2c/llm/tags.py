"""The four tags in a tokenizer, and its pad: ids are looked up, never written into code."""

import json
from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError
from jaxrl.train.rundir import write_atomically
from reasoning.e2c.format import CLOSE_PLAN, OPEN_EXECUTION, OPEN_PLAN, TAGS, Prompt
from reasoning.e2c.llm.prompts import prompt_text
from reasoning.e2c.masks import Markers

BEGUN = 2
"""Number of the rule by which rows of new tags begin (`load.put_tags`); raise it with the rule."""


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


NEW_PAD = "<|e2c_pad|>"
"""Pad that is added where no special token is free."""
ODD = "\N{SNOWMAN} \N{CYRILLIC SMALL LETTER ZHE} \N{PILE OF POO}"
"""Text that a tokenizer without byte tokens writes with its token for unknown words."""


def set_pad(tokenizer: Any) -> int:
    """Give the tokenizer a pad that no prompt and no response holds, in place; returns its id.

    Tunix masks every pad inside a prompt, and trains on none in a response. Where the pad is also
    the end token, as in SmolLM2, the ends of turns in a chat template would be hidden from the
    model, and no response would learn to end. Our choice: the first free special token, one that is
    named a pad before others.
    """
    used = _written(tokenizer)
    pad = tokenizer.pad_token_id
    if pad is None or pad in used:
        special = [
            (number, token.content)
            for number, token in sorted(tokenizer.added_tokens_decoder.items())
            if token.special and number not in used
        ]
        free = sorted(special, key=lambda found: "pad" not in found[1].lower())
        tokenizer.add_special_tokens({"pad_token": free[0][1] if free else NEW_PAD})
    return tokenizer.pad_token_id


def _written(tokenizer: Any) -> set[int]:
    """Ids of special tokens that prompts and responses hold: beginnings and ends, the tags, and
    those that the chat template writes.
    """
    template = str(getattr(tokenizer, "chat_template", None) or "")
    prompt = prompt_text(tokenizer, Prompt("a", OPEN_PLAN))
    texts = [prompt, ODD, *TAGS]
    found = {n for text in texts for n in tokenizer.encode(text, add_special_tokens=False)}
    found |= {n for n, token in tokenizer.added_tokens_decoder.items() if token.content in template}
    return found | {tokenizer.bos_token_id, tokenizer.eos_token_id}


def write_tags(folder: Path, ids: dict[str, int], untrained: bool = False) -> None:
    """Write the ids next to the checkpoints that are trained with them, and by which rule new rows
    began; a folder that is continued is checked first.

    Raises:
      UserError: as `check_tags`.
    """
    if (folder / "tags.json").is_file():
        check_tags(folder, ids, untrained)
    write_atomically(folder / "tags.json", json.dumps({**ids, "begun": BEGUN}) + "\n")


def check_tags(folder: Path, ids: dict[str, int], untrained: bool = False) -> None:
    """Refuse a run that was trained with other ids, or with other rows that it does not keep.

    Args:
      folder: of the run.
      ids: of the tags in this tokenizer.
      untrained: rows of the tags are begun at loading, and only adapters are trained.

    Raises:
      UserError: it was, or it has none.
    """
    file = folder / "tags.json"
    if not file.is_file():
        raise UserError(
            f"{folder} holds no tags.json: name the run folder of an sft, ef-sft or rl training"
        )
    stored = json.loads(file.read_text())
    begun = stored.pop("begun", None)
    if untrained and begun != BEGUN:
        raise UserError(
            f"the adapters in {folder} were trained next to other rows of the tags, which began by "
            "another rule before version 0.2: train again in a new folder"
        )
    if stored != ids:
        raise UserError(
            f"{folder} was trained with the tags {stored}, but this tokenizer has {ids}: use the "
            "checkpoint it began with"
        )
