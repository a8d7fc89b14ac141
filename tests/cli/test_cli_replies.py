"""`reply list|assign` and `shortcode add|list|remove`: whose replies are that answer no message."""

import uuid

import pytest
from cli_commands import Pombo, in_database, rows

from pombo.store import replies
from pombo.store.callbacks import Room, claim
from pombo.store.replies import NewReply
from pombo.text.keyword import first_word

NUMBER = 5511999990000


def came(
    url: str, *texts: str, to: str = "27300", source: str | None = None, first_id: int = 1
) -> list[int | None]:
    """Replies with the ids 1, 2, ... over connection 1; returns their accounts."""
    new = [
        NewReply(
            n, source or str(NUMBER + n), 0 if source else NUMBER + n, to, text, 0, str(n).encode(), 1, n,
            first_word(text),
        )
        for n, text in enumerate(texts, first_id)
    ]  # fmt: skip
    stored = in_database(url, lambda db: replies.store(db, 1, new))
    return [reply.account_id for reply in sorted(stored)]


def accounts_of(url: str) -> list[int | None]:
    return [row[0] for row in rows(url, "select account_id from inbox order by id")]


@pytest.fixture
def two(operator: Pombo) -> Pombo:
    """The accounts `loja` (1) and `banco` (2), both called for replies."""
    operator("account", "add", "banco", "--balance", "1")
    for account in ("loja", "banco"):
        operator("callback", "set", account, "--kind", "mo", "--url", f"https://example.com/{account}")
    return operator


def test_replies_that_nobody_owns_are_shown_without_text_and_number(two: Pombo, database_url: str) -> None:
    came(database_url, "segredo", "outro")
    came(database_url, "de um nome", source="Operadora", first_id=3)

    ran = two("reply", "list", "--unowned", "--json")

    assert ran.json["without_owner"] == 3
    assert [
        (r["reply"], r["number"], r["destination"], r["smsc"], r["account"]) for r in ran.json["replies"]
    ] == [
        ("3", "****", "27300", "tim", None),
        ("2", "(11) 9****-0002", "27300", "tim", None),
        ("1", "(11) 9****-0001", "27300", "tim", None),
    ]
    for shown in (ran.out, two("reply", "list").out):
        assert "segredo" not in shown
        assert "99999" not in shown
        assert "Operadora" not in shown


def test_texts_and_numbers_of_replies_are_shown_when_asked_for(two: Pombo, database_url: str) -> None:
    came(database_url, "[b]segredo")

    [reply] = two("reply", "list", "--text", "--number", "--json").json["replies"]

    assert (reply["text"], reply["number"]) == ("[b]segredo", "5511999990001")
    assert "[b]segredo" in two("reply", "list", "--text").out


def test_replies_are_listed_by_account_time_and_number(two: Pombo, database_url: str) -> None:
    came(database_url, "um", "dois", "tres")
    two("reply", "assign", "2", "--account", "loja")
    rows(database_url, "update inbox set received_at = '2026-01-01' where id = 1")

    def listed(*options: str) -> list[str]:
        return [reply["reply"] for reply in two("reply", "list", *options, "--json").json["replies"]]

    assert listed() == ["3", "2", "1"]
    assert listed("--limit", "2") == ["3", "2"]
    assert listed("--account", "loja") == ["2"]
    assert listed("--account", "banco") == []
    assert listed("--unowned") == ["3", "1"]
    assert listed("--since", "2026-01-02") == ["3", "2"]
    assert listed("--since", "2026-01-01T00:00:00", "--unowned") == ["3", "1"]
    assert "--unowned or --account" in two("reply", "list", "--unowned", "--account", "loja").err


def test_an_assigned_reply_is_in_the_inbox_of_its_account_and_causes_its_callback(
    two: Pombo, database_url: str
) -> None:
    came(database_url, "um", "dois", "tres")

    ran = two("reply", "assign", "1", "3", "3", "--account", "banco", "--json")

    assert ran.json == {"account": 2, "replies": ["1", "3"]}
    assert accounts_of(database_url) == [2, None, 2]
    jobs, _ = in_database(database_url, lambda db: claim(db, uuid.uuid4(), [Room(2, 2, 10)]))
    assert [(job.subject_id, job.text) for job in jobs] == [(1, "um"), (3, "tres")], (
        "a node can claim them at once"
    )


