"""Scenarios 1 to 16: documents to tables, tables to documents, graphs to tables, graphs to
documents.
"""

from benchmarks.dynamite_scenarios import documents, graphs, tables
from benchmarks.dynamite_scenarios.scenario import Scenario
from benchmarks.dynamite_scenarios.shorthand import golden, schema
from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.describe import parse_schema

VENUES, FILMS = parse_schema(documents.VENUES), parse_schema(documents.FILMS)
PAPERS, COUNTRIES = parse_schema(documents.PAPERS), parse_schema(documents.COUNTRIES)
GAMES, RENTALS, LAW, DOCKS = map(from_ddl, (tables.GAMES, tables.RENTALS, tables.LAW, tables.DOCKS))
FOLLOWS, NEURONS = parse_schema(graphs.FOLLOWS), parse_schema(graphs.NEURONS)
RATINGS, CLUBS = parse_schema(graphs.RATINGS), parse_schema(graphs.CLUBS)


def made(name, source, target, text, generate, size=4) -> Scenario:
    """Make a scenario from its parts.

    Args:
      name: domain and kinds, such as "films doc-rel".
      source: schema of the data as it is.
      target: schema of the data as it should be.
      text: the right program, in shorthand.
      generate: makes source data of a size.
      size: size of the example.
    """
    return Scenario(name, source, target, golden(text, source, target), generate, size)


DOCUMENTS_TO_TABLES = (
    made(
        "venues doc-rel",
        VENUES,
        schema(
            "relational",
            Place="code! title town stars:float",
            Tag="code tag",
            Opening="code day from:int to:int",
            Visitor="login! shown since:date",
            Friend="login friend",
            Stay="number:int guest place marks:int",
        ),
        """
    Place(code, title, town, stars) :- venue(code, title, town, stars).
    Tag(code, tag) :- venue(code, __id=v), venue?tags(__parent=v, tag).
    Opening(code, day, from=a, to=b) :- venue(code, __id=v),
      venue?hours(__parent=v, day, from=a, to=b).
    Visitor(login, shown, since) :- guest(login, shown, since).
    Friend(login, friend) :- guest(login, __id=g), guest?friends(__parent=g, friend).
    Stay(number, guest=s, place=t, marks) :-
      visit(number, who=w, where=p, marks), guest(login=w, shown=s), venue(code=p, title=t).
    """,
        documents.venues,
    ),
    made(
        "films doc-rel",
        FILMS,
        schema(
            "relational",
            Film="fid:int! title year:int",
            Genre="fid:int genre",
            Actor="fid:int name",
            Director="fid:int name",
            Writer="fid:int name",
            Award="fid:int prize won:bool",
            Duo="title actor director",
        ),
        """
    Film(fid, title, year) :- film(fid, title, year).
    Genre(fid, genre) :- film(fid, __id=x), film?genres(__parent=x, genre).
    Actor(fid, name=n) :- film(fid, __id=x), film?crew(__parent=x, person=n, role="actor").
    Director(fid, name=n) :- film(fid, __id=x), film?crew(__parent=x, person=n, role="director").
    Writer(fid, name=n) :- film(fid, __id=x), film?crew(__parent=x, person=n, role="writer").
    Award(fid, prize, won) :- film(fid, __id=x), film?awards(__parent=x, prize, won).
    Duo(title, actor=a, director=d) :- film(title, __id=x),
      film?crew(__parent=x, person=a, role="actor"),
      film?crew(__parent=x, person=d, role="director").
    """,
        documents.films,
        6,
    ),
    made(
        "papers doc-rel",
        PAPERS,
        schema(
            "relational",
            Volume="vid! series year:int",
            Paper="pid! title pages vid",
            Wrote="pid name rank:int",
            Home="name label land",
            Cites="pid cited",
            Edited="vid name",
            Reach="host reader",
        ),
        """
    Volume(vid, series, year) :- volume(vid, series, year).
    Paper(pid, title, pages, vid) :- volume(vid, __id=v),
      volume?papers(__parent=v, pid, title, pages).
    Wrote(pid, name, rank) :- volume?papers(pid, __id=p),
      volume?papers?authors(__parent=p, aid, rank), author(aid, name).
    Home(name, label, land) :- author(name, home=i), institute(iid=i, label, land).
    Cites(pid, cited) :- volume?papers(pid, __id=p), volume?papers?cites(__parent=p, cited).
    Edited(vid, name) :- volume(vid, __id=v), volume?editors(__parent=v, eid=a),
      author(aid=a, name).
    Reach(host=l, reader=n) :- volume?papers?authors(__parent=p, aid=a), author(aid=a, home=i),
      institute(iid=i, label=l),
      volume?papers?cites(__parent=p, cited=c), volume?papers(pid=c, __id=q),
        volume?papers?authors(__parent=q, aid=b),
      author(aid=b, name=n).
    """,
        documents.papers,
        6,
    ),
    made(
        "countries doc-rel",
        COUNTRIES,
        schema(
            "relational",
            Country="cc! name area:int",
            Province="cc pname size:int",
            City="city! pname cc",
            Capital="cc city people:int",
            OnRiver="city called km:int",
            Tongue="cc tongue share:int",
            Border="name neighbour length:int",
            Member="full name status",
        ),
        """
    Country(cc, name, area) :- country(cc, name, area).
    Province(cc, pname, size) :- country(cc, __id=c), country?provinces(__parent=c, pname, size).
    City(city, pname, cc) :- country(cc, __id=c), country?provinces(__parent=c, pname, __id=p),
      country?provinces?cities(__parent=p, city).
    Capital(cc, city, people) :- country(cc, capital=city), country?provinces?cities(city, people).
    OnRiver(city, called, km) :- country?provinces?cities(city, river=r), river(rid=r, called, km).
    Tongue(cc, tongue, share) :- country(cc, __id=c), country?tongues(__parent=c, tongue, share).
    Border(name, neighbour=m, length) :-
      country(name, __id=c), country?borders(__parent=c, with=d, length), country(cc=d, name=m).
    Member(full, name, status) :- body(full, __id=b), body?members(__parent=b, cc, status),
      country(cc, name).
    """,
        documents.countries,
    ),
)

