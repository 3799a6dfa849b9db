"""XML read with a document schema, element by element."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.schema import Collection, Schema

NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
TRUTH = {"true": True, "1": True, "false": False, "0": False}


def stream_xml(path: Path, schema: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of an XML file: children of the root whose names are top-level collections.

    An attribute of the schema is an XML attribute or a child element with text; an element of the
    name "#text" of the schema is the record's own text. A nested collection is every child element
    of its name. What the schema does not name is refused.

    Raises:
      UserError: malformed XML, with line and column; an unknown element or attribute; a value of
        another type.
    """
    # The parser of the standard library expands entities, which can fill the memory.
    defused = need("defusedxml")
    tree = need("defusedxml.ElementTree")
    tops = {collection.name: collection for collection in schema.collections}
    depth, root = 0, None
    try:
        for event, element in tree.iterparse(path, events=("start", "end")):
            depth += 1 if event == "start" else -1
            if event == "start":
                root = element if root is None else root
            elif depth == 1:
                if element.tag not in tops:
                    raise UserError(
                        f"{path}: the element {element.tag!r} is no collection of the schema"
                    )
                yield element.tag, _record(element, tops[element.tag], f"{path}: {element.tag}")
                root.clear()  # type: ignore[union-attr]
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): give the path of an XML file"
        ) from error
    except defused.DefusedXmlException as error:
        raise UserError(
            f"{path} declares entities or a DTD, which may read files or fill the memory: remove "
            "them"
        ) from error
    except tree.ParseError as error:
        line, column = error.position
        raise UserError(
            f"{path}, line {line}, column {column + 1}: malformed XML "
            f"({str(error).partition(':')[0]}): fix it"
        ) from error


def _record(element, collection: Collection, where) -> dict[str, Any]:
    attrs = {attr.name: attr for attr in collection.attrs}
    children = {child.name: child for child in collection.children}
    record: dict[str, Any] = {child.name: [] for child in collection.children}
    texts = list(element.attrib.items()) + [("#text", element.text or "")] * ("#text" in attrs)
    for inner in element:
        if inner.tag in children:
            record[inner.tag].append(_record(inner, children[inner.tag], f"{where}/{inner.tag}"))
        else:
            texts.append((inner.tag, inner.text or ""))
    for name, text in texts:
        if name not in attrs:
            raise UserError(f"{where}: {name!r} is not in the schema: remove it or add it there")
        if name in record:
            raise UserError(
                f"{where}: {name!r} is there twice in one record: make it a nested collection in "
                "the schema"
            )
        record[name] = _value(text, attrs[name].type, f"{where}/{name}")
    return record


def _value(text: str, kind: str, where: str) -> Any:
    try:
        if kind in ("int", "float"):
            # Python also reads 1_000 and nan.
            if not NUMBER.fullmatch(text.strip()):
                raise ValueError(text)
            # A whole number is left whole, so that one too long for a float is refused.
            return float(text) if set(text) & set(".eE") and kind == "float" else int(text)
        return TRUTH[text.strip()] if kind == "bool" else text
    except (ValueError, KeyError) as error:
        raise UserError(f"{where}: {text!r} is no {kind}: fix the data or the schema") from error
