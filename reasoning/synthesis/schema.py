"""Schemas as nested collections of typed attributes: one form for relational, document and graph
databases.

Source: Dynamite (arXiv 2003.01331), the language of schemas. A table is a top-level collection
without nested ones; a node label has
the attribute `_id`, an edge label `_start` and `_end`. Types, keys, foreign keys and nullability
are ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.shapes import FORMS

Type = Literal["int", "float", "str", "bool", "date", "datetime", "decimal"]
TYPES: tuple[str, ...] = ("int", "float", "str", "bool", "date", "datetime", "decimal")
Kind = Literal["relational", "document", "graph"]
KINDS: tuple[str, ...] = ("relational", "document", "graph")
PARENT, SELF = "__parent", "__id"
"""The columns of a relation that tie nested records to the one that holds them; no attribute may be
called so.
"""
NEST = "?"
"""Joins the names of a path: "film?crew" is the collection "crew" inside "film"."""


@dataclass(frozen=True)
class Attr:
    """A column, field or property that holds one value."""

    name: str
    """The name as in the data."""
    type: Type
    """Type of its values; values of different types are never equal."""
    nullable: bool = True
    """True if it may be NULL or absent."""


@dataclass(frozen=True)
class Collection:
    """A table, a list of documents, a label of nodes or of edges."""

    name: str
    """The name as in the data, without the collections around it."""
    attrs: tuple[Attr, ...]
    """Attributes in order."""
    children: tuple["Collection", ...] = ()
    """Collections nested in every record."""
    key: tuple[str, ...] = ()
    """Attributes that together are unique: among all records, or among those of one parent; empty:
    unknown.
    """
    form: str = "list"
    """Form of a nested collection in JSON, one of `shapes.FORMS`."""


@dataclass(frozen=True)
class ForeignKey:
    """Values of one collection that name records of another."""

    path: str
    """The collection that refers."""
    attrs: tuple[str, ...]
    """Its attributes."""
    to_path: str
    """The collection referred to."""
    to_attrs: tuple[str, ...]
    """The attributes there, as many."""


@dataclass(frozen=True)
class Schema:
    """Shape of the records of a database."""

    kind: Kind
    """Kind of database, which decides only the form of stored instances."""
    collections: tuple[Collection, ...]
    """The top-level ones."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    """References between collections."""


@dataclass(frozen=True)
class Column:
    """An argument of a relation of facts."""

    name: str
    """The attribute, or `PARENT`, or `SELF`."""
    type: str
    """The attribute's type; for `PARENT` and `SELF` "id:PATH" with the path of the collection
    identified.
    """

    @property
    def is_id(self) -> bool:
        """True if it holds an identity made by us and no value of the data."""
        return self.type.startswith("id:")


def walk(schema: Schema) -> Iterator[tuple[str, Collection]]:
    """All collections with their paths, parents before children, in order."""
    todo = [(collection.name, collection) for collection in schema.collections]
    while todo:
        path, collection = todo.pop(0)
        yield path, collection
        todo = [(f"{path}{NEST}{child.name}", child) for child in collection.children] + todo


def find(schema: Schema, path: str) -> Collection:
    """The collection at a path. Raises KeyError."""
    return dict(walk(schema))[path]


def parent_of(path: str) -> str | None:
    """The path of the collection around; None at the top."""
    return path.rpartition(NEST)[0] or None


def ancestors(path: str) -> tuple[str, ...]:
    """The paths from the top down to and including `path`."""
    parts = path.split(NEST)
    return tuple(NEST.join(parts[: n + 1]) for n in range(len(parts)))


def columns(schema: Schema, path: str) -> tuple[Column, ...]:
    """The arguments of a collection's facts: the parent's identity, the attributes, the record's
    own identity if it holds others.

    Our choice: one identity column at the end, where the paper repeats it for every nested
      collection.
    """
    collection, above = find(schema, path), parent_of(path)
    first = (Column(PARENT, f"id:{above}"),) if above else ()
    last = (Column(SELF, f"id:{path}"),) if collection.children else ()
    return first + tuple(Column(attr.name, attr.type) for attr in collection.attrs) + last


def layout(schema: Schema) -> dict[str, tuple[Column, ...]]:
    """`columns` of every relation."""
    return {path: columns(schema, path) for path, _ in walk(schema)}


def flat_columns(schema: Schema, path: str) -> tuple[tuple[str, Attr], ...]:
    """The attributes of all ancestors and of the collection itself, each with the path it belongs
    to.
    """
    return tuple((above, attr) for above in ancestors(path) for attr in find(schema, above).attrs)


def is_edge(collection: Collection) -> bool:
    """Test whether a collection of a graph holds edges."""
    return {"_start", "_end"} <= {attr.name for attr in collection.attrs}


def checked(schema: Schema, where: str = "schema") -> Schema:
    """The schema itself, if it makes sense.

    Raises:
      UserError: an unknown kind or type, a name twice, a key of unknown attributes, nesting in a
        relational schema, a graph's collection with neither `_id` nor `_start` and `_end`, a
        foreign key to nowhere.
    """
    if schema.kind not in KINDS:
        raise UserError(f"{where}: kind {schema.kind!r} is none of {', '.join(KINDS)}")
    if not schema.collections:
        raise UserError(f"{where}: there is no collection in it: name at least one")
    seen = set()
    for path, collection in walk(schema):
        if path in seen:
            raise UserError(f"{where}: the collection {path} is there twice: rename one")
        seen.add(path)
        _check_collection(schema, path, collection, where)
    for foreign in schema.foreign_keys:
        _check_foreign_key(schema, foreign, where)
    return schema


def _check_collection(schema, path, collection, where):
    names = [attr.name for attr in collection.attrs] + [child.name for child in collection.children]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"{where}: {path} has {sorted(twice)[0]!r} twice: rename one")
    if bad := [
        name
        for name in [collection.name, *names]
        if not name or NEST in name or name in (PARENT, SELF)
    ]:
        raise UserError(
            f"{where}: {path}: {bad[0]!r} cannot be a name (empty, reserved, or with {NEST!r}): "
            "rename it"
        )
    for attr in collection.attrs:
        if attr.type not in TYPES:
            raise UserError(
                f"{where}: {path}.{attr.name} has type {attr.type!r}, none of {', '.join(TYPES)}"
            )
    if collection.form not in FORMS:
        raise UserError(
            f"{where}: the form of {path} is {collection.form!r}, none of {', '.join(FORMS)}"
        )
    if missing := set(collection.key) - {attr.name for attr in collection.attrs}:
        raise UserError(
            f"{where}: the key of {path} names {sorted(missing)[0]!r}, which is none of its "
            "attributes"
        )
    if schema.kind == "relational" and collection.children:
        raise UserError(
            f"{where}: {path} is a table and cannot hold {collection.children[0].name!r}: use kind "
            "document"
        )
    if (
        schema.kind == "graph"
        and NEST not in path
        and "_id" not in names
        and not is_edge(collection)
    ):
        raise UserError(
            f"{where}: {path} has neither _id (a node) nor _start and _end (an edge): add them"
        )


def _check_foreign_key(schema, foreign, where):
    collections = dict(walk(schema))
    for path, attrs in ((foreign.path, foreign.attrs), (foreign.to_path, foreign.to_attrs)):
        if path not in collections:
            raise UserError(
                f"{where}: a foreign key names the collection {path!r}, which is not there"
            )
        if missing := set(attrs) - {attr.name for attr in collections[path].attrs}:
            raise UserError(
                f"{where}: a foreign key names {path}.{sorted(missing)[0]}, which is not there"
            )
    if len(foreign.attrs) != len(foreign.to_attrs):
        raise UserError(
            f"{where}: the foreign key of {foreign.path} has {len(foreign.attrs)} attributes and "
            "refers to another number"
        )


def to_json(schema: Schema) -> dict:
    """A JSON-ready form that `describe.from_json` reads back."""

    def one(collection: Collection) -> dict:
        fields: dict = {
            attr.name: attr.type + ("" if attr.nullable else "!") for attr in collection.attrs
        }
        fields |= {child.name: one(child) for child in collection.children}
        more: dict = {"key": list(collection.key)} if collection.key else {}
        more |= {} if collection.form == "list" else {"form": collection.form}
        return {"fields": fields} | more

    references = [
        {"from": f.path, "attrs": list(f.attrs), "to": f.to_path, "to_attrs": list(f.to_attrs)}
        for f in schema.foreign_keys
    ]
    return {
        "kind": schema.kind,
        "collections": {c.name: one(c) for c in schema.collections},
        "foreign_keys": references,
    }


def with_kind(schema: Schema, kind: Kind) -> Schema:
    """The same collections as another kind of database. Raises UserError if they cannot be."""
    return checked(replace(schema, kind=kind))