TABLES_TO_DOCUMENTS = (
    made(
        "games rel-doc",
        GAMES,
        schema(
            "document",
            game="gid:int! day:date crowd:int bats{inning:int outcome batter pitcher} "
            "umpires{uname}",
            team="tname players{pname hand}",
        ),
        """
    game(gid, day, crowd) :- game(gid, day, crowd).
    game?bats(game.gid=gid, game.day=day, game.crowd=crowd, inning, outcome, batter=n,
      pitcher=m) :- game(gid, day, crowd),
      bat(gid, inning, outcome, batter=p, pitcher=q), player(pid=p, pname=n),
        player(pid=q, pname=m).
    game?umpires(game.gid=gid, game.day=day, game.crowd=crowd, uname) :-
      game(gid, day, crowd), umpire(gid, uname).
    team(tname) :- team(tname).
    team?players(team.tname=t, pname, hand) :- team(tid, tname=t), player(tid, pname, hand).
    """,
        tables.games,
    ),
    made(
        "rentals rel-doc",
        RENTALS,
        schema(
            "document",
            host="hid:int! hname listings{lid:int title area reviews{reviewer score:int} "
            "free{day:date}}",
        ),
        """
    host(hid, hname) :- host(hid, hname).
    host?listings(host.hid=hid, host.hname=n, lid, title, area) :-
      host(hid, hname=n), listing(hid, lid, title, area).
    host?listings?reviews(host.hid=hid, host.hname=n, listings.lid=lid, listings.title=title,
      listings.area=area, reviewer, score) :-
      host(hid, hname=n), listing(hid, lid, title, area), review(lid, reviewer, score).
    host?listings?free(host.hid=hid, host.hname=n, listings.lid=lid, listings.title=title,
      listings.area=area, day) :-
      host(hid, hname=n), listing(hid, lid, title, area), calendar(lid, day, free=true).
    """,
        tables.rentals,
        6,
    ),
    made(
        "law rel-doc",
        LAW,
        schema(
            "document",
            suit="sid! title court parties{pname side} patents{nr topic}",
            court="cid! label suits{sid filed:date}",
        ),
        """
    suit(sid, title, court=l) :- lawsuit(sid, title, cid), court(cid, label=l).
    suit?parties(suit.sid=sid, suit.title=t, suit.court=l, pname, side) :-
      lawsuit(sid, title=t, cid), court(cid, label=l),
      party(sid, pname, side).
    suit?patents(suit.sid=sid, suit.title=t, suit.court=l, nr, topic) :-
      lawsuit(sid, title=t, cid), court(cid, label=l),
      dispute(sid, nr), patent(nr, topic).
    court(cid, label) :- court(cid, label).
    court?suits(court.cid=cid, court.label=l, sid, filed) :-
      court(cid, label=l), lawsuit(cid, sid, filed).
    """,
        tables.law,
    ),
    made(
        "docks rel-doc",
        DOCKS,
        schema(
            "document",
            dock="did:int! dname ward departures{nr:int minutes:int to}",
            bike="bid! model rides{nr:int minutes:int plan}",
        ),
        """
    dock(did, dname, ward) :- dock(did, dname, ward).
    dock?departures(dock.did=d, dock.dname=n, dock.ward=w, nr, minutes, to=m) :-
      dock(did=d, dname=n, ward=w),
      ride(nr, minutes, start_dock=d, end_dock=e), dock(did=e, dname=m).
    bike(bid, model) :- bike(bid, model).
    bike?rides(bike.bid=bid, bike.model=m, nr, minutes, plan) :-
      bike(bid, model=m), ride(bid, nr, minutes, rid), rider(rid, plan).
    """,
        tables.docks,
    ),
)

