"""Instance files read record by record: a JSON object from names of collections to lists of
records, of any length.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.infer import Instance

CHUNK = 1 << 20
"""Characters read at a time."""
SPACE = " \t\n\r"
LONGEST_WORD = 16
"""More letters than any name or escape of JSON: a mistake so far from the end of what was read does
not come from stopping there.
"""


def read_instance(path: str | Path) -> Instance:
    """A whole instance, for examples. Raises UserError with line and column of what is
    malformed.
    """
    instance: Instance = {}
    for name, record in stream_instance(path):
        instance.setdefault(name, [])
        if record is not None:
            instance[name].append(record)
    return instance


def stream_instance(path: str | Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The records of an instance file with the names of their collections, one in memory at a time.

    Yields:
      (name, record); (name, None) when a collection begins, so that empty ones are seen.

    Raises:
      UserError: the file cannot be read, is malformed, or is no object of lists of objects; with
        line and column.
    """
    with _opened(path) as stream:
        yield from stream.collections()


def stream_lines(path: str | Path) -> Iterator[Any]:
    """The values of a file of JSON lines, one in memory at a time. Raises UserError, as
    `stream_instance` does.
    """
    with _opened(path) as stream:
        while stream.peek():
            yield stream.value()


@contextlib.contextmanager
def _opened(path):
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            yield _Stream(file, str(path))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): give the path of an instance file"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is no UTF-8: save the file as UTF-8"
        ) from error


class _Stream:
    """A buffer over a file, and how many lines lie behind it."""

    def __init__(self, file, where):
        self.file, self.where = file, where
        self.buffer, self.place, self.line, self.column, self.ended = "", 0, 1, 1, False
        self.decode = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant
        ).raw_decode

    def _object(self, pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise self.refuse(
                f"the name {next(n for n in names if names.count(n) > 1)!r} is there twice in one "
                "object"
            )
        return found

    def _constant(self, word):
        raise self.refuse(f"{word} is no JSON")

    def refuse(self, what, place=None):
        self._count(self.place if place is None else place)
        return UserError(f"{self.where}, line {self.line}, column {self.column}: {what}")

    def _count(self, upto):
        """Move the start of the buffer forward, counting lines."""
        passed = self.buffer[:upto]
        lines = passed.count("\n")
        self.line += lines
        self.column = len(passed) - passed.rfind("\n") if lines else self.column + len(passed)
        self.buffer, self.place = self.buffer[upto:], max(0, self.place - upto)

    def more(self) -> bool:
        if self.ended:
            return False
        self._count(self.place)
        text = self.file.read(max(CHUNK, len(self.buffer)))
        self.ended = not text
        self.buffer += text
        return not self.ended

    def peek(self) -> str:
        """The next letter that is no space; "" at the end."""
        while True:
            while self.place < len(self.buffer) and self.buffer[self.place] in SPACE:
                self.place += 1
            if self.place < len(self.buffer):
                return self.buffer[self.place]
            if not self.more():
                return ""

    def take(self, marks: str) -> str:
        found = self.peek()
        if not found or found not in marks:
            raise self.refuse(
                f"{' or '.join(repr(mark) for mark in marks)} was expected, not "
                f"{found or 'the end of the file'!r}"
            )
        self.place += 1
        return found

    def value(self) -> Any:
        """The next JSON value."""
        self.peek()
        while True:
            try:
                found, end = self.decode(self.buffer, self.place)
                if end < len(self.buffer) or self.ended or not isinstance(found, int | float):
                    self.place = end
                    return found
            except json.JSONDecodeError as error:
                if self.ended or (
                    error.pos + LONGEST_WORD < len(self.buffer)
                    and not error.msg.startswith("Unterminated")
                ):
                    raise self.refuse(f"malformed JSON ({error.msg})", error.pos) from error
            except RecursionError as error:
                raise self.refuse("lists and objects lie too deep in one another") from error
            self.more()

    def collections(self):
        self.take("{")
        mark = self.take("}") if self.peek() == "}" else ","
        seen = set()
        while mark == ",":
            name = self.value()
            if not isinstance(name, str) or name in seen:
                raise self.refuse(
                    f"the collection {name!r} is there twice"
                    if name in seen
                    else f"{name!r} is no name of a collection"
                )
            seen.add(name)
            self.take(":")
            yield name, None
            yield from self.records(name)
            mark = self.take(",}")
        if self.peek():
            raise self.refuse("something stands behind the end of the object")

    def records(self, name):
        self.take("[")
        mark = self.take("]") if self.peek() == "]" else ","
        while mark == ",":
            record = self.value()
            if not isinstance(record, dict):
                raise self.refuse(f"a record of {name} is no object: {json.dumps(record)[:60]}")
            yield name, record
            mark = self.take(",]")
