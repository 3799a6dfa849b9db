"""Scenarios 17 to 28: documents to graphs, tables to graphs, tables to tables."""

from benchmarks.dynamite_scenarios import documents, tables
from benchmarks.dynamite_scenarios.shorthand import graph, schema
from benchmarks.dynamite_scenarios.to_tables_and_documents import (
    COUNTRIES,
    DOCKS,
    FILMS,
    GAMES,
    LAW,
    PAPERS,
    RENTALS,
    VENUES,
    made,
)

DOCUMENTS_TO_GRAPHS = (
    made(
        "venues doc-graph",
        VENUES,
        graph(
            {"Place": "_id title stars:float", "Guest": "_id shown"},
            {"VISITED": "Guest Place number:int marks:int", "KNOWS": "Guest Guest"},
        ),
        """
    Place(_id=c, title, stars) :- venue(code=c, title, stars).
    Guest(_id=l, shown) :- guest(login=l, shown).
    VISITED(_start=w, _end=p, number, marks) :- visit(number, who=w, where=p, marks).
    KNOWS(_start=l, _end=f) :- guest(login=l, __id=g), guest?friends(__parent=g, friend=f).
    """,
        documents.venues,
    ),
    made(
        "films doc-graph",
        FILMS,
        graph(
            {"Film": "_id:int title", "Person": "_id", "Genre": "_id"},
            {
                "ACTED": "Person Film",
                "DIRECTED": "Person Film",
                "WROTE": "Person Film",
                "OF": "Film Genre",
            },
        ),
        """
    Film(_id=f, title) :- film(fid=f, title).
    Person(_id=p) :- film?crew(person=p).
    Genre(_id=g) :- film?genres(genre=g).
    ACTED(_start=p, _end=f) :- film(fid=f, __id=x), film?crew(__parent=x, person=p, role="actor").
    DIRECTED(_start=p, _end=f) :- film(fid=f, __id=x),
      film?crew(__parent=x, person=p, role="director").
    WROTE(_start=p, _end=f) :- film(fid=f, __id=x), film?crew(__parent=x, person=p, role="writer").
    OF(_start=f, _end=g) :- film(fid=f, __id=x), film?genres(__parent=x, genre=g).
    """,
        documents.films,
        6,
    ),
    made(
        "papers doc-graph",
        PAPERS,
        graph(
            {
                "Volume": "_id series",
                "Paper": "_id title",
                "Author": "_id name",
                "Institute": "_id label land",
            },
            {
                "IN": "Paper Volume",
                "WROTE": "Author Paper rank:int",
                "CITES": "Paper Paper",
                "LIVES": "Author Institute",
                "EDITED": "Author Volume",
            },
        ),
        """
    Volume(_id=v, series) :- volume(vid=v, series).
    Paper(_id=p, title) :- volume?papers(pid=p, title).
    Author(_id=a, name) :- author(aid=a, name).
    Institute(_id=i, label, land) :- institute(iid=i, label, land).
    IN(_start=p, _end=v) :- volume(vid=v, __id=x), volume?papers(__parent=x, pid=p).
    WROTE(_start=a, _end=p, rank) :- volume?papers(pid=p, __id=x),
      volume?papers?authors(__parent=x, aid=a, rank).
    CITES(_start=p, _end=c) :- volume?papers(pid=p, __id=x),
      volume?papers?cites(__parent=x, cited=c).
    LIVES(_start=a, _end=i) :- author(aid=a, home=i).
    EDITED(_start=a, _end=v) :- volume(vid=v, __id=x), volume?editors(__parent=x, eid=a).
    """,
        documents.papers,
    ),
    made(
        "countries doc-graph",
        COUNTRIES,
        graph(
            {
                "Country": "_id name",
                "City": "_id people:int",
                "River": "_id called km:int",
                "Body": "_id full",
            },
            {
                "CAPITAL": "Country City",
                "LIES_ON": "City River",
                "IN": "City Country",
                "BORDERS": "Country Country length:int",
                "MEMBER": "Country Body status",
            },
        ),
        """
    Country(_id=c, name) :- country(cc=c, name).
    City(_id=c, people) :- country?provinces?cities(city=c, people).
    River(_id=r, called, km) :- river(rid=r, called, km).
    Body(_id=b, full) :- body(abbrev=b, full).
    CAPITAL(_start=c, _end=k) :- country(cc=c, capital=k).
    LIES_ON(_start=c, _end=r) :- country?provinces?cities(city=c, river=r), river(rid=r).
    IN(_start=k, _end=c) :- country(cc=c, __id=x), country?provinces(__parent=x, __id=y),
      country?provinces?cities(__parent=y, city=k).
    BORDERS(_start=c, _end=d, length) :-
      country(cc=c, __id=x), country?borders(__parent=x, with=d, length).
    MEMBER(_start=c, _end=b, status) :- body(abbrev=b, __id=x),
      body?members(__parent=x, cc=c, status).
    """,
        documents.countries,
    ),
)

