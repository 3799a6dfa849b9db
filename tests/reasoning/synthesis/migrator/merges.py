"""Refactorings that put several old tables into one new table, with data and calls."""

from dataclasses import replace

from benchmarks.migrator_scenarios.applications import Application

OLD = """CREATE TABLE owners (id integer PRIMARY KEY);
CREATE TABLE cats (id integer PRIMARY KEY, name text NOT NULL, lives integer, "ownerId" integer
  REFERENCES owners (id));
CREATE TABLE dogs (id integer PRIMARY KEY, name text NOT NULL, barks integer, "ownerId" integer
  REFERENCES owners (id));
"""
REST = 'name text NOT NULL, lives integer, barks integer, "ownerId" integer REFERENCES owners (id)'
OWNERS = "CREATE TABLE owners (id integer PRIMARY KEY);\n"
PROGRAM = """-- name: add_cat(id, name, lives)
INSERT INTO cats (id, name, lives) VALUES (:id, :name, :lives);
-- name: add_dog(id, name, barks)
INSERT INTO dogs (id, name, barks) VALUES (:id, :name, :barks);
-- name: rename_cat(id, name)
UPDATE cats SET name = :name WHERE id = :id;
-- name: adopt(id, owner)
UPDATE dogs SET "ownerId" = :owner WHERE id = :id;
-- name: add_owner(id)
INSERT INTO owners (id) VALUES (:id);
-- name: drop_dog(id)
DELETE FROM dogs WHERE id = :id;
-- name: lively()
SELECT name, lives FROM cats WHERE lives > 1 OR lives IS NULL ORDER BY name;
-- name: cats()
SELECT * FROM cats ORDER BY id;
-- name: dogs()
SELECT id, name, barks FROM dogs ORDER BY id;
-- name: all_names()
SELECT name FROM cats UNION ALL SELECT name FROM dogs ORDER BY name;
-- name: same_names()
SELECT c.id, d.id AS dog FROM cats c JOIN dogs d ON c.name = d.name ORDER BY 1, 2;
-- name: lonely()
SELECT c.name FROM cats c LEFT JOIN dogs d ON d.name = c.name WHERE d.id IS NULL ORDER BY 1;
-- name: pairs()
SELECT o.id, c.name AS cat, d.name AS dog FROM owners o LEFT JOIN cats c ON c."ownerId" = o.id LEFT
  JOIN dogs d ON d."ownerId" = o.id ORDER BY 1, 2, 3;
"""
CALLS = (
    ("add_cat", {"id": 50, "name": "x", "lives": None}),
    ("add_dog", {"id": 51, "name": "x", "barks": 3}),
    ("rename_cat", {"id": 1, "name": "rex"}),
    ("adopt", {"id": 12, "owner": 2}),
    ("drop_dog", {"id": 11}),
    ("drop_dog", {"id": 2}),
)
ROWS = """INSERT INTO owners VALUES (1), (2);
INSERT INTO cats VALUES (1, 'tom', 9, 1), (2, 'it''s', NULL, NULL);
INSERT INTO dogs VALUES (11, 'rex', 1, 2), (12, 'tom', NULL, NULL);"""
SHARED = ROWS.replace("(11, 'rex'", "(1, 'rex'")
"""A cat and a dog with one key."""


def pets(name: str, columns: str, rows: str = SHARED) -> Application:
    """Cats and dogs in one table, whose first columns and keys are given."""
    target = f"{OWNERS}CREATE TABLE pets ({columns.replace('...', REST)});"
    return Application(name, OLD, target, PROGRAM, rows, CALLS)


