"""The reading of MongoDB and Neo4j against clients that only pretend: what is asked and what
becomes of it, not whether servers agree.
"""

import sys
import types

import pytest

from reasoning.synthesis.connect.databases import records
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.errors import ConnectionLost

GRAPH = parse_schema(
    {
        "nodes": {"P": {"_id": "int", "n": "str"}},
        "edges": {"K": {"from": "P", "to": "P", "properties": {"since": "int"}}},
    }
)
DOCUMENTS = parse_schema(
    {"collections": {"film": {"fields": {"t": "str", "crew": {"fields": {"n": "str"}}}}}}
)


class Gone(Exception):
    """The server went away."""


class Pretended:
    """A client, database, collection, driver and session in one: answers from `data`, and keeps
    what it was asked.
    """

    data, asked, lost = {}, [], False

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def close(self):
        self.asked.append("closed")

    driver = session = get_default_database = __call__ = lambda self, *_, **__: Pretended()

    def __getitem__(self, name):
        found = Pretended()
        found.name = name
        return found

    def find(self, where, fields):
        self.asked.append((self.name, where, fields))
        yield from self.data[self.name]
        if self.lost:
            raise Gone("no answer")

    def run(self, query):
        self.asked.append(query)
        yield from next(rows for word, rows in self.data.items() if f"`{word}`" in query)
        if self.lost:
            raise Gone("no answer")


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(Pretended, "asked", [])
    mongo = types.SimpleNamespace(
        MongoClient=Pretended, errors=types.SimpleNamespace(PyMongoError=Gone)
    )
    graph = types.SimpleNamespace(
        GraphDatabase=Pretended(),
        exceptions=types.SimpleNamespace(Neo4jError=Gone, DriverError=Gone),
    )
    monkeypatch.setitem(sys.modules, "pymongo", mongo)
    monkeypatch.setitem(sys.modules, "neo4j", graph)
    return monkeypatch


def test_documents_of_mongodb(pretended):
    pretended.setattr(
        Pretended, "data", {"film": [{"t": "Up", "crew": [{"n": "Ann"}]}, {"t": "Down"}]}
    )
    assert list(records(DOCUMENTS, "mongodb://h/d", "mongodb")) == [
        ("film", {"t": "Up", "crew": [{"n": "Ann"}]}),
        ("film", {"t": "Down"}),
    ]
    assert Pretended.asked == [("film", {}, {"t": 1, "crew": 1, "_id": 0}), "closed"]


def test_nodes_and_edges_of_neo4j(pretended):
    edge = {"_start": 1, "_end": 1, "since": 5}
    pretended.setattr(Pretended, "data", {"K": [edge], "P": [{"_id": 1, "n": "a"}]})
    assert list(records(GRAPH, "neo4j://h", "neo4j")) == [("P", {"_id": 1, "n": "a"}), ("K", edge)]
    assert Pretended.asked[0] == "MATCH (x:`P`) RETURN x.`_id` AS `_id`, x.`n` AS `n`"
    assert Pretended.asked[1].startswith(
        "MATCH (a)-[x:`K`]->(b) RETURN a._id AS `_start`, b._id AS `_end`"
    )


@pytest.mark.parametrize("kind, schema", [("mongodb", DOCUMENTS), ("neo4j", GRAPH)])
def test_a_server_that_goes_away_is_a_sentence_without_the_password(kind, schema, pretended):
    pretended.setattr(
        Pretended, "data", {"film": [{"t": "Up"}], "P": [{"_id": 1, "n": "a"}], "K": []}
    )
    pretended.setattr(Pretended, "lost", True)
    with pytest.raises(
        ConnectionLost, match=rf"^{kind}://h/d: no answer: check that the server runs"
    ):
        list(records(schema, f"{kind}://me:secret@h/d", kind))
