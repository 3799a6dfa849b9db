"""Database servers of their own for tests, on Unix sockets; tests that need one are skipped where
it is not installed.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@pytest.fixture(scope="session")
def folder():
    """A folder with a short name, as sockets need, that any user may enter."""
    made = Path(tempfile.mkdtemp(prefix="db"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_address(folder):
    """A PostgreSQL server; as the user postgres where tests run as root, which it refuses."""
    if POSTGRES is None:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    place, user = folder / "pg", None
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, "postgres")
        user = "postgres"

    def call(name, *words):
        command = [str(POSTGRES / name), "-D", str(place / "data"), *words]
        subprocess.run(command, check=True, capture_output=True, cwd="/", user=user)

    call("initdb", "-A", "trust", "-U", "tester", "--no-sync")
    words = f"-k {place} -c listen_addresses= -c fsync=off"
    call("pg_ctl", "-o", words, "-l", str(place / "log"), "-w", "-t", "120", "start")
    yield f"postgresql://tester@/postgres?host={place}"
    call("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture
def postgres(postgres_address):
    """A connection to an empty schema; statements are committed at once."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(
        postgres_address, autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as base:
        base.execute("DROP SCHEMA public CASCADE")
        base.execute("CREATE SCHEMA public")
        yield base


@pytest.fixture(scope="session")
def mariadb_socket(folder):
    """The socket of a MariaDB server."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb") is None:
        pytest.skip("no MariaDB on this machine: apt-get install mariadb-server")
    place, socket = folder / "maria", folder / "m.sock"
    user = ["--user=root"] if os.geteuid() == 0 else []
    options = [f"--datadir={place}", "--no-defaults"][::-1]
    make = ["mariadb-install-db", *options, *user, "--auth-root-authentication-method=normal"]
    subprocess.run(make, check=True, capture_output=True)
    run = ["mariadbd", *options, *user, f"--socket={socket}", "--skip-networking"]
    run += ["--innodb-flush-log-at-trx-commit=0", "--skip-grant-tables"]
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            ask = ["mariadb", f"--socket={socket}", "-e", "SELECT 1"]
            for _ in range(240):
                if subprocess.run(ask, capture_output=True).returncode == 0:
                    break
                time.sleep(0.5)
            yield socket
        finally:
            server.terminate()


@pytest.fixture
def mariadb(mariadb_socket):
    """Runs SQL in an empty MariaDB database and returns what the client prints."""

    def run(sql: str, database: str = "t") -> subprocess.CompletedProcess:
        command = ["mariadb", f"--socket={mariadb_socket}", "-N", "-B", database]
        return subprocess.run(command, input=sql, capture_output=True, text=True)

    assert run("DROP DATABASE IF EXISTS t; CREATE DATABASE t;", "").returncode == 0
    return run
