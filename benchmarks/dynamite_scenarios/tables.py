"""Four relational sources of our own, described in SQL, and generators of data with traps in it."""

import random

from benchmarks.dynamite_scenarios.documents import maybe, some, word

GAMES = """
CREATE TABLE team (tid int PRIMARY KEY, tname text NOT NULL, town text);
CREATE TABLE player (pid int PRIMARY KEY, pname text NOT NULL, hand text, tid int
  REFERENCES team (tid));
CREATE TABLE game (gid int PRIMARY KEY, day date, home int REFERENCES team (tid), away int
  REFERENCES team (tid), crowd int);
CREATE TABLE bat (gid int REFERENCES game (gid), inning int, batter int REFERENCES player (pid),
  pitcher int REFERENCES player (pid),
  outcome text, PRIMARY KEY (gid, inning));
CREATE TABLE umpire (gid int REFERENCES game (gid), uname text);
"""
RENTALS = """
CREATE TABLE host (hid int PRIMARY KEY, hname text, since date);
CREATE TABLE listing (lid int PRIMARY KEY, hid int REFERENCES host (hid), title text, area text,
  beds int, price numeric(8,2));
CREATE TABLE calendar (lid int REFERENCES listing (lid), day date, free bool, PRIMARY KEY (lid,
  day));
CREATE TABLE review (rid int PRIMARY KEY, lid int REFERENCES listing (lid), reviewer text,
  words text, score int);
"""
LAW = """
CREATE TABLE court (cid text PRIMARY KEY, label text, district text);
CREATE TABLE lawsuit (sid text PRIMARY KEY, cid text REFERENCES court (cid), filed date,
  title text);
CREATE TABLE party (sid text REFERENCES lawsuit (sid), pname text, side text);
CREATE TABLE patent (nr text PRIMARY KEY, topic text, granted int);
CREATE TABLE dispute (sid text REFERENCES lawsuit (sid), nr text REFERENCES patent (nr));
"""
DOCKS = """
CREATE TABLE dock (did int PRIMARY KEY, dname text, ward text, slots int);
CREATE TABLE rider (rid int PRIMARY KEY, born int, plan text);
CREATE TABLE bike (bid text PRIMARY KEY, model text, bought date);
CREATE TABLE ride (nr int PRIMARY KEY, bid text REFERENCES bike (bid), rid int
  REFERENCES rider (rid),
  start_dock int REFERENCES dock (did), end_dock int REFERENCES dock (did), minutes int);
"""


def day(rng: random.Random) -> str:
    """A date."""
    return f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"


def games(rng: random.Random, n: int) -> dict:
    """`n` games; all identities are small integers that mean different things in
    different columns.
    """
    team = [
        {"tid": k + 1, "tname": word(rng, "team"), "town": maybe(rng, rng.choice(["Ost", "West"]))}
        for k in range(max(3, n // 2))
    ]
    player = [
        {
            "pid": k + 1,
            "pname": word(rng, "player"),
            "hand": rng.choice("LR"),
            "tid": rng.choice(team)["tid"],
        }
        for k in range(n + 2)
    ]
    game, bat, umpire = [], [], []
    for k in range(n):
        home, away = rng.sample(team, 2)
        game.append(
            {
                "gid": k + 1,
                "day": day(rng),
                "home": home["tid"],
                "away": away["tid"],
                "crowd": maybe(rng, rng.randrange(99, 999)),
            }
        )
        for inning in range(1, rng.randint(2, 3)):
            one, other = rng.sample(player, 2)
            outcome = rng.choice(["hit", "out", "walk"])
            bat.append(
                {
                    "gid": k + 1,
                    "inning": inning,
                    "batter": one["pid"],
                    "pitcher": other["pid"],
                    "outcome": outcome,
                }
            )
        umpire += [{"gid": k + 1, "uname": word(rng, "ump")} for _ in range(rng.randint(0, 2))]
    return {"team": team, "player": player, "game": game, "bat": bat, "umpire": umpire}


def rentals(rng: random.Random, n: int) -> dict:
    """`n` listings of fewer hosts; some have no reviews, some no calendar."""
    host = [
        {"hid": 70 + k, "hname": word(rng, "host"), "since": day(rng)}
        for k in range(max(2, n // 2))
    ]
    listing = [
        {
            "lid": 500 + k,
            "hid": rng.choice(host)["hid"],
            "title": maybe(rng, word(rng, "flat")),
            "area": rng.choice(["North", "South"]),
            "beds": rng.randrange(1, 5),
            "price": f"{rng.randrange(20, 200)}.50",
        }
        for k in range(n)
    ]
    dates = ["2024-05-01", "2024-05-02", "2024-05-03"]
    calendar = [
        {"lid": one["lid"], "day": d, "free": rng.random() < 0.5}
        for one in listing
        for d in some(rng, dates, 0, 2)
    ]
    review = [
        {
            "rid": 9000 + 10 * k + j,
            "lid": one["lid"],
            "reviewer": word(rng, "guest"),
            "words": maybe(rng, word(rng, "text")),
            "score": rng.randrange(1, 6),
        }
        for k, one in enumerate(listing)
        for j in range(rng.randint(0, 2))
    ]
    return {"host": host, "listing": listing, "calendar": calendar, "review": review}


def law(rng: random.Random, n: int) -> dict:
    """`n` lawsuits with parties on both sides, about patents."""
    court = [
        {"cid": f"ct{k}", "label": word(rng, "court"), "district": rng.choice(["D1", "D2"])}
        for k in range(max(2, n // 2))
    ]
    patent = [
        {"nr": f"US{k}", "topic": word(rng, "topic"), "granted": rng.randrange(1980, 2020)}
        for k in range(n)
    ]
    lawsuit = [
        {
            "sid": f"s{k}",
            "cid": rng.choice(court)["cid"],
            "filed": day(rng),
            "title": word(rng, "suit"),
        }
        for k in range(n)
    ]
    party = [
        {"sid": suit["sid"], "pname": word(rng, "firm"), "side": side}
        for suit in lawsuit
        for side in ("plaintiff", "defendant")
        for _ in range(rng.randint(1, 2))
    ]
    dispute = [
        {"sid": suit["sid"], "nr": p["nr"]} for suit in lawsuit for p in some(rng, patent, 0, 2)
    ]
    return {
        "court": court,
        "lawsuit": lawsuit,
        "party": party,
        "patent": patent,
        "dispute": dispute,
    }


def docks(rng: random.Random, n: int) -> dict:
    """`n` docks, riders and bikes, twice as many rides; a ride may end where it began, or have lost
    its rider.
    """
    dock = [
        {
            "did": 300 + k,
            "dname": word(rng, "dock"),
            "ward": rng.choice(["W1", "W2"]),
            "slots": rng.randrange(5, 30),
        }
        for k in range(n)
    ]
    rider = [
        {
            "rid": 800 + k,
            "born": maybe(rng, rng.randrange(1950, 2005)),
            "plan": rng.choice(["day", "year"]),
        }
        for k in range(n)
    ]
    bike = [{"bid": f"b{k}", "model": word(rng, "model"), "bought": day(rng)} for k in range(n)]
    ride = [
        {
            "nr": 10_000 + k,
            "bid": rng.choice(bike)["bid"],
            "rid": maybe(rng, rng.choice(rider)["rid"]),
            "start_dock": rng.choice(dock)["did"],
            "end_dock": rng.choice(dock)["did"],
            "minutes": rng.randrange(31, 290),
        }
        for k in range(2 * n)
    ]
    return {"dock": dock, "rider": rider, "bike": bike, "ride": ride}
