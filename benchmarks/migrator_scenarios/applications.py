"""Thirty refactorings after schemas of real applications, each with data and calls: names in camel
case and in quotes, NULL, defaults, cascades. They are run on real databases before and after.
"""

from dataclasses import dataclass
from typing import Any

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Application:
    """A refactoring with data."""

    name: str
    """After which application, and what changes."""
    source: str
    """CREATE TABLE statements that SQLite and PostgreSQL read."""
    target: str
    """Those of the new schema."""
    program: str
    """Named queries."""
    rows: str
    """INSERTs into the old tables."""
    calls: tuple[Call, ...]
    """Updates; after each all queries without arguments are asked."""


def split(table: str, more: str = "") -> tuple[str, str]:
    """DDL of a table `thing` with or without columns that move to one of its own.

    Args:
      table: its name, in quotes.
      more: behind the reference of the new table.
    """
    source = (
        f'CREATE TABLE {table} ("id" integer PRIMARY KEY, "name" text NOT NULL, "note" text, '
        f'"size" integer DEFAULT 1);'
    )
    target = (
        f'CREATE TABLE {table} ("id" integer PRIMARY KEY, "name" text NOT NULL);'
        f'CREATE TABLE "details" ("ownerId" integer PRIMARY KEY REFERENCES {table}("id"){more}, '
        f'"note" text, "size" integer DEFAULT 1);'
    )
    return source, target


def crud(table: str) -> str:
    """Functions over such a table."""
    return f"""-- name: add(id, name, note)
INSERT INTO {table} ("id", "name", "note") VALUES (:id, :name, :note);
-- name: annotate(id, note)
UPDATE {table} SET "note" = :note WHERE "id" = :id;
-- name: grow(name)
UPDATE {table} SET "size" = "size" + 1 WHERE "name" = :name;
-- name: drop_it(id)
DELETE FROM {table} WHERE "id" = :id;
-- name: everything()
SELECT "id", "name", "note", "size" FROM {table} ORDER BY "id";
-- name: bare()
SELECT "name" FROM {table} WHERE "note" IS NULL ORDER BY "name";
-- name: sizes()
SELECT "size", COUNT(*) AS n FROM {table} GROUP BY "size" ORDER BY "size";
"""


def thing_rows(table: str) -> str:
    """Rows of such a table, NULL among them."""
    return f"""INSERT INTO {table} VALUES (1, 'a''b', 'x', 2), (2, 'c', NULL, NULL),
      (3, 'd', '', 1);"""


THINGS: tuple[Call, ...] = (
    ("add", {"id": 9, "name": "new", "note": None}),
    ("annotate", {"id": 2, "note": "now"}),
    ("annotate", {"id": 1, "note": None}),
    ("grow", {"name": "new"}),
    ("drop_it", {"id": 3}),
    ("drop_it", {"id": 77}),
)
SPLITS = (
    ("Prisma: User into User and details", '"User"', " ON DELETE CASCADE"),
    ("Rails: products into details", "products", ""),
    ("Strapi: article in reserved words", '"order"', " ON DELETE CASCADE"),
    ("Sequelize: BlogPost in camel case", '"BlogPost"', ""),
    ("Odoo: names with spaces", '"Sales Lines"', " ON DELETE CASCADE"),
)
RENAMES = (
    ("Redmine: issue subject", "issues", '"name"', '"subject"'),
    ("Prisma: camel case to snake case", '"UserProfile"', '"displayName"', '"display_name"'),
    ("Django: auth_user first name", "auth_user", '"first_name"', '"given_name"'),
    ("Mastodon: reserved word", "statuses", '"text"', '"content_text"'),
    ("GitLab: quotes kept", '"ci builds"', '"commitSha"', '"sha_of_commit"'),
)
"""A table, a column, and what it is called afterwards."""


