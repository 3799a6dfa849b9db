"""Refactorings after which no equivalent program exists: each must be refused with a reason that
names what is in the way.
"""

from benchmarks.migrator_scenarios.scenario import Scenario

PEOPLE = """-- name: add(id, name, email)
INSERT INTO person (id, name, email) VALUES (:id, :name, :email);
-- name: email_of(id)
SELECT email FROM person WHERE id = :id;
-- name: name_of(id)
SELECT name FROM person WHERE id = :id;
"""
REFUSED = (
    Scenario(
        "21 a column that a query reads is dropped",
        "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, email TEXT);",
        "CREATE TABLE person (id INT PRIMARY KEY, name TEXT);",
        PEOPLE,
        refused="email_of",
    ),
    Scenario(
        "22 a column changes its type",
        "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, email TEXT);",
        "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, email INT);",
        PEOPLE,
        refused="person.email is int",
    ),
    Scenario(
        "23 two columns become one",
        "CREATE TABLE person (id INT PRIMARY KEY, first_name TEXT, last_name TEXT);",
        "CREATE TABLE person (id INT PRIMARY KEY, full_name TEXT);",
        """-- name: add(id, first, last)
INSERT INTO person VALUES (:id, :first, :last);
-- name: named(id)
SELECT first_name, last_name FROM person WHERE id = :id;
""",
        refused="named",
    ),
    Scenario(
        "24 many-to-many becomes one-to-many",
        """CREATE TABLE student (id INT PRIMARY KEY, name TEXT);
CREATE TABLE course (code INT PRIMARY KEY, title TEXT);
CREATE TABLE takes (student_id INT REFERENCES student(id), course_code INT REFERENCES course(code),
  PRIMARY KEY (student_id, course_code));""",
        """CREATE TABLE student (id INT PRIMARY KEY, name TEXT, course_code INT
          REFERENCES course(code));
CREATE TABLE course (code INT PRIMARY KEY, title TEXT);""",
        """-- name: add_student(id, name)
INSERT INTO student VALUES (:id, :name);
-- name: add_course(code, title)
INSERT INTO course VALUES (:code, :title);
-- name: enrol(student_id, course_code)
INSERT INTO takes VALUES (:student_id, :course_code);
-- name: courses(name)
SELECT c.title FROM student s JOIN takes t ON t.student_id = s.id JOIN course c
  ON t.course_code = c.code WHERE s.name = :name;
""",
        refused="student",
    ),
    Scenario(
        "25 rows of a table have nowhere to go",
        """CREATE TABLE person (id INT PRIMARY KEY, name TEXT);
CREATE TABLE pet (id INT PRIMARY KEY, owner INT REFERENCES person(id), call TEXT);""",
        "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, call TEXT);",
        """-- name: add_person(id, name)
INSERT INTO person VALUES (:id, :name);
-- name: add_pet(id, owner, call)
INSERT INTO pet VALUES (:id, :owner, :call);
-- name: pets(owner)
SELECT call FROM pet WHERE owner = :owner;
""",
        refused="p",
    ),
)
