"""The embedded PostgreSQL, run for real: from its first start to its last."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from embedded_process import WHEEL, Gateway, ask, cluster_user, stays

from pombo.errors import PomboError
from pombo.store import embedded, pg_place
from pombo.store.embedded import DirectoryHeldError, Embedded, attach, hold, patiently, reach

pytestmark = pytest.mark.anyio


async def test_new_directory_gets_a_database_that_keeps_commits_and_listens_on_no_port(fresh: Path) -> None:
    async with reach(fresh) as url:
        assert await ask(url, "select current_user || '@' || current_database()") == "pombo@pombo"
        connection = await asyncpg.connect(url)
        found = dict(await connection.fetch("select name, setting from pg_settings"))
        await connection.close()
    wanted = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "jit": "off",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": "0",
    }
    assert {name: found[name] for name in wanted} == wanted


async def test_capitals_of_portuguese_letters_are_known(data: Path) -> None:
    async with reach(data) as url:
        assert await ask(url, "select upper('ação')") == "AÇÃO"


async def test_role_is_no_superuser_but_owns_its_database(data: Path) -> None:
    async with reach(data) as url:
        assert await ask(url, "select not rolsuper from pg_roles where rolname = current_user")
        assert await ask(url, "create table pigeon (id int)") is None
        assert await ask(url, "create database ring") is None


async def test_without_the_password_and_as_superuser_nobody_comes_in(data: Path) -> None:
    async with reach(data) as url:
        password = (data / "postgres.password").read_text().strip()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url.replace(password, "guess"))
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no pg_hba"):
            await asyncpg.connect(url.replace("pombo:", "postgres:"))


async def test_files_are_private_and_the_password_is_in_no_command_line_or_environment(data: Path) -> None:
    async with reach(data):
        password = (data / "postgres.password").read_text().strip().encode()
        assert len(password) == 64
        for name in ("postgres.password", "postgres.log", "lock"):
            assert (data / name).stat().st_mode & 0o777 == 0o600, name
        cluster = data / "postgres"
        assert cluster.stat().st_mode & 0o777 == 0o700
        assert cluster.owner() == cluster_user()
        seen = b""
        for process in Path("/proc").glob("[0-9]*"):
            for part in ("cmdline", "environ"):
                try:
                    seen += (process / part).read_bytes()
                except OSError:
                    continue
        assert os.fsencode(cluster) in seen
        assert password not in seen
        assert password not in (data / "postgres.log").read_bytes()


async def test_failing_statements_leave_no_message_text_in_the_log(data: Path) -> None:
    async with reach(data) as url:
        canary = "canary-text"
        await ask(url, "create table note (text text primary key check (length(text) < 20))")
        await ask(url, "insert into note values ($1)", canary)
        for query in (
            "select $1::text::int",  # the first line of the error quotes the value
            "insert into note values ($1)",
            "insert into note values ($1 || ' and much more of it')",
            "select * from missing where text = $1",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await ask(url, query, canary)
        with pytest.raises(asyncpg.PostgresError):
            await ask(url, f"select '{canary}' from missing")
        assert canary not in (data / "postgres.log").read_text()


async def test_data_outlives_a_restart_and_stop_ends_the_server(data: Path) -> None:
    server = Embedded(data)
    url = await server.start()
    await ask(url, "create table bird as select 'pombo' as name")
    assert await attach(data) == url
    await server.stop()
    assert await attach(data) is None
    assert not (data / "postgres" / "postmaster.pid").exists()
    url = await server.start()
    assert await ask(url, "select name from bird") == "pombo"
    await ask(url, "drop table bird")
    await server.stop()
    await server.stop()


async def test_killed_postgres_is_started_again_with_every_commit(data: Path) -> None:
    server = Embedded(data)
    url = await server.start()
    await ask(url, "create table bird as select 'pombo' as name")
    # A statement that does not look up keeps the dead server's memory in use for a while.
    busy = asyncio.ensure_future(ask(url, "select count(*) from generate_series(1, 3000000)"))
    while (
        await ask(url, "select count(*) from pg_stat_activity where query like '%generate_series(1, 3%'") != 2
    ):
        pass
    os.kill(server._pid() or 0, signal.SIGKILL)
    await server.ended()
    url = await server.start()
    assert await ask(url, "select name from bird") == "pombo"
    await ask(url, "drop table bird")
    await server.stop()
    await asyncio.gather(busy, return_exceptions=True)


async def test_pid_file_of_a_dead_server_whose_number_another_process_has_stops_no_start(data: Path) -> None:
    async with reach(data):
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
    other = subprocess.Popen(["sleep", "60"], **pg_place.as_user(pg_place.owner_of(data / "postgres")))
    try:
        for path in (data / "postgres" / "postmaster.pid", data / "postgres" / ".s.PGSQL.5432.lock"):
            path.write_text("\n".join((str(other.pid), *lines[1:], "")))
            shutil.chown(path, cluster_user())
        assert await attach(data) is None
        await stays(data)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_server_that_outlived_a_killed_gateway_is_taken_over_and_then_stopped(data: Path) -> None:
    gateway = Gateway(data)
    assert gateway.word == "url"
    began = await ask(gateway.said, "select pg_postmaster_start_time()")
    gateway.end(signal.SIGKILL)
    assert await attach(data) == gateway.said
    server = Embedded(data)
    url = await server.start()
    assert await ask(url, "select pg_postmaster_start_time()") == began
    await server.stop()
    assert await attach(data) is None


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(data: Path) -> None:
    gateway = Gateway(data)
    gateway.process.send_signal(signal.SIGSTOP)  # as if it were still draining
    os.killpg(gateway.process.pid, signal.SIGINT)
    assert await ask(gateway.said, "select 1") == 1
    gateway.end(signal.SIGKILL)
    await stays(data)


async def test_second_gateway_is_refused_with_the_number_of_the_first(data: Path) -> None:
    gateway = Gateway(data)
    with pytest.raises(DirectoryHeldError, match=rf"another pombo is running .*pid {gateway.process.pid}\)"):
        await Embedded(data).start()
    assert await ask(gateway.said, "select 1") == 1
    gateway.end()
    await stays(data)


async def test_of_two_starts_at_once_one_wins(fresh: Path) -> None:
    servers = [Embedded(fresh), Embedded(fresh)]
    outcomes = await asyncio.gather(*(server.start() for server in servers), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DirectoryHeldError", "str"]
    for server in servers:
        await server.stop()
    assert await attach(fresh) is None


async def test_command_uses_the_running_server_and_leaves_it_running(data: Path) -> None:
    server = Embedded(data)
    url = await server.start()
    async with reach(data) as reached:
        assert reached == url
    assert await ask(url, "select 1") == 1
    await server.stop()


async def test_command_waits_for_a_server_that_is_about_to_start(data: Path) -> None:
    server = Embedded(data)
    starting = asyncio.ensure_future(server.start())
    while not (data / "lock").exists() or not (data / "lock").read_text():
        await asyncio.sleep(0.001)
    async with reach(data) as reached:
        assert reached == await starting
    await server.stop()


async def test_command_stops_the_server_that_it_started(data: Path) -> None:
    async with reach(data):
        assert await attach(data)
    assert await attach(data) is None


async def test_server_that_a_command_started_stays_until_the_others_that_use_it_are_done(data: Path) -> None:
    first = reach(data)
    url = await first.__aenter__()
    second = reach(data)
    assert await second.__aenter__() == url
    leaving = asyncio.ensure_future(first.__aexit__(None, None, None))
    await asyncio.wait({leaving}, timeout=0.3)
    assert not leaving.done()
    assert await ask(url, "select 1") == 1
    await second.__aexit__(None, None, None)
    await leaving
    assert await attach(data) is None


async def test_commands_at_once_do_not_take_the_server_from_each_other(data: Path) -> None:
    async def command(number: int) -> object:
        async with reach(data) as url:
            return await ask(url, "select $1::int from pg_sleep(0.01 * $1::int)", number)

    assert await asyncio.gather(*(command(number) for number in range(5))) == list(range(5))
    assert await attach(data) is None


async def test_server_that_others_use_for_too_long_is_stopped_all_the_same(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_USERS_S", 0.05)
    starter = reach(data)
    url = await starter.__aenter__()
    async with reach(data):
        await starter.__aexit__(None, None, None)
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await ask(url, "select 1")


async def test_node_waits_for_a_command_that_is_about_to_end_and_not_for_another_node(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_HELD_S", 0.3)
    async with hold(data):
        with pytest.raises(DirectoryHeldError):
            await patiently(Embedded(data).start)
        next_node = hold(data)
        waiting = asyncio.ensure_future(next_node.__aenter__())
        await asyncio.wait({waiting}, timeout=0.05)
        assert not waiting.done()
    await waiting
    await next_node.__aexit__(None, None, None)


async def test_other_versions_cluster_is_refused_with_the_way_out_and_runs_on_its_own_programs(
    fresh: Path,
) -> None:
    older = str(WHEEL / "pginstall" / "bin")
    await stays(fresh, older)
    with pytest.raises(PomboError, match=r"made by PostgreSQL 16, and .* holds 18") as refusal:
        await Embedded(fresh).start()
    assert "POMBO_POSTGRES_BIN" in str(refusal.value)
    assert "pg_dump" in str(refusal.value)
    await stays(fresh, older)


async def test_missing_programs_are_named_with_every_way_to_get_them(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not (Path(entry) / WHEEL.name).exists()])
    with pytest.raises(PomboError) as refusal:
        await Embedded(fresh).start()
    for way in ("make install", "`embedded`", "POMBO_DATABASE_URL", "POMBO_POSTGRES_BIN"):
        assert way in str(refusal.value)


async def test_programs_of_another_platform_are_refused(fresh: Path, room: Path) -> None:
    for name in ("postgres", "initdb"):
        (room / name).write_bytes(b"\x7fELF of something else")
        (room / name).chmod(0o755)
    with pytest.raises(PomboError, match="does not run here"):
        await Embedded(fresh, str(room)).start()
    with pytest.raises(PomboError, match="no program `postgres`"):
        await Embedded(fresh, str(room / "nowhere")).start()


async def test_corrupted_cluster_is_reported_with_postgres_own_words_and_frees_the_lock(fresh: Path) -> None:
    await stays(fresh)
    with (fresh / "postgres" / "global" / "pg_control").open("r+b") as control:
        control.write(b"\xff" * 64)
    for _ in range(2):
        with pytest.raises(PomboError, match=r"does not start(.|\n)*postgres\.log(.|\n)*FATAL"):
            await Embedded(fresh).start()


async def test_gateway_that_cannot_start_its_server_again_keeps_the_directory(fresh: Path) -> None:
    server = Embedded(fresh)
    await server.start()
    os.kill(server._pid() or 0, signal.SIGKILL)
    await server.ended()
    control = fresh / "postgres" / "global" / "pg_control"
    aside = control.rename(control.with_name("aside"))
    with pytest.raises(PomboError, match="does not start"):
        await server.start()
    with pytest.raises(DirectoryHeldError):
        await Embedded(fresh).start()
    aside.rename(control)
    assert await ask(await server.start(), "select 1") == 1
    await server.stop()
    await stays(fresh)


async def test_directory_that_is_no_cluster_is_refused(fresh: Path) -> None:
    fresh.mkdir()
    pg_place.make_directory(fresh / "postgres", pg_place._new_owner())
    with pytest.raises(PomboError, match="PG_VERSION is missing"):
        await Embedded(fresh).start()


async def test_data_directory_that_is_a_file_is_refused(fresh: Path) -> None:
    fresh.write_text("")
    with pytest.raises(PomboError, match="File exists"):
        await Embedded(fresh).start()


async def test_first_start_that_was_interrupted_is_made_anew(fresh: Path) -> None:
    (fresh / "postgres.new" / "base").mkdir(parents=True)
    (fresh / "postgres.new" / "PG_VERSION").write_text("18\n")
    await stays(fresh)


async def test_lost_password_is_replaced_even_when_the_server_outlived_it(data: Path) -> None:
    gateway = Gateway(data)
    gateway.end(signal.SIGKILL)
    (data / "postgres.password").unlink()
    assert await attach(data) is None
    server = Embedded(data)
    url = await server.start()
    assert url != gateway.said
    assert await ask(url, "select 1") == 1
    await server.stop()


async def test_long_log_is_set_aside_at_start(data: Path) -> None:
    await stays(data)
    with (data / "postgres.log").open("a") as log:
        log.write("x" * 5_000_000)
    await stays(data)
    assert (data / "postgres.log").stat().st_size < 10_000
    assert (data / "postgres.log.1").stat().st_size > 5_000_000


async def test_own_settings_win(data: Path) -> None:
    await stays(data)
    own = data / "postgres" / "own.conf"
    own.write_text("work_mem = 5MB\n")
    own.chmod(0o644)
    async with reach(data) as url:
        assert await ask(url, "show work_mem") == "5MB"
    own.unlink()
