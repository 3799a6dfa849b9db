"""The refactorings inside the generated applications: the tables that change, and the functions
that touch them, by hand.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """Change and size of an application."""

    name: str
    """Number and refactoring."""
    functions: int
    """Of the whole application."""
    tables: int
    """Of its old schema."""
    columns: int
    """Of its old schema."""
    parent: str
    """The core table that generated tables refer to."""
    parent_column: str
    """By which generated functions look it up."""
    source: str
    """Old DDL of the tables that change."""
    target: str
    """New DDL of them."""
    program: str
    """Functions on them."""
    tied: float = 0.35
    """Number of generated tables that refer to `parent`."""

    @property
    def used(self) -> set[str]:
        """Names of core tables."""
        return set(re.findall(r"CREATE TABLE (\w+)", self.source + self.target))

    @property
    def source_columns(self) -> int:
        """Columns of the old core tables."""
        return sum(
            part.count(",") + 1
            for part in re.findall(
                r"CREATE TABLE \w+ \((.*?)\);",
                re.sub(r", PRIMARY KEY \(.*?\)\)", ")", self.source),
                re.S,
            )
        )


USERS = "CREATE TABLE users (id INT PRIMARY KEY, login TEXT, email TEXT);\n"
USER_FUNCTIONS = """-- name: add_user(id, login, email)
INSERT INTO users VALUES (:id, :login, :email);
-- name: user_email(login)
SELECT email FROM users WHERE login = :login;
"""
FILTERS = Core(
    "11 rename a column, extract filters",
    138,
    16,
    125,
    "project",
    "title",
    USERS
    + "CREATE TABLE project (id INT PRIMARY KEY, title TEXT, user_id INT REFERENCES users(id), txt "
    "TEXT, "
    "filter_name TEXT, filter_query TEXT, stars INT);",
    USERS
    + """CREATE TABLE project (id INT PRIMARY KEY, title TEXT, user_id INT REFERENCES users(id), description TEXT, stars INT);
CREATE TABLE filters (id INT PRIMARY KEY, project_id INT REFERENCES project(id), filter_name TEXT,
  filter_query TEXT, created TEXT, shared INT, usage INT, hint TEXT);""",
    USER_FUNCTIONS
    + """-- name: add_project(id, title, user_id, txt, filter_name, filter_query, stars)
INSERT INTO project VALUES (:id, :title, :user_id, :txt, :filter_name, :filter_query, :stars);
-- name: get_project(id)
SELECT title, txt, stars FROM project WHERE id = :id;
-- name: drop_project(id)
DELETE FROM project WHERE id = :id;
-- name: drop_by_filter(filter_name)
DELETE FROM project WHERE filter_name = :filter_name;
-- name: set_filter(id, filter_name, filter_query)
UPDATE project SET filter_name = :filter_name, filter_query = :filter_query WHERE id = :id;
-- name: describe(id, txt)
UPDATE project SET txt = :txt WHERE id = :id;
-- name: star(id, stars)
UPDATE project SET stars = :stars WHERE id = :id;
-- name: filter_of(id)
SELECT filter_name, filter_query FROM project WHERE id = :id;
-- name: filters_of(login)
SELECT p.title, p.filter_name FROM project p JOIN users u ON p.user_id = u.id WHERE u.login = :login;
-- name: popular(stars)
SELECT title, txt FROM project WHERE stars > :stars ORDER BY title;
""",
)
LOCATIONS = Core(
    "12 extract locations",
    45,
    4,
    51,
    "coach",
    "name",
    "CREATE TABLE coach (id INT PRIMARY KEY, name TEXT, sport TEXT, fee INT, street TEXT, town "
    "TEXT, postcode TEXT);",
    """CREATE TABLE coach (id INT PRIMARY KEY, name TEXT, sport TEXT, fee INT, location_id INT REFERENCES locations(id));
CREATE TABLE locations (id INT PRIMARY KEY, street TEXT, town TEXT, postcode TEXT, lat FLOAT, lng FLOAT);""",
    """-- name: add_coach(id, name, sport, fee, street, town, postcode)
INSERT INTO coach VALUES (:id, :name, :sport, :fee, :street, :town, :postcode);
-- name: get_coach(id)
SELECT name, sport, fee, town FROM coach WHERE id = :id;
-- name: move_coach(id, street, town, postcode)
UPDATE coach SET street = :street, town = :town, postcode = :postcode WHERE id = :id;
-- name: set_fee(id, fee)
UPDATE coach SET fee = :fee WHERE id = :id;
-- name: drop_coach(id)
DELETE FROM coach WHERE id = :id;
-- name: leave_town(town)
DELETE FROM coach WHERE town = :town;
-- name: coaches_in(town, sport)
SELECT name, fee FROM coach WHERE town = :town AND sport = :sport;
-- name: towns_of(sport)
SELECT DISTINCT town FROM coach WHERE sport = :sport;
-- name: address_of(name)
SELECT street, town, postcode FROM coach WHERE name = :name;
""",
    0.7,
)
REGIONS = Core(
    "13 column to lookup table",
    125,
    15,
    155,
    "club",
    "title",
    "CREATE TABLE club (id INT PRIMARY KEY, title TEXT, region TEXT, founded INT, fee INT);",
    """CREATE TABLE club (id INT PRIMARY KEY, title TEXT, region_id INT REFERENCES regions(id), founded INT, fee INT);