GRAPHS_TO_TABLES = (
    made(
        "follows graph-rel",
        FOLLOWS,
        schema("relational", Follow="follower:int followed:int since:int"),
        """
    Follow(follower=a, followed=b, since) :- FOLLOWS(_start=a, _end=b, since).
    """,
        graphs.follows,
    ),
    made(
        "neurons graph-rel",
        NEURONS,
        schema("relational", Cell="id! kind layer:int", Contact="kind other_kind area:float"),
        """
    Cell(id=i, kind, layer) :- Neuron(_id=i, kind, layer).
    Contact(kind, other_kind=k, area) :-
      TOUCHES(_start=a, _end=b, area), Neuron(_id=a, kind), Neuron(_id=b, kind=k).
    """,
        graphs.neurons,
        5,
    ),
    made(
        "ratings graph-rel",
        RATINGS,
        schema(
            "relational",
            Movie="title released:int",
            Rating="vname title stars:int",
            Cast="pname title part",
            Direction="pname title",
        ),
        """
    Movie(title, released) :- Movie(title, released).
    Rating(vname, title, stars) :- RATED(_start=v, _end=m, stars), Viewer(_id=v, vname),
      Movie(_id=m, title).
    Cast(pname, title, part) :- ACTED_IN(_start=p, _end=m, part), Person(_id=p, pname),
      Movie(_id=m, title).
    Direction(pname, title) :- DIRECTED(_start=p, _end=m), Person(_id=p, pname),
      Movie(_id=m, title).
    """,
        graphs.ratings,
    ),
    made(
        "clubs graph-rel",
        CLUBS,
        schema(
            "relational",
            Club="id! cname city",
            Player="id! pname foot",
            PlaysFor="player club shirt:int",
            InLeague="club league",
            Fixture="date:date home away",
            Score="date:date score",
        ),
        """
    Club(id=i, cname, city) :- Club(_id=i, cname, city).
    Player(id=i, pname, foot) :- Player(_id=i, pname, foot).
    PlaysFor(player=p, club=c, shirt) :- PLAYS_FOR(_start=p, _end=c, shirt).
    InLeague(club=c, league=l) :- IN_LEAGUE(_start=c, _end=l).
    Fixture(date, home=h, away=a) :- Match(_id=m, date), AT_HOME(_start=m, _end=h),
      AWAY(_start=m, _end=a).
    Score(date, score) :- Match(date, score).
    """,
        graphs.clubs,
    ),
)

GRAPHS_TO_DOCUMENTS = (
    made(
        "follows graph-doc",
        FOLLOWS,
        schema("document", member="id:int! handle follows{other:int since:int}"),
        """
    member(id=i, handle) :- Member(_id=i, handle).
    member?follows(member.id=i, member.handle=h, other=o, since) :-
      Member(_id=i, handle=h), FOLLOWS(_start=i, _end=o, since).
    """,
        graphs.follows,
    ),
    made(
        "neurons graph-doc",
        NEURONS,
        schema(
            "document", neuron="id! kind volume:float contacts{other_kind area:float sites:int}"
        ),
        """
    neuron(id=i, kind, volume) :- Neuron(_id=i, kind, volume).
    neuron?contacts(neuron.id=i, neuron.kind=k, neuron.volume=v, other_kind=o, area, sites) :-
      Neuron(_id=i, kind=k, volume=v),
      TOUCHES(_start=i, _end=j, area, sites), Neuron(_id=j, kind=o).
    """,
        graphs.neurons,
        5,
    ),
    made(
        "ratings graph-doc",
        RATINGS,
        schema(
            "document",
            movie="id:int! title ratings{vname stars:int} cast{pname part}",
            viewer="id:int! vname seen{title stars:int}",
        ),
        """
    movie(id=i, title) :- Movie(_id=i, title).
    movie?ratings(movie.id=i, movie.title=t, vname, stars) :-
      Movie(_id=i, title=t), RATED(_start=v, _end=i, stars), Viewer(_id=v, vname).
    movie?cast(movie.id=i, movie.title=t, pname, part) :-
      Movie(_id=i, title=t), ACTED_IN(_start=p, _end=i, part), Person(_id=p, pname).
    viewer(id=i, vname) :- Viewer(_id=i, vname).
    viewer?seen(viewer.id=i, viewer.vname=n, title, stars) :-
      Viewer(_id=i, vname=n), RATED(_start=i, _end=m, stars), Movie(_id=m, title).
    """,
        graphs.ratings,
    ),
    made(
        "clubs graph-doc",
        CLUBS,
        schema(
            "document",
            league="id! lname clubs{cname players{pname shirt:int}}",
            match="date:date score home away",
        ),
        """
    league(id=i, lname) :- League(_id=i, lname).
    league?clubs(league.id=i, league.lname=l, cname) :-
      League(_id=i, lname=l), IN_LEAGUE(_start=c, _end=i), Club(_id=c, cname).
    league?clubs?players(league.id=i, league.lname=l, clubs.cname=n, pname, shirt) :-
      League(_id=i, lname=l),
      IN_LEAGUE(_start=c, _end=i), Club(_id=c, cname=n), PLAYS_FOR(_start=p, _end=c, shirt),
        Player(_id=p, pname).
    match(date, score, home=h, away=a) :-
      Match(_id=m, date, score), AT_HOME(_start=m, _end=x), Club(_id=x, cname=h),
      AWAY(_start=m, _end=y), Club(_id=y, cname=a).
    """,
        graphs.clubs,
    ),
)
