"""Genomes of evolved pattern networks from files that the user supplies.

JSON: `{"inputs": ["y", "x", "d", "b"], "outputs": ["h"], "nodes": [{"id": "h", "activation":
"sin"}], "links": [{"from": "x", "to": "h", "weight": 1.5}]}`. Inputs other than these four names
are refused, since their values are unknown. XML (also zipped), as Picbreeder wrote it: `<node
type="in" label="x">` with `<marking id= branch=>` and `<activation>`, `<link>` with `<source>`,
`<target>` and `<weight>`; read after a description of that layout, and tried on files of our own
only.
"""

import json
import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from jaxrl.app.errors import UserError
from reasoning.compositionality.activations import FUNCTIONS
from reasoning.compositionality.targets.graph import Node, Target, Unit, ordered

PLANE = ("y", "x", "d", "b")
"""Inputs of a pattern network, in the order of `samples.plane`."""
OTHER_NAMES = {
    "bias": "b",
    "distance": "d",
    "sigmoid": "sigmoid",
    "gauss": "gaussian",
    "sine": "sin",
    "cosine": "cos",
    "linear": "identity",
}


def read_genome(path: str | Path) -> Target:
    """A target from a genome file.

    Raises:
      UserError: the file cannot be read, names unknown functions, inputs or nodes, or its graph has
        a cycle.
    """
    path = Path(path).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"genome {path} cannot be read ({error.strerror}): name an existing .json, .xml or "
            ".zip file"
        ) from None
    try:
        genome = _from_xml(path, data) if path.suffix in (".xml", ".zip") else json.loads(data)
        return to_target(str(path), genome)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ElementTree.ParseError,
        zipfile.BadZipFile,
    ) as error:
        raise UserError(
            f"genome {path} is damaged or of another layout ({type(error).__name__}: {error}): see "
            "docs/compositionality.md"
        ) from None


def to_target(name: str, genome: dict) -> Target:
    """A target from a genome as a dictionary; nodes without a path to an output are left out."""
    strange = [i for i in genome["inputs"] if i not in PLANE]
    if strange:
        raise UserError(
            f"genome {name}: input {strange[0]!r} is not one of {', '.join(PLANE)}: rename it"
        )
    names = [str(node["id"]) for node in genome["nodes"]]
    twice = [n for n in names if names.count(n) > 1 or n in PLANE]
    if twice:
        raise UserError(
            f"genome {name}: {twice[0]!r} names two nodes, or a node and an input: give every node "
            "a name of its own"
        )
    functions = {
        str(node["id"]): _function(name, node.get("activation", "identity"))
        for node in genome["nodes"]
    }
    links: dict[str, dict[str, float]] = {node: {} for node in functions}
    for link in genome["links"]:
        end = str(link["to"])
        if end not in links:
            raise UserError(
                f"genome {name}: a link leads to {end!r}, which is no node: add it or remove the "
                "link"
            )
        if not math.isfinite(float(link["weight"])):
            raise UserError(
                f"genome {name}: the link from {link['from']} to {end} has the weight "
                f"{link['weight']}: give it a number"
            )
        links[end][str(link["from"])] = links[end].get(str(link["from"]), 0.0) + float(
            link["weight"]
        )
    order = ordered(f"genome {name}", {node: set(above) for node, above in links.items()}, PLANE)
    outputs = [str(o) for o in genome["outputs"]]
    order = [node for node in order if node in _needed(links, outputs)]
    empty = [node for node in order if not links[node]] + [o for o in outputs if o not in order]
    if empty:
        raise UserError(
            f"genome {name}: nothing leads to node {empty[0]!r}: link it, or leave it out"
        )
    place = {n: i for i, n in enumerate([*PLANE, *order])}
    nodes = [
        Node(tuple(place[p] for p in links[n]), Unit(tuple(links[n].values()), 0.0, functions[n]))
        for n in order
    ]
    return Target(
        f"genome:{Path(name).stem}", 4, tuple(nodes), tuple(place[o] for o in outputs), "plane"
    )


def _needed(links, outputs) -> set[str]:
    found, waiting = set(), list(outputs)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += links.get(node, {})
    return found


def _function(name, text) -> str:
    plain = text.strip().lower().split("(")[0]
    plain = OTHER_NAMES.get(plain, plain)
    if plain not in FUNCTIONS:
        raise UserError(
            f"genome {name}: activation {text!r} is unknown; those known are {', '.join(FUNCTIONS)}"
        )
    return plain


def _from_xml(path, data) -> dict:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            inner = [n for n in archive.namelist() if n.endswith(".xml")] or archive.namelist()
            if not inner:
                raise ValueError("the archive is empty")
            data = archive.read(inner[0])
    tree = ElementTree.fromstring(data)
    tree = next(
        (e for e in tree.iter() if e.find("nodes") is not None and e.find("links") is not None),
        None,
    )
    if tree is None:
        raise ValueError("no element has <nodes> and <links>")
    known = {_mark(node.find("marking")): node for node in tree.find("nodes")}

    def label(node):
        return OTHER_NAMES.get(node.get("label", "").lower(), node.get("label", "").lower())

    inputs = {mark: label(node) for mark, node in known.items() if node.get("type") == "in"}
    links = []
    for link in tree.find("links"):
        start, end = _mark(link.find("source")), _mark(link.find("target"))
        links.append(
            {"from": inputs.get(start, start), "to": end, "weight": float(link.find("weight").text)}
        )
    inner = [
        {"id": mark, "activation": node.find("activation").text}
        for mark, node in known.items()
        if mark not in inputs
    ]
    outputs = [mark for mark, node in known.items() if node.get("type") == "out"]
    return {"inputs": list(inputs.values()), "outputs": outputs, "nodes": inner, "links": links}


def _mark(element) -> str:
    return f"{element.get('branch', '')}_{element.get('id')}"
