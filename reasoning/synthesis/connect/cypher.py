"""Graphs as Cypher: one statement for each record, or a script that loads CSV files."""

import json
from urllib.parse import quote

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.names import backticked
from reasoning.synthesis.schema import Collection, Schema, is_edge


def cypher_of(collection: Collection, record: dict, schema: Schema) -> str:
    """One record as a Cypher statement: CREATE for nodes, MATCH and CREATE for edges. Decimals
    become text, which keeps their digits.
    """
    kinds = {attr.name: attr.type for attr in collection.attrs}
    properties = {k: v for k, v in record.items() if v is not None and k not in ("_start", "_end")}
    shown = (
        "{"
        + ", ".join(f"{backticked(k)}: {_literal(v, kinds.get(k))}" for k, v in properties.items())
        + "}"
    )
    if not is_edge(collection):
        return f"CREATE (:{backticked(collection.name)} {shown});"
    ends = _named_ends(schema, collection)
    a, b = (f"{{_id: {_literal(record[side], kinds[side])}}}" for side in ("_start", "_end"))
    nodes = f"(a{ends.get('_start', '')} {a}), (b{ends.get('_end', '')} {b})"
    return f"MATCH {nodes} CREATE (a)-[:{backticked(collection.name)} {shown}]->(b);"


def _named_ends(schema: Schema, edge: Collection) -> dict[str, str]:
    """The labels of the nodes at the ends of an edge, where the schema says them."""
    return {
        f.attrs[0]: f":{backticked(f.to_path)}"
        for f in schema.foreign_keys
        if f.path == edge.name and f.attrs in (("_start",), ("_end",))
    }


def _literal(value, kind: str | None) -> str:
    """A value of JSON as Cypher writes it, by its type."""
    shown = json.dumps(value, ensure_ascii=False)
    if kind == "date":
        return f"date({shown})"
    if kind == "datetime":
        return f"localdatetime({shown.replace(' ', 'T')})"
    if kind == "decimal":
        return json.dumps(str(value))
    # Cypher's exponents have no plus.
    return shown.replace("e+", "e") if kind == "float" else shown


MADE = {
    "int": "toInteger({0})",
    "float": "toFloat({0})",
    "bool": "toBoolean({0})",
    "date": "date({0})",
    "datetime": "localdatetime(replace({0}, ' ', 'T'))",
}
"""Values of Cypher from cells of CSV."""


def load_script(schema: Schema) -> str:
    """Cypher that loads the CSV files next to it."""
    lines = []
    for c in sorted(schema.collections, key=is_edge):
        cells = [
            (a.name, MADE.get(a.type, "{0}").format(f"row.{backticked(a.name)}")) for a in c.attrs
        ]
        shown = (
            "{"
            + ", ".join(f"{backticked(k)}: {v}" for k, v in cells if k not in ("_start", "_end"))
            + "}"
        )
        start = f"LOAD CSV WITH HEADERS FROM 'file:///{quote(c.name)}.csv' AS row"
        if is_edge(c):
            at = {k: v for k, v in cells if k in ("_start", "_end")}
            ends = _named_ends(schema, c)
            nodes = ", ".join(
                f"({letter}{ends.get(side, '')} {{_id: {at[side]}}})"
                for letter, side in (("a", "_start"), ("b", "_end"))
            )
            lines.append(f"{start} MATCH {nodes} CREATE (a)-[:{backticked(c.name)} {shown}]->(b);")
        else:
            lines.append(f"{start} CREATE (:{backticked(c.name)} {shown});")
    return "\n".join(lines) + "\n"


def ends_of(schema: Schema, edge: Collection, where: str) -> tuple[str, str]:
    """The labels of the nodes at both ends of an edge: as the schema says, or the only label whose
    identities are of that type.

    Args:
      schema: the schema of the graph.
      edge: a collection with `_start` and `_end`.
      where: the name of the graph in an error.

    Raises:
      UserError: several labels, or none, could be meant.
    """
    return _end(schema, edge, "_start", where), _end(schema, edge, "_end", where)


def _end(schema: Schema, edge: Collection, side: str, where: str) -> str:
    for foreign in schema.foreign_keys:
        if foreign.path == edge.name and foreign.attrs == (side,):
            return foreign.to_path
    kind = next(attr.type for attr in edge.attrs if attr.name == side)
    found = [
        node.name
        for node in schema.collections
        if not is_edge(node) and any(a.name == "_id" and a.type == kind for a in node.attrs)
    ]
    if len(found) == 1:
        return found[0]
    said = "are all meant" if found else "is none there"
    raise UserError(
        f"{where}: {edge.name}.{side} names nodes of a label that the schema leaves open "
        f"({', '.join(found) or kind} {said}): say from and to in --target-schema"
    )
