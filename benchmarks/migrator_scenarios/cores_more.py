"""More refactorings inside generated applications."""

from benchmarks.migrator_scenarios.cores import Core

UNITS = Core(
    "16 insert an intermediate table, re-key",
    54,
    7,
    38,
    "course",
    "title",
    """CREATE TABLE course (id INT PRIMARY KEY, title TEXT, subject TEXT);
CREATE TABLE lesson (id INT PRIMARY KEY, heading TEXT, course_id INT NOT NULL REFERENCES course(id), minutes INT);""",
    """CREATE TABLE course (id INT PRIMARY KEY, title TEXT, subject TEXT);
CREATE TABLE chapter (chapter_id INT PRIMARY KEY, course_id INT NOT NULL REFERENCES course(id), caption TEXT, place INT);
CREATE TABLE lesson (id INT PRIMARY KEY, heading TEXT, chapter_id INT NOT NULL REFERENCES chapter(chapter_id), minutes INT);""",
    """-- name: add_course(id, title, subject)
INSERT INTO course VALUES (:id, :title, :subject);
-- name: add_lesson(id, heading, course_id, minutes)
INSERT INTO lesson VALUES (:id, :heading, :course_id, :minutes);
-- name: drop_lesson(id)
DELETE FROM lesson WHERE id = :id;
-- name: drop_lessons(course_id)
DELETE FROM lesson WHERE course_id = :course_id;
-- name: move_lesson(id, course_id)
UPDATE lesson SET course_id = :course_id WHERE id = :id;
-- name: retime(id, minutes)
UPDATE lesson SET minutes = :minutes WHERE id = :id;
-- name: lessons_of(title)
SELECT l.heading, l.minutes FROM lesson l JOIN course c ON l.course_id = c.id WHERE c.title = :title;
-- name: course_of(heading)
SELECT c.title FROM lesson l JOIN course c ON l.course_id = c.id WHERE l.heading = :heading;
-- name: get_lesson(id)
SELECT heading, minutes FROM lesson WHERE id = :id;
""",
    0.3,
)
ADDRESSES = Core(
    "17 extract addresses",
    58,
    7,
    52,
    "visitor",
    "name",
    "CREATE TABLE visitor (id INT PRIMARY KEY, name TEXT, mail TEXT, street TEXT, town TEXT);",
    """CREATE TABLE visitor (id INT PRIMARY KEY, name TEXT, mail TEXT);
CREATE TABLE address (id INT PRIMARY KEY, visitor_id INT REFERENCES visitor(id), street TEXT, town TEXT,
  kind TEXT, since TEXT, note TEXT);""",
    """-- name: add_visitor(id, name, mail, street, town)
INSERT INTO visitor VALUES (:id, :name, :mail, :street, :town);
-- name: get_visitor(id)
SELECT name, mail, street, town FROM visitor WHERE id = :id;
-- name: move_visitor(id, street, town)
UPDATE visitor SET street = :street, town = :town WHERE id = :id;
-- name: set_mail(name, mail)
UPDATE visitor SET mail = :mail WHERE name = :name;
-- name: drop_visitor(id)
DELETE FROM visitor WHERE id = :id;
-- name: drop_town(town)
DELETE FROM visitor WHERE town = :town;
-- name: mails_in(town)
SELECT mail FROM visitor WHERE town = :town;
-- name: neighbours(street, town)
SELECT name FROM visitor WHERE street = :street AND town = :town ORDER BY name;
-- name: same_name(name)
SELECT a.town, b.town AS other FROM visitor a JOIN visitor b ON a.name = b.name WHERE a.name = :name;
""",
    0.4,
)
HOODS = Core(
    "18 rename, extract neighbourhoods",
    70,
    10,
    92,
    "venue",
    "name",
    "CREATE TABLE venue (id INT PRIMARY KEY, name TEXT, seats INT, hood TEXT, hood_rating INT, tel "
    "TEXT);",
    """CREATE TABLE venue (id INT PRIMARY KEY, name TEXT, capacity INT, neighbourhood_id INT REFERENCES neighbourhoods(id), tel TEXT);
CREATE TABLE neighbourhoods (id INT PRIMARY KEY, hood TEXT, hood_rating INT, city TEXT, noise FLOAT, note TEXT);""",
    """-- name: add_venue(name, seats, hood, hood_rating, tel)
INSERT INTO venue VALUES (FRESH(1), :name, :seats, :hood, :hood_rating, :tel);
-- name: find_venue(name)
SELECT id, seats, tel FROM venue WHERE name = :name;
-- name: hood_of(name)
SELECT hood, hood_rating FROM venue WHERE name = :name;
-- name: venues_in(hood)
SELECT name, seats FROM venue WHERE hood = :hood ORDER BY name;
-- name: resize(id, seats)
UPDATE venue SET seats = :seats WHERE id = :id;
-- name: rate(id, hood_rating)
UPDATE venue SET hood_rating = :hood_rating WHERE id = :id;
-- name: drop_venue(id)
DELETE FROM venue WHERE id = :id;
-- name: quiet(hood_rating, seats)
SELECT name FROM venue WHERE hood_rating < :hood_rating AND NOT (seats > :seats);
-- name: big(seats)
SELECT name, hood FROM venue WHERE seats >= :seats;
""",
)
PHOTOS = Core(
    "19 split photos from stored items",
    263,
    26,
    248,
    "item",
    "label_text",
    "CREATE TABLE item (id INT PRIMARY KEY, label_text TEXT, worth INT, photo_url TEXT, "
    "photo_caption TEXT, box INT);",
    """CREATE TABLE item (id INT PRIMARY KEY, label_text TEXT, worth INT, box INT);
CREATE TABLE photos (id INT PRIMARY KEY, item_id INT REFERENCES item(id), photo_url TEXT, photo_caption TEXT, taken TEXT, width INT);""",
    """-- name: store(id, label_text, worth, photo_url, photo_caption, box)
INSERT INTO item VALUES (:id, :label_text, :worth, :photo_url, :photo_caption, :box);
-- name: store_plain(id, label_text)
INSERT INTO item (id, label_text) VALUES (:id, :label_text);
-- name: take(id)
DELETE FROM item WHERE id = :id;
-- name: empty_box(box)
DELETE FROM item WHERE box = :box;
-- name: photograph(id, photo_url, photo_caption)
UPDATE item SET photo_url = :photo_url, photo_caption = :photo_caption WHERE id = :id;
-- name: caption(photo_url, photo_caption)
UPDATE item SET photo_caption = :photo_caption WHERE photo_url = :photo_url;
-- name: value(id, worth)
UPDATE item SET worth = :worth WHERE id = :id;
-- name: look(id)
SELECT label_text, worth, photo_url FROM item WHERE id = :id;
-- name: pictures(label_text)
SELECT photo_url, photo_caption FROM item WHERE label_text = :label_text;
-- name: without_picture()
SELECT label_text FROM item WHERE photo_url IS NULL;
-- name: worth_of(box)
SELECT SUM(worth) AS total, COUNT(*) AS items FROM item WHERE box = :box;
-- name: shown_as(photo_url)
SELECT id, label_text FROM item WHERE photo_url = :photo_url;
""",
)
FEES = Core(
    "20 merge fee schedules, rename columns",
    85,
    12,
    83,
    "service",
    "title",
    """CREATE TABLE service (id INT PRIMARY KEY, title TEXT, mins INT, schedule_id INT REFERENCES fee_schedule(id));
CREATE TABLE fee_schedule (id INT PRIMARY KEY, base INT, cap INT, currency TEXT, legacy_note TEXT, legacy_code INT, legacy_flag INT);""",
    "CREATE TABLE service (id INT PRIMARY KEY, title TEXT, minutes INT, base INT, fee_cap INT, "
    "currency TEXT);",
    """-- name: add_service(id, title, mins, base, cap, currency, legacy_note)
INSERT INTO fee_schedule (id, base, cap, currency, legacy_note) VALUES (FRESH(1), :base, :cap, :currency, :legacy_note);
INSERT INTO service VALUES (:id, :title, :mins, FRESH(1));
-- name: fee_of(title)
SELECT f.base, f.cap, f.currency FROM service s JOIN fee_schedule f ON s.schedule_id = f.id WHERE s.title = :title;
-- name: get_service(id)
SELECT title, mins FROM service WHERE id = :id;
-- name: reprice(id, base, cap)
UPDATE fee_schedule SET base = :base, cap = :cap WHERE id IN (SELECT schedule_id FROM service WHERE id = :id);
-- name: rename_service(id, title)
UPDATE service SET title = :title WHERE id = :id;
-- name: lengthen(title, mins)
UPDATE service SET mins = :mins WHERE title = :title;
-- name: drop_service(id)
DELETE FROM service WHERE id = :id;
-- name: cheaper(base)
SELECT s.title, f.base FROM service s JOIN fee_schedule f ON s.schedule_id = f.id WHERE f.base < :base ORDER BY f.base;
-- name: in_currency(currency)
SELECT s.title FROM service s JOIN fee_schedule f ON s.schedule_id = f.id WHERE f.currency = :currency;
-- name: long_services(mins)
SELECT title FROM service WHERE mins > :mins ORDER BY title;
""",
)
