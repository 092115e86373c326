"""Run PostgreSQL, MariaDB and Redis on free ports of the loopback address, for as long as a command runs.

    python tools/servers.py [--keep FOLDER [--join]] COMMAND ...

The command gets their URLs in its environment (ECI_<CONTEXT>_DATABASE_URL, ECI_REDIS_URL). Without ``--keep`` they are
throw-away: in a temporary folder, without fsync, gone with this process. With it they are durable and their data stays
in the folder. If an earlier run was killed and its servers still run, they are used again. With MYSQLD in the
environment, a command such as "/usr/sbin/mysqld --no-defaults", MySQL takes the place of MariaDB.

Nobody stops servers under another: a folder has one owner at a time, which stops its servers in the end. Who comes
later uses them and leaves them running. ``--join`` never becomes the owner of servers that run already: it stops only
what it started itself, and not even that while there is an owner.

The owner starts a server again that ends while the command runs. A server keeps its port, from run to run too; it gets
another only if somebody else listens there, and never while there is an owner, whose command knows the port.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import os
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar, TypeVar
from urllib.parse import quote

HOST = "127.0.0.1"
USER = "eci"
POSTGRES = {
    "ECI_PLATFORM_DATABASE_URL": "platform_db",
    "ECI_CATALOG_DATABASE_URL": "catalog_db",
    "ECI_INVENTORY_DATABASE_URL": "inventory_db",
    "ECI_CUSTOMERS_DATABASE_URL": "customer_db",
    "ECI_PAYMENTS_DATABASE_URL": "payment_db",
    "ECI_NOTIFICATIONS_DATABASE_URL": "notifications",
}
MYSQL = {"ECI_ORDERS_DATABASE_URL": "order_db", "ECI_SHIPPING_DATABASE_URL": "shipping_db"}
S = TypeVar("S", bound="Server")
PORTS = range(20_100, 32_768)  # the kernel gives none of them away while a server is not running
START = 60  # seconds a server may take to start, including the replay of its log after a crash
LOOK = 1  # seconds between two looks of the owner at its servers
SOON = 5  # seconds after its start: a server that ends before that would probably end again
TRIES = 3  # starts again, in a row, of a server that ends that soon
NEEDED = {
    "PostgreSQL": ("postgresql", "initdb", "postgres"),
    "MariaDB": ("mariadb-server", "mariadbd", "mariadb-install-db"),
    "Redis": ("redis-server", "redis-server"),
}


class ServersError(Exception):
    """The message is one sentence for the person who asked for servers."""


def binary(name: str) -> str | None:
    """Path of a server's program: on the PATH, else where Debian keeps PostgreSQL's programs and the daemons."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, versions), "/usr/sbin"])
    return shutil.which(name, path=places)


def missing() -> list[str]:
    """Debian packages of the servers that are not installed."""
    return [package for package, *names in NEEDED.values() if not all(map(binary, names))]


def _program(name: str) -> str:
    found = binary(name)
    if found is None:
        raise ServersError(f"{name} is not installed; on Debian: apt-get install -y {' '.join(missing())}")
    return found


def free_ports(count: int) -> list[int]:
    """Distinct free ports."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    """Whether nobody listens there. What is left of a killed server's connections is nobody."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@functools.cache
def _as_somebody_else() -> list[str]:
    """Command prefix for PostgreSQL, which refuses to run as root: in a user namespace, root has another user id."""
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        raise ServersError(
            "PostgreSQL refuses to run as root, and user namespaces are not allowed here: use another user."
        )
    return prefix


