"""Ten textbook refactorings, programs and answers written by hand."""

from benchmarks.migrator_scenarios.scenario import Scenario

MERGE = Scenario(
    "01 merge ADDRESS into MEMBER",
    """CREATE TABLE member (mid INT PRIMARY KEY, name TEXT, phone TEXT, aid INT REFERENCES address(aid));
CREATE TABLE address (aid INT PRIMARY KEY, street TEXT, city TEXT, zip TEXT);""",
    "CREATE TABLE member (mid INT PRIMARY KEY, name TEXT, phone TEXT, street TEXT, city TEXT, zip "
    "TEXT);",
    """-- name: add_member(mid, name, phone, street, city, zip)
INSERT INTO address (aid, street, city, zip) VALUES (FRESH(1), :street, :city, :zip);
INSERT INTO member (mid, name, phone, aid) VALUES (:mid, :name, :phone, FRESH(1));
-- name: move_member(mid, street, city, zip)
UPDATE address SET street = :street, city = :city, zip = :zip WHERE aid IN (SELECT aid FROM member WHERE mid = :mid);
-- name: drop_member(mid)
DELETE FROM member WHERE mid = :mid;
-- name: find_member(mid)
SELECT name, phone, street, city, zip FROM member JOIN address ON member.aid = address.aid WHERE mid = :mid;
""",
    """-- name: add_member(mid, name, phone, street, city, zip)
INSERT INTO member VALUES (:mid, :name, :phone, :street, :city, :zip);
-- name: move_member(mid, street, city, zip)
UPDATE member SET street = :street, city = :city, zip = :zip WHERE mid = :mid;
-- name: drop_member(mid)
DELETE FROM member WHERE mid = :mid;
-- name: find_member(mid)
SELECT name, phone, street, city, zip FROM member WHERE mid = :mid;
""",
)

