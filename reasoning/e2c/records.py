"""Lines of JSON as data sets: read with the line named in every complaint, appended to so that
nothing finished is lost.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError, writing
from jaxrl.app.progress import log, warn
from jaxrl.app.tables import table_of
from jaxrl.train.rundir import write_atomically

Record = dict[str, Any]


def read_records(path: str | Path, columns: Sequence[str] | None = None) -> list[Record]:
    """All records of a .jsonl, .json (a list), .csv or .parquet file. `columns` are the names in a
    .csv that has no header.

    Raises:
      UserError: the file is not there, of another kind, or damaged (the line is named).
    """
    path = Path(path)
    readers = {".jsonl": _json_lines, ".json": _json_list, ".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise UserError(
            f"{path} is of an unknown kind: name a file that ends in {', '.join(readers)}"
        )
    try:
        return _csv(path, columns) if path.suffix == ".csv" else readers[path.suffix](path)
    except FileNotFoundError:
        raise UserError(
            f"{path} is not there: name a file of this machine (nothing is downloaded)"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason}): convert it") from None


def is_blank(value: Any) -> bool:
    """True for a field that says nothing: null, NaN, or blanks. The number 0 says something."""
    return value is None or value != value or not str(value).strip()


def as_line(record: Record) -> str:
    """A record as a line of JSON. Half a character (a lone surrogate), which no file can hold,
    stays an escape.
    """
    line = json.dumps(record, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(record)
    return line + "\n"


def _json_lines(path: Path) -> list[Record]:
    return _objects(path.read_bytes().decode("utf-8-sig"), path)


def _objects(text: str, path: Path) -> list[Record]:
    r"""The records of JSON lines, which end at \n and nowhere else: U+2028, U+0085 and others may
    stand inside a text.
    """
    return [
        _object(line, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _object(line: str, where: str) -> Record:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}, is not JSON ({error.msg}): correct or remove it") from None
    if not isinstance(found, dict):
        raise UserError(f"{where}, is no JSON object: every line needs one")
    return found


def _json_list(path: Path) -> list[Record]:
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}, is not JSON ({error.msg}): correct it"
        ) from None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise UserError(f"{path} is no list of JSON objects: it needs to be one")
    return found


def _csv(path: Path, columns: Sequence[str] | None = None) -> list[Record]:
    return table_of(path.read_bytes().decode("utf-8-sig"), path, columns=columns)[1]


def _parquet(path: Path) -> list[Record]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise UserError(
            f"reading {path} needs pyarrow: pip install pyarrow (it also comes with "
            "'latentax[data]')"
        ) from None
    if not path.exists():
        raise FileNotFoundError(path)
    return parquet.read_table(path).to_pylist()


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """A whole .jsonl file."""
    write_atomically(Path(path), "".join(as_line(record) for record in records))


def warn_of_other_servers(records: Iterable[Record], server: str, path: Path) -> None:
    """Say so if lines of a file came from a server at another address: it may run another model
    under the same name. It is not refused, since servers move.
    """
    others = sorted({str(r["server"]) for r in records if r.get("server", server) != server})
    if others:
        log(
            f"{path} continues what {', '.join(others)} answered, now with {server}: choose "
            "another --out if it is not the same model"
        )


def _whole_lines(data: bytes, path: Path) -> bytes:
    """Lines of a file, without the last one if its writer died in the middle of it."""
    whole, last = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
    if not last:
        return data
    try:
        finished = isinstance(json.loads(last), dict)
    except ValueError:
        finished = False
    if not finished:
        number = whole.count(b"\n") + 1
        warn(f"{path}, line {number}, is cut: it is removed, and what it held is asked again")
        return whole
    return data + b"\n"


class Appended:
    """A .jsonl file that grows record by record, each on disk before the next is begun; a line that
    a dying process left unfinished is cut off, with a warning.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = _whole_lines(data, self.path)
            if whole != data:
                write_atomically(self.path, whole)
        try:
            self.records = _objects(whole.decode("utf-8-sig"), self.path)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path} is not UTF-8 text ({error.reason}): convert or remove it"
            ) from None

    def add(self, record: Record) -> None:
        """One more."""
        with writing(self.path), self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(as_line(record))
            file.flush()
        self.records.append(record)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)