TABLES_TO_GRAPHS = (
    made(
        "games rel-graph",
        GAMES,
        graph(
            {"Team": "_id:int tname", "Player": "_id:int pname hand", "Game": "_id:int day:date"},
            {
                "HOME": "Game Team",
                "AWAY": "Game Team",
                "MEMBER": "Player Team",
                "FACED": "Player Player outcome",
            },
        ),
        """
    Team(_id=t, tname) :- team(tid=t, tname).
    Player(_id=p, pname, hand) :- player(pid=p, pname, hand).
    Game(_id=g, day) :- game(gid=g, day).
    HOME(_start=g, _end=t) :- game(gid=g, home=t).
    AWAY(_start=g, _end=t) :- game(gid=g, away=t).
    MEMBER(_start=p, _end=t) :- player(pid=p, tid=t).
    FACED(_start=p, _end=q, outcome) :- bat(batter=p, pitcher=q, outcome).
    """,
        tables.games,
    ),
    made(
        "rentals rel-graph",
        RENTALS,
        graph(
            {
                "Host": "_id:int hname",
                "Listing": "_id:int title price:decimal",
                "Review": "_id:int words score:int",
            },
            {"OWNS": "Host Listing", "OF": "Review Listing", "JUDGES": "Review Host reviewer"},
        ),
        """
    Host(_id=h, hname) :- host(hid=h, hname).
    Listing(_id=l, title, price) :- listing(lid=l, title, price).
    Review(_id=r, words, score) :- review(rid=r, words, score).
    OWNS(_start=h, _end=l) :- listing(lid=l, hid=h).
    OF(_start=r, _end=l) :- review(rid=r, lid=l).
    JUDGES(_start=r, _end=h, reviewer) :- review(rid=r, lid=l, reviewer), listing(lid=l, hid=h).
    """,
        tables.rentals,
    ),
    made(
        "law rel-graph",
        LAW,
        graph(
            {
                "Court": "_id label",
                "Suit": "_id title filed:date",
                "Patent": "_id topic granted:int",
                "Firm": "_id",
            },
            {"HEARD": "Suit Court", "ABOUT": "Suit Patent", "PARTY": "Firm Suit side"},
        ),
        """
    Court(_id=c, label) :- court(cid=c, label).
    Suit(_id=s, title, filed) :- lawsuit(sid=s, title, filed).
    Patent(_id=n, topic, granted) :- patent(nr=n, topic, granted).
    Firm(_id=p) :- party(pname=p).
    HEARD(_start=s, _end=c) :- lawsuit(sid=s, cid=c).
    ABOUT(_start=s, _end=n) :- dispute(sid=s, nr=n).
    PARTY(_start=p, _end=s, side) :- party(sid=s, pname=p, side).
    """,
        tables.law,
    ),
    made(
        "docks rel-graph",
        DOCKS,
        graph(
            {"Dock": "_id:int dname", "Rider": "_id:int plan", "Bike": "_id model"},
            {"RIDE": "Dock Dock minutes:int", "RODE": "Rider Bike nr:int"},
        ),
        """
    Dock(_id=d, dname) :- dock(did=d, dname).
    Rider(_id=r, plan) :- rider(rid=r, plan).
    Bike(_id=b, model) :- bike(bid=b, model).
    RIDE(_start=a, _end=b, minutes) :- ride(start_dock=a, end_dock=b, minutes).
    RODE(_start=r, _end=b, nr) :- ride(rid=r, bid=b, nr), rider(rid=r).
    """,
        tables.docks,
    ),
)

