"""XML read with a document schema, element by element."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.schema import NEST, Collection, Schema

NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
TRUTH = {"true": True, "1": True, "false": False, "0": False}


def stream_xml(
    path: Path, schema: Schema, unread: Unread | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of an XML file: children of the root whose names are top-level collections.

    An attribute of the schema is an XML attribute or a child element with text; an element of the
    name "#text" of the schema is the record's own text. A nested collection is every child element
    of its name.

    Args:
      path: the file.
      schema: the schema of the records.
      unread: gets the elements and attributes that the schema does not name and that hold
        something.

    Raises:
      UserError: malformed XML, with line and column; a record without any field of the schema; a
        value of another type.
    """
    # The parser of the standard library expands entities, which can fill the memory.
    defused = need("defusedxml")
    tree = need("defusedxml.ElementTree")
    tops = {collection.name: collection for collection in schema.collections}
    depth, root = 0, None
    reader = _Reader(str(path), Unread() if unread is None else unread)
    try:
        for event, element in tree.iterparse(path, events=("start", "end")):
            depth += 1 if event == "start" else -1
            if event == "start":
                root = element if root is None else root
            elif depth == 1:
                if element.tag in tops:
                    yield element.tag, reader.record(element, tops[element.tag], element.tag)
                else:
                    yield element.tag, {}
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


class _Reader:
    """The name of a file, and what was seen of it."""

    def __init__(self, where: str, unread: Unread):
        self.where, self.unread = where, unread
        self.counts: dict[str, int] = {}

    def record(self, element, collection: Collection, path: str) -> dict[str, Any]:
        """The record that an element is.

        Args:
          element: the element.
          collection: the collection of the record.
          path: its path.
        """
        number = self.counts[path] = self.counts.get(path, 0) + 1
        where = f"{self.where}: {path.replace(NEST, '/')}, record {number}"
        attrs = {attr.name: attr for attr in collection.attrs}
        children = {child.name: child for child in collection.children}
        record: dict[str, Any] = {child.name: [] for child in collection.children}
        texts = list(element.attrib.items()) + [("#text", element.text or "")] * ("#text" in attrs)
        others = []
        for inner in element:
            if inner.tag in children:
                below = f"{path}{NEST}{inner.tag}"
                record[inner.tag].append(self.record(inner, children[inner.tag], below))
            elif inner.tag in attrs:
                if len(inner):
                    raise UserError(
                        f"{where}: {inner.tag!r} holds elements next to its text: make it a nested "
                        "collection in the schema"
                    )
                others += [f"{inner.tag}/{name}" for name in inner.attrib]
                texts.append((inner.tag, inner.text or ""))
            elif len(inner) or inner.attrib or (inner.text or "").strip():
                others.append(inner.tag)
        for name, text in texts:
            if name not in attrs:
                others.append(name)
                continue
            if name in record:
                raise UserError(
                    f"{where}: {name!r} is there twice in one record: make it a nested collection "
                    "in the schema"
                )
            record[name] = _value(text, attrs[name].type, f"{where}/{name}")
        behind = any((inner.tail or "").strip() for inner in element)
        if behind and "#text" in attrs:
            raise UserError(f"{where}: text stands between its elements, and has no field: fix it")
        if behind or ("#text" not in attrs and (element.text or "").strip()):
            others.append("#text")
        if others and not any(record.values()) and not set(attrs) & set(record):
            raise UserError(
                f"{where} has {others[0]!r} and no field of the schema: fix the data or the schema"
            )
        for name in dict.fromkeys(others):
            self.unread.note(path, name, number)
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