@dataclass
class Server:
    """One server program and its folder. ``stop`` is orderly, ``kill`` is not."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    folder: Path
    port: int
    password: str
    durable: bool
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    launched: float = field(default=0.0, repr=False)  # on the monotonic clock
    ended_soon: int = field(default=0, repr=False)  # times in a row

    @property
    def pid_file(self) -> Path:
        return self.folder.with_suffix(".pid")

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def prepare(self) -> None:
        """Create its folder on the first start."""
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_open(self) -> bool:
        """Whether it accepts clients."""
        raise NotImplementedError

    def start(self) -> None:
        self.prepare()
        self.launch()
        self.wait_until_open()

    def launch(self) -> None:
        """Start the program; a throw-away one ends with this process, even if that is killed."""
        tied = [] if self.durable else ["setpriv", f"--pdeathsig={self.stop_signal.name}"]
        before = _as_somebody_else() if self.name == "PostgreSQL" else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, *tied, *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid_file.write_text(str(self.process.pid))
        self.launched = time.monotonic()

    def start_again(self) -> None:
        """If it has ended, and all its processes with it: start it at its port and say so, without waiting for it.
        One that ends soon after each start is given up, which is said too."""
        if self.ended_soon > TRIES or self.pid() is not None or self.inhabitants():
            return
        self.ended_soon = self.ended_soon + 1 if time.monotonic() - self.launched < SOON else 0
        if self.ended_soon > TRIES:
            _say(f"{self.name} ends within {SOON} s of each start and stays away. The last lines of {self.log}:")
            _say(_tail(self.log))
            return
        _say(f"{self.name} has ended and is started again at port {self.port}.")
        try:
            self.prepare()
            self.launch()
        except (OSError, ServersError) as error:
            self.ended_soon = TRIES + 1
            _say(f"{self.name} cannot be started and stays away: {error}")

    def inhabitants(self) -> set[int]:
        """Live processes of it, and of its child processes."""
        return {int(process.name) for process in Path("/proc").glob("[0-9]*") if self._is_home_of(process)}

    def _is_home_of(self, process: Path) -> bool:
        """Whether the folder is its current directory, as is the case for each of these programs."""
        try:
            return (process / "cwd").readlink() == self.folder.resolve()
        except OSError:  # it has ended, or belongs to somebody else
            return False

    def pid(self) -> int | None:
        """Process id of the running program, which this process or an earlier one started."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_home_of(Path("/proc", str(pid))) else None

    def wait_until_open(self) -> None:
        self._wait_until(self.is_open)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + START
        while not condition():
            if self.process is not None and self.process.poll() is not None:
                raise ServersError(f"{self.name} ended by itself; the last lines of {self.log}:\n{_tail(self.log)}")
            if time.monotonic() > end:
                raise ServersError(f"{self.name} does not answer; the last lines of {self.log}:\n{_tail(self.log)}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it and its child processes, as a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Hold it still, as a stalled disk would: connections stand, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """Its parent process first: the one that starts others."""
        for pid in sorted(self.inhabitants()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid()
        if pid is None:
            return
        if self.process is not None and self.process.pid != pid:
            self.process = None  # it ended, and somebody else has started it again
        if number == signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
        if self.process is not None:
            self.process.wait(START)
            self.process = None
        else:
            self._wait_until(lambda: self.pid() is None)
        self.pid_file.unlink(missing_ok=True)


class Postgres(Server):
    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # SIGTERM would wait until every client leaves

    def prepare(self) -> None:
        if (self.folder / "PG_VERSION").exists():
            self._wait_until(lambda: not self.inhabitants())  # the last processes of a killed server are still ending
            (self.folder / "postmaster.pid").unlink(missing_ok=True)  # it may name a process that has not been reaped
            return
        shutil.rmtree(self.folder, ignore_errors=True)  # at most half created
        self.folder.mkdir(mode=0o700)
        made = self.folder / "new"
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(self.password)
            file.flush()
            proof = "scram-sha-256" if self.durable else "md5"  # scram takes most of a short connection's time
            command = [_program("initdb"), "-D", str(made), "-U", USER, "--pwfile", file.name, "-A", proof]
            _run([*_as_somebody_else(), *command, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        marker = made / "PG_VERSION"
        for path in [*(entry for entry in made.iterdir() if entry != marker), marker]:  # the marker comes last
            path.rename(self.folder / path.name)
        made.rmdir()

    def copy(self, primary: Postgres) -> None:
        """Copy the primary's folder; once started, this server follows the primary."""
        source = ["--host", HOST, "--port", str(primary.port), "--username", USER]
        command = [_program("pg_basebackup"), *source, "--pgdata", str(self.folder), "--checkpoint=fast", "--no-sync"]
        _run([*_as_somebody_else(), "env", f"PGPASSWORD={primary.password}", *command, "--write-recovery-conf"])

    def command(self) -> list[str]:
        options = ["listen_addresses=127.0.0.1", "max_connections=200", "timezone=UTC"]
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "deadlock_timeout=100ms"]
        # -k "": no Unix socket, because its path would have to be short.
        program = [_program("postgres"), "-D", str(self.folder), "-p", str(self.port), "-k", ""]
        return [*program, *(part for option in options for part in ("-c", option))]

    def is_open(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def dsn(self, database: str) -> str:
        return f"postgres://{USER}:{quote(self.password)}@{HOST}:{self.port}/{database}"

    def create_databases(self, names: list[str]) -> None:
        import psycopg

        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}
            for name in set(names) - there:
                connection.execute(f'CREATE DATABASE "{name}"')


