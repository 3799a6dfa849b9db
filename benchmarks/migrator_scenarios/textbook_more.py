"""The textbook refactorings 7 to 10: keys, associations, copies."""

from benchmarks.migrator_scenarios.scenario import Scenario

ASSOCIATION = Scenario(
    "07 foreign key to association table",
    """CREATE TABLE album (id INT PRIMARY KEY, name TEXT);
CREATE TABLE picture (id INT PRIMARY KEY, title TEXT, album_id INT REFERENCES album(id));""",
    """CREATE TABLE album (id INT PRIMARY KEY, name TEXT);
CREATE TABLE picture (id INT PRIMARY KEY, title TEXT);
CREATE TABLE album_picture (picture_id INT PRIMARY KEY REFERENCES picture(id), album_id INT REFERENCES album(id));""",
    """-- name: add_album(id, name)
INSERT INTO album VALUES (:id, :name);
-- name: add_picture(id, title, album_id)
INSERT INTO picture VALUES (:id, :title, :album_id);
-- name: move_picture(id, album_id)
UPDATE picture SET album_id = :album_id WHERE id = :id;
-- name: drop_picture(id)
DELETE FROM picture WHERE id = :id;
-- name: clear_album(album_id)
DELETE FROM picture WHERE album_id = :album_id;
-- name: pictures_of(name)
SELECT p.title FROM picture p JOIN album a ON p.album_id = a.id WHERE a.name = :name;
-- name: album_of(title)
SELECT a.name FROM picture p JOIN album a ON p.album_id = a.id WHERE p.title = :title;
-- name: title(id)
SELECT title FROM picture WHERE id = :id;
""",
    """-- name: add_album(id, name)
INSERT INTO album VALUES (:id, :name);
-- name: add_picture(id, title, album_id)
INSERT INTO picture VALUES (:id, :title);
INSERT INTO album_picture VALUES (:id, :album_id);
-- name: move_picture(id, album_id)
UPDATE album_picture SET album_id = :album_id WHERE picture_id = :id;
-- name: drop_picture(id)
DELETE FROM album_picture WHERE picture_id = :id;
DELETE FROM picture WHERE id = :id;
-- name: clear_album(album_id)
DELETE FROM picture WHERE id IN (SELECT picture_id FROM album_picture WHERE album_id = :album_id);
DELETE FROM album_picture WHERE album_id = :album_id;
-- name: pictures_of(name)
SELECT p.title FROM picture p JOIN album_picture x ON x.picture_id = p.id JOIN album a ON x.album_id = a.id WHERE a.name = :name;
-- name: album_of(title)
SELECT a.name FROM picture p JOIN album_picture x ON x.picture_id = p.id JOIN album a ON x.album_id = a.id WHERE p.title = :title;
-- name: title(id)
SELECT title FROM picture WHERE id = :id;
""",
)

