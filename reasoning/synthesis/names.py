"""Names at the border: the one place that quotes identifiers for every engine, and that makes file
names out of names of collections.

Inside the working database no name of the data is used: `inner` encodes it, so that upper and lower
twins, `rowid`, quotes, control characters and long names cannot meet a rule of DuckDB.
"""

import re

from reasoning.synthesis.errors import UserError

MOST_BYTES = {"postgres": 63, "file": 200}
"""Longest name in bytes: PostgreSQL cuts longer ones in silence, file systems refuse them."""
SYSTEM_COLUMNS = ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")
"""Columns that every table of PostgreSQL has already."""
TWINS = ("duckdb", "sqlite", "parquet", "ladybug")
"""Targets that take `X` and `x` for one name."""


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def backticked(name: str) -> str:
    """A name as Cypher and Spark write it."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def inner(name: str) -> str:
    """A name in the working database: small letters and digits only, one for each name."""
    return "c_" + re.sub(r"[^a-z0-9]", lambda found: f"_{ord(found[0]):x}_", name)


def table_name(path: str) -> str:
    """The table of a relation in the working database."""
    return "t" + inner(path)[1:]


def file_name(name: str, ending: str) -> str:
    """The file of a collection in a folder.

    Raises:
      UserError: the name would leave the folder, hide the file, or be too long.
    """
    if name in ("", ".", "..") or set(name) & set("/\\\0") or name.startswith("."):
        raise UserError(
            f"the collection {name!r} cannot name a file, which would lie outside the folder or be "
            "hidden: rename it, or write to a database or a .json file"
        )
    if len(name.encode()) > MOST_BYTES["file"]:
        raise UserError(
            f"the collection {name[:40]!r}... has {len(name.encode())} bytes, too many for the "
            "name of a file: rename it, or write to a .json file"
        )
    return f"{name}.{ending}"


def check_names(names: list[str], target: str, where: str):
    """Refuse names that a target would change, cut or confuse.

    Args:
      names: names of the tables of a database, or of the columns of one table.
      target: "duckdb", "sqlite", "postgres", "parquet" or "csv".
      where: the name of the database or table in an error.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not name or "\0" in name:
            raise UserError(f"{where}: {name!r} is no name that {target} can hold: rename it")
        if len(name.encode()) > MOST_BYTES.get(target, 10**9):
            raise UserError(
                f"{where}: the name {name[:40]!r}... has {len(name.encode())} bytes and {target} "
                f"keeps {MOST_BYTES[target]}: rename it"
            )
        key = name.lower() if target in TWINS else name
        if key in seen:
            raise UserError(
                f"{where}: {seen[key]!r} and {name!r} are one name to {target}: rename one"
            )
        seen[key] = name


def masked(url: str) -> str:
    """A URL without the password in it, for messages."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    place, slash, path = rest.partition("/")
    if "@" in rest:
        # A raw @ may stand in the password: what is before the last one is left out.
        before, _, after = rest.rpartition("@")
        return f"{scheme}://{before.partition(':')[0]}:***@{_without_password(after)}"
    return f"{scheme}://{place}{slash}{_without_password(path)}" if slash else url


def _without_password(text_of_url: str) -> str:
    return re.sub(r"(?i)(password|passwd|pwd|sslpassword)=[^&\s]*", r"\1=***", text_of_url)
