"""Association tables that get keys and other names, rows copied within them, and a table split and
renamed around a lookup table: both programs on real SQLite, with data.
"""

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from benchmarks.migrator_scenarios.applications import Application
from tests.reasoning.synthesis.migrator.engines import in_sqlite

MEMBERS = Application(
    "members",
    """CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE user_teams (user_id INTEGER NOT NULL REFERENCES users(id), team_id INTEGER NOT NULL
  REFERENCES teams(id), role TEXT DEFAULT 'member', PRIMARY KEY (user_id, team_id));
""",
    """CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE membership (id INTEGER PRIMARY KEY AUTOINCREMENT, member_id INTEGER NOT NULL
  REFERENCES users(id), team_id INTEGER NOT NULL REFERENCES teams(id), role TEXT DEFAULT 'member',
  UNIQUE (member_id, team_id));
""",
    """-- name: add_user(id, email)
INSERT INTO users VALUES (:id, :email);
-- name: add_team(id, name)
INSERT INTO teams VALUES (:id, :name);
-- name: join_team(email, name)
INSERT OR IGNORE INTO user_teams (user_id, team_id) SELECT u.id, t.id FROM users u, teams t
  WHERE u.email = :email AND t.name = :name;
-- name: copy_members(a, b)
INSERT INTO user_teams (user_id, team_id, role) SELECT m.user_id, b.id, m.role FROM user_teams m
  JOIN teams a ON a.id = m.team_id, teams b WHERE a.name = :a AND b.name = :b;
-- name: members()
SELECT u.email, t.name, m.role FROM user_teams m JOIN users u ON u.id = m.user_id JOIN teams t
  ON t.id = m.team_id ORDER BY u.email, t.name;
""",
    """INSERT INTO users VALUES (1, 'a@x'), (2, 'b@x');
INSERT INTO teams VALUES (1, 'red'), (2, 'blue');
INSERT INTO user_teams VALUES (1, 1, 'owner'), (2, 1, NULL);
""",
    (
        ("join_team", {"email": "a@x", "name": "red"}),
        ("join_team", {"email": "none", "name": "red"}),
        ("copy_members", {"a": "red", "b": "blue"}),
        ("add_team", {"id": 3, "name": "green"}),
        ("join_team", {"email": "b@x", "name": "green"}),
    ),
)
STAFF = Application(
    "staff",
    """CREATE TABLE employees (emp_no INTEGER PRIMARY KEY, name TEXT NOT NULL,
      dept_name TEXT NOT NULL, salary INTEGER);
""",
    """CREATE TABLE departments (name TEXT PRIMARY KEY NOT NULL);
CREATE TABLE staff (emp_no INTEGER PRIMARY KEY, name TEXT NOT NULL, dept_name TEXT NOT NULL
  REFERENCES departments(name));
CREATE TABLE salaries (emp_no INTEGER PRIMARY KEY REFERENCES staff(emp_no) ON DELETE CASCADE,
  salary INTEGER);
""",
    """-- name: hire(no, name, dept, salary)
INSERT INTO employees VALUES (:no, :name, :dept, :salary);
-- name: transfer(no, dept)
UPDATE employees SET dept_name = :dept WHERE emp_no = :no;
-- name: fire(no)
DELETE FROM employees WHERE emp_no = :no;
-- name: everyone()
SELECT emp_no, name, dept_name, salary FROM employees ORDER BY emp_no;
-- name: cost()
SELECT dept_name, SUM(salary) AS cost FROM employees GROUP BY dept_name ORDER BY dept_name;
""",
    """INSERT INTO employees VALUES (1, 'a', 'hr', 10), (2, 'b', 'hr', NULL), (3, 'c', 'it', 5);
""",
    (
        ("hire", {"no": 4, "name": "d", "dept": "law", "salary": None}),
        ("transfer", {"no": 1, "dept": "law"}),
        ("transfer", {"no": 2, "dept": "new"}),
        ("fire", {"no": 3}),
    ),
)


@pytest.mark.parametrize("application", [MEMBERS, STAFF], ids=lambda one: one.name)
def test_programs_and_data_agree(application):
    in_sqlite(application)
