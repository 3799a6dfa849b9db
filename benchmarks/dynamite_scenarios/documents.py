"""Four document sources of our own: schemas, and generators of data with traps in it."""

import random

VENUES = {
    "kind": "document",
    "collections": {
        "venue": {
            "key": ["code"],
            "fields": {
                "code": "str!",
                "title": "str",
                "street": "str",
                "town": "str",
                "stars": "float",
                "open": "bool",
                "tags": {"fields": {"tag": "str"}},
                "hours": {"fields": {"day": "str", "from": "int", "to": "int"}},
            },
        },
        "guest": {
            "key": ["login"],
            "fields": {
                "login": "str!",
                "shown": "str",
                "since": "date",
                "friends": {"fields": {"friend": "str"}},
            },
        },
        "visit": {
            "key": ["number"],
            "fields": {
                "number": "int!",
                "who": "str",
                "where": "str",
                "note": "str",
                "marks": "int",
            },
        },
    },
}
FILMS = {
    "kind": "document",
    "collections": {
        "film": {
            "key": ["fid"],
            "fields": {
                "fid": "int!",
                "title": "str",
                "year": "int",
                "genres": {"fields": {"genre": "str"}},
                "crew": {"fields": {"person": "str", "role": "str"}},
                "awards": {"fields": {"prize": "str", "won": "bool"}},
            },
        }
    },
}
PAPERS = {
    "kind": "document",
    "collections": {
        "volume": {
            "key": ["vid"],
            "fields": {
                "vid": "str!",
                "series": "str",
                "year": "int",
                "papers": {
                    "fields": {
                        "pid": "str!",
                        "title": "str",
                        "pages": "str",
                        "authors": {"fields": {"aid": "str!", "rank": "int"}},
                        "cites": {"fields": {"cited": "str"}},
                    }
                },
                "editors": {"fields": {"eid": "str!"}},
            },
        },
        "author": {"key": ["aid"], "fields": {"aid": "str!", "name": "str", "home": "str"}},
        "institute": {"key": ["iid"], "fields": {"iid": "str!", "label": "str", "land": "str"}},
    },
}
COUNTRIES = {
    "kind": "document",
    "collections": {
        "country": {
            "key": ["cc"],
            "fields": {
                "cc": "str!",
                "name": "str",
                "area": "int",
                "capital": "str",
                "provinces": {
                    "fields": {
                        "pname": "str",
                        "size": "int",
                        "cities": {"fields": {"city": "str!", "people": "int", "river": "str"}},
                    }
                },
                "tongues": {"fields": {"tongue": "str", "share": "int"}},
                "borders": {"fields": {"with": "str", "length": "int"}},
            },
        },
        "river": {"key": ["rid"], "fields": {"rid": "str!", "called": "str", "km": "int"}},
        "body": {
            "key": ["abbrev"],
            "fields": {
                "abbrev": "str!",
                "full": "str",
                "members": {"fields": {"cc": "str", "status": "str"}},
            },
        },
    },
}

WORDS = [
    "ash",
    "birch",
    "null",
    "cedar#1",
    "cedar",
    "#",
    "dune",
    "elm",
    "fern",
    "gale",
    "heath",
    "iris",
    "jade",
    "kelp",
    "loam",
    "moor",
]
"""Names in all data: "null" is a name and no NULL, "#" no separator."""


def word(rng: random.Random, kind: str) -> str:
    """A name of some kind; names of different kinds differ, those of one kind may repeat."""
    return f"{rng.choice(WORDS)} {kind}{rng.randrange(50)}"


def maybe(rng: random.Random, value, share: float = 0.15):
    """The value, or NULL now and then."""
    return None if rng.random() < share else value


def some(rng: random.Random, pool: list, least: int, most: int) -> list:
    """Draw different things of a pool, in random order.

    Args:
      rng: random numbers.
      pool: things to draw from.
      least: least number of things.
      most: largest number of things; a smaller pool gives all it has.
    """
    return rng.sample(pool, min(len(pool), rng.randint(least, most)))


def venues(rng: random.Random, n: int) -> dict:
    """`n` venues, guests and twice as many visits; some venues are never visited, some have no
    tags.
    """
    towns, days = ["Ostrand", "Westrand", "Midford"], ["mon", "tue", "wed"]
    codes, logins = [f"v{k}" for k in range(n)], [f"g{k}" for k in range(n)]
    venue = [
        {
            "code": code,
            "title": word(rng, "place"),
            "street": maybe(rng, word(rng, "street")),
            "town": rng.choice(towns),
            "stars": maybe(rng, rng.randrange(2, 11) / 2),
            "open": rng.random() < 0.7,
            "tags": [{"tag": tag} for tag in some(rng, ["quiet", "cheap", "late", "#"], 0, 2)],
            "hours": [
                {"day": day, "from": rng.randrange(6, 12), "to": rng.randrange(13, 24)}
                for day in some(rng, days, 0, 2)
            ],
        }
        for code in codes
    ]
    guest = [
        {
            "login": login,
            "shown": maybe(rng, word(rng, "guest")),
            "since": f"20{rng.randrange(10, 25)}-0{rng.randrange(1, 10)}-11",
            "friends": [
                {"friend": other} for other in some(rng, [x for x in logins if x != login], 0, 2)
            ],
        }
        for login in logins
    ]
    visit = [
        {
            "number": 100 + k,
            "who": rng.choice(logins),
            "where": rng.choice(codes[: max(1, n - 1)]),
            "note": maybe(rng, word(rng, "note")),
            "marks": rng.randrange(1, 6),
        }
        for k in range(2 * n)
    ]
    return {"venue": venue, "guest": guest, "visit": visit}


