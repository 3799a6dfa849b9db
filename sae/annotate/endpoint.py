"""An annotator behind an OpenAI-compatible chat endpoint, and the record of what it said.

Every answer is written down at once, under a hash of model, prompt version and radiographs: what
was
asked is never asked again, and an
interrupted annotation loses nothing. Hosts other than this machine are refused unless they are
allowed: most data may not leave it.
"""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxrl.app.chat import ChatConfig, Client, NoAnswer, is_this_machine, shown_address
from jaxrl.app.errors import UserError, writing
from jaxrl.app.progress import warn
from sae.annotate.protocol import Radiograph
from sae.patterns.exemplars import png

PROMPT_VERSION = "1"
NAMING = (
    "You are an expert radiologist. These chest radiographs, some with reports, were picked "
    "because one computed feature is strong on all of them. Name the ONE most "
    "prominent thing that they have in common and other radiographs have not: a finding, a "
    "device, or something technical. Answer in square brackets, in at most eight words."
)
VERIFYING = (
    "You are an expert radiologist. Does this chest radiograph show the following? Answer yes "
    "or no.\n\n{name}"
)


@dataclass(frozen=True)
class EndpointConfig:
    """Address of the model, and limits of time and tries."""

    url: str = "http://127.0.0.1:8000/v1"
    """Base address; /chat/completions is added."""
    model: str = "local"
    """Name of the model there."""
    allow_remote: bool = False
    """Allow another host than this machine. Ask first whether the data's license does."""
    timeout: float = 60.0
    """Seconds to wait for an answer."""
    tries: int = 4
    """Requests before giving up; between them 1, 2, 4, ... times `pause` seconds."""
    pause: float = 1.0
    """Seconds before the second try."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key, if the endpoint wants one; it is sent to that host only
    and never written down.
    """


def _is_web(url: str) -> bool:
    """Return True for addresses of the web; the client refuses others with its own sentence."""
    return url.lower().startswith(("http://", "https://"))


class Silent(Exception):
    """The endpoint gave no answer in all tries."""


class Cassette:
    """Answers by key, one JSON line each, on disk as soon as they are known."""

    def __init__(self, path: Path):
        """Open a file; it need not exist. What a dying process left half-written does not count,
        and a warning names it.

        Raises:
          UserError: most lines are something else.
        """
        self.path, self.answers, torn = path, {}, []
        lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                self.answers[entry["key"]] = str(entry["answer"])
            except (ValueError, KeyError, TypeError):
                torn += [number] if line else []
        if len(torn) > len(self.answers) + 1:
            raise UserError(
                f"{path} is no file of answers: {len(torn)} of its lines hold none; name another "
                "with --cassette"
            )
        for number in torn:
            warn(f"{path}, line {number}, is cut or damaged: what it answered is asked again")

    def keep(self, key: str, answer: str, about: dict[str, Any]) -> None:
        """Add an answer."""
        self.answers[key] = answer
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(
                    ("\n" if torn else "")
                    + json.dumps({"key": key, "answer": answer, **about})
                    + "\n"
                )
                file.flush()
                os.fsync(file.fileno())


def _key(model: str, task: str, radiographs: list[Radiograph]) -> str:
    digest = hashlib.sha256(f"{model}\0{PROMPT_VERSION}\0{task}".encode())
    for radiograph in radiographs:
        digest.update(
            radiograph.report.encode()
            + b"\0"
            + (b"" if radiograph.pixels is None else radiograph.pixels.tobytes())
            + b"\1"
        )
    return digest.hexdigest()


class Recorded:
    """An annotator that only repeats what a cassette holds."""

    def __init__(self, cassette: Cassette, model: str):
        self.cassette, self.model = cassette, model

    def name(self, radiographs: list[Radiograph]) -> str:
        """See `Annotator`; Raises: UserError if it was never asked."""
        return in_brackets(self._answer(NAMING, radiographs[:10], 200, 0.3, 500))

    def verify(self, name: str, radiograph: Radiograph) -> bool:
        """See `Annotator`; Raises: UserError if it was never asked."""
        return says_yes(self._answer(VERIFYING.format(name=name), [radiograph], 50, 0.1, 1000))

    def _answer(self, task, radiographs, tokens, temperature, letters):
        key = _key(self.model, task, radiographs)
        if key not in self.cassette.answers:
            self.cassette.keep(
                key,
                self._ask(task, radiographs, tokens, temperature, letters),
                {"model": self.model, "radiographs": [f.name for f in radiographs]},
            )
        return self.cassette.answers[key]

    def _ask(self, *_):
        raise UserError(
            f"{self.cassette.path} holds no answer to this question: record it with --annotator "
            "endpoint first"
        )


class Endpoint(Recorded):
    """The same, but what is not on the cassette is asked."""

    def __init__(self, config: EndpointConfig, cassette: Cassette):
        """Args: where, and where answers are kept.

        Raises:
          UserError: another host than this machine, without `allow_remote`; or no http address.
        """
        super().__init__(cassette, config.model)
        self.config = config
        if not config.allow_remote and _is_web(config.url) and not is_this_machine(config.url):
            raise UserError(
                f"{shown_address(config.url)} is not on this machine, and radiographs must not "
                "leave it unasked: use a local endpoint, or "
                "--endpoint.allow-remote True if the data may be sent there"
            )
        self._client = Client(
            ChatConfig(
                base_url=config.url,
                model=config.model,
                key_variable=config.key_variable,
                allow_remote=config.allow_remote,
                timeout=config.timeout,
                retries=max(config.tries, 1) - 1,
                pause=config.pause,
            )
        )

    def _ask(self, task, radiographs, tokens, temperature, letters):
        content = [{"type": "text", "text": task}]
        for radiograph in radiographs:
            if radiograph.report:
                content.append({"type": "text", "text": f"Report: {radiograph.report[:letters]}"})
            if radiograph.pixels is not None:
                content.append(
                    {"type": "image_url", "image_url": {"url": data_url(radiograph.pixels)}}
                )
        messages = [{"role": "user", "content": content}]
        try:
            return self._client.chat(messages, tokens, temperature=temperature).text
        except NoAnswer as trouble:
            raise Silent(
                f"{self._client.shown} gave no answer in {self.config.tries} tries ({trouble})"
            ) from None


def data_url(pixels) -> str:
    """A radiograph as a PNG of at most 512 pixels, in the form that chat endpoints take."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((512, 512))
    return "data:image/png;base64," + base64.b64encode(png(np.asarray(image))).decode()


def in_brackets(answer: str) -> str:
    """Return what stands between the first [ and the ] after it; the whole answer, shortened, if
    there are none.
    """
    found = re.search(r"\[([^\]]*)\]", answer)
    return " ".join((found[1] if found else answer).split())[:120]


def says_yes(answer: str) -> bool:
    """Return whether the first word of yes and no is yes."""
    found = re.search(r"\b(yes|no)\b", answer.lower())
    return bool(found) and found[1] == "yes"