def renamed(name: str, table: str, old: str, new: str) -> Application:
    """A column under another name, with a child that cascades.

    Args:
      name: name of the scenario.
      table: table, as written in SQL.
      old: column, as written in SQL.
      new: its new name.
    """
    ddl = (
        'CREATE TABLE {t} ("id" integer PRIMARY KEY, {c} text NOT NULL, '
        '"rank" integer NOT NULL DEFAULT -1, "hint" text);'
        'CREATE TABLE "kids" ("id" integer PRIMARY KEY, "parentId" integer REFERENCES {t}("id") '
        "ON DELETE CASCADE, \"word\" text DEFAULT 'none');"
    )
    program = f"""-- name: add(id, v)
INSERT INTO {table} ("id", {old}) VALUES (:id, :v);
-- name: kid(id, parent, word)
INSERT INTO "kids" ("id", "parentId", "word") VALUES (:id, :parent, :word);
-- name: change(id, v)
UPDATE {table} SET {old} = :v WHERE "id" = :id;
-- name: kids_of()
SELECT p.{old}, k."word" FROM {table} p JOIN "kids" k ON k."parentId" = p."id" ORDER BY k."id";
-- name: all_of()
SELECT "id", {old}, "rank", "hint" FROM {table} ORDER BY "id";
-- name: childless()
SELECT {old} FROM {table} p WHERE NOT EXISTS (SELECT 1 FROM "kids" k WHERE k."parentId" = p."id")
  ORDER BY {old};
"""
    rows = f"""INSERT INTO {table} VALUES (1, 'one', 5, NULL), (2, 'two', -1, 'h');
INSERT INTO "kids" VALUES (1, 1, 'w'), (2, NULL, NULL);"""
    calls = (
        ("add", {"id": 3, "v": "three"}),
        ("kid", {"id": 5, "parent": 3, "word": None}),
        ("kid", {"id": 6, "parent": None, "word": "alone"}),
        ("change", {"id": 3, "v": "drei"}),
    )
    return Application(
        name, ddl.format(t=table, c=old), ddl.format(t=table, c=new), program, rows, calls
    )


MERGED = (
    ("Magento: customer and address", "customer", "address", "street", "city"),
    ("Saleor: product and weight", "product", "shipping", "weight", "unit"),
    ("Moodle: user and preferences", "mdl_user", "mdl_prefs", "lang", "theme"),
    ("Spree: store credit and note", '"storeCredit"', '"creditNote"', "memo", "author"),
    ("OpenMRS: patient and contact", '"Patient"', '"Contact"', "phone", "mail"),
)
"""Two tables that are one to one and become one."""


def merged(name: str, table: str, part: str, one: str, other: str) -> Application:
    """A part with the key of its whole, merged into it.

    Args:
      name: name of the scenario.
      table: table of the whole, as written in SQL.
      part: table of the part.
      one: first column of the part, without quotes.
      other: second column of the part, without quotes.
    """
    source = (
        f'CREATE TABLE {table} ("id" integer PRIMARY KEY, "title" text NOT NULL);'
        f'CREATE TABLE {part} ("ownerId" integer PRIMARY KEY REFERENCES {table}("id") '
        f'ON DELETE CASCADE, "{one}" text, "{other}" text DEFAULT \'d\');'
    )
    target = (
        f'CREATE TABLE {table} ("id" integer PRIMARY KEY, "title" text NOT NULL, "{one}" text, '
        f"\"{other}\" text DEFAULT 'd');"
    )
    program = f"""-- name: add(id, title, a, b)
INSERT INTO {table} ("id", "title") VALUES (:id, :title);
INSERT INTO {part} ("ownerId", "{one}", "{other}") VALUES (:id, :a, :b);
-- name: change(id, a)
UPDATE {part} SET "{one}" = :a WHERE "ownerId" = :id;
-- name: both()
SELECT t."id", t."title", p."{one}", p."{other}" FROM {table} t JOIN {part} p
  ON p."ownerId" = t."id" ORDER BY t."id";
-- name: found()
SELECT t."title" FROM {table} t JOIN {part} p ON p."ownerId" = t."id" WHERE p."{other}" IS NULL
  ORDER BY 1;
-- name: kill(id)
DELETE FROM {part} WHERE "ownerId" = :id;
DELETE FROM {table} WHERE "id" = :id;
"""
    rows = f"""INSERT INTO {table} VALUES (1, 't1'), (2, 't2');
INSERT INTO {part} VALUES (1, 'x', NULL), (2, NULL, 'y');"""
    calls = (
        ("add", {"id": 4, "title": "t4", "a": None, "b": "z"}),
        ("change", {"id": 4, "a": "now"}),
        ("change", {"id": 1, "a": None}),
        ("kill", {"id": 2}),
    )
    return Application(name, source, target, program, rows, calls)


