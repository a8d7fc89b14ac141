"""`smsc set|show|start|stop|drain|remove`: what they change, and what they refuse."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_commands import Pombo, in_database, rows
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pombo.store.database import Database
from pombo.store.intake import accept
from rows import one_message


def queued(url: str, message_id: int = 1) -> None:
    """A message of account 1 that waits for connection 1."""
    in_database(url, lambda db: accept(db, one_message(1, message_id, 5511999990001, 1)))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "smpp.example.com")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = datetime.now(UTC)
    signed = made.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    file = tmp_path / "ca.pem"
    file.write_bytes(signed.public_bytes(Encoding.PEM))
    return file


def test_set_changes_what_is_given_and_nothing_else(operator: Pombo, database_url: str) -> None:
    [before] = rows(database_url, "select * from smsc")

    ran = operator(
        "smsc", "set", "tim", "--host", "new.example.com", "--window", "50", "--rate", "0.5", "--bind", "pair",
        "--binds", "3", "--tls", "--tls-name", "smpp", "--long", "sar", "--receipt-ids", "hex",
        "--operator-validity-s", "7200", "--response-timeout-s", "20", "--enquire-link-s", "15", "--patience-s", "5",
        "--rename", "tim 2", "--json",
    )  # fmt: skip

    assert (ran.code, ran.err) == (0, "")
    changed: dict[str, Any] = {
        "name": "tim 2", "host": "new.example.com", "window_size": 50, "rate_per_s": 0.5, "bind_mode": "pair", "binds": 3,
        "tls": True, "tls_name": "smpp", "long_mode": "sar", "receipt_ids": "hex", "operator_validity_s": 7200,
        "response_timeout_s": 20, "enquire_link_s": 15, "patience_s": 5,
    }  # fmt: skip
    [after] = rows(database_url, "select * from smsc")
    assert dict(after) == {**before, **changed}
    assert (ran.json["window"], ran.json["long"], ran.json["binds"]) == (50, "sar", 3)


def test_people_are_told_what_changed_from_what_to_what(operator: Pombo) -> None:
    ran = operator("smsc", "set", "tim", "--window", "50", "--no-tls", "--password", "new")

    assert "window: 20 → 50" in ran.out
    assert "password: changed" in ran.out
    assert "tls" not in ran.out  # it was off before


def test_a_new_password_is_sealed(operator: Pombo, database_url: str) -> None:
    before = rows(database_url, "select password_sealed from smsc")

    ran = operator("smsc", "set", "1", "--password", "-", "--json", stdin=b"hunter2\n")

    after = rows(database_url, "select password_sealed from smsc")
    assert ran.code == 0
    assert before != after
    assert b"hunter2" not in after[0][0]
    assert "hunter2" not in ran.out


def test_set_without_anything_to_set_says_so(operator: Pombo) -> None:
    assert "nothing to change" in operator("smsc", "set", "tim", "--json").json["error"]


def test_verdicts_are_added_and_taken_back_one_by_one(operator: Pombo) -> None:
    first = operator(
        "smsc", "set", "tim", "--verdict", "0x45=final", "--verdict", "ESME_RINVDSTADR=temporary", "--verdict",
        "1105=throttling", "--json",
    )  # fmt: skip
    second = operator("smsc", "set", "tim", "--verdict", "69=usual", "--json")

    assert first.json["verdicts"] == {
        "ESME_RINVDSTADR": "temporary",
        "ESME_RSUBMITFAIL": "final",
        "0x00000451": "throttling",
    }
    assert second.json["verdicts"] == {"ESME_RINVDSTADR": "temporary", "0x00000451": "throttling"}


@pytest.mark.parametrize(
    "verdict", ["0x45", "0x45=maybe", "=final", "0=final", "ESME_RNONE=final", "0x100000000=final"]
)
def test_a_verdict_that_means_nothing_is_refused(operator: Pombo, verdict: str) -> None:
    ran = operator("smsc", "set", "tim", "--verdict", verdict, "--json")

    assert ran.code == 1
    assert "--verdict" in ran.json["error"]
    assert operator("smsc", "show", "tim", "--json").json["verdicts"] == {}


def test_certificates_are_kept_and_taken_back(operator: Pombo, database_url: str, certificate: Path) -> None:
    assert operator("smsc", "set", "tim", "--tls", "--tls-ca", str(certificate)).code == 0
    assert rows(database_url, "select tls_ca from smsc")[0][0] == certificate.read_text()

    assert operator("smsc", "set", "tim", "--tls-ca", "-").code == 0
    assert rows(database_url, "select tls_ca from smsc")[0][0] == ""


@pytest.mark.parametrize("content", [b"no certificate", b"", b"\xff\xfe", None])
def test_a_file_without_certificates_is_refused(
    operator: Pombo, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "bad.pem"
    if content is not None:
        file.write_bytes(content)

    ran = operator("smsc", "set", "tim", "--tls-ca", str(file), "--json")

    assert ran.code == 1
    assert "--tls-ca" in ran.json["error"]


def test_add_takes_every_setting_too(pombo: Pombo, database_url: str) -> None:
    pombo(
        "smsc", "add", "vivo", "--host", "h", "--port", "1", "--system-id", "s", "--password", "p", "--bind", "pair",
        "--verdict", "8=final",
    )  # fmt: skip

    [row] = rows(database_url, "select bind_mode, verdicts from smsc")
    assert (row["bind_mode"], row["verdicts"]) == ("pair", '{"8": "final"}')


@pytest.mark.parametrize(
    "words", [("set", "--window", "2"), ("show",), ("start",), ("stop",), ("drain",), ("remove",)]
)
def test_an_unknown_connection_is_named(pombo: Pombo, words: tuple[str, ...]) -> None:
    ran = pombo("smsc", words[0], "claro", *words[1:], "--json")

    assert ran.code == 1
    assert "no connection 'claro'" in ran.json["error"]


def test_a_name_in_use_cannot_be_given_again(operator: Pombo) -> None:
    operator("smsc", "add", "vivo", "--host", "h", "--port", "1", "--system-id", "s", "--password", "p")

    assert "'tim' already" in operator("smsc", "set", "vivo", "--rename", "tim", "--json").json["error"]


def test_show_tells_everything_but_the_password(operator: Pombo, database_url: str) -> None:
    queued(database_url)

    ran = operator("smsc", "show", "tim", "--json")

    assert (ran.json["waiting"], ran.json["bound"], ran.json["routes"]) == (1, 0, [1])
    assert "password" not in ran.out
    page = operator("smsc", "show", "1").out
    assert "1 waiting" in page
    assert "routes: 1" in page


@pytest.mark.parametrize(("left_min", "bound"), [(1, 2), (-1, 0)])
def test_binds_count_while_the_lease_of_their_owner_is_valid(
    operator: Pombo, database_url: str, left_min: int, bound: int
) -> None:
    in_database(
        database_url,
        lambda db: db.execute(
            """
            with owner as (insert into lease (smsc_id, holder, epoch, lease_until) values
                (1, '00000000-0000-0000-0000-000000000001', 1, now() + make_interval(mins => $1)) returning holder)
            insert into session (smsc_id, holder, bound_at, ended_at)
            select 1, holder, bound, ended
            from (select holder from owner union select '00000000-0000-0000-0000-000000000002') h,
                (values (now(), null), (now(), null), (null, null), (now(), now())) s(bound, ended)
            """,
            left_min,
        ),
    )

    assert operator("smsc", "show", "tim", "--json").json["bound"] == bound


@pytest.mark.parametrize(
    ("word", "wanted"), [("stop", "stopped"), ("drain", "draining"), ("start", "started")]
)
def test_what_is_wanted_of_a_connection_is_kept(
    operator: Pombo, database_url: str, word: str, wanted: str
) -> None:
    ran = operator("smsc", word, "tim", "--json")

    assert (ran.code, ran.json["wanted"]) == (0, wanted)
    assert rows(database_url, "select wanted from smsc")[0][0] == wanted


def test_drain_waits_until_nothing_is_left(
    operator: Pombo, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(database_url, 1)
    queued(database_url, 2)
    looked: list[float] = []

    async def one_is_sent(pause_s: float) -> None:
        """Between two looks."""
        looked.append(pause_s)
        db = await Database.open(database_url, size=1)
        await db.execute("delete from queue where message_id = (select min(message_id) from queue)")
        await db.close()

    monkeypatch.setattr("pombo.cli.smsc.asyncio.sleep", one_is_sent)

    ran = operator("smsc", "drain", "tim", "--wait", "--json")

    assert (ran.code, ran.json["waiting"], len(looked)) == (0, 0, 2)
    assert asyncio.sleep is one_is_sent


def test_a_connection_in_use_is_not_removed(operator: Pombo, database_url: str) -> None:
    assert "smsc stop tim" in operator("smsc", "remove", "tim", "--json").json["error"]
    operator("smsc", "stop", "tim")
    assert "route remove 1" in operator("smsc", "remove", "tim", "--json").json["error"]
    rows(database_url, "delete from route")
    queued(database_url)
    assert "queue discard --smsc tim" in operator("smsc", "remove", "tim", "--json").json["error"]
    assert rows(database_url, "select count(*) from smsc")[0][0] == 1


def test_an_unused_connection_is_removed_and_its_messages_stay(operator: Pombo, database_url: str) -> None:
    queued(database_url)
    rows(database_url, "delete from queue")
    rows(database_url, "delete from route")
    operator("smsc", "stop", "tim")

    assert operator("smsc", "remove", "tim", "--json").json == {"smsc": 1, "removed": True}
    assert operator("smsc", "list", "--json").json == {"smscs": []}
    assert operator("explain", "1", "--json").json["smsc"] is None