NATURAL = Scenario(
    "08 surrogate key to natural key",
    """CREATE TABLE employee (id INT PRIMARY KEY, ssn TEXT NOT NULL, name TEXT, city TEXT, phone TEXT);
CREATE TABLE paycheck (number INT PRIMARY KEY, employee_id INT REFERENCES employee(id), month TEXT, amount INT);""",
    """CREATE TABLE employee (ssn TEXT PRIMARY KEY, name TEXT, city TEXT, phone TEXT);
CREATE TABLE paycheck (number INT PRIMARY KEY, employee_ssn TEXT REFERENCES employee(ssn), month TEXT, amount INT);""",
    """-- name: rename(ssn, name)
UPDATE employee SET name = :name WHERE ssn = :ssn;
-- name: move(ssn, city, phone)
UPDATE employee SET city = :city, phone = :phone WHERE ssn = :ssn;
-- name: correct(number, amount)
UPDATE paycheck SET amount = :amount WHERE number = :number;
-- name: correct_month(ssn, month, amount)
UPDATE paycheck SET amount = :amount WHERE month = :month AND employee_id IN (SELECT id FROM employee WHERE ssn = :ssn);
-- name: void(ssn)
DELETE FROM paycheck WHERE employee_id IN (SELECT id FROM employee WHERE ssn = :ssn);
-- name: void_number(number)
DELETE FROM paycheck WHERE number = :number;
-- name: person(ssn)
SELECT name, city, phone FROM employee WHERE ssn = :ssn;
-- name: paid(ssn, month)
SELECT p.amount FROM paycheck p JOIN employee e ON p.employee_id = e.id WHERE e.ssn = :ssn AND p.month = :month;
-- name: paid_in(city)
SELECT e.name, p.month, p.amount FROM paycheck p JOIN employee e ON p.employee_id = e.id WHERE e.city = :city;
-- name: sum_of(month)
SELECT SUM(amount) AS total FROM paycheck WHERE month = :month;
""",
    """-- name: rename(ssn, name)
UPDATE employee SET name = :name WHERE ssn = :ssn;
-- name: move(ssn, city, phone)
UPDATE employee SET city = :city, phone = :phone WHERE ssn = :ssn;
-- name: correct(number, amount)
UPDATE paycheck SET amount = :amount WHERE number = :number;
-- name: correct_month(ssn, month, amount)
UPDATE paycheck SET amount = :amount WHERE month = :month AND employee_ssn = :ssn;
-- name: void(ssn)
DELETE FROM paycheck WHERE employee_ssn = :ssn;
-- name: void_number(number)
DELETE FROM paycheck WHERE number = :number;
-- name: person(ssn)
SELECT name, city, phone FROM employee WHERE ssn = :ssn;
-- name: paid(ssn, month)
SELECT amount FROM paycheck WHERE employee_ssn = :ssn AND month = :month;
-- name: paid_in(city)
SELECT e.name, p.month, p.amount FROM paycheck p JOIN employee e ON p.employee_ssn = e.ssn WHERE e.city = :city;
-- name: sum_of(month)
SELECT SUM(amount) AS total FROM paycheck WHERE month = :month;
""",
)

CUSTOMER = "CREATE TABLE customer (id INT PRIMARY KEY, name TEXT, email TEXT);\n"
COPIED = Scenario(
    "09 add a copied column",
    CUSTOMER
    + "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT REFERENCES customer(id), item "
    "TEXT, price INT);",
    CUSTOMER
    + "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT REFERENCES customer(id), item "
    "TEXT, price INT, customer_name TEXT);",
    """-- name: add_customer(id, name, email)
INSERT INTO customer VALUES (:id, :name, :email);
-- name: order(id, customer_id, item, price)
INSERT INTO orders VALUES (:id, :customer_id, :item, :price);
-- name: rename(id, name)
UPDATE customer SET name = :name WHERE id = :id;
-- name: reprice(item, price)
UPDATE orders SET price = :price WHERE item = :item;
-- name: cancel(id)
DELETE FROM orders WHERE id = :id;
-- name: label(id)
SELECT o.item, c.name FROM orders o JOIN customer c ON o.customer_id = c.id WHERE o.id = :id;
-- name: bought(name)
SELECT o.item, o.price FROM orders o JOIN customer c ON o.customer_id = c.id WHERE c.name = :name;
-- name: email(id)
SELECT email FROM customer WHERE id = :id;
""",
    """-- name: add_customer(id, name, email)
INSERT INTO customer VALUES (:id, :name, :email);
-- name: order(id, customer_id, item, price)
INSERT INTO orders VALUES (:id, :customer_id, :item, :price, (SELECT name FROM customer WHERE id = :customer_id));
-- name: rename(id, name)
UPDATE orders SET customer_name = :name WHERE customer_id = :id;
UPDATE customer SET name = :name WHERE id = :id;
-- name: reprice(item, price)
UPDATE orders SET price = :price WHERE item = :item;
-- name: cancel(id)
DELETE FROM orders WHERE id = :id;
-- name: label(id)
SELECT item, customer_name AS name FROM orders WHERE id = :id AND customer_id IS NOT NULL;
-- name: bought(name)
SELECT item, price FROM orders WHERE customer_name = :name;
-- name: email(id)
SELECT email FROM customer WHERE id = :id;
""",
)