KEYED = (
    ("Redmine: members with a key of their own", "members", "user_id", "project_id", "role"),
    ("Moodle: enrolments", "mdl_enrol", "userid", "courseid", "status"),
    ("Discourse: topic users", "topic_users", "user_id", "topic_id", "level"),
    ("Prisma: TeamMember", '"TeamMember"', "userId", "teamId", "title"),
    ("Zulip: subscription", "zerver_sub", "profile", "recipient", "color"),
)
"""Association tables that get a key of their own, and a table for their attribute."""


def keyed(name: str, table: str, one: str, other: str, what: str) -> Application:
    """A composite key becomes UNIQUE, and an attribute moves to a table of its own.

    Args:
      name: name of the scenario.
      table: table, as written in SQL.
      one: first column of the key, without quotes.
      other: second column of the key, without quotes.
      what: column that moves, without quotes.
    """
    source = (
        f'CREATE TABLE {table} ("{one}" integer NOT NULL, "{other}" integer NOT NULL, '
        f'"{what}" text, "since" integer DEFAULT 0, PRIMARY KEY ("{one}", "{other}"));'
    )
    target = (
        f'CREATE TABLE {table} ("id" integer PRIMARY KEY, "{one}" integer NOT NULL, '
        f'"{other}" integer NOT NULL, "since" integer DEFAULT 0, UNIQUE ("{one}", "{other}"));'
        f'CREATE TABLE "extra" ("id" integer PRIMARY KEY, "linkId" integer NOT NULL '
        f'REFERENCES {table}("id") ON DELETE CASCADE, "{what}" text);'
    )
    program = f"""-- name: tie(a, b, w)
INSERT INTO {table} ("{one}", "{other}", "{what}") VALUES (:a, :b, :w);
-- name: mark(a, b, w)
UPDATE {table} SET "{what}" = :w WHERE "{one}" = :a AND "{other}" = :b;
-- name: untie(a, b)
DELETE FROM {table} WHERE "{one}" = :a AND "{other}" = :b;
-- name: ties()
SELECT "{one}", "{other}", "{what}", "since" FROM {table} ORDER BY 1, 2;
-- name: counted()
SELECT "{one}", COUNT(*) AS n FROM {table} GROUP BY "{one}" ORDER BY "{one}";
"""
    rows = f"INSERT INTO {table} VALUES (1, 2, 'x', 7), (1, 3, NULL, NULL), (2, 2, 'y', 0);"
    calls = (
        ("tie", {"a": 5, "b": 6, "w": None}),
        ("mark", {"a": 1, "b": 3, "w": "z"}),
        ("mark", {"a": 2, "b": 2, "w": None}),
        ("untie", {"a": 1, "b": 2}),
        ("untie", {"a": 9, "b": 9}),
    )
    return Application(name, source, target, program, rows, calls)


PARENTS = (
    ("WordPress: post excerpt", "wp_posts", "wp_users", "post_title", "excerpt"),
    ("Ghost: newsletter body", '"Posts"', '"Members"', "Subject", "bodyText"),
    ("Mattermost: channel header", "channels", "teams", "display_name", "header"),
    ("Invoice Ninja: invoice terms", "invoices", "clients", "number", "terms"),
    ("Kanboard: task description", "tasks", "projects", "title", "description"),
)
"""Children whose long text moves away, while their reference stays."""