OTHERS = """CREATE TABLE dept (id INT PRIMARY KEY, title TEXT, floor INT);
CREATE TABLE project (id INT PRIMARY KEY, title TEXT, budget INT, lead INT);"""
OTHER_FUNCTIONS = """-- name: add_dept(id, title, floor)
INSERT INTO dept VALUES (:id, :title, :floor);
-- name: dept_title(id)
SELECT title FROM dept WHERE id = :id;
-- name: add_project(id, title, budget, lead)
INSERT INTO project VALUES (:id, :title, :budget, :lead);
-- name: raise_budget(id, budget)
UPDATE project SET budget = :budget WHERE id = :id;
-- name: drop_project(id)
DELETE FROM project WHERE id = :id;
-- name: cheap_projects(budget)
SELECT title FROM project WHERE budget < :budget ORDER BY title;
"""
SPLIT = Scenario(
    "02 split EMPLOYEE in five",
    """CREATE TABLE employee (id INT PRIMARY KEY, name TEXT, street TEXT, city TEXT, zip TEXT, phone TEXT, email TEXT, job TEXT, salary INT,
  dept_id INT REFERENCES dept(id));\n"""
    + OTHERS,
    """CREATE TABLE employee (id INT PRIMARY KEY, name TEXT, dept_id INT REFERENCES dept(id));
CREATE TABLE address (address_id INT PRIMARY KEY, employee_id INT REFERENCES employee(id), street TEXT, city TEXT, zip TEXT);
CREATE TABLE phone (phone_id INT PRIMARY KEY, employee_id INT REFERENCES employee(id), phone TEXT);
CREATE TABLE email (email_id INT PRIMARY KEY, employee_id INT REFERENCES employee(id), email TEXT);
CREATE TABLE job (job_id INT PRIMARY KEY, employee_id INT REFERENCES employee(id), job TEXT, salary INT);\n"""
    + OTHERS,
    """-- name: hire(id, name, street, city, zip, phone, email, job, salary, dept_id)
INSERT INTO employee VALUES (:id, :name, :street, :city, :zip, :phone, :email, :job, :salary, :dept_id);
-- name: hire_quickly(id, name, job)
INSERT INTO employee (id, name, job) VALUES (:id, :name, :job);
-- name: fire(id)
DELETE FROM employee WHERE id = :id;
-- name: close_job(job)
DELETE FROM employee WHERE job = :job;
-- name: promote(id, job, salary)
UPDATE employee SET job = :job, salary = :salary WHERE id = :id;
-- name: move(id, street, city, zip)
UPDATE employee SET street = :street, city = :city, zip = :zip WHERE id = :id;
-- name: new_phone(name, phone)
UPDATE employee SET phone = :phone WHERE name = :name;
-- name: contact(id)
SELECT name, phone, email FROM employee WHERE id = :id;
-- name: home(id)
SELECT street, city, zip FROM employee WHERE id = :id;
-- name: paid_above(salary)
SELECT name, job, salary FROM employee WHERE salary > :salary ORDER BY salary DESC;
-- name: in_city(city)
SELECT id, name FROM employee WHERE city = :city;
-- name: dept_phones(title)
SELECT e.name, e.phone FROM employee e JOIN dept d ON e.dept_id = d.id WHERE d.title = :title;
-- name: payroll(dept_id)
SELECT COUNT(*) AS people, SUM(salary) AS total FROM employee WHERE dept_id = :dept_id;
"""
    + OTHER_FUNCTIONS,
    """-- name: hire(id, name, street, city, zip, phone, email, job, salary, dept_id)
INSERT INTO employee VALUES (:id, :name, :dept_id);
INSERT INTO address VALUES (FRESH(1), :id, :street, :city, :zip);
INSERT INTO phone VALUES (FRESH(2), :id, :phone);
INSERT INTO email VALUES (FRESH(3), :id, :email);
INSERT INTO job VALUES (FRESH(4), :id, :job, :salary);
-- name: hire_quickly(id, name, job)
INSERT INTO employee VALUES (:id, :name, NULL);
INSERT INTO address (address_id, employee_id) VALUES (FRESH(1), :id);
INSERT INTO phone (phone_id, employee_id) VALUES (FRESH(2), :id);
INSERT INTO email (email_id, employee_id) VALUES (FRESH(3), :id);
INSERT INTO job (job_id, employee_id, job) VALUES (FRESH(4), :id, :job);
-- name: fire(id)
DELETE FROM address WHERE employee_id = :id;
DELETE FROM phone WHERE employee_id = :id;
DELETE FROM email WHERE employee_id = :id;
DELETE FROM job WHERE employee_id = :id;
DELETE FROM employee WHERE id = :id;
-- name: close_job(job)
DELETE FROM address WHERE employee_id IN (SELECT employee_id FROM job WHERE job = :job);
DELETE FROM phone WHERE employee_id IN (SELECT employee_id FROM job WHERE job = :job);
DELETE FROM email WHERE employee_id IN (SELECT employee_id FROM job WHERE job = :job);
DELETE FROM employee WHERE id IN (SELECT employee_id FROM job WHERE job = :job);
DELETE FROM job WHERE job = :job;
-- name: promote(id, job, salary)
UPDATE job SET job = :job, salary = :salary WHERE employee_id = :id;
-- name: move(id, street, city, zip)
UPDATE address SET street = :street, city = :city, zip = :zip WHERE employee_id = :id;
-- name: new_phone(name, phone)
UPDATE phone SET phone = :phone WHERE employee_id IN (SELECT id FROM employee WHERE name = :name);
-- name: contact(id)
SELECT e.name, p.phone, m.email FROM employee e JOIN phone p ON p.employee_id = e.id JOIN email m ON m.employee_id = e.id WHERE e.id = :id;
-- name: home(id)
SELECT street, city, zip FROM address WHERE employee_id = :id;
-- name: paid_above(salary)
SELECT e.name, j.job, j.salary FROM employee e JOIN job j ON j.employee_id = e.id WHERE j.salary > :salary ORDER BY j.salary DESC;
-- name: in_city(city)
SELECT e.id, e.name FROM employee e JOIN address a ON a.employee_id = e.id WHERE a.city = :city;
-- name: dept_phones(title)
SELECT e.name, p.phone FROM employee e JOIN phone p ON p.employee_id = e.id JOIN dept d ON e.dept_id = d.id WHERE d.title = :title;
-- name: payroll(dept_id)
SELECT COUNT(*) AS people, SUM(j.salary) AS total FROM employee e JOIN job j ON j.employee_id = e.id WHERE e.dept_id = :dept_id;
"""
    + OTHER_FUNCTIONS,
)

