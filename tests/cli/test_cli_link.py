"""`link …`, and what becomes of messages whose links lead elsewhere."""

from cli_commands import Pombo, rows


def send(pombo: Pombo, text: str) -> str:
    return str(pombo("send", "loja", "11999990001", text, "--json").json["id"])


def held(pombo: Pombo) -> list[tuple[str, str]]:
    listed = pombo("queue", "list", "--state", "held", "--json").json["messages"]
    return [(m["id"], m["held_for"]) for m in listed]


def test_links_elsewhere_are_held_until_somebody_releases_or_discards_them(
    operator: Pombo, database_url: str
) -> None:
    operator("link", "add", "https://Loja.com.br/x", "--account", "loja")
    send(operator, "bit.ly/x")
    assert held(operator) == [], "nobody minds until it is asked for"

    assert operator("link", "guard", "--account", "loja", "--json").json == {"account": 1, "guarded": True}
    send(operator, "m.loja.com.br/x")
    send(operator, "sem link")
    first, second = send(operator, "Veja BIT.LY/x"), send(operator, "www.mau.example")
    assert held(operator) == [(first, "link"), (second, "link")]
    assert "held (link)" in operator("queue", "list").out
    rows(
        database_url,
        "update message set accepted_at = accepted_at - interval '3 days' where client_ref = $1", first,
    )  # fmt: skip
    rows(database_url, "update queue set expires_at = expires_at - interval '3 days' where state = 2")

    operator("queue", "release", first)
    operator("queue", "discard", second, "--yes")

    assert held(operator) == []
    [row] = rows(
        database_url,
        "select expires_at > now() + interval '23 hours', due_at <= now(), held_for from queue q"
        " join message m on m.id = q.message_id where client_ref = $1",
        first,
    )
    assert tuple(row) == (True, True, "")
    [row] = rows(database_url, "select error from message where client_ref = $1", second)
    assert row[0] == "DISCARDED"


def test_hosts_are_listed_and_removed(operator: Pombo) -> None:
    operator("link", "add", "*.loja.com.br", "--account", "loja")
    operator("link", "guard", "--account", "loja")
    expected = {"account": 1, "name": "loja", "guarded": True, "hosts": ["loja.com.br"]}
    assert operator("link", "list", "--json").json == {"accounts": [expected]}

    operator("link", "remove", "loja.com.br", "--account", "loja")
    operator("link", "guard", "--account", "loja", "--off")

    assert operator("link", "list", "--json").json == {"accounts": []}
    assert operator("link", "remove", "loja.com.br", "--account", "loja").code == 1
    assert operator("link", "add", "loja", "--account", "loja").code == 1