class MariaDB(Server):
    name = "MariaDB"

    def prepare(self) -> None:
        if self.folder.exists():
            return
        made = self.folder.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        _run([_program("mariadb-install-db"), "--no-defaults", f"--datadir={made}", "--skip-test-db", *_as_root()])
        made.rename(self.folder)

    def command(self) -> list[str]:
        # Keys, codes and ids that differ only in case or trailing spaces must not be equal.
        collation = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_nopad_bin"]
        network = [f"--bind-address={HOST}", f"--port={self.port}", "--socket=s.sock", "--skip-name-resolve"]
        fast = [] if self.durable else ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"]
        program = [_program("mariadbd"), "--no-defaults", f"--datadir={self.folder}", *_as_root()]
        return [*program, *network, *collation, *fast, "--max-connections=200", f"--init-file={self._accounts()}"]

    def _accounts(self) -> Path:
        file = self.folder / "accounts.sql"
        file.write_text(
            f"CREATE USER IF NOT EXISTS {USER}@'{HOST}' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {USER}@'{HOST}' WITH GRANT OPTION;\n"
        )
        file.chmod(0o600)
        return file

    def is_open(self) -> bool:
        import MySQLdb

        try:
            self._connect().close()
        except MySQLdb.OperationalError:
            return False
        return True

    def _connect(self):  # type: ignore[no-untyped-def]
        import MySQLdb

        return MySQLdb.connect(host=HOST, port=self.port, user=USER, password=self.password, connect_timeout=2)

    def dsn(self, database: str) -> str:
        return f"mysql://{USER}:{quote(self.password)}@{HOST}:{self.port}/{database}"

    def create_databases(self, names: list[str]) -> None:
        connection = self._connect()
        for name in names:
            connection.cursor().execute(f"CREATE DATABASE IF NOT EXISTS `{name}`")
        connection.close()


class MySQL(MariaDB):
    """In the place of MariaDB, where MYSQLD names its program."""

    name = "MySQL"

    def prepare(self) -> None:
        if self.folder.exists():
            return
        made = self.folder.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        _run([*self._mysqld(made), "--initialize-insecure"])
        made.rename(self.folder)

    def command(self) -> list[str]:
        collation = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_0900_bin"]
        network = [f"--bind-address={HOST}", f"--port={self.port}", "--socket=s.sock", "--mysqlx=OFF"]
        fast = [] if self.durable else ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"]
        rest = ["--skip-name-resolve", "--skip-log-bin", "--max-connections=200", f"--init-file={self._accounts()}"]
        return [*self._mysqld(self.folder), *network, *collation, *fast, *rest]

    @staticmethod
    def _mysqld(folder: Path) -> list[str]:
        return [*shlex.split(os.environ["MYSQLD"]), f"--datadir={folder}", "--secure-file-priv=NULL", *_as_root()]