def parted(name: str, table: str, parent: str, title: str, text: str) -> Application:
    """A column of a child moves to a table of its own.

    Args:
      name: name of the scenario.
      table: table of the child, as written in SQL.
      parent: table of the parent.
      title: column that stays, without quotes.
      text: column that moves, without quotes.
    """
    top = f'CREATE TABLE {parent} ("id" integer PRIMARY KEY, "login" text NOT NULL);'
    line = (
        f'CREATE TABLE {table} ("id" integer PRIMARY KEY, "owner" integer '
        f'REFERENCES {parent}("id") ON DELETE SET NULL, "{title}" text NOT NULL'
    )
    source = f'{top}{line}, "{text}" text, "views" integer NOT NULL DEFAULT 0);'
    target = (
        f'{top}{line}, "views" integer NOT NULL DEFAULT 0);'
        f'CREATE TABLE "texts" ("childId" integer PRIMARY KEY REFERENCES {table}("id") '
        f'ON DELETE CASCADE, "{text}" text);'
    )
    program = f"""-- name: join_in(id, login)
INSERT INTO {parent} ("id", "login") VALUES (:id, :login);
-- name: write(id, owner, title, body)
INSERT INTO {table} ("id", "owner", "{title}", "{text}") VALUES (:id, :owner, :title, :body);
-- name: edit(id, body)
UPDATE {table} SET "{text}" = :body WHERE "id" = :id;
-- name: view(id)
UPDATE {table} SET "views" = "views" + 1 WHERE "id" = :id;
-- name: erase(id)
DELETE FROM {table} WHERE "id" = :id;
-- name: listed()
SELECT c."id", p."login", c."{title}", c."{text}", c."views" FROM {table} c JOIN {parent} p
  ON p."id" = c."owner" ORDER BY c."id";
-- name: everything()
SELECT "{title}", COALESCE("{text}", '-') AS shown FROM {table} ORDER BY "id";
-- name: silent()
SELECT p."login", COUNT(c."id") AS n FROM {parent} p LEFT JOIN {table} c ON c."owner" = p."id"
  GROUP BY p."login" ORDER BY p."login";
"""
    rows = f"""INSERT INTO {parent} VALUES (1, 'ann'), (2, 'bo');
INSERT INTO {table} VALUES (1, 1, 't', 'body', 3), (2, NULL, 'u', NULL, 0), (3, 1, 'v', '', 1);"""
    calls = (
        ("join_in", {"id": 3, "login": "cy"}),
        ("write", {"id": 8, "owner": 3, "title": "w", "body": None}),
        ("write", {"id": 9, "owner": None, "title": "x", "body": "long"}),
        ("edit", {"id": 8, "body": "found"}),
        ("view", {"id": 8}),
        ("erase", {"id": 1}),
    )
    return Application(name, source, target, program, rows, calls)


MOVED = (
    ("Nextcloud: quota to accounts", "accounts", "quota"),
    ("Keycloak: realm to settings", "realms", "theme"),
    ("Matomo: currency to sites", '"siteInfo"', "currency"),
    ("Gitea: visibility", "repository", "visibility"),
    ("Odoo: lead color", '"crm.lead"', "color"),
)
"""A column that moves between two tables that are one to one."""


def moved(name: str, table: str, column: str) -> Application:
    """A column moves from a table to the one that refers to it."""
    base = (
        'CREATE TABLE {t} ("id" integer PRIMARY KEY, "name" text NOT NULL{a});CREATE TABLE '
        '"settings" ("ref" integer PRIMARY KEY REFERENCES {t}("id") ON DELETE CASCADE, '
        '"level" integer NOT NULL DEFAULT 2{b});'
    )
    more = f', "{column}" text'
    program = f"""-- name: open_it(id, name, v, level)
INSERT INTO {table} ("id", "name", "{column}") VALUES (:id, :name, :v);
INSERT INTO "settings" ("ref", "level") VALUES (:id, :level);
-- name: choose(id, v)
UPDATE {table} SET "{column}" = :v WHERE "id" = :id;
-- name: chosen()
SELECT t."name", t."{column}", s."level" FROM {table} t JOIN "settings" s ON s."ref" = t."id"
  ORDER BY t."id";
-- name: unset()
SELECT "name" FROM {table} WHERE "{column}" IS NULL ORDER BY "name";
"""
    rows = f"""INSERT INTO {table} VALUES (1, 'a', 'x'), (2, 'b', NULL);
INSERT INTO "settings" VALUES (1, 5), (2, 2);"""
    calls = (
        ("open_it", {"id": 3, "name": "c", "v": None, "level": 9}),
        ("choose", {"id": 3, "v": "y"}),
        ("choose", {"id": 1, "v": None}),
    )
    return Application(
        name,
        base.format(t=table, a=more, b=""),
        base.format(t=table, a="", b=more),
        program,
        rows,
        calls,
    )


APPLICATIONS = (
    *(
        Application(name, *split(table, more), crud(table), thing_rows(table), THINGS)
        for name, table, more in SPLITS
    ),
    *(renamed(*one) for one in RENAMES),
    *(merged(*one) for one in MERGED),
    *(keyed(*one) for one in KEYED),
    *(parted(*one) for one in PARENTS),
    *(moved(*one) for one in MOVED),
)