def test_a_reply_is_never_taken_from_its_account(two: Pombo, database_url: str) -> None:
    came(database_url, "um", "dois")
    two("reply", "assign", "1", "--account", "banco")

    taken = two("reply", "assign", "1", "2", "--account", "loja", "--json")
    unknown = two("reply", "assign", "2", "99", "--account", "loja", "--json")

    assert "Reply 1 belongs to 'banco' already" in taken.json["error"]
    assert "There is no reply 99" in unknown.json["error"]
    assert accounts_of(database_url) == [2, None]
    assert rows(database_url, "select count(*) from callback") == [(1,)]
    assert "ids of replies" in two("reply", "assign", "--account", "loja").err


def test_the_owner_of_a_keyword_comes_before_that_of_its_number(two: Pombo, database_url: str) -> None:
    two("shortcode", "add", "27300", "--account", "loja")
    two("shortcode", "add", "+27300", "--account", "banco", "--keyword", "Promoção")

    assert came(database_url, "promocao", "PROMOÇÃO, quero", "promo", "a promocao", "") == [2, 2, 1, 1, 1]
    assert came(database_url, "promocao", to="29999", first_id=6) == [None]


def test_an_answer_goes_to_who_wrote_whoever_owns_the_short_code(two: Pombo, database_url: str) -> None:
    two("send", "banco", str(NUMBER + 1), "oi", "--id", "a")
    rows(database_url, "update message set state = 1, sent_at = now(), source_addr = '27300'")
    two("shortcode", "add", "27300", "--account", "loja")

    assert came(database_url, "sim", "sim") == [2, 1]


def test_who_owns_a_short_code_gets_what_nobody_owned_when_asked_for(two: Pombo, database_url: str) -> None:
    came(database_url, "promo", "outra", "Promó!")
    came(database_url, "promo", to="29999", first_id=4)
    two("shortcode", "add", "27300", "--account", "banco", "--keyword", "promo")

    told = two("shortcode", "add", "27300", "--account", "loja", "--json")
    assert told.json == {"number": "27300", "keyword": "", "account": 1, "assigned": 0, "unowned": 1}
    assert accounts_of(database_url) == [None] * 4

    ran = two("shortcode", "add", "27300", "--account", "banco", "--keyword", "promo", "--unowned", "--json")
    assert ran.json == {"number": "27300", "keyword": "promo", "account": 2, "assigned": 2, "unowned": 0}
    two("shortcode", "add", "27300", "--account", "loja", "--unowned")
    assert accounts_of(database_url) == [2, 1, 2, None]
    assert rows(database_url, "select account_id, subject_id from callback order by subject_id") == [
        (2, 1),
        (1, 2),
        (2, 3),
    ]


def test_short_codes_are_listed_and_removed(two: Pombo, database_url: str) -> None:
    two("shortcode", "add", "27300", "--account", "loja")
    two("shortcode", "add", "27300", "--account", "banco", "--keyword", "PROMO")

    assert two("shortcode", "list", "--json").json == {
        "shortcodes": [
            {"number": "27300", "keyword": "promo", "account": 2, "name": "banco"},
            {"number": "27300", "keyword": "", "account": 1, "name": "loja"},
        ]
    }
    assert two("shortcode", "remove", "27300", "--keyword", "Promó", "--json").json == {
        "number": "27300", "keyword": "promo", "account": 2, "removed": True,
    }  # fmt: skip
    assert came(database_url, "promo") == [1]
    two("shortcode", "remove", "27300")
    assert came(database_url, "promo", first_id=2) == [None]
    assert "is nobody's" in two("shortcode", "remove", "27300", "--json").json["error"]
    assert "No short code has an owner" in two("shortcode", "list").out


def test_a_short_code_of_another_account_is_refused(two: Pombo) -> None:
    two("shortcode", "add", "27300", "--account", "loja", "--keyword", "promo")

    ran = two("shortcode", "add", "27300", "--account", "banco", "--keyword", "PROMO", "--json")

    assert (ran.code, ran.json) == (
        1,
        {"error": "'promo' on 27300 belongs to 'loja' already. Remove that first."},
    )
    assert two("shortcode", "add", "27300", "--account", "loja", "--keyword", "promo", "--json").code == 0


@pytest.mark.parametrize(
    "options", [["27300", "--keyword", "duas palavras"], ["27300", "--keyword", "!"], [" "], ["9" * 21]]
)
def test_what_is_no_short_code_or_keyword_is_refused(command: Pombo, options: list[str]) -> None:
    ran = command("shortcode", "add", *options, "--account", "loja", "--json")

    assert ran.code == 1
    assert "such as" in ran.json["error"]
