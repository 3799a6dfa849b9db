"""Meaning of a path or URL."""

from pathlib import Path
from urllib.parse import unquote

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.names import masked

SERVERS = ("postgres", "mysql")
"""Kinds that are no files."""


def kind_of(url: str) -> str:
    """Kind of a source or target, by its URL or path: json, lines, xml, sqlite, duckdb, ladybug,
    postgres, mysql, cypher or folder.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    known = {
        "postgresql": "postgres",
        "postgres": "postgres",
        "mysql": "mysql",
        "mariadb": "mysql",
        "sqlite": "sqlite",
        "duckdb": "duckdb",
        "ladybug": "ladybug",
        "neo4j-admin": "folder",
        "mongoexport": "folder",
        "jsonl": "folder",
        "csv": "folder",
    }
    known |= {"parquet": "folder", "json": "json", "xml": "xml"}
    if scheme:
        if scheme not in known:
            raise UserError(
                f"{masked(url)}: {scheme}:// is none of {', '.join(sorted(set(known)))}"
            )
        return known[scheme]
    endings = {
        ".json": "json",
        ".jsonl": "lines",
        ".ndjson": "lines",
        ".xml": "xml",
        ".db": "sqlite",
        ".sqlite": "sqlite",
        ".sqlite3": "sqlite",
        ".duckdb": "duckdb",
        ".lbug": "ladybug",
    }
    return (endings | {".cypher": "cypher"}).get(Path(url).suffix, "folder")


def path_of(url: str) -> Path:
    """The file or folder behind a path or a URL.

    sqlite:///data/a.db is relative and sqlite:////data/a.db absolute, as database libraries have
    it, and duckdb:// likewise; the path of other schemes is all that stands behind them: csv://data
    or csv:///home/me/data.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return Path(url)
    return Path(
        unquote(
            rest.removeprefix("/")
            if scheme in ("sqlite", "duckdb", "ladybug") or rest.startswith("//")
            else rest
        )
    )
