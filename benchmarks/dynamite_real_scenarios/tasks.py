"""The forty tasks: what a domain becomes, as the rules that are meant. The target's example is what
these rules make of the source's example.
"""

TASKS: dict[str, tuple[str, str]] = {
    "chinook albums": (
        "chinook",
        "album(title s, artist s) | album(t, n) :- Album(_, t, a), Artist(a, n).",
    ),
    "chinook tracks": (
        "chinook",
        "song(id i, name s, genre s) | song(i, n, x) :- Track(i, n, _, g, _, _), [Genre(g, x)].",
    ),
    "chinook tracks and albums": (
        "chinook",
        (
            "song(id i, name s, album s, genre s) | song(i, n, y, x) :- "
            "Track(i, n, a, g, _, _), [Album(a, y, _)], [Genre(g, x)]."
        ),
    ),
    "chinook composers": (
        "chinook",
        "work(track i, by s) | work(i, c) :- Track(i, _, _, _, c, _).",
    ),
    "chinook known composers": (
        "chinook",
        "work(track i, by s) | work(i, c) :- Track(i, _, _, _, c!, _).",
    ),
    "chinook chiefs": (
        "chinook",
        (
            "staff(last s, chief s) | staff(l, c) :- "
            "Employee(_, l, _, _, b), [Employee(b, c, _, _, _)]."
        ),
    ),
    "chinook names": (
        "chinook",
        'person(id i, name s) | person(i, concat(f, " ", l)) :- Customer(i, f, l, _, _).',
    ),
    "chinook support": (
        "chinook",
        (
            "help(customer s, agent s) | help(c, a) :- "
            "Customer(_, _, c, _, e), Employee(e, a, _, _, _)."
        ),
    ),
    "chinook sales": (
        "chinook",
        (
            "sale(city s, track s, quantity i) | sale(c, n, q) :- "
            "InvoiceLine(_, i, t, q), Invoice(i, _, c, _), Track(t, n, _, _, _, _)."
        ),
    ),
    "chinook playlists": (
        "chinook",
        (
            "entry(list s, song s) | entry(p, n) :- "
            "PlaylistTrack(l, t), Playlist(l, p), Track(t, n, _, _, _, _)."
        ),
    ),
    "chinook invoices nested": (
        "chinook",
        "bill(id i, total f, line(track i, quantity i)) | bill(i, t, b) :- "
        "Invoice(i, _, _, t), b = id(i, t). "
        "bill(i, t, b), bill?line(b, k, q) :- "
        "Invoice(i, _, _, t), InvoiceLine(_, i, k, q), b = id(i, t).",
    ),
    "northwind products": (
        "northwind",
        (
            "item(id i, name s, category s) | item(i, n, c) :- "
            "products(i, n, _, k, _), [categories(k, c)]."
        ),
    ),
    "northwind states": (
        "northwind",
        (
            'item(id i, state s) | item(i, table(d, 0, "active", 1, "gone")) :- '
            "products(i, _, _, _, d)."
        ),
    ),
    "northwind contacts": (
        "northwind",
        (
            'contact(id s, first s, last s) | contact(i, before(n, " "), after(n, " ")) :- '
            "customers(i, _, n)."
        ),
    ),
    "northwind lines": (
        "northwind",
        (
            "line(order_id i, product s, quantity i) | line(o, n, q) :- "
            "order_details(o, p, q), products(p, n, _, _, _)."
        ),
    ),
    "northwind carriers": (
        "northwind",
        "parcel(id i, carrier s) | parcel(o, n) :- orders(o, _, s, _), [shippers(s, n)].",
    ),
    "northwind partners": (
        "northwind",
        (
            'partner(kind s, name s) | partner("suppliers", n) :- suppliers(_, n, _). '
            'partner("customers", n) :- customers(_, n, _).'
        ),
    ),
    "northwind dated": (
        "northwind",
        "dated(id i, who s, day s) | dated(o, n, d) :- orders(o, c, _, d!), customers(c, n, _).",
    ),
    "northwind orders nested": (
        "northwind",
        "purchase(id i, line(product i, quantity i)) | purchase(i, b) :- "
        "orders(i, _, _, _), b = id(i). "
        "purchase(i, b), purchase?line(b, p, q) :- "
        "orders(i, _, _, _), order_details(i, p, q), b = id(i).",
    ),
    "redmine issues": (
        "redmine",
        (
            "ticket(id i, subject s, assignee s) | ticket(i, s, l) :- "
            "issues(i, _, _, s, _, _, a), [users(a, l, _, _)]."
        ),
    ),
    "redmine trackers": (
        "redmine",
        (
            "ticket(subject s, tracker s, project s) | ticket(s, t, p) :- "
            "issues(_, p0, t0, s, _, _, _), trackers(t0, t), projects(p0, p, _)."
        ),
    ),
    "redmine status": (
        "redmine",
        (
            'ticket(id i, status s) | ticket(i, table(s, 1, "new", 2, "started", 5, "closed")) :- '
            "issues(i, _, _, _, s, _, _)."
        ),
    ),
    "redmine authors": (
        "redmine",
        (
            "wrote(subject s, author s) | wrote(s, l) :- "
            "issues(_, _, _, s, _, a, _), users(a, l, _, _)."
        ),
    ),
    "redmine watchers": (
        "redmine",
        (
            "watch(subject s, login s) | watch(s, l) :- "
            "watchers(i, u), issues(i, _, _, s, _, _, _), users(u, l, _, _)."
        ),
    ),
    "redmine projects": (
        "redmine",
        "area(name s, inside s) | area(n, m) :- projects(_, n, p), [projects(p, m, _)].",
    ),
    "redmine systems": (
        "redmine",
        'system(issue i, os s) | system(i, v) :- custom_values(_, i, "os", v).',
    ),
    "redmine journal": (
        "redmine",
        (
            "remark(issue i, by s, text s) | remark(i, l, t) :- "
            "journals(_, i, u, t), users(u, l, _, _)."
        ),
    ),
    "redmine people": (
        "redmine",
        'person(id i, name s) | person(i, concat(l, ", ", f)) :- users(i, _, f, l).',
    ),
    "github authors": (
        "github",
        (
            "issue(id i, title s, author s) | issue(i, t, l) :- "
            "issues(i, _, t, _, _, _, x), issues?user(x, l, _)."
        ),
    ),
    "github labels": (
        "github",
        (
            "labeled(issue i, label s) | labeled(i, n) :- "
            "issues(i, _, _, _, _, _, x), issues?labels(x, _, n)."
        ),
    ),
    "github assignees": (
        "github",
        (
            "issue(id i, state s, assignee s) | issue(i, s, l) :- "
            "issues(i, _, _, s, _, _, x), [issues?assignee(x, l, _)]."
        ),
    ),
    "github closed": (
        "github",
        "closed(number i, day s) | closed(n, d) :- issues(_, n, _, _, _, d!, _).",
    ),
    "npm keywords": (
        "npm",
        (
            "keyword(package s, word s) | keyword(n, w) :- "
            "package(n, _, x), package?keywords(x, w, _)."
        ),
    ),
    "npm places": (
        "npm",
        (
            "keyword(package s, word s, place i) | keyword(n, w, p) :- "
            "package(n, _, x), package?keywords(x, w, p)."
        ),
    ),
    "npm versions": (
        "npm",
        (
            "release(package s, version s, size i) | release(n, k, s) :- "
            "package(n, _, x), package?versions(x, k, s, _)."
        ),
    ),
    "npm repositories": (
        "npm",
        (
            "source(package s, url s) | source(n, u) :- "
            "package(n, _, x), [package?repository(x, _, u)]."
        ),
    ),
    "wordpress products": (
        "wordpress",
        (
            "product(id i, sku s, price s) | product(i, k, p) :- "
            'wp_postmeta(_, i, "_sku", k), wp_postmeta(_, i, "_price", p).'
        ),
    ),
    "wordpress published": (
        "wordpress",
        (
            "page(title s, author s) | page(t, l) :- "
            'wp_posts(_, u, t, _, "publish"), wp_users(u, l, _).'
        ),
    ),
    "wordpress comments": (
        "wordpress",
        (
            "reply(post s, text s, by s) | reply(t, c, l) :- "
            "wp_comments(_, p, u, c), wp_posts(p, _, t, _, _), [wp_users(u, l, _)]."
        ),
    ),
    "wordpress terms": (
        "wordpress",
        (
            "tagged(title s, term s) | tagged(t, n) :- "
            "wp_term_relationships(o, k), wp_posts(o, _, t, _, _), wp_terms(k, n)."
        ),
    ),
}
"""By name: the domain, and "target collections | rules"; i, s, f stand for int, str, float."""