def films(rng: random.Random, n: int) -> dict:
    """`n` films; a person may have two roles in one film, and equal crew entries may repeat."""
    people = [word(rng, "person") + f" {k}" for k in range(n + 2)]
    return {
        "film": [
            {
                "fid": k + 1,
                "title": word(rng, "film"),
                "year": rng.randrange(1990, 2025),
                "genres": [
                    {"genre": genre} for genre in some(rng, ["drama", "noir", "war", "null"], 0, 2)
                ],
                "crew": [
                    {
                        "person": rng.choice(people),
                        "role": rng.choice(["actor", "director", "writer"]),
                    }
                    for _ in range(3)
                ],
                "awards": [
                    {"prize": prize, "won": rng.random() < 0.5}
                    for prize in some(rng, ["Oak", "Reed", "Fen"], 0, 2)
                ],
            }
            for k in range(n)
        ]
    }


def papers(rng: random.Random, n: int) -> dict:
    """`n` volumes of two papers; authors live at institutes; papers cite others."""
    institutes = [
        {"iid": f"i{k}", "label": word(rng, "home"), "land": rng.choice(["Nor", "Sud", "Est"])}
        for k in range(max(2, n // 2))
    ]
    authors = [
        {"aid": f"a{k}", "name": word(rng, "author"), "home": rng.choice(institutes)["iid"]}
        for k in range(n + 2)
    ]
    pids = [f"p{k}" for k in range(2 * n)]

    def paper(pid):
        names = some(rng, authors, 1, 3)
        return {
            "pid": pid,
            "title": word(rng, "paper"),
            "pages": maybe(rng, f"{rng.randrange(90)}-{rng.randrange(90, 99)}"),
            "authors": [
                {"aid": author["aid"], "rank": rank + 1} for rank, author in enumerate(names)
            ],
            "cites": [{"cited": other} for other in some(rng, [x for x in pids if x != pid], 0, 2)],
        }

    volumes = [
        {
            "vid": f"vol{k}",
            "series": word(rng, "series"),
            "year": 2000 + rng.randrange(20),
            "papers": [paper(pid) for pid in pids[2 * k : 2 * k + 2]],
            "editors": [{"eid": author["aid"]} for author in some(rng, authors, 0, 2)],
        }
        for k in range(n)
    ]
    return {"volume": volumes, "author": authors, "institute": institutes}


def countries(rng: random.Random, n: int) -> dict:
    """`n` countries with provinces and cities, rivers that some cities lie on, and bodies that
    countries belong to.
    """
    codes = [f"C{k}" for k in range(n)]
    rivers = [
        {"rid": f"r{k}", "called": word(rng, "water"), "km": rng.randrange(50, 999)}
        for k in range(max(2, n // 2))
    ]

    def cities(code, p):
        return [
            {
                "city": f"{code}-{p}-{k}",
                "people": maybe(rng, rng.randrange(1000, 9999)),
                "river": maybe(rng, rng.choice(rivers)["rid"], 0.4),
            }
            for k in range(rng.randint(1, 2))
        ]

    country = []
    for code in codes:
        provinces = [
            {"pname": word(rng, "prov"), "size": rng.randrange(100, 999), "cities": cities(code, p)}
            for p in range(rng.randint(1, 2))
        ]
        everywhere = [city["city"] for province in provinces for city in province["cities"]]
        country.append(
            {
                "cc": code,
                "name": word(rng, "land"),
                "area": rng.randrange(1000, 9999),
                "capital": rng.choice(everywhere),
                "provinces": provinces,
                "tongues": [
                    {"tongue": t, "share": rng.randrange(1, 99)}
                    for t in some(rng, ["Ari", "Bel", "Cot"], 0, 2)
                ],
                "borders": [
                    {"with": other, "length": rng.randrange(10, 99)}
                    for other in some(rng, [c for c in codes if c != code], 0, 2)
                ],
            }
        )
    body = [
        {
            "abbrev": f"B{k}",
            "full": word(rng, "body"),
            "members": [
                {"cc": code, "status": rng.choice(["full", "guest"])}
                for code in some(rng, codes, 1, n)
            ],
        }
        for k in range(2)
    ]
    return {"country": country, "river": rivers, "body": body}
