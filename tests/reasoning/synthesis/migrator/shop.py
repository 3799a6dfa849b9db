"""A shop before and after a refactoring, as PostgreSQL writes it: a table renamed and split, DELETE
USING, UPDATE FROM.
"""

SOURCE = """CREATE TABLE "order" (id SERIAL PRIMARY KEY, customer VARCHAR(40) NOT NULL,
  placed TIMESTAMP, ship_street TEXT, ship_city TEXT,
  total NUMERIC(10,2));
CREATE TABLE item (order_id INT REFERENCES "order"(id), line INT, sku TEXT, qty INT,
  PRIMARY KEY (order_id, line));
CREATE TABLE staff (id INT PRIMARY KEY, name TEXT, boss INT REFERENCES staff(id),
  badge TEXT UNIQUE, desk TEXT);
CREATE TABLE shift (staff_id INT REFERENCES staff(id), day DATE, PRIMARY KEY (staff_id, day));"""

TARGET = """CREATE TABLE purchase (id SERIAL PRIMARY KEY, customer VARCHAR(40) NOT NULL,
  placed TIMESTAMP, total NUMERIC(10,2));
CREATE TABLE shipping (id INT PRIMARY KEY, purchase_id INT REFERENCES purchase(id), street TEXT,
  city TEXT);
CREATE TABLE item (purchase_id INT REFERENCES purchase(id), line INT, sku TEXT, quantity INT,
  PRIMARY KEY (purchase_id, line));
CREATE TABLE staff (id INT PRIMARY KEY, name TEXT, boss INT REFERENCES staff(id));
CREATE TABLE seat (staff_id INT PRIMARY KEY REFERENCES staff(id), badge TEXT UNIQUE, desk TEXT);
CREATE TABLE shift (staff_id INT REFERENCES staff(id), day DATE, PRIMARY KEY (staff_id, day));
CREATE INDEX shipping_city ON shipping(city);"""

PROGRAM = """-- name: place(id, customer, placed, street, city)!
INSERT INTO "order" (id, customer, placed, ship_street, ship_city, total)
  VALUES (:id, :customer, :placed, :street, :city, 0);
-- name: add_item(order_id, line, sku, qty)!
INSERT INTO item VALUES (:order_id, :line, :sku, :qty);
-- name: cancel_in(city)!
DELETE FROM item USING "order" o WHERE item.order_id = o.id AND o.ship_city = :city;
-- name: drop_empty_city(city)!
DELETE FROM "order" WHERE ship_city = :city AND id NOT IN (SELECT order_id FROM item);
-- name: double(city)!
UPDATE item SET qty = qty + 1 FROM "order" o WHERE item.order_id = o.id AND o.ship_city = :city;
-- name: to_city(city)
SELECT o.customer, i.sku, i.qty FROM "order" o JOIN item i ON i.order_id = o.id
  WHERE o.ship_city = :city ORDER BY i.sku, o.customer;
-- name: count_city(city)$
SELECT COUNT(*) AS n, MAX(total) AS top FROM "order" WHERE ship_city = :city AND placed IS NOT NULL;
-- name: hire(id, name, boss, badge, desk)!
INSERT INTO staff VALUES (:id, :name, :boss, :badge, :desk);
-- name: bosses_desk(badge)^
SELECT b.desk, b.name FROM staff s JOIN staff b ON s.boss = b.id WHERE s.badge = :badge;
-- name: fire(badge)!
DELETE FROM staff WHERE badge = :badge;
"""