TABLES_TO_TABLES = (
    made(
        "games rel-rel",
        GAMES,
        schema(
            "relational",
            Sheet="gid:int! day:date home away",
            Duel="gid:int inning:int batter pitcher outcome",
            Roster="tname pname hand",
            Faced="batting_team pitching_team outcome",
        ),
        """
    Sheet(gid, day, home=h, away=a) :- game(gid, day, home=t, away=u), team(tid=t, tname=h),
      team(tid=u, tname=a).
    Duel(gid, inning, batter=n, pitcher=m, outcome) :-
      bat(gid, inning, batter=p, pitcher=q, outcome), player(pid=p, pname=n),
      player(pid=q, pname=m).
    Roster(tname, pname, hand) :- team(tid, tname), player(tid, pname, hand).
    Faced(batting_team=n, pitching_team=m, outcome) :-
      bat(batter=p, pitcher=q, outcome), player(pid=p, tid=t), team(tid=t, tname=n),
      player(pid=q, tid=u), team(tid=u, tname=m).
    """,
        tables.games,
        5,
    ),
    made(
        "rentals rel-rel",
        RENTALS,
        schema(
            "relational",
            Flat="lid:int! title host",
            Owner="hid:int! hname",
            Area="area",
            Guest="reviewer",
            Free="lid:int day:date",
            Score="title score:int",
        ),
        """
    Flat(lid, title, host=n) :- listing(lid, title, hid), host(hid, hname=n).
    Owner(hid, hname) :- host(hid, hname).
    Area(area) :- listing(area).
    Guest(reviewer) :- review(reviewer).
    Free(lid, day) :- calendar(lid, day, free=true).
    Score(title, score) :- listing(lid, title), review(lid, score).
    """,
        tables.rentals,
        5,
    ),
    made(
        "law rel-rel",
        LAW,
        schema(
            "relational",
            Plaintiff="sid pname",
            Defendant="sid pname",
            Case="sid! label title",
            Topic="sid topic",
            Against="plaintiff defendant",
        ),
        """
    Plaintiff(sid, pname) :- party(sid, pname, side="plaintiff").
    Defendant(sid, pname) :- party(sid, pname, side="defendant").
    Case(sid, label, title) :- lawsuit(sid, cid, title), court(cid, label).
    Topic(sid, topic) :- dispute(sid, nr), patent(nr, topic).
    Against(plaintiff=p, defendant=d) :-
      party(sid, pname=p, side="plaintiff"), party(sid, pname=d, side="defendant").
    """,
        tables.law,
    ),
    made(
        "docks rel-rel",
        DOCKS,
        schema(
            "relational",
            Trip="nr:int! start end minutes:int",
            Yearly="rid:int! born:int",
            Use="model nr:int",
            Crossing="ward other_ward plan",
        ),
        """
    Trip(nr, start=n, end=m, minutes) :-
      ride(nr, minutes, start_dock=a, end_dock=b), dock(did=a, dname=n), dock(did=b, dname=m).
    Yearly(rid, born) :- rider(rid, born, plan="year").
    Use(model, nr) :- bike(bid, model), ride(bid, nr).
    Crossing(ward=v, other_ward=w, plan) :-
      ride(start_dock=a, end_dock=b, rid), dock(did=a, ward=v), dock(did=b, ward=w),
      rider(rid, plan).
    """,
        tables.docks,
        5,
    ),
)