CREATE TABLE regions (id INT PRIMARY KEY, region TEXT, country TEXT, zone INT);""",
    """-- name: add_club(id, title, region, founded, fee)
INSERT INTO club VALUES (:id, :title, :region, :founded, :fee);
-- name: get_club(id)
SELECT title, region, founded FROM club WHERE id = :id;
-- name: move_club(id, region)
UPDATE club SET region = :region WHERE id = :id;
-- name: rename_region(region, new_region)
UPDATE club SET region = :new_region WHERE region = :region;
-- name: close_club(id)
DELETE FROM club WHERE id = :id;
-- name: clubs_in(region)
SELECT title FROM club WHERE region = :region ORDER BY title;
-- name: count_in(region)
SELECT COUNT(*) AS number FROM club WHERE region = :region;
-- name: old_clubs(founded)
SELECT title, region FROM club WHERE founded < :founded;
-- name: set_club_fee(id, fee)
UPDATE club SET fee = :fee WHERE id = :id;
""",
)
CATEGORIES = Core(
    "14 column to lookup table, add a column",
    65,
    8,
    69,
    "product",
    "title",
    "CREATE TABLE product (id INT PRIMARY KEY, title TEXT, category TEXT, price INT, stock INT);",
    """CREATE TABLE product (id INT PRIMARY KEY, title TEXT, category_id INT REFERENCES categories(id), price INT, stock INT, sku TEXT);
CREATE TABLE categories (id INT PRIMARY KEY, category TEXT, margin FLOAT, shelf TEXT, tax INT);""",
    """-- name: add_product(id, title, category, price, stock)
INSERT INTO product VALUES (:id, :title, :category, :price, :stock);
-- name: get_product(id)
SELECT title, category, price FROM product WHERE id = :id;
-- name: recategorise(id, category)
UPDATE product SET category = :category WHERE id = :id;
-- name: sell(id, stock)
UPDATE product SET stock = :stock WHERE id = :id;
-- name: discount(category, price)
UPDATE product SET price = :price WHERE category = :category;
-- name: discontinue(category)
DELETE FROM product WHERE category = :category;
-- name: drop_product(id)
DELETE FROM product WHERE id = :id;
-- name: in_category(category)
SELECT title, price FROM product WHERE category = :category ORDER BY price;
-- name: stock_of(category)
SELECT SUM(stock) AS total FROM product WHERE category = :category;
""",
    0.5,
)
ENROLMENTS = Core(
    "15 association table to a richer one",
    151,
    19,
    152,
    "member",
    "name",
    """CREATE TABLE member (id INT PRIMARY KEY, name TEXT, mail TEXT);
CREATE TABLE crew (id INT PRIMARY KEY, title TEXT);
CREATE TABLE crew_member (member_id INT REFERENCES member(id), crew_id INT REFERENCES crew(id));""",
    """CREATE TABLE member (id INT PRIMARY KEY, name TEXT, mail TEXT);
CREATE TABLE crew (id INT PRIMARY KEY, title TEXT);
CREATE TABLE enrolment (id INT PRIMARY KEY, member_id INT REFERENCES member(id), crew_id INT REFERENCES crew(id),
  role TEXT, since TEXT);""",
    """-- name: add_member(id, name, mail)
INSERT INTO member VALUES (:id, :name, :mail);
-- name: add_crew(id, title)
INSERT INTO crew VALUES (:id, :title);
-- name: join_crew(member_id, crew_id)
INSERT INTO crew_member VALUES (:member_id, :crew_id);
-- name: leave_crew(member_id, crew_id)
DELETE FROM crew_member WHERE member_id = :member_id AND crew_id = :crew_id;
-- name: dissolve(crew_id)
DELETE FROM crew_member WHERE crew_id = :crew_id;
-- name: dissolve_titled(title)
DELETE FROM crew_member WHERE crew_id IN (SELECT id FROM crew WHERE title = :title);
-- name: crews_of(name)
SELECT c.title FROM member m JOIN crew_member x ON x.member_id = m.id JOIN crew c ON x.crew_id = c.id WHERE m.name = :name;
-- name: members_of(title)
SELECT m.name, m.mail FROM member m JOIN crew_member x ON x.member_id = m.id JOIN crew c ON x.crew_id = c.id WHERE c.title = :title;
-- name: size_of(crew_id)
SELECT COUNT(*) AS number FROM crew_member WHERE crew_id = :crew_id;
-- name: mail_of(id)
SELECT mail FROM member WHERE id = :id;
""",
)
