"""Small sources after six real schemas (all rows are ours): Chinook, Northwind, Redmine, GitHub's
issues, npm's metadata, WordPress.
"""

from typing import Any

from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.infer import infer_schema, loosened
from reasoning.synthesis.schema import Schema


def rows(names: str, *values: tuple) -> list[dict[str, Any]]:
    """Records from tuples."""
    return [dict(zip(names.split(), one, strict=True)) for one in values]


CHINOOK = {
    "Artist": rows("ArtistId Name", (1, "AC/DC"), (2, "Accept"), (3, "Aerosmith")),
    "Album": rows(
        "AlbumId Title ArtistId",
        (11, "For Those", 1),
        (12, "Balls", 2),
        (13, "Restless", 2),
        (14, "Let Rock", 1),
    ),
    "Genre": rows("GenreId Name", (21, "Rock"), (22, "Metal"), (23, "Jazz")),
    "Track": rows(
        "TrackId Name AlbumId GenreId Composer Milliseconds",
        (101, "One Way", 11, 21, "Young, Johnson", 343719),
        (102, "Fast", 12, 22, None, 342562),
        (103, "Princess", 13, None, "Deaffy", 375418),
        (104, "Whole", None, 21, None, 369319),
    ),
    "Employee": rows(
        "EmployeeId LastName FirstName Title ReportsTo",
        (31, "Adams", "Andrew", "Manager", None),
        (32, "Edwards", "Nancy", "Agent", 31),
        (33, "Peacock", "Jane", "Agent", 31),
        (34, "Park", "Meg", "Clerk", 32),
    ),
    "Customer": rows(
        "CustomerId FirstName LastName Country SupportRepId",
        (41, "Luis", "Silva", "Brazil", 33),
        (42, "Leonie", "Kohler", "Germany", None),
        (43, "Marc", "Roy", "Canada", 34),
    ),
    "Invoice": rows(
        "InvoiceId CustomerId BillingCity Total",
        (51, 41, "Rio", 1.98),
        (52, 42, "Bonn", 3.96),
        (53, 41, None, 5.94),
    ),
    "InvoiceLine": rows(
        "InvoiceLineId InvoiceId TrackId Quantity",
        (61, 51, 101, 1),
        (62, 51, 103, 2),
        (63, 52, 102, 1),
        (64, 53, 101, 3),
    ),
    "PlaylistTrack": rows("PlaylistId TrackId", (71, 101), (71, 102), (72, 101)),
    "Playlist": rows("PlaylistId Name", (71, "Music"), (72, "Heavy"), (73, "Empty")),
}
CHINOOK_DDL = """
CREATE TABLE [Artist] ([ArtistId] INT NOT NULL IDENTITY, [Name] NVARCHAR(120),
  CONSTRAINT [PK_A] PRIMARY KEY CLUSTERED ([ArtistId]));
GO
CREATE TABLE [Album] ([AlbumId] INT PRIMARY KEY, [Title] NVARCHAR(160), [ArtistId] INT
  REFERENCES [Artist] ([ArtistId]));
CREATE TABLE [Genre] ([GenreId] INT PRIMARY KEY, [Name] NVARCHAR(120));
CREATE TABLE [Track] ([TrackId] INT PRIMARY KEY, [Name] NVARCHAR(200), [AlbumId] INT
  REFERENCES [Album], [GenreId] INT REFERENCES [Genre], [Composer] NVARCHAR(220),
  [Milliseconds] INT);
CREATE TABLE [Employee] ([EmployeeId] INT PRIMARY KEY, [LastName] NVARCHAR(20),
  [FirstName] NVARCHAR(20), [Title] NVARCHAR(30), [ReportsTo] INT
  REFERENCES [Employee] ([EmployeeId]));
CREATE TABLE [Customer] ([CustomerId] INT PRIMARY KEY, [FirstName] NVARCHAR(40),
  [LastName] NVARCHAR(20), [Country] NVARCHAR(40), [SupportRepId] INT
  REFERENCES [Employee] ([EmployeeId]));
CREATE TABLE [Invoice] ([InvoiceId] INT PRIMARY KEY, [CustomerId] INT REFERENCES [Customer],
  [BillingCity] NVARCHAR(40), [Total] FLOAT);
CREATE TABLE [InvoiceLine] ([InvoiceLineId] INT PRIMARY KEY, [InvoiceId] INT REFERENCES [Invoice],
  [TrackId] INT REFERENCES [Track], [Quantity] INT);
CREATE TABLE [Playlist] ([PlaylistId] INT PRIMARY KEY, [Name] NVARCHAR(120));
CREATE TABLE [PlaylistTrack] ([PlaylistId] INT REFERENCES [Playlist], [TrackId] INT
  REFERENCES [Track]);
GO
"""
NORTHWIND = {
    "suppliers": rows("supplier_id company_name country", (1, "Exotic", "UK"), (2, "Cajun", "USA")),
    "categories": rows("category_id category_name", (11, "Drinks"), (12, "Sauces"), (13, "Fish")),
    "products": rows(
        "product_id product_name supplier_id category_id discontinued",
        (21, "Chai", 1, 11, 0),
        (22, "Syrup", 1, 12, 1),
        (23, "Gumbo", 2, 12, 0),
        (24, "Loose", None, None, 0),
    ),
    "shippers": rows("shipper_id company_name", (31, "Speedy"), (32, "United")),
    "customers": rows(
        "customer_id company_name contact_name",
        ("ALFKI", "Alfreds", "Maria Anders"),
        ("ANATR", "Ana Trujillo", "Ana Trujillo"),
        ("BERGS", "Berglunds", "Christina Berglund"),
    ),
    "orders": rows(
        "order_id customer_id ship_via order_date",
        (41, "ALFKI", 31, "1996-07-04"),
        (42, "ANATR", None, "1996-07-05"),
        (43, "ALFKI", 32, None),
    ),
    "order_details": rows(
        "order_id product_id quantity", (41, 21, 12), (41, 22, 10), (42, 23, 5), (42, 23, 5)
    ),
}
REDMINE = {
    "users": rows(
        "id login firstname lastname",
        (1, "ann", "Ann", "Lee"),
        (2, "bo", "Bo", "Chen"),
        (3, "cy", "Cy", "Dahl"),
    ),
    "projects": rows("id name parent_id", (11, "Web", None), (12, "Shop", 11), (13, "Docs", 11)),
    "trackers": rows("id name", (21, "Bug"), (22, "Feature")),
    "issues": rows(
        "id project_id tracker_id subject status_id author_id assigned_to_id",
        (101, 11, 21, "crash", 1, 1, 2),
        (102, 12, 22, "export", 2, 2, None),
        (103, 12, 21, "typo", 1, 1, 3),
        (104, 13, 21, "slow", 5, 3, 2),
    ),
    "journals": rows(
        "id issue_id user_id notes", (201, 101, 1, "hm"), (202, 101, 2, "ok"), (203, 103, 1, None)
    ),
    "watchers": rows("issue_id user_id", (101, 3), (101, 1), (102, 3)),
    "custom_values": rows(
        "id issue_id field value",
        (301, 101, "os", "linux"),
        (302, 101, "prio", "high"),
        (303, 102, "os", "mac"),
        (304, 103, "prio", "low"),
        (305, 102, "prio", "mid"),
    ),
}
GITHUB = {
    "issues": [
        {
            "id": 3001,
            "number": 12,
            "title": "Crash",
            "state": "open",
            "locked": False,
            "user": {"login": "ann", "uid": 11},
            "labels": [{"lid": 1, "name": "bug"}, {"lid": 2, "name": "p1"}],
            "assignee": None,
            "closed_at": None,
        },
        {
            "id": 3002,
            "number": 13,
            "title": "Docs",
            "state": "closed",
            "locked": True,
            "user": {"login": "bob", "uid": 12},
            "labels": [],
            "assignee": {"login": "ann", "uid": 11},
            "closed_at": "2024-03-05",
        },
        {
            "id": 3003,
            "number": 14,
            "title": "CSV",
            "state": "open",
            "locked": False,
            "user": {"login": "ann", "uid": 11},
            "labels": [{"lid": 2, "name": "p1"}],
            "assignee": {"login": "cy", "uid": 13},
            "closed_at": None,
        },
    ]
}
NPM = {
    "package": [
        {
            "name": "leftish",
            "license": "MIT",
            "keywords": ["pad", "string"],
            "repository": {"type": "git", "url": "git@x/left"},
            "versions": {"1.0.0": {"size": 10, "node": ">=4"}, "1.1.0": {"size": 12, "node": None}},
            "maintainers": [{"login": "ann"}, {"login": "bo"}],
        },
        {
            "name": "rightish",
            "license": "ISC",
            "keywords": ["x"],
            "repository": None,
            "versions": {"0.1.0": {"size": 7, "node": ">=8"}},
            "maintainers": [{"login": "ann"}],
        },
        {
            "name": "upish",
            "license": None,
            "keywords": [],
            "repository": None,
            "versions": {},
            "maintainers": [],
        },
    ]
}
WORDPRESS = {
    "wp_users": rows("ID user_login display_name", (1, "admin", "Ad Min"), (2, "eve", "Eve Ryder")),
    "wp_posts": rows(
        "ID post_author post_title post_type post_status",
        (11, 1, "Mug", "product", "publish"),
        (12, 2, "Hello", "post", "draft"),
        (13, 1, "Cap", "product", "publish"),
        (14, 2, "About", "page", "publish"),
    ),
    "wp_postmeta": rows(
        "meta_id post_id meta_key meta_value",
        (1, 11, "_price", "9.90"),
        (2, 11, "_sku", "MUG-1"),
        (3, 13, "_price", "15.00"),
        (4, 13, "_sku", "CAP-1"),
        (5, 12, "_edit_lock", "1700:1"),
        (6, 13, "_stock", "4"),
    ),
    "wp_comments": rows(
        "comment_ID comment_post_ID user_id comment_content",
        (21, 12, 1, "nice"),
        (22, 12, None, "spam"),
        (23, 11, 2, "good"),
    ),
    "wp_terms": rows("term_id name", (31, "News"), (32, "Sale"), (33, "Unused")),
    "wp_term_relationships": rows("object_id term_id", (12, 31), (11, 32), (13, 32), (14, 31)),
}
SOURCES: dict[str, dict] = {
    "chinook": CHINOOK,
    "northwind": NORTHWIND,
    "redmine": REDMINE,
    "github": GITHUB,
    "npm": NPM,
    "wordpress": WORDPRESS,
}


def schema_of(domain: str) -> Schema:
    """The source schema of a domain: declared for Chinook, inferred for the others."""
    if domain == "chinook":
        return from_ddl(CHINOOK_DDL)
    return loosened(infer_schema(SOURCES[domain]))
