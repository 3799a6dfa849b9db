"""Four graph sources of our own: schemas, and generators of data with traps in it."""

import random

from benchmarks.dynamite_scenarios.documents import maybe, some, word

FOLLOWS = {
    "nodes": {"Member": {"_id": "int", "handle": "str"}},
    "edges": {"FOLLOWS": {"from": "Member", "to": "Member", "properties": {"since": "int"}}},
}
NEURONS = {
    "nodes": {"Neuron": {"_id": "str", "kind": "str", "layer": "int", "volume": "float"}},
    "edges": {
        "TOUCHES": {
            "from": "Neuron",
            "to": "Neuron",
            "properties": {"area": "float", "sites": "int"},
        }
    },
}
RATINGS = {
    "nodes": {
        "Viewer": {"_id": "int", "vname": "str"},
        "Movie": {"_id": "int", "title": "str", "released": "int"},
        "Person": {"_id": "int", "pname": "str", "born": "int"},
    },
    "edges": {
        "RATED": {"from": "Viewer", "to": "Movie", "properties": {"stars": "int", "at": "date"}},
        "ACTED_IN": {"from": "Person", "to": "Movie", "properties": {"part": "str"}},
        "DIRECTED": {"from": "Person", "to": "Movie"},
    },
}
CLUBS = {
    "nodes": {
        "Club": {"_id": "str", "cname": "str", "city": "str"},
        "Player": {"_id": "str", "pname": "str", "foot": "str"},
        "League": {"_id": "str", "lname": "str", "country": "str"},
        "Match": {"_id": "str", "date": "date", "score": "str"},
    },
    "edges": {
        "PLAYS_FOR": {"from": "Player", "to": "Club", "properties": {"shirt": "int"}},
        "IN_LEAGUE": {"from": "Club", "to": "League"},
        "AT_HOME": {"from": "Match", "to": "Club"},
        "AWAY": {"from": "Match", "to": "Club"},
    },
}


def follows(rng: random.Random, n: int) -> dict:
    """`n` members; following is not mutual."""
    ids = list(range(1, n + 1))
    edges = [
        {"_start": a, "_end": b, "since": rng.randrange(2000, 2025)}
        for a in ids
        for b in some(rng, [x for x in ids if x != a], 1, 2)
    ]
    return {
        "Member": [{"_id": k, "handle": word(rng, "member") + f" {k}"} for k in ids],
        "FOLLOWS": edges,
    }


def neurons(rng: random.Random, n: int) -> dict:
    """`n` neurons of few kinds; contacts have areas and counts."""
    nodes = [
        {
            "_id": f"n{k}",
            "kind": rng.choice(["cone", "rod", "ganglion"]),
            "layer": rng.randrange(1, 4),
            "volume": maybe(rng, rng.randrange(100) / 8),
        }
        for k in range(n)
    ]
    edges = [
        {
            "_start": a["_id"],
            "_end": b["_id"],
            "area": rng.randrange(900) / 8,
            "sites": rng.randrange(10, 99),
        }
        for a in nodes
        for b in some(rng, [x for x in nodes if x is not a], 0, 2)
    ]
    return {"Neuron": nodes, "TOUCHES": edges}


def ratings(rng: random.Random, n: int) -> dict:
    """`n` viewers, films and people; identities are distinct over all nodes, as in a graph
    database.
    """
    viewers = [{"_id": k, "vname": word(rng, "viewer")} for k in range(n)]
    movies = [
        {"_id": 1000 + k, "title": word(rng, "movie"), "released": rng.randrange(1950, 2024)}
        for k in range(n)
    ]
    people = [
        {
            "_id": 2000 + k,
            "pname": word(rng, "actor"),
            "born": maybe(rng, rng.randrange(1900, 1999)),
        }
        for k in range(n + 1)
    ]
    rated = [
        {
            "_start": v["_id"],
            "_end": m["_id"],
            "stars": rng.randrange(1, 6),
            "at": f"2023-0{rng.randrange(1, 10)}-05",
        }
        for v in viewers
        for m in some(rng, movies, 0, 2)
    ]
    acted = [
        {"_start": p["_id"], "_end": m["_id"], "part": word(rng, "part")}
        for m in movies
        for p in some(rng, people, 1, 2)
    ]
    directed = [{"_start": rng.choice(people)["_id"], "_end": m["_id"]} for m in movies]
    return {
        "Viewer": viewers,
        "Movie": movies,
        "Person": people,
        "RATED": rated,
        "ACTED_IN": acted,
        "DIRECTED": directed,
    }


def clubs(rng: random.Random, n: int) -> dict:
    """`n` clubs in two leagues, players, and matches with a home and an away club."""
    leagues = [
        {"_id": f"L{k}", "lname": word(rng, "league"), "country": f"land{k}"} for k in range(2)
    ]
    club = [
        {"_id": f"K{k}", "cname": word(rng, "club"), "city": maybe(rng, word(rng, "city"))}
        for k in range(max(3, n))
    ]
    players = [
        {"_id": f"P{k}", "pname": word(rng, "player"), "foot": rng.choice(["left", "right"])}
        for k in range(n + 1)
    ]
    matches, home, away = [], [], []
    for k in range(n):
        one, other = rng.sample(club, 2)
        matches.append(
            {
                "_id": f"M{k}",
                "date": f"2024-03-{k % 28 + 1:02d}",
                "score": f"{rng.randrange(4)}:{rng.randrange(4)}",
            }
        )
        home.append({"_start": f"M{k}", "_end": one["_id"]})
        away.append({"_start": f"M{k}", "_end": other["_id"]})
    plays = [
        {"_start": p["_id"], "_end": rng.choice(club)["_id"], "shirt": rng.randrange(1, 30)}
        for p in players
    ]
    inside = [{"_start": c["_id"], "_end": rng.choice(leagues)["_id"]} for c in club]
    return {
        "Club": club,
        "Player": players,
        "League": leagues,
        "Match": matches,
        "PLAYS_FOR": plays,
        "IN_LEAGUE": inside,
        "AT_HOME": home,
        "AWAY": away,
    }