class Redis(Server):
    name = "Redis"

    def prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'bind {HOST}\nport {self.port}\ndir "{self.folder}"\nrequirepass {self.password}\n'
            f'databases 64\nsave ""\nappendonly {"yes" if self.durable else "no"}\n'
        )
        return [_program("redis-server"), str(config)]

    def is_open(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


class Servers:
    """The three servers of one folder, and the environment that points the product at them. ``fixed``: somebody knows
    their ports, so none may change, and one that another program has taken is a ServersError."""

    def __init__(self, folder: Path, *, durable: bool, fixed: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "servers.json"
        known = (
            json.loads(state.read_text()) if state.exists() else {"password": secrets.token_urlsafe(24), "ports": {}}
        )
        unused = [port for port in free_ports(6) if port not in known["ports"].values()]

        def server(kind: type[S], name: str) -> S:
            made = kind(folder / name, int(known["ports"].get(name, 0)), known["password"], durable)
            if made.pid() is None and not (made.port and _is_free(made.port)):
                if made.port and fixed:
                    raise ServersError(
                        f"{made.name} is down, and another program listens at its port {made.port}, where the running"
                        " shop expects it: stop that program, or start the shop again."
                    )
                made.port = unused.pop()
            return made

        self.postgres = server(Postgres, "postgresql")
        self.mariadb = server(MySQL, "mysql") if os.environ.get("MYSQLD") else server(MariaDB, "mariadb")
        self.redis = server(Redis, "redis")
        known["ports"] = {one.folder.name: one.port for one in self.all}
        aside = state.with_suffix(".new")
        aside.touch(mode=0o600)
        aside.write_text(json.dumps(known))
        aside.rename(state)

    @property
    def all(self) -> tuple[Postgres, MariaDB, Redis]:
        return self.postgres, self.mariadb, self.redis

    def start(self) -> None:
        """Start the servers that are not running, in parallel, and create the databases."""
        down = self.down
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: server.prepare(), down))
        for server in down:
            server.launch()  # in this thread, because a throw-away server ends with the thread that started it
        for server in self.all:
            server.wait_until_open()
        self.postgres.create_databases(list(POSTGRES.values()))
        self.mariadb.create_databases(list(MYSQL.values()))

    def start_again(self) -> None:
        """Start those that have ended, unless somebody else is about to start them."""
        with _turn(self.redis.folder.parent) as turn:
            if _locked(turn, wait=False):
                for server in self.all:
                    server.start_again()

    @property
    def down(self) -> list[Server]:
        return [server for server in self.all if server.pid() is None]

    def stop(self) -> None:
        self._stop(self.all)

    def stop_own(self) -> None:
        """Stop those that this object has started."""
        self._stop([server for server in self.all if server.process is not None])

    @staticmethod
    def _stop(servers: Iterable[Server]) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.stop, servers))

    def environment(self) -> dict[str, str]:
        return (
            {variable: self.postgres.dsn(name) for variable, name in POSTGRES.items()}
            | {variable: self.mariadb.dsn(name) for variable, name in MYSQL.items()}
            | {"ECI_REDIS_URL": self.redis.url}
        )


def _as_root() -> list[str]:
    """MariaDB and MySQL run as root only if told to."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServersError(f"{Path(command[0]).name} failed:\n{done.stdout[-500:]}{done.stderr[-1000:]}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more: the command goes on
        print(line, file=sys.stderr, flush=True)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


@contextlib.contextmanager
def throw_away() -> Iterator[tuple[Servers, bool]]:
    """They are not to be started again: whoever ends one means it."""
    folder = Path(tempfile.mkdtemp(prefix="eci-servers-"))
    servers = Servers(folder, durable=False)
    try:
        servers.start()
        yield servers, False
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def kept(folder: Path, *, join: bool) -> Iterator[tuple[Servers, bool]]:
    """The folder's servers, running, and whether we own them. In the end they are stopped by their owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    with _turn(folder) as turn, (folder / "owner.lock").open("w") as lock:
        _locked(turn, wait=True)
        unowned = _locked(lock, wait=False)
        owner = unowned and not join
        if not owner:
            fcntl.flock(lock, fcntl.LOCK_UN)
        servers = Servers(folder, durable=True, fixed=not unowned)
        try:
            servers.start()
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield servers, owner
        finally:
            if owner:
                servers.stop()
            elif _locked(turn, wait=True) and _locked(lock, wait=False):  # no run is under way, or about to begin
                servers.stop_own()


def _turn(folder: Path) -> IO[str]:
    """Whoever has locked this file may start servers."""
    return (folder / "start.lock").open("w")


def _locked(file: IO[str], *, wait: bool) -> bool:
    """Lock the file until it is closed, also by the end of this process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a command with its own PostgreSQL, MariaDB and Redis.")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="durable servers that keep their data in the folder"
    )
    parser.add_argument("--join", action="store_true", help="leave servers running that this did not start")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    try:
        with kept(asked.keep.absolute(), join=asked.join) if asked.keep else throw_away() as (servers, own):
            return _follow(asked.command, os.environ | servers.environment(), servers.start_again if own else None)
    except ServersError as error:
        print(error, file=sys.stderr)
        return 1


def _follow(command: list[str], environment: dict[str, str], look: Callable[[], None] | None) -> int:
    """Run the command, pass on the signals sent to us, look meanwhile, and return the command's exit code."""
    child = subprocess.Popen(command, env=environment)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, frame: child.poll() is None and child.send_signal(received))
    while look:
        try:
            child.wait(LOOK)
            break
        except subprocess.TimeoutExpired:
            look()
    code = child.wait()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