SUBJECTS = """CREATE TABLE posts (id integer PRIMARY KEY, title text);
CREATE TABLE photos (id integer PRIMARY KEY, title text);
CREATE TABLE videos (id integer PRIMARY KEY);
"""
COMMENTS = Application(
    "three tables, whose references one column holds in turn",
    SUBJECTS
    + """CREATE TABLE post_comments (id integer PRIMARY KEY, post_id integer NOT NULL
      REFERENCES posts(id), body text);
CREATE TABLE photo_comments (id integer PRIMARY KEY, photo_id integer NOT NULL
  REFERENCES photos(id) ON DELETE CASCADE, body text);
CREATE TABLE video_comments (id integer PRIMARY KEY, video_id integer NOT NULL
  REFERENCES videos(id), body text);
""",
    SUBJECTS
    + (
        "CREATE TABLE comments (id integer NOT NULL, commentable_type varchar(20) NOT NULL, "
        "commentable_id integer NOT NULL, body text, PRIMARY KEY (commentable_type, id));"
    ),
    """-- name: add_post(id, title)
INSERT INTO posts (id, title) VALUES (:id, :title);
-- name: add_photo(id, title)
INSERT INTO photos (id, title) VALUES (:id, :title);
-- name: drop_photo(id)
DELETE FROM photos WHERE id = :id;
-- name: add_video(id)
INSERT INTO videos (id) VALUES (:id);
-- name: say_post(id, post, body)
INSERT INTO post_comments (id, post_id, body) VALUES (:id, :post, :body);
-- name: say_photo(id, photo, body)
INSERT INTO photo_comments (id, photo_id, body) VALUES (:id, :photo, :body);
-- name: say_video(id, video, body)
INSERT INTO video_comments (id, video_id, body) VALUES (:id, :video, :body);
-- name: hush(post)
DELETE FROM post_comments WHERE post_id = :post;
-- name: of_posts()
SELECT p.title, c.body FROM posts p JOIN post_comments c ON c.post_id = p.id ORDER BY p.title, c.id;
-- name: photos()
SELECT p.id, COUNT(c.id) AS n FROM photos p LEFT JOIN photo_comments c ON c.photo_id = p.id
  GROUP BY p.id ORDER BY p.id;
-- name: videos()
SELECT id, video_id, body FROM video_comments ORDER BY id;
-- name: silent()
SELECT id FROM posts WHERE id NOT IN (SELECT post_id FROM post_comments) ORDER BY id;
""",
    """INSERT INTO posts VALUES (1, 'p'), (2, 'q'); INSERT INTO photos VALUES (1, 'f'), (3, NULL);
      INSERT INTO videos VALUES (1);
INSERT INTO post_comments VALUES (1, 1, 'x'), (2, 2, NULL);
  INSERT INTO photo_comments VALUES (1, 1, 'y'); INSERT INTO video_comments VALUES (1, 1, 'z');""",
    (
        ("say_post", {"id": 9, "post": 1, "body": "n"}),
        ("say_photo", {"id": 9, "photo": 3, "body": None}),
        ("drop_photo", {"id": 1}),
        ("hush", {"post": 1}),
        ("say_video", {"id": 5, "video": 1, "body": "v"}),
    ),
)
CHILDREN = Application(
    "two merges, one of which refers to the other",
    OLD
    + """CREATE TABLE cat_visits (no integer PRIMARY KEY, cat_id integer REFERENCES cats(id)
      ON DELETE CASCADE, day text);
CREATE TABLE dog_visits (no integer PRIMARY KEY, dog_id integer REFERENCES dogs(id)
  ON DELETE CASCADE, day text);""",
    OWNERS
    + f"""CREATE TABLE pets (kind varchar(3) NOT NULL CHECK (kind IN ('C', 'D')),
      id integer NOT NULL, {REST}, PRIMARY KEY (kind, id));
CREATE TABLE visits (pet_kind varchar(3) NOT NULL CHECK (pet_kind IN ('C', 'D')),
  no integer NOT NULL, pet_id integer, day text, PRIMARY KEY (pet_kind, no),
  FOREIGN KEY (pet_kind, pet_id) REFERENCES pets (kind, id) ON DELETE CASCADE);""",
    PROGRAM
    + """-- name: cat_visit(no, cat, day)
INSERT INTO cat_visits (no, cat_id, day) VALUES (:no, :cat, :day);
-- name: dog_visit(no, dog, day)
INSERT INTO dog_visits (no, dog_id, day) VALUES (:no, :dog, :day);
-- name: days()
SELECT c.name, v.day FROM cats c JOIN cat_visits v ON v.cat_id = c.id ORDER BY 1, 2;
-- name: dog_days()
SELECT no, dog_id, day FROM dog_visits ORDER BY no;
""",
    SHARED
    + """INSERT INTO cat_visits VALUES (1, 1, 'mo'), (2, NULL, NULL);
INSERT INTO dog_visits VALUES (1, 12, 'tu'), (3, 1, 'we');""",
    (
        *CALLS[:4],
        ("cat_visit", {"no": 9, "cat": 2, "day": "su"}),
        ("dog_visit", {"no": 9, "dog": 51, "day": None}),
        ("drop_dog", {"id": 12}),
        ("drop_dog", {"id": 1}),
    ),
)
INTERNAL = Application(
    "keys that nobody outside knows",
    """CREATE TABLE cats (id integer PRIMARY KEY, tag varchar(9) NOT NULL UNIQUE, name text);
CREATE TABLE dogs (id integer PRIMARY KEY, tag varchar(9) NOT NULL UNIQUE, name text);
CREATE TABLE walks (id integer PRIMARY KEY, dog_id integer NOT NULL REFERENCES dogs(id),
  day text);""",
    """CREATE TABLE pets (id integer PRIMARY KEY, kind varchar(9) NOT NULL,
      tag varchar(9) NOT NULL, name text, UNIQUE (kind, tag));
CREATE TABLE walks (id integer PRIMARY KEY, dog_id integer NOT NULL REFERENCES pets(id),
  day text);""",
    """-- name: name_cat(tag, name)
UPDATE cats SET name = :name WHERE tag = :tag;
-- name: forget(tag)
DELETE FROM cats WHERE tag = :tag;
-- name: walks()
SELECT d.tag, w.day FROM walks w JOIN dogs d ON d.id = w.dog_id ORDER BY 1, 2;
-- name: cats()
SELECT tag, name FROM cats ORDER BY tag;
-- name: dogs()
SELECT tag, name FROM dogs ORDER BY tag;
""",
    """INSERT INTO cats VALUES (1, 'a', 'x'), (2, 'b', NULL), (7, 'c', 'z');
INSERT INTO dogs VALUES (1, 'a', 'r'), (2, 'q', NULL);
  INSERT INTO walks VALUES (1, 1, 'mo'), (2, 2, 'tu'), (3, 1, 'we');""",
    (("name_cat", {"tag": "b", "name": "bb"}), ("forget", {"tag": "a"})),
)
STAFF = Application(
    "into a table of the same name, with a Boolean column",
    """CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, "fullName" text);
CREATE TABLE admins (id integer PRIMARY KEY, email text NOT NULL, "fullName" text,
  level integer DEFAULT 3);""",
    """CREATE TABLE users (id integer NOT NULL, is_admin boolean NOT NULL DEFAULT false,
      email text NOT NULL, "fullName" text, level integer DEFAULT 3,
      PRIMARY KEY (id, is_admin));""",
    """-- name: add_user(id, email)
INSERT INTO users (id, email) VALUES (:id, :email);
-- name: add_admin(id, email)
INSERT INTO admins (id, email) VALUES (:id, :email);
-- name: promote(id)
UPDATE admins SET level = level + 1 WHERE id = :id;
-- name: users()
SELECT id, email, "fullName" FROM users ORDER BY id;
-- name: admins()
SELECT id, email, "fullName", level FROM admins ORDER BY id;
-- name: fire(level)
DELETE FROM admins WHERE level < :level;
""",
    """INSERT INTO users VALUES (1, 'a', 'Ann'), (2, 'b', NULL);
      INSERT INTO admins VALUES (1, 'r', 'Root', 1), (5, 'q', NULL, NULL);""",
    (
        ("add_user", {"id": 9, "email": "n"}),
        ("add_admin", {"id": 9, "email": "m"}),
        ("promote", {"id": 1}),
        ("fire", {"level": 3}),
    ),
)
COMPOSITE = pets(
    "key with the constant",
    "kind varchar(9) NOT NULL, id integer NOT NULL, ..., PRIMARY KEY (kind, id)",
)
SINGLE = pets(
    "key of all rows",
    "id integer PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('dog', 'cat')), ...",
    ROWS,
)
MERGES = {
    "composite": COMPOSITE,
    "single": SINGLE,
    "numbers": pets(
        "numbers tell the rows apart",
        (
            "id integer NOT NULL, species integer NOT NULL CHECK (species IN (7, 8)), ..., "
            "PRIMARY KEY (species, id)"
        ),
    ),
    "surrogate": replace(
        pets(
            "a new key",
            (
                "pet_no integer PRIMARY KEY, kind varchar(9) NOT NULL, id integer NOT NULL, ..., "
                "UNIQUE (kind, id)"
            ),
        ),
        calls=CALLS[1:],
    ),
    "words": pets(
        "camel case and words with spaces",
        """"kind" varchar(9) NOT NULL CHECK ("kind" = 'a cat' OR ("kind" = 'a dog')),
          "petId" integer NOT NULL, "petName" text NOT NULL, lives integer, barks integer,
          "ownerId" integer REFERENCES owners (id), PRIMARY KEY ("petId", "kind")""",
    ),
    "comments": COMMENTS,
    "children": CHILDREN,
    "internal": INTERNAL,
    "staff": STAFF,
}
VEHICLES = Application(
    "single table inheritance, keys given by the database",
    """CREATE TABLE owners (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE cars (id serial PRIMARY KEY, plate varchar(20) NOT NULL UNIQUE, owner_id integer
  REFERENCES owners(id) ON DELETE CASCADE, doors integer, made timestamp NOT NULL DEFAULT now());
CREATE TABLE trucks (id serial PRIMARY KEY, plate varchar(20) NOT NULL UNIQUE, owner_id integer
  REFERENCES owners(id) ON DELETE CASCADE, payload_kg integer NOT NULL DEFAULT 5,
  made timestamp NOT NULL DEFAULT now());
""",
    """CREATE TYPE vehicle AS ENUM ('Truck', 'Car');
CREATE TABLE owners (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE vehicles (id serial PRIMARY KEY, type vehicle NOT NULL, plate varchar(20) NOT NULL,
  owner_id integer REFERENCES owners(id) ON DELETE CASCADE, doors integer,
  payload_kg integer DEFAULT 5, made timestamp NOT NULL DEFAULT now(), UNIQUE (type, plate));
""",
    """-- name: add_owner(name)
INSERT INTO owners (name) VALUES (:name) RETURNING id;
-- name: add_car(plate, owner, doors)
INSERT INTO cars (plate, owner_id, doors) VALUES (:plate, :owner, :doors);
-- name: add_truck(plate, owner)
INSERT INTO trucks (plate, owner_id) VALUES (:plate, :owner);
-- name: sell_car(plate)
DELETE FROM cars WHERE plate = :plate;
-- name: close_account(owner)
DELETE FROM owners WHERE id = :owner;
-- name: cars()
SELECT c.plate, c.doors, o.name FROM cars c LEFT JOIN owners o ON o.id = c.owner_id
  ORDER BY c.plate;
-- name: heavy()
SELECT t.plate, t.payload_kg, o.name FROM trucks t JOIN owners o ON o.id = t.owner_id
  WHERE t.payload_kg > 1 ORDER BY 1;
-- name: fleet()
SELECT plate FROM cars WHERE made IS NOT NULL UNION ALL SELECT plate FROM trucks
  WHERE made IS NOT NULL ORDER BY plate;
""",
    """INSERT INTO owners (name) VALUES ('a'), ('b');
INSERT INTO cars (plate, owner_id, doors) VALUES ('x', 1, 4), ('y', NULL, NULL), ('z', 2, 2);
INSERT INTO trucks (plate, owner_id, payload_kg) VALUES ('x', 2, 9), ('w', 1, 1);""",
    (
        ("add_car", {"plate": "new", "owner": 1, "doors": None}),
        ("add_truck", {"plate": "new", "owner": 2}),
        ("add_owner", {"name": "c"}),
        ("add_truck", {"plate": "n2", "owner": 3}),
        ("sell_car", {"plate": "x"}),
        ("close_account", {"owner": 2}),
    ),
)
"""In PostgreSQL only."""
