"""A small clinic before and after a refactoring: composite keys, joins, IN, deletions of several
tables, order, limit and sums.
"""

SOURCE = """-- Don't panic; this is a comment.
CREATE TABLE patient (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, phone TEXT UNIQUE,
  insurer TEXT, policy_no TEXT,
  CHECK (length(full_name) > 0));
CREATE TABLE room (building TEXT, no INTEGER, floor INTEGER, PRIMARY KEY (building, no));
CREATE TABLE visit (patient_id INTEGER REFERENCES patient(id), day DATE, building TEXT,
  room_no INTEGER,
  reason TEXT DEFAULT 'check-up; -- routine', fee DECIMAL(8,2), paid BOOLEAN,
  PRIMARY KEY (patient_id, day),
  FOREIGN KEY (building, room_no) REFERENCES room(building, no));
CREATE TABLE remark (id INTEGER PRIMARY KEY, patient_id INTEGER REFERENCES patient(id), words TEXT);
CREATE INDEX visit_day ON visit(day);
CREATE INDEX room_floor ON room(floor);"""

TARGET = """CREATE TABLE patient (id INTEGER PRIMARY KEY, name TEXT NOT NULL, phone TEXT UNIQUE);
CREATE TABLE policy (patient_id INTEGER PRIMARY KEY REFERENCES patient(id), insurer TEXT,
  policy_no TEXT);
CREATE TABLE room (building TEXT, no INTEGER, floor INTEGER, PRIMARY KEY (building, no));
CREATE TABLE visit (patient_id INTEGER REFERENCES patient(id), day DATE, building TEXT,
  room_no INTEGER,
  reason TEXT DEFAULT 'check-up; -- routine', PRIMARY KEY (patient_id, day),
  FOREIGN KEY (building, room_no) REFERENCES room(building, no));
CREATE TABLE bill (patient_id INTEGER, day DATE, fee DECIMAL(8,2), paid BOOLEAN,
  PRIMARY KEY (patient_id, day),
  FOREIGN KEY (patient_id, day) REFERENCES visit(patient_id, day));
CREATE TABLE remark (id INTEGER PRIMARY KEY, patient_id INTEGER REFERENCES patient(id), words TEXT);
CREATE INDEX visit_day ON visit(day);
CREATE INDEX room_no ON room(no);
CREATE INDEX bill_paid ON bill(paid);"""

PROGRAM = """-- name: register(id, full_name, phone, insurer, policy_no)!
-- A new patient.
INSERT INTO patient (id, full_name, phone, insurer, policy_no)
  VALUES (:id, :full_name, :phone, :insurer, :policy_no);
-- name: open_room(building, no, floor)!
INSERT INTO room VALUES (:building, :no, :floor);
-- name: book(patient_id, day, building, room_no, fee)!
INSERT INTO visit (patient_id, day, building, room_no, fee, paid)
  VALUES (:patient_id, :day, :building, :room_no, :fee, FALSE);
-- name: pay(patient_id, day)!
UPDATE visit SET paid = TRUE WHERE patient_id = :patient_id AND day = :day;
-- name: note(id, patient_id, words)!
INSERT INTO remark VALUES (:id, :patient_id, :words);
-- name: forget(id)!
DELETE FROM remark WHERE patient_id = :id;
DELETE FROM visit WHERE patient_id = :id;
DELETE FROM patient WHERE id = :id;
-- name: cancel_unpaid(insurer)!
DELETE FROM visit WHERE paid = FALSE AND patient_id IN (SELECT id FROM patient
  WHERE insurer = :insurer);
-- name: close_building(building)!
DELETE FROM visit WHERE building = :building;
DELETE FROM room WHERE building = :building;
-- name: by_insurer(insurer)
SELECT p.full_name AS who, p.policy_no, v.day, v.fee FROM patient p JOIN visit v
  ON v.patient_id = p.id
WHERE p.insurer = :insurer AND (v.fee > 1 OR NOT v.paid = TRUE) ORDER BY v.day DESC, who LIMIT 5;
-- name: owed(patient_id)$
SELECT SUM(fee) FROM visit WHERE patient_id = :patient_id AND paid = FALSE;
-- name: visits_on_floor(floor)$
SELECT COUNT(*) FROM visit v JOIN room r ON v.building = r.building AND v.room_no = r.no
  WHERE r.floor = :floor;
-- name: who_was_in(building, no)
SELECT DISTINCT full_name FROM patient WHERE id IN (SELECT patient_id FROM visit
  WHERE building = :building AND room_no = :no);
"""