ONE_PERSON = (
    "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, birth TEXT, passport TEXT, "
    "issued TEXT, country TEXT);"
)
TWO_PERSON = """CREATE TABLE person (id INT PRIMARY KEY, name TEXT, birth TEXT);
CREATE TABLE identification (person_id INT PRIMARY KEY REFERENCES person(id), passport TEXT, issued TEXT, country TEXT);"""
ONE_PROGRAM = """-- name: register(id, name, birth, passport, issued, country)
INSERT INTO person VALUES (:id, :name, :birth, :passport, :issued, :country);
-- name: forget(id)
DELETE FROM person WHERE id = :id;
-- name: forget_passport(passport)
DELETE FROM person WHERE passport = :passport;
-- name: rename(id, name)
UPDATE person SET name = :name WHERE id = :id;
-- name: renew(id, passport, issued)
UPDATE person SET passport = :passport, issued = :issued WHERE id = :id;
-- name: renew_by_number(passport, new_passport)
UPDATE person SET passport = :new_passport WHERE passport = :passport;
-- name: who(passport)
SELECT id, name FROM person WHERE passport = :passport;
-- name: born(birth)
SELECT name FROM person WHERE birth = :birth ORDER BY name;
-- name: papers(id)
SELECT passport, issued, country FROM person WHERE id = :id;
-- name: from_country(country)
SELECT name, passport FROM person WHERE country = :country OR country IS NULL;
"""
TWO_PROGRAM = """-- name: register(id, name, birth, passport, issued, country)
INSERT INTO person VALUES (:id, :name, :birth);
INSERT INTO identification VALUES (:id, :passport, :issued, :country);
-- name: forget(id)
DELETE FROM identification WHERE person_id = :id;
DELETE FROM person WHERE id = :id;
-- name: forget_passport(passport)
DELETE FROM person WHERE id IN (SELECT person_id FROM identification WHERE passport = :passport);
DELETE FROM identification WHERE passport = :passport;
-- name: rename(id, name)
UPDATE person SET name = :name WHERE id = :id;
-- name: renew(id, passport, issued)
UPDATE identification SET passport = :passport, issued = :issued WHERE person_id = :id;
-- name: renew_by_number(passport, new_passport)
UPDATE identification SET passport = :new_passport WHERE passport = :passport;
-- name: who(passport)
SELECT p.id, p.name FROM person p JOIN identification i ON i.person_id = p.id WHERE i.passport = :passport;
-- name: born(birth)
SELECT name FROM person WHERE birth = :birth ORDER BY name;
-- name: papers(id)
SELECT passport, issued, country FROM identification WHERE person_id = :id;
-- name: from_country(country)
SELECT p.name, i.passport FROM person p JOIN identification i ON i.person_id = p.id WHERE i.country = :country OR i.country IS NULL;
"""
SPLIT_ONE = Scenario("03 split one-to-one", ONE_PERSON, TWO_PERSON, ONE_PROGRAM, TWO_PROGRAM)
MERGE_ONE = Scenario("04 merge one-to-one", TWO_PERSON, ONE_PERSON, TWO_PROGRAM, ONE_PROGRAM)

MOVE = Scenario(
    "05 move a column",
    """CREATE TABLE customer (id INT PRIMARY KEY, name TEXT);
CREATE TABLE account (number INT PRIMARY KEY, customer_id INT REFERENCES customer(id), email TEXT);""",
    """CREATE TABLE customer (id INT PRIMARY KEY, name TEXT, email TEXT);
CREATE TABLE account (number INT PRIMARY KEY, customer_id INT REFERENCES customer(id));""",
    """-- name: open(id, name, number, email)
INSERT INTO customer VALUES (:id, :name);
INSERT INTO account VALUES (:number, :id, :email);
-- name: set_email(id, email)
UPDATE account SET email = :email WHERE customer_id = :id;
-- name: rename(id, name)
UPDATE customer SET name = :name WHERE id = :id;
-- name: close(id)
DELETE FROM account WHERE customer_id = :id;
DELETE FROM customer WHERE id = :id;
-- name: email_of(name)
SELECT a.email FROM account a JOIN customer c ON a.customer_id = c.id WHERE c.name = :name;
-- name: owner(number)
SELECT c.name, a.email FROM account a JOIN customer c ON a.customer_id = c.id WHERE a.number = :number;
-- name: with_email(email)
SELECT number FROM account WHERE email = :email;
""",
    """-- name: open(id, name, number, email)
INSERT INTO customer VALUES (:id, :name, :email);
INSERT INTO account VALUES (:number, :id);
-- name: set_email(id, email)
UPDATE customer SET email = :email WHERE id = :id;
-- name: rename(id, name)
UPDATE customer SET name = :name WHERE id = :id;
-- name: close(id)
DELETE FROM account WHERE customer_id = :id;
DELETE FROM customer WHERE id = :id;
-- name: email_of(name)
SELECT email FROM customer WHERE name = :name;
-- name: owner(number)
SELECT c.name, c.email FROM account a JOIN customer c ON a.customer_id = c.id WHERE a.number = :number;
-- name: with_email(email)
SELECT a.number FROM account a JOIN customer c ON a.customer_id = c.id WHERE c.email = :email;
""",
)

RENAME = Scenario(
    "06 rename a column",
    "CREATE TABLE note (id INT PRIMARY KEY, txt TEXT);",
    "CREATE TABLE note (id INT PRIMARY KEY, body TEXT);",
    """-- name: write(id, txt)
INSERT INTO note VALUES (:id, :txt);
-- name: edit(id, txt)
UPDATE note SET txt = :txt WHERE id = :id;
-- name: erase(id)
DELETE FROM note WHERE id = :id;
-- name: read(id)
SELECT txt FROM note WHERE id = :id;
-- name: saying(txt)
SELECT id FROM note WHERE txt = :txt;
""",
    """-- name: write(id, txt)
INSERT INTO note VALUES (:id, :txt);
-- name: edit(id, txt)
UPDATE note SET body = :txt WHERE id = :id;
-- name: erase(id)
DELETE FROM note WHERE id = :id;
-- name: read(id)
SELECT body AS txt FROM note WHERE id = :id;
-- name: saying(txt)
SELECT id FROM note WHERE body = :txt;
""",
)
