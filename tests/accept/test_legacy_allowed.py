"""What a token may do, from where, and until when; and how it is refused."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from legacy_gateway import NUMBER, TOKEN, Gateway, Reply, request

from pombo.accept.caller import Caller, address_of, caller_of
from pombo.account.token import Scope
from pombo.message import MessageClass
from pombo.store.database import Database

pytestmark = pytest.mark.anyio

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
ELSEWHERE = ipaddress.ip_network("192.0.2.0/24")
PATHS = ("unitario", "envio", "dlr", "mo", "saldo")
SECOND = "the second token of alfa"


async def through(gateway: Gateway, *forwarded: str, token: str = TOKEN) -> Reply:
    target = f"/api/unitario.php?token={token.replace(' ', '+')}&destino={NUMBER}&msg=Oi"
    async with gateway.connected() as client:
        head = request("GET", target).removesuffix(b"\r\n")
        await client.send(
            head + b"".join(b"X-Forwarded-For: %s\r\n" % f.encode() for f in forwarded) + b"\r\n"
        )
        return await client.read()


async def ask(gateway: Gateway, path: str, token: str) -> bytes:
    reply = await gateway.get(path, token=token, destino=NUMBER, msg="Oi", id="x")
    return reply.body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "columns",
    [
        {"networks": [ELSEWHERE]},
        {"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"scopes": None},
    ],
    ids=lambda columns: next(iter(columns)),
)
async def test_a_token_that_may_not_be_used_so_is_refused_like_an_unknown_one_octet_for_octet(
    gateway: Gateway, alfa: int, path: str, columns: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if columns == {"scopes": None}:
        columns = {"scopes": ["read"] if path in ("unitario", "envio") else ["send"]}
    token_id = await gateway.add_token(alfa, SECOND)
    assert b"Token invalido" not in await ask(gateway, path, SECOND)

    await gateway.change_token(token_id, **columns)

    stamped = b'"data":"' + datetime.now(UTC).strftime("%Y").encode()
    refused, unknown = await ask(gateway, path, SECOND), await ask(gateway, path, "nobody's")
    assert b"Token invalido" in refused
    assert _without_time(refused, stamped) == _without_time(unknown, stamped)


def _without_time(body: bytes, stamped: bytes) -> bytes:
    before, date, after = body.partition(stamped)
    return before + date + after[len("-11-25 10:00:00") :]


async def test_an_account_s_networks_bind_all_its_tokens(gateway: Gateway, alfa: int) -> None:
    await gateway.add_token(alfa, SECOND, networks=[LOOPBACK])
    await gateway.change(alfa, networks=[ELSEWHERE])
    for token in (TOKEN, SECOND):
        assert (await gateway.send_one(token=token)).told == ["Token invalido"]

    await gateway.change(alfa, networks=[ELSEWHERE, LOOPBACK])

    for token in (TOKEN, SECOND):
        assert (await gateway.send_one(token=token)).told == ["OK"]


async def test_a_token_that_is_remembered_ends_at_its_hour(gateway: Gateway, alfa: int) -> None:
    await gateway.add_token(alfa, SECOND, expires_at=datetime.now(UTC) + timedelta(days=1))
    assert (await gateway.send_one(token=SECOND)).told == ["OK"]
    [known] = [known for _, known in gateway.authenticator._known.values()]
    assert known.expires_at is not None

    assert known.allows(Scope.SEND, None, known.expires_at - 1)
    assert not known.allows(Scope.SEND, None, known.expires_at)


async def test_messages_have_the_class_of_their_token_or_else_of_the_account(
    gateway: Gateway, alfa: int
) -> None:
    await gateway.add_token(alfa, SECOND, **{"class": MessageClass.OTP})
    await gateway.change(alfa, **{"class": MessageClass.MARKETING})

    await gateway.send_one("plain")
    await gateway.send_one("code", token=SECOND)
    both = [{"token": t, "mensagens": [{"destino": NUMBER, "msg": "both"}]} for t in (TOKEN, SECOND)]
    await gateway.envio(both)

    rows = await gateway.db.fetch(
        "select m.body, m.class, q.class as queued from message m join queue q on q.message_id = m.id order by m.id"
    )
    assert [tuple(row) for row in rows] == [("plain", 2, 2), ("code", 0, 0), ("both", 2, 2), ("both", 0, 0)]


async def test_when_a_token_was_used_last_is_written_in_bulk_and_wakes_nobody(
    gateway: Gateway, alfa: int
) -> None:
    refused = await gateway.add_token(alfa, SECOND, networks=[ELSEWHERE])
    before = datetime.now(UTC)
    await gateway.send_one()
    await gateway.send_one(token=SECOND)
    assert await gateway.db.fetch("select 1 from token where used_at is not null") == []
    heard: list[object] = []
    async with gateway.db._connection() as listening:

        def hear(*what: object) -> None:
            heard.append(what[3])

        await listening.add_listener("pombo_change", hear)

        await gateway.authenticator.write_uses()
        await gateway.db.execute("select pg_notify('pombo_change', 'the last')")
        while not heard:
            await listening.execute("select 1")
        await listening.remove_listener("pombo_change", hear)

    assert heard == ["the last"]
    [row] = await gateway.db.fetch("select id, used_at from token where used_at is not null")
    assert row["id"] != refused
    assert before - timedelta(seconds=1) < row["used_at"] <= datetime.now(UTC)
    await gateway.authenticator.write_uses()  # nothing new
    assert await gateway.db.fetchval("select used_at from token where id = $1", row["id"]) == row["used_at"]


async def test_who_is_named_counts_only_behind_a_trusted_proxy(database: Database) -> None:
    trusting = Gateway(database, trusted_proxies=[LOOPBACK])
    account_id = await trusting.add_account("beta", TOKEN, networks=[ELSEWHERE])
    async with trusting.running():
        assert (await through(trusting, "192.0.2.7")).told == ["OK"]
        assert (await through(trusting, "10.0.0.1, 192.0.2.7", "127.0.0.2")).told == ["OK"]
        assert (await through(trusting, "192.0.2.7, 198.51.100.1")).told == ["Token invalido"]
        assert (await through(trusting, "192.0.2.7, unknown")).told == ["Token invalido"]
        assert (await through(trusting)).told == ["Token invalido"]
    trustless = Gateway(database, node=2)
    async with trustless.running():
        assert (await through(trustless, "192.0.2.7")).told == ["Token invalido"]
        await trustless.change(account_id, networks=[LOOPBACK])
        assert (await through(trustless, "192.0.2.7")).told == ["OK"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),  # a stranger may say what he likes
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [" , "], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["203.0.113.9, nonsense, 10.0.0.2"], None),
        ("10.0.0.1", [", ".join(["203.0.113.9"] + ["10.0.0.2"] * 40)], None),
        ("10.0.0.1", ["1" * 60_000], None),
    ],
)
async def test_the_rightmost_address_that_is_no_trusted_proxy_is_the_client_s(
    peer: str, forwarded: list[str], address: str | None
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"client": (peer, 1), "headers": headers}
    expected = None if address is None else ipaddress.ip_address(address)

    assert caller_of(scope, 7, [ipaddress.ip_network("10.0.0.0/8")]) == Caller(expected, 7)


async def test_addresses_that_are_none_are_not_remembered_at_length() -> None:
    assert address_of("x" * 10_000) is None
    assert address_of("fe80::1%eth0") == ipaddress.ip_address("fe80::1%eth0")
