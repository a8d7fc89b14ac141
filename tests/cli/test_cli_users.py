"""People of accounts by command: the links that let them in, roles, and the last admin."""

import pytest
from cli_commands import Pombo, rows

HOUR_S = 3600


@pytest.fixture
def loja(operator: Pombo) -> Pombo:
    return operator


def test_a_new_person_gets_a_link_that_is_kept_as_a_hash_and_ends(loja: Pombo, database_url: str) -> None:
    said = loja("user", "add", "loja", " Ana@Loja.example ", "--name", "Ana", "--json").json
    assert said["login_url"].startswith("http://127.0.0.1:8080/entrar/")
    assert {key: said[key] for key in ("account", "user", "email", "role")} == {
        "account": 1, "user": 1, "email": "ana@loja.example", "role": "admin",
    }  # fmt: skip
    [row] = rows(database_url, "select hmac, extract(epoch from ends_at - now()) as left_s from sign_in_code")
    code = said["login_url"].rpartition("/")[2]
    assert len(code) == 32 and code.encode() not in row["hmac"]
    assert 23 * HOUR_S < row["left_s"] <= 24 * HOUR_S
    [listed] = loja("user", "list", "--account", "loja", "--json").json["users"]
    assert (listed["name"], listed["has_password"], listed["signed_in_at"]) == ("Ana", False, None)


def test_the_link_leads_to_where_people_reach_the_panel(loja: Pombo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POMBO_PANEL_URL", "https://sms.loja.example/")
    said = loja("user", "add", "loja", "ana@loja.example")
    assert "Link: https://sms.loja.example/entrar/" in said.out


def test_an_address_belongs_to_one_person_of_one_account(loja: Pombo) -> None:
    loja("account", "add", "outra", "--balance", "0")
    loja("user", "add", "loja", "ana@loja.example")
    again = loja("user", "add", "outra", "ANA@loja.example", "--json")
    assert again.code == 1 and "has this e-mail address already" in again.json["error"]


@pytest.mark.parametrize(
    "email",
    [
        "ana",
        "ana@",
        "@loja.example",
        "a b@loja.example",
        "a@b..c",
        "ana@loja.example\u200b",
        "x" * 250 + "@b.c",
    ],
)
def test_what_is_no_address_is_refused(loja: Pombo, email: str) -> None:
    assert "no e-mail address" in loja("user", "add", "loja", email, "--json").json["error"]


def test_the_last_admin_of_an_account_stays_one(loja: Pombo) -> None:
    loja("account", "add", "outra", "--balance", "0")
    loja("user", "add", "outra", "chefe@outra.example")
    loja("user", "add", "loja", "ana@loja.example")
    loja("user", "add", "loja", "bia@loja.example", "--role", "viewer")
    for command in (("role", "ana@loja.example", "viewer"), ("remove", "ana@loja.example")):
        refused = loja("user", *command, "--json")
        assert refused.code == 1 and "last admin" in refused.json["error"]
    assert loja("user", "role", "bia@loja.example", "admin", "--json").json["role"] == "admin"
    assert loja("user", "remove", "ana@loja.example", "--json").json["removed"]
    assert [user["email"] for user in loja("user", "list", "--account", "loja", "--json").json["users"]] == [
        "bia@loja.example"
    ]


def test_a_link_for_a_forgotten_password_ends_the_one_before_it(loja: Pombo, database_url: str) -> None:
    first = loja("user", "add", "loja", "ana@loja.example", "--json").json["login_url"]
    second = loja("user", "password", "ana@loja.example", "--json").json["login_url"]
    assert first != second
    assert rows(database_url, "select count(*) from sign_in_code")[0][0] == 1
    assert "no such person" in loja("user", "password", "nina@loja.example", "--json").json["error"]


def test_what_is_done_with_people_is_recorded_without_the_links(loja: Pombo) -> None:
    links = [
        loja("user", "add", "loja", "ana@loja.example", "--json").json["login_url"],
        loja("user", "password", "ana@loja.example", "--json").json["login_url"],
    ]
    loja("user", "add", "loja", "bia@loja.example")
    loja("user", "role", "bia@loja.example", "viewer")
    loja("user", "remove", "bia@loja.example")
    trail = loja("audit", "list", "--action", "user", "--json")
    actions = [record["action"] for record in trail.json["records"]]
    assert actions == ["user.remove", "user.role", "user.add", "user.password", "user.add"]
    assert not any(link.rpartition("/")[2] in trail.out for link in links)


def test_the_second_factor_is_shown_kept_by_a_new_link_and_turned_off(loja: Pombo, database_url: str) -> None:
    loja("user", "add", "loja", "ana@loja.example")
    off = loja("user", "onefactor", "ana@loja.example", "--json")
    assert off.code == 1 and "has no second factor" in off.json["error"]
    rows(
        database_url,
        "insert into second_factor (person_id, secret_sealed, on_since) select id, '', now() from person returning 1",
    )
    rows(database_url, "insert into recovery_code select id, 'x' from person returning 1")
    assert loja("user", "list", "--json").json["users"][0]["has_second_factor"] is True
    assert "on" in loja("user", "list").out.splitlines()[-1].split()
    assert "The second step stays on" in loja("user", "password", "ana@loja.example").out
    assert loja("user", "onefactor", "ana@loja.example", "--json").json["has_second_factor"] is False
    assert loja("user", "list", "--json").json["users"][0]["has_second_factor"] is False
    assert rows(database_url, "select count(*) from recovery_code")[0][0] == 0
    [record] = loja("audit", "list", "--action", "user.second_factor", "--json").json["records"]
    assert (record["before"], record["after"]) == ({"second_factor": True}, {"second_factor": False})
