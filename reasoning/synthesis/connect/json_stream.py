"""Instance files read record by record: a JSON object from names of collections to lists of
records, of any length.
"""

import contextlib
import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.infer import Instance

CHUNK = 1 << 20
"""Characters read at a time."""
LINES = (".jsonl", ".ndjson")
"""Endings of files of JSON lines."""
SPACE = " \t\n\r"
LONGEST_WORD = 16
"""More letters than any name or escape of JSON: a mistake so far from the end of what was read does
not come from stopping there.
"""


def read_instance(path: str | Path) -> Instance:
    """A whole instance, for examples: an object of lists of records; or a list of records, lines of
    JSON, or one document, of which the collection is called like the file. Raises UserError with
    line and column of what is malformed.
    """
    instance: Instance = {}
    for name, record in stream_instance(path, Path(path).stem):
        instance.setdefault(name, [])
        if record is not None:
            instance[name].append(record)
    return instance


def stream_instance(
    path: str | Path, only: str | None = None, tops: frozenset[str] | None = None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The records of an instance file with the names of their collections, one in memory at a time.

    Args:
      path: the file.
      only: the collection of records that stand in no object: a list, or lines; None: refused.
      tops: the collections of the schema; None: those of the file; none at all: the file holds
        records, whatever they are called.

    Yields:
      (name, record); (name, None) when a collection begins, so that empty ones are seen. Under a
        name that is none of `tops` anything may stand: each element of a list is an empty record.

    Raises:
      UserError: the file cannot be read, is malformed, or is no object of lists of objects; with
        line and column.
    """
    with _opened(path) as stream:
        if stream.peek() == "{" and Path(path).suffix not in LINES:
            yield from stream.collections(only, tops)
            return
        if not stream.peek():
            raise stream.refuse("the end of the file: there is nothing in it")
        if only is None:
            raise UserError(
                f"{path} is a list of records, and the schema has several collections: give an "
                "object from their names to lists"
            )
        yield only, None
        if stream.peek() == "[":
            yield from stream.records(only)
            if stream.peek():
                raise stream.refuse("something stands behind the end of the list")
            return
        while stream.peek():
            yield only, stream.record(only)


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


class Moment(str):
    """A $date: text with its zone, and the time in UTC for attributes that are times."""

    utc: datetime.datetime


def _date(value: Any) -> str:
    """$date, as text or as milliseconds since 1970."""
    if isinstance(value, str):
        if re.search(r"\.\d{6}\d*[1-9]", value):
            raise ValueError(f"{value} has more than microseconds")
        made = Moment(value)
        parsed = datetime.datetime.fromisoformat(value)
        zone = parsed.tzinfo or datetime.UTC
        made.utc = parsed.replace(tzinfo=zone).astimezone(datetime.UTC).replace(tzinfo=None)
        return made
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=int(value))
    made = Moment(moment.isoformat() + "Z")
    made.utc = moment
    return made


EXTENDED = {
    "$oid": str,
    "$date": _date,
    "$numberInt": int,
    "$numberLong": int,
    "$numberDouble": float,
    "$numberDecimal": str,
    "$uuid": str,
}
"""Keys that `mongoexport` writes around values that JSON does not have, and the functions that make
Python values of them.
"""


class Number(float):
    """A number of JSON with more digits than a float keeps, for decimals."""

    text: str


def _number(text: str) -> float:
    """A number with a point or an exponent."""
    value = float(text)
    if len(text) > 16:
        value = Number(value)
        value.text = text
    return value


class _Stream:
    """A buffer over a file, and how many lines lie behind it."""

    def __init__(self, file, where):
        self.file, self.where = file, where
        self.buffer, self.place, self.line, self.column, self.ended = "", 0, 1, 1, False
        self.decode = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=_number
        ).raw_decode

    def _object(self, pairs):
        if len(pairs) == 1 and pairs[0][0] in EXTENDED:
            return self._extended(*pairs[0])
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise self.refuse(
                f"the name {next(n for n in names if names.count(n) > 1)!r} is there twice in one "
                "object"
            )
        return found

    def _extended(self, kind, value):
        """A value of MongoDB's extended JSON."""
        try:
            return EXTENDED[kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.refuse(f"{kind} of {value!r} is no value of extended JSON") from error

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

    def record(self, name):
        """The next record. Raises UserError if it is no object."""
        record = self.value()
        if not isinstance(record, dict):
            raise self.refuse(f"a record of {name} is no object: {json.dumps(record)[:60]}")
        return record

    def _document(self, only, tops) -> bool:
        """Test whether the file is records side by side, not an object of collections."""
        self.take("{")
        if self.peek() != '"':
            self._rewind()
            return False
        name, tabled = self.value(), False
        if self.peek() == ":":
            self.place += 1
            tabled = self.peek() == "["
        self._rewind()
        # A field may be called like the collection: only a list makes it one.
        return only is not None and (not tabled or (tops is not None and name not in tops))

    def _rewind(self):
        """Start again: the buffer has moved on."""
        self.file.seek(0)
        self.buffer, self.place, self.line, self.column, self.ended = "", 0, 1, 1, False

    def collections(self, only=None, tops=None):
        """All records; see `stream_instance`."""
        if self._document(only, tops):
            yield only, None
            while self.peek():
                yield only, self.record(only)
            return
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
            yield from self.records(name) if tops is None or name in tops else self.skipped(name)
            mark = self.take(",}")
        if self.peek():
            raise self.refuse("something stands behind the end of the object")

    def skipped(self, name):
        """The number of elements of a list, whatever they are; other values have none."""
        if self.peek() != "[":
            self.value()
            return
        self.take("[")
        mark = self.take("]") if self.peek() == "]" else ","
        while mark == ",":
            self.value()
            yield name, {}
            mark = self.take(",]")

    def records(self, name):
        self.take("[")
        mark = self.take("]") if self.peek() == "]" else ","
        while mark == ",":
            yield name, self.record(name)
            mark = self.take(",]")
