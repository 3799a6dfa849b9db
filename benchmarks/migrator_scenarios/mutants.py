"""Wrong programs: the textbook answers with one mistake each, which the checker must find."""

from dataclasses import dataclass

from benchmarks.migrator_scenarios.scenario import Scenario
from benchmarks.migrator_scenarios.textbook import (
    ASSOCIATION,
    COPIED,
    DENORMALISED,
    MERGE,
    MERGE_ONE,
    MOVE,
    NATURAL,
    RENAME,
    SPLIT,
    SPLIT_ONE,
)


@dataclass(frozen=True)
class Mutant:
    """A mistake in the answer to a scenario."""

    scenario: Scenario
    """Whose answer it spoils."""
    right: str
    """Text of the answer, there once or more."""
    wrong: str
    """Text that replaces its first occurrence."""

    @property
    def program(self) -> str:
        """The wrong program. Raises ValueError if the text is not there."""
        if self.right not in self.scenario.golden:
            raise ValueError(f"{self.scenario.name}: {self.right!r} is not in the answer")
        return self.scenario.golden.replace(self.right, self.wrong, 1)


MUTANTS = (
    # wrong set of rows
    Mutant(MERGE, "zip = :zip WHERE mid = :mid", "zip = :zip WHERE mid <> :mid"),
    Mutant(
        MERGE,
        "DELETE FROM member WHERE mid = :mid",
        "DELETE FROM member WHERE mid = :mid OR phone = phone",
    ),
    Mutant(MERGE, "FROM member WHERE mid = :mid;\n", "FROM member WHERE mid >= :mid;\n"),
    Mutant(SPLIT, "WHERE j.salary > :salary", "WHERE j.salary >= :salary"),
    Mutant(
        SPLIT,
        "UPDATE job SET job = :job, salary = :salary WHERE employee_id = :id",
        "UPDATE job SET job = :job, salary = :salary WHERE job_id = :id",
    ),
    Mutant(
        SPLIT,
        "DELETE FROM phone WHERE employee_id IN (SELECT employee_id FROM job WHERE job = :job);\n",
        "",
    ),
    Mutant(
        SPLIT_ONE,
        "DELETE FROM person WHERE id IN (SELECT person_id FROM identification WHERE passport = "
        ":passport);\n"
        "DELETE FROM identification WHERE passport = :passport;",
        "DELETE FROM identification WHERE passport = :passport;\n"
        "DELETE FROM person WHERE id IN (SELECT person_id FROM identification WHERE passport = "
        ":passport);",
    ),
    Mutant(
        MOVE,
        "DELETE FROM customer WHERE id = :id",
        "DELETE FROM customer WHERE id = :id AND name = email",
    ),
    Mutant(RENAME, "DELETE FROM note WHERE id = :id;\n", "DELETE FROM note WHERE id < :id;\n"),
    Mutant(ASSOCIATION, "DELETE FROM album_picture WHERE album_id = :album_id;\n", ""),
    Mutant(
        NATURAL,
        "WHERE month = :month AND employee_ssn = :ssn",
        "WHERE month >= :month AND employee_ssn = :ssn",
    ),
    Mutant(
        NATURAL,
        "DELETE FROM paycheck WHERE employee_ssn = :ssn",
        "DELETE FROM paycheck WHERE month = :ssn",
    ),
    # wrong column
    Mutant(MERGE, "SELECT name, phone, street, city, zip", "SELECT name, phone, city, street, zip"),
    Mutant(
        SPLIT,
        "VALUES (FRESH(1), :id, :street, :city, :zip)",
        "VALUES (FRESH(1), :id, :city, :street, :zip)",
    ),
    Mutant(
        SPLIT,
        "SELECT e.name, p.phone, m.email FROM",
        "SELECT e.name, m.email AS phone, p.phone AS email FROM",
    ),
    Mutant(
        SPLIT_ONE,
        "INSERT INTO identification VALUES (:id, :passport, :issued, :country)",
        "INSERT INTO identification VALUES (:id, :issued, :passport, :country)",
    ),
    Mutant(
        SPLIT_ONE,
        "ON i.person_id = p.id WHERE i.passport = :passport",
        "ON i.person_id = p.id WHERE i.issued = :passport",
    ),
    Mutant(
        SPLIT_ONE,
        "SET passport = :new_passport WHERE passport = :passport",
        "SET passport = :new_passport WHERE country = :passport",
    ),
    Mutant(
        MERGE_ONE,
        "DELETE FROM person WHERE passport = :passport",
        "DELETE FROM person WHERE country = :passport",
    ),
    Mutant(
        MERGE_ONE,
        "SELECT name FROM person WHERE birth = :birth",
        "SELECT name FROM person WHERE issued = :birth",
    ),
    Mutant(
        MOVE,
        "SELECT email FROM customer WHERE name = :name",
        "SELECT email FROM customer WHERE email = :name",
    ),
    Mutant(
        COPIED,
        "SELECT item, price FROM orders WHERE customer_name = :name",
        "SELECT item, price FROM orders WHERE item = :name",
    ),
    Mutant(
        NATURAL, "SELECT name, city, phone FROM", "SELECT name, phone AS city, city AS phone FROM"
    ),
    # wrong join
    Mutant(
        ASSOCIATION,
        "JOIN album_picture x ON x.picture_id = p.id JOIN album a ON x.album_id = a.id WHERE "
        "a.name",
        "JOIN album_picture x ON x.album_id = p.id JOIN album a ON x.album_id = a.id WHERE a.name",
    ),
    Mutant(
        ASSOCIATION,
        "SET album_id = :album_id WHERE picture_id = :id",
        "SET album_id = :album_id WHERE album_id = :id",
    ),
    Mutant(DENORMALISED, "JOIN author a ON r.author_id = a.id", "JOIN author a ON r.id = a.id"),
    Mutant(
        SPLIT,
        "e JOIN address a ON a.employee_id = e.id WHERE a.city",
        "e JOIN address a ON a.address_id = e.id WHERE a.city",
    ),
    # a copy that is not kept up, or taken from another row
    Mutant(COPIED, "UPDATE orders SET customer_name = :name WHERE customer_id = :id;\n", ""),
    Mutant(
        COPIED,
        "(SELECT name FROM customer WHERE id = :customer_id)",
        "(SELECT name FROM customer WHERE id = :id)",
    ),
    Mutant(
        DENORMALISED,
        "UPDATE review SET book_title = :title WHERE book_id = :id",
        "UPDATE review SET book_title = :title WHERE id = :id",
    ),
    Mutant(
        DENORMALISED,
        "UPDATE book SET author_name = :name WHERE author_id = :id",
        "UPDATE book SET author_name = :name WHERE id = :id",
    ),
    Mutant(
        DENORMALISED,
        "(SELECT author_id FROM book WHERE id = :book_id)",
        "(SELECT author_id FROM book WHERE id = :id)",
    ),
)
