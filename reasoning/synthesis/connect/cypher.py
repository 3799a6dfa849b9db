"""Graphs as Cypher: one statement for each record, or a script that loads CSV files."""

import json
from urllib.parse import quote

from reasoning.synthesis.names import backticked
from reasoning.synthesis.schema import Collection, Schema, is_edge


def cypher_of(collection: Collection, record: dict, schema: Schema) -> str:
    """One record as a Cypher statement: CREATE for nodes, MATCH and CREATE for edges."""
    properties = {k: v for k, v in record.items() if v is not None and k not in ("_start", "_end")}
    shown = (
        "{"
        + ", ".join(
            f"{backticked(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in properties.items()
        )
        + "}"
    )
    if not is_edge(collection):
        return f"CREATE (:{backticked(collection.name)} {shown});"
    ends = {
        f.attrs[0]: f":{backticked(f.to_path)}"
        for f in schema.foreign_keys
        if f.path == collection.name
    }
    a, b = (f"{{_id: {json.dumps(record[side])}}}" for side in ("_start", "_end"))
    nodes = f"(a{ends.get('_start', '')} {a}), (b{ends.get('_end', '')} {b})"
    return f"MATCH {nodes} CREATE (a)-[:{backticked(collection.name)} {shown}]->(b);"


def load_script(schema: Schema) -> str:
    """Cypher that loads the CSV files next to it."""
    made = {
        "int": "toInteger({0})",
        "float": "toFloat({0})",
        "bool": "toBoolean({0})",
        "date": "date({0})",
    }
    lines = []
    for c in sorted(schema.collections, key=is_edge):
        cells = [
            (a.name, made.get(a.type, "{0}").format(f"row.{backticked(a.name)}")) for a in c.attrs
        ]
        shown = (
            "{"
            + ", ".join(f"{backticked(k)}: {v}" for k, v in cells if k not in ("_start", "_end"))
            + "}"
        )
        start = f"LOAD CSV WITH HEADERS FROM 'file:///{quote(c.name)}.csv' AS row"
        if is_edge(c):
            ends = {k: v for k, v in cells if k in ("_start", "_end")}
            lines.append(
                f"{start} MATCH (a {{_id: {ends['_start']}}}), (b {{_id: {ends['_end']}}}) CREATE "
                f"(a)-[:{backticked(c.name)} {shown}]->(b);"
            )
        else:
            lines.append(f"{start} CREATE (:{backticked(c.name)} {shown});")
    return "\n".join(lines) + "\n"
