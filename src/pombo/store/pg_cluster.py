"""A PostgreSQL cluster's own files: made once, configured at every start (while no server runs)."""

import os
import secrets
from pathlib import Path

from pombo.errors import PomboError
from pombo.store import pg_place
from pombo.store.pg_place import Place

_SETTINGS = """\
# Written by Pombo at every start. Settings of your own belong into own.conf beside this file: they win.
listen_addresses = ''
unix_socket_directories = '%s'
unix_socket_permissions = 0700
max_connections = 60
password_encryption = scram-sha-256
cluster_name = pombo
timezone = UTC
log_timezone = UTC

# A commit that was confirmed is on disk.
fsync = on
full_page_writes = on
synchronous_commit = on

# A small machine and short statements: plans that stay the same, no /dev/shm for parallel ones.
shared_buffers = 128MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 64MB
jit = off
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
max_logical_replication_workers = 0
random_page_cost = 1.1
wal_compression = off  # the only kind in this build takes 40 us a page: a sixth of what a long queue takes to drain
wal_buffers = 16MB
# A new file of the log is 16 MB of zeros that are on disk before anybody commits: 40 ms in which all wait, for every 8,000
# messages. Old ones are used again once a checkpoint has ended: so checkpoints come early, and what they leave is kept.
min_wal_size = 768MB
max_wal_size = 1GB

# Pages go to disk in good time and bit by bit. Left to the sessions, which write one whenever they need its place, and to
# the kernel, which writes them all after half a minute, they kept commits waiting for 50 to 200 ms.
bgwriter_delay = 20ms
bgwriter_lru_maxpages = 1000
bgwriter_lru_multiplier = 4
backend_flush_after = 512kB

# A queue turns its whole table over in seconds.
autovacuum_naptime = 10s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
autovacuum_vacuum_cost_delay = 4ms  # 20 MB/s at the most: it shares processors and disk with commits

# Neither statements nor parameters: message texts never reach a log.
log_destination = stderr
logging_collector = off
log_min_messages = warning
log_error_verbosity = terse
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_statement = none
log_checkpoints = off
log_line_prefix = '%%m [%%p] '
"""
_ACCESS = "# Written by Pombo at every start.\nlocal all pombo scram-sha-256\n"


def make(place: Place, data: Path) -> None:
    """A new cluster, complete when it gets its name; what an interrupted attempt left is thrown away."""
    fresh = place.cluster.with_name("postgres.new")
    pg_place.make_directory(fresh, place.user)
    # Nobody comes in as the superuser: it has no password, and pg_hba.conf does not name it.
    argv = [str(place.programs / "initdb"), "-D", str(fresh), "--username=postgres", "--auth=reject"]
    argv += ["--encoding=UTF8", "--locale=C", "--data-checksums", "--text-search-config=simple"]
    if place.major >= 17:
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # knows that Á is á in capitals
    done = pg_place.run(argv, place.user)
    if done.returncode:
        raise PomboError(f"PostgreSQL cannot make its files in {fresh}:\n{_last_lines(done.stdout)}")
    # The first line of an error can quote a value, so sessions of the role log none: the client has them.
    _single(
        place,
        fresh,
        f"create role pombo login createdb password '{_new_password(data)}'",
        "alter role pombo set log_min_messages = 'log'",
        "create database pombo owner pombo",
    )
    fresh.rename(place.cluster)
    parent = os.open(place.cluster.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def configure(place: Place, data: Path, sockets: Path) -> None:
    """Writes the settings; a lost password is replaced. Raises PomboError for another version's cluster."""
    _check_version(place)
    if password(data) is None:
        _single(place, place.cluster, f"alter role pombo password '{_new_password(data)}'")
    settings = _SETTINGS % str(sockets).replace("'", "''")
    if (place.cluster / "own.conf").exists():
        settings += "\ninclude 'own.conf'\n"
    pg_place.write_as(place.user, place.cluster / "postgresql.conf", settings)
    pg_place.write_as(place.user, place.cluster / "pg_hba.conf", _ACCESS)


def password(data: Path) -> str | None:
    """The role's password; None when its file is not there."""
    try:
        return (data / "postgres.password").read_text().strip()
    except FileNotFoundError:
        return None


def _new_password(data: Path) -> str:
    secret = secrets.token_hex(32)
    fresh = data / "postgres.password.new"
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, f"{secret}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    fresh.replace(data / "postgres.password")
    return secret


def _single(place: Place, cluster: Path, *statements: str) -> None:
    """Carries out statements as the superuser; they go in by stdin, as they hold the password."""
    argv = [str(place.programs / "postgres"), "--single", "-D", str(cluster)]
    argv += ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "postgres"]
    done = pg_place.run(argv, place.user, "".join(f"{statement}\n" for statement in statements))
    if done.returncode:
        raise PomboError(f"PostgreSQL cannot prepare {cluster}:\n{_last_lines(done.stdout)}")


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])


def _check_version(place: Place) -> None:
    try:
        found = (place.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise PomboError(f"{place.cluster} is not a PostgreSQL cluster: PG_VERSION is missing.") from None
    if found != str(place.major):
        raise PomboError(
            f"{place.cluster} was made by PostgreSQL {found}, and {place.programs} holds {place.major}. "
            f"Set POMBO_POSTGRES_BIN to the programs of PostgreSQL {found}. To change over, dump the "
            f"database with those (pg_dump) and restore it into a new data directory."
        )
