"""The two pairs of kinds that the 28 leave out, and examples that no program fits."""

from benchmarks.dynamite_scenarios import documents, graphs
from benchmarks.dynamite_scenarios.shorthand import graph, schema
from benchmarks.dynamite_scenarios.to_tables_and_documents import CLUBS, COUNTRIES, made
from reasoning.synthesis.infer import Instance

OTHER_PAIRS = (
    made(
        "countries doc-doc",
        COUNTRIES,
        schema(
            "document",
            river="rid! called towns{city country}",
            nation="cc! name cities{city people:int}",
        ),
        """
    river(rid, called) :- river(rid, called).
    river?towns(river.rid=r, river.called=c, city, country=n) :- river(rid=r, called=c),
      country?provinces?cities(__parent=p, city, river=r),
      country?provinces(__parent=x, __id=p), country(name=n, __id=x).
    nation(cc, name) :- country(cc, name).
    nation?cities(nation.cc=k, nation.name=n, city, people) :-
      country(cc=k, name=n, __id=x), country?provinces(__parent=x, __id=p),
      country?provinces?cities(__parent=p, city, people).
    """,
        documents.countries,
        6,
    ),
    made(
        "clubs graph-graph",
        CLUBS,
        graph(
            {"Side": "_id cname", "Man": "_id pname", "Town": "_id"},
            {
                "IN": "Side Town",
                "MET": "Side Side date:date",
                "LICENSED": "Man Side",
                "LEFT": "Man Side shirt:int",
            },
        ),
        """
    Side(_id=i, cname) :- Club(_id=i, cname).
    Man(_id=i, pname) :- Player(_id=i, pname).
    Town(_id=c) :- Club(_id=k, city=c), PLAYS_FOR(_end=k).
    IN(_start=k, _end=c) :- Club(_id=k, city=c), PLAYS_FOR(_end=k).
    MET(_start=h, _end=a, date) :- Match(_id=m, date), AT_HOME(_start=m, _end=h),
      AWAY(_start=m, _end=a).
    LICENSED(_start=p, _end=k) :- PLAYS_FOR(_start=p, _end=k).
    LEFT(_start=p, _end=k, shirt) :- PLAYS_FOR(_start=p, _end=k, shirt), Player(_id=p, foot="left").
    """,
        graphs.clubs,
        6,
    ),
)

PEOPLE = {
    "p": [
        {"id": 1, "first": "Ann", "last": "Oak", "boss": None},
        {"id": 2, "first": "Bob", "last": "Elm", "boss": 1},
        {"id": 3, "first": "Cy", "last": "Ash", "boss": 1},
    ]
}
REFUSED: dict[str, tuple[Instance, Instance, str]] = {
    "a name spelled backwards": (
        PEOPLE,
        {"q": [{"name": "nnA kaO"}, {"name": "boB mlE"}, {"name": "yC hsA"}]},
        "q.name has no source",
    ),
    "a count": (PEOPLE, {"q": [{"first": "Ann", "staff": 7}]}, "q.staff has no source"),
    "a number as text": (
        PEOPLE,
        {"q": [{"id": "1"}, {"id": "2"}, {"id": "3"}]},
        "q.id has no source",
    ),
    "those who are nobody's boss": (
        {"p": [*PEOPLE["p"], {"id": 4, "first": "Di", "last": "Fir", "boss": 2}]},
        {"q": [{"first": "Cy"}, {"first": "Di"}]},
        "q: no rule makes",
    ),
    "a record exchanged": (
        PEOPLE,
        {"q": [{"a": "Ann", "b": "Elm"}, {"a": "Bob", "b": "Oak"}, {"a": "Cy", "b": "Ash"}]},
        "q: no rule makes",
    ),
}
"""Source and target example, and what the reason must say."""
