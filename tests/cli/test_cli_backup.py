"""What `pombo backup` and `pombo restore` refuse. (What they do: tests/story/test_story_backup.py)"""

import subprocess
from pathlib import Path

import pytest
from cli_commands import Pombo, rows


@pytest.fixture
def file(operator: Pombo, tmp_path: Path) -> Path:
    """A backup of a platform with an account, which is there still."""
    file = tmp_path / "pombo.backup"
    assert operator("backup", str(file)).code == 0
    return file


def test_a_backup_overwrites_no_file(operator: Pombo, file: Path) -> None:
    before = file.read_bytes()

    ran = operator("backup", str(file))

    assert (ran.code, file.read_bytes()) == (1, before)
    assert "is there already" in ran.err


def test_a_backup_that_cannot_be_written_leaves_nothing(operator: Pombo, tmp_path: Path) -> None:
    ran = operator("backup", str(tmp_path / "missing" / "b"))
    assert ran.code == 1
    assert "cannot be written: No such file or directory" in ran.err


def test_a_backup_that_fails_leaves_nothing(
    operator: Pombo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").touch()
    monkeypatch.setenv("POMBO_POSTGRES_BIN", str(tmp_path / "bin"))

    ran = operator("backup", str(tmp_path / "b"))

    assert ran.code == 1
    assert "pg_dump does not run here" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name == "b" or ".b." in path.name) == []


def test_nothing_is_restored_over_a_platform(operator: Pombo, file: Path, database_url: str) -> None:
    ran = operator("restore", str(file))
    assert ran.code == 1
    assert "This database is in use" in ran.err
    assert len(rows(database_url, "select from account")) == 1


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_part_of_a_backup_is_none(command: Pombo, file: Path, tmp_path: Path, cut: int) -> None:
    part = tmp_path / "part"
    part.write_bytes(file.read_bytes()[:cut])

    ran = command("restore", str(part))

    assert ran.code == 1
    assert "is no backup of Pombo, or only a part of one" in ran.err


def test_a_backup_that_has_changed_on_its_disk_is_refused(command: Pombo, file: Path) -> None:
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(octets)

    ran = command("restore", str(file))

    assert ran.code == 1
    assert "is damaged: database.dump is not what was written" in ran.err


def test_a_backup_that_is_not_there_is_named(command: Pombo, tmp_path: Path) -> None:
    ran = command("restore", str(tmp_path / "nothing"))
    assert ran.code == 1
    assert f"{tmp_path / 'nothing'} cannot be read: No such file or directory" in ran.err


def test_another_secret_in_the_environment_is_refused(
    command: Pombo, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POMBO_SECRET", "another secret of more than 16")
    ran = command("restore", str(file))
    assert ran.code == 1
    assert "POMBO_SECRET is not the secret of this backup" in ran.err


def test_no_password_stands_in_the_arguments_of_a_process(
    operator: Pombo, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user of the machine can read those."""
    seen: list[list[str]] = []

    class Seen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, argv: list[str], **more: object) -> None:
            seen.append(argv)
            super().__init__(argv, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", Seen)
    assert operator("backup", str(tmp_path / "b")).code == 0

    password = database_url.split(":")[2].split("@")[0]
    assert [argv for argv in seen if "pg_dump" in argv[0]]
    assert password not in str(seen)