AUTHOR = "CREATE TABLE author (id INT PRIMARY KEY, name TEXT, country TEXT);\n"
SAME = """-- name: add_author(name, country)
INSERT INTO author VALUES (FRESH(1), :name, :country);
-- name: move_author(name, country)
UPDATE author SET country = :country WHERE name = :name;
-- name: authors_of(country)
SELECT name FROM author WHERE country = :country ORDER BY name;
-- name: find_author(name)
SELECT id FROM author WHERE name = :name;
-- name: restar(id, stars)
UPDATE review SET stars = :stars WHERE id = :id;
-- name: retract(id)
DELETE FROM review WHERE id = :id;
-- name: mean(stars)
SELECT COUNT(*) AS number FROM review WHERE stars >= :stars;
"""
DENORMALISED = Scenario(
    "10 denormalise",
    AUTHOR
    + """CREATE TABLE book (id INT PRIMARY KEY, title TEXT, author_id INT NOT NULL REFERENCES author(id));
CREATE TABLE review (id INT PRIMARY KEY, book_id INT NOT NULL REFERENCES book(id), stars INT, body TEXT);""",
    AUTHOR
    + """CREATE TABLE book (id INT PRIMARY KEY, title TEXT, author_id INT NOT NULL REFERENCES author(id), author_name TEXT);
CREATE TABLE review (id INT PRIMARY KEY, book_id INT NOT NULL REFERENCES book(id), stars INT, body TEXT, book_title TEXT,
  author_id INT NOT NULL REFERENCES author(id));""",
    SAME
    + """-- name: publish(id, title, author_id)
INSERT INTO book VALUES (:id, :title, :author_id);
-- name: retitle(id, title)
UPDATE book SET title = :title WHERE id = :id;
-- name: rename_author(id, name)
UPDATE author SET name = :name WHERE id = :id;
-- name: review(id, book_id, stars, body)
INSERT INTO review VALUES (:id, :book_id, :stars, :body);
-- name: books_by(name)
SELECT b.title FROM book b JOIN author a ON b.author_id = a.id WHERE a.name = :name;
-- name: reviews_of(title)
SELECT r.stars, r.body FROM review r JOIN book b ON r.book_id = b.id WHERE b.title = :title;
-- name: reviewed(name)
SELECT b.title, r.stars FROM review r JOIN book b ON r.book_id = b.id JOIN author a ON b.author_id = a.id WHERE a.name = :name;
""",
    SAME
    + """-- name: publish(id, title, author_id)
INSERT INTO book VALUES (:id, :title, :author_id, (SELECT name FROM author WHERE id = :author_id));
-- name: retitle(id, title)
UPDATE review SET book_title = :title WHERE book_id = :id;
UPDATE book SET title = :title WHERE id = :id;
-- name: rename_author(id, name)
UPDATE book SET author_name = :name WHERE author_id = :id;
UPDATE author SET name = :name WHERE id = :id;
-- name: review(id, book_id, stars, body)
INSERT INTO review VALUES (:id, :book_id, :stars, :body, (SELECT title FROM book WHERE id = :book_id),
  (SELECT author_id FROM book WHERE id = :book_id));
-- name: books_by(name)
SELECT title FROM book WHERE author_name = :name;
-- name: reviews_of(title)
SELECT stars, body FROM review WHERE book_title = :title;
-- name: reviewed(name)
SELECT r.book_title AS title, r.stars FROM review r JOIN author a ON r.author_id = a.id WHERE a.name = :name;
""",
)
