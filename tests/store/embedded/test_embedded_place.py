"""Where the embedded PostgreSQL lies: long paths, closed homes, and the users it runs as."""

import os
import pwd
import shutil
from pathlib import Path

import pytest
from embedded_process import WHEEL, Gateway, ask, cluster_user, stays, wheel_in

from pombo.errors import PomboError
from pombo.store import pg_place
from pombo.store.embedded import DirectoryHeldError, Embedded, attach, reach

pytestmark = pytest.mark.anyio
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user's rights need root to be set up")
NOBODY = pwd.getpwnam("nobody")


@pytest.mark.parametrize("name", ["long" * 25, "quotes', commas"])
async def test_long_or_odd_path_gets_a_short_private_socket_directory(room: Path, name: str) -> None:
    data = room / name
    server = Embedded(data)
    url = await server.start()
    assert await ask(url, "select 1") == 1
    sockets = pg_place.socket_directory(data / "postgres", pg_place.owner_of(data / "postgres"))
    assert (sockets / pg_place.SOCKET).is_socket()
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert await attach(data) == url
    await server.stop()
    assert not sockets.exists()


@pytest.mark.parametrize("how", ["open", "link", "file", "other owner"])
async def test_socket_directory_that_somebody_else_prepared_is_refused(room: Path, how: str) -> None:
    cluster = room / ("long" * 30)
    user = pg_place._new_owner()
    sockets = pg_place.socket_directory(cluster, user)
    sockets.rmdir()
    try:
        match how:
            case "open":
                pg_place.make_directory(sockets, user)
                sockets.chmod(0o770)
            case "link":
                pg_place.make_directory(room / "target", user)
                sockets.symlink_to(room / "target")
                os.chown(sockets, user.uid, user.gid, follow_symlinks=False)
            case "file":
                sockets.touch()
            case "other owner":
                sockets.mkdir(mode=0o700)
                user = user._replace(uid=user.uid + 1)
        with pytest.raises(PomboError, match="remove it"):
            pg_place.socket_directory(cluster, user)
    finally:
        sockets.rmdir() if sockets.is_dir() and not sockets.is_symlink() else sockets.unlink()


@only_root
async def test_below_a_closed_home_the_cluster_lies_elsewhere_and_the_home_stays_closed(room: Path) -> None:
    home = room / "home"
    home.mkdir(mode=0o700)
    data = home / "data"
    async with reach(data) as url:
        await ask(url, "create table bird as select 'pombo' as name")
        shutil.copytree(data, home / "copy")
        with pytest.raises(DirectoryHeldError):
            await Embedded(home / "copy").start()
        assert await ask(url, "select name from bird") == "pombo"
    elsewhere = Path((data / pg_place.POINTER).read_text().strip())
    assert elsewhere.parent == pg_place.ELSEWHERE
    assert (elsewhere / "postgres").owner() == cluster_user()
    assert (elsewhere / "postgres").stat().st_mode & 0o777 == 0o700
    assert elsewhere.owner() == "root"
    assert home.stat().st_mode & 0o777 == 0o700

    moved = data.rename(home / "moved")
    async with reach(moved) as url:
        assert await ask(url, "select name from bird") == "pombo"
        with pytest.raises(DirectoryHeldError):
            await Embedded(home / "copy").start()
        assert await ask(url, "select name from bird") == "pombo"


@only_root
async def test_lost_cluster_never_gives_an_empty_database(room: Path) -> None:
    home = room / "home"
    home.mkdir(mode=0o700)
    data = home / "data"
    await stays(data)
    elsewhere = Path((data / pg_place.POINTER).read_text().strip())
    aside = elsewhere.rename(elsewhere.with_name("aside"))
    try:
        with pytest.raises(PomboError, match="is gone"):
            await Embedded(data).start()
    finally:
        aside.rename(elsewhere)


@only_root
async def test_data_directory_that_was_deleted_is_begun_anew_at_the_same_path(room: Path) -> None:
    home = room / "home"
    home.mkdir(mode=0o700)
    data = home / "data"
    places = []
    for _ in range(2):
        async with reach(data) as url:
            await ask(url, "create table bird as select 'pombo' as name")
        places.append(Path((data / pg_place.POINTER).read_text().strip()))
        shutil.rmtree(data)
    for place in places:
        shutil.rmtree(place)
    assert places[0] != places[1]


@only_root
async def test_home_that_was_closed_afterwards_is_named(data: Path) -> None:
    await stays(data)
    data.chmod(0o700)
    try:
        with pytest.raises(PomboError, match="cannot reach it"):
            await Embedded(data).start()
    finally:
        data.chmod(0o755)


@only_root
async def test_programs_below_a_closed_home_are_copied_once(
    room: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = room / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.syspath_prepend(wheel_in(closed))
    await stays(fresh)
    mark = fresh / "postgres-programs" / "copied-from"
    assert mark.read_text().startswith(str(closed))
    inode = mark.stat().st_ino
    await stays(fresh)
    assert mark.stat().st_ino == inode
    (closed / WHEEL.name / "pginstall18" / "bin" / "postgres").touch()  # the wheel was upgraded
    await stays(fresh)
    assert mark.stat().st_ino != inode
    with pytest.raises(PomboError, match="may not run"):
        await Embedded(fresh, str(closed / WHEEL.name / "pginstall18" / "bin")).start()


@only_root
async def test_without_root_it_runs_as_ourselves_and_root_goes_on_as_that_user(
    room: Path, fresh: Path
) -> None:
    fresh.mkdir(mode=0o700)
    shutil.chown(fresh, NOBODY.pw_uid, NOBODY.pw_gid)
    wheel = wheel_in(room)
    gateway = Gateway(fresh, NOBODY.pw_uid, wheel)
    assert (gateway.word, gateway.said[:19]) == ("url", "postgresql://pombo:")
    assert {path.owner() for path in fresh.iterdir()} == {"nobody"}
    assert await ask(gateway.said, "select 1") == 1
    gateway.end()
    assert gateway.process.returncode == 0
    async with reach(fresh):
        assert (fresh / "postgres" / "postmaster.pid").owner() == "nobody"
    again = Gateway(fresh, NOBODY.pw_uid, wheel)
    assert again.word == "url"
    again.end()


@only_root
async def test_without_root_what_belongs_to_others_is_refused_in_words(room: Path, fresh: Path) -> None:
    wheel = wheel_in(room)
    refused = Gateway(fresh, NOBODY.pw_uid, wheel)  # it may not write into the room
    refused.end()
    assert (refused.word, "Permission denied" in refused.said) == ("refused", True)
    await stays(fresh)
    refused = Gateway(fresh, NOBODY.pw_uid, wheel)
    refused.end()
    assert refused.word == "refused"
    assert "the data directory belongs to root: start Pombo as that user, or choose" in refused.said
    shutil.chown(fresh, NOBODY.pw_uid)  # but not what lies in it
    for path in fresh.iterdir():
        if path.is_file():
            shutil.chown(path, NOBODY.pw_uid)
    refused = Gateway(fresh, NOBODY.pw_uid, wheel)
    refused.end()
    assert (refused.word, "closed to this user" in refused.said) == ("refused", True)
