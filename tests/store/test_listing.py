"""Lists of an account's messages, and its figures: what fits, page by page, and never anybody else's."""

from datetime import UTC, datetime, timedelta

import pytest

from pombo.message import State
from pombo.store import listing, traffic, views
from pombo.store.database import Database
from pombo.store.ids import lowest_at
from pombo.store.listing import Which

pytestmark = pytest.mark.anyio

_NOON = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)  # 12:00 in São Paulo
_DAY = timedelta(days=1)


async def message(
    db: Database,
    n: int,
    *,
    account_id: int = 1,
    after: timedelta | None = None,
    state: State = State.DELIVERED,
    number: int = 5511987654321,
    body: str = "Oi",
    smsc_id: int = 1,
    refunded_milli: int | None = None,
) -> int:
    at = _NOON + (timedelta(seconds=n) if after is None else after)
    message_id = lowest_at(at) + n
    sent_at = None if state is State.WAITING else at + timedelta(seconds=1)
    final_at = None if state is not State.DELIVERED else at + timedelta(seconds=1 + n)
    await db.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at, sent_at, final_at, refunded_milli)"
        " values ($1, $2, $3, $4, $5, $6, false, 2, 160, $7, $8, $9, $10, $11, $12)",
        message_id, account_id, f"ref-{n}", str(number), number, body, int(state), smsc_id, at, sent_at, final_at,
        refunded_milli,
    )  # fmt: skip
    await db.execute(
        "insert into message_key values ($1, $2, $3, 'h', $4)", account_id, f"ref-{n}", message_id, at
    )
    return message_id


def of_the_day(**filters: object) -> Which:
    return Which(1, _NOON - _DAY, _NOON + _DAY, **filters)  # type: ignore[arg-type]


async def refs(db: Database, which: Which) -> list[str]:
    return [row["client_ref"] for row in (await listing.page(db, which, None, 50)).rows]


async def test_the_newest_come_first_and_the_next_page_goes_on_below(database: Database) -> None:
    for n in range(5):
        await message(database, n)
    first = await listing.page(database, of_the_day(), None, 2)
    second = await listing.page(database, of_the_day(), first.before_id, 2)
    third = await listing.page(database, of_the_day(), second.before_id, 2)
    assert [[row["client_ref"] for row in page.rows] for page in (first, second, third)] == [
        ["ref-4", "ref-3"],
        ["ref-2", "ref-1"],
        ["ref-0"],
    ]
    assert third.before_id is None


async def test_each_filter_leaves_what_fits(database: Database) -> None:
    await message(database, 1)
    await message(database, 2, state=State.UNDELIVERED)
    await message(database, 3, number=5521999998888)
    await message(database, 4, body="Promoção 50%_hoje")
    await message(database, 5, smsc_id=2)
    await message(database, 6, after=-3 * _DAY)
    waiting = await message(database, 7, state=State.WAITING)

    assert await refs(database, of_the_day()) == ["ref-7", "ref-5", "ref-4", "ref-3", "ref-2", "ref-1"]
    assert await refs(database, of_the_day(states=[State.UNDELIVERED, State.EXPIRED])) == ["ref-2"]
    assert await refs(database, of_the_day(number=5521999998888)) == ["ref-3"]
    assert await refs(database, of_the_day(text="PROMO")) == ["ref-4"]
    assert await refs(database, of_the_day(text="50%_h")) == ["ref-4"]
    assert await refs(database, of_the_day(text="5%0")) == []  # no wild cards
    assert await refs(database, of_the_day(smsc_id=2)) == ["ref-5"]
    assert await refs(database, of_the_day(client_ref="ref-3")) == ["ref-3"]
    assert await refs(database, of_the_day(client_ref="ref-6")) == []  # of another day
    assert await refs(database, of_the_day(message_ids=[waiting])) == ["ref-7"]
    assert await refs(database, of_the_day(message_class=2)) == []
    assert await refs(database, of_the_day(sent_before=_NOON + timedelta(seconds=3))) == ["ref-1"]


async def test_another_accounts_messages_are_never_listed(database: Database) -> None:
    theirs = await message(database, 1, account_id=2, body="segredo")
    for filters in ({}, {"client_ref": "ref-1"}, {"message_ids": [theirs]}, {"text": "segredo"}):
        assert await refs(database, of_the_day(**filters)) == []
    assert (await listing.count(database, of_the_day())).messages == 0
    assert await traffic.buckets(database, 1, _NOON - _DAY, _NOON + _DAY, traffic.DAY, "UTC") == []


async def test_a_page_stops_looking_and_says_where_to_go_on(database: Database) -> None:
    for n in range(10):
        await message(database, n, state=State.REJECTED if n == 0 else State.DELIVERED)
    which = of_the_day(states=[State.REJECTED])

    page = await listing.page(database, which, None, 5, looked=4)
    assert (page.rows, page.looked_until) == ([], _NOON + timedelta(seconds=6))
    found = []
    while page.before_id is not None:
        page = await listing.page(database, which, page.before_id, 5, looked=4)
        found += [row["client_ref"] for row in page.rows]
    assert found == ["ref-0"]


async def test_an_export_reads_all_of_them_once(database: Database) -> None:
    for n in range(7):
        await message(database, n)
    read = [row["client_ref"] async for page in listing.pages(database, of_the_day(), 3) for row in page]
    assert read == [f"ref-{n}" for n in reversed(range(7))]


async def test_what_fits_is_counted_with_parts_and_cost(database: Database) -> None:
    await message(database, 1)
    await message(database, 2, state=State.REJECTED, refunded_milli=160)
    newest = await message(database, 3, state=State.WAITING)
    assert await listing.count(database, of_the_day()) == (3, 6, 320, True)
    assert await listing.count(database, of_the_day(states=[State.REJECTED])) == (1, 2, 0, True)
    assert await listing.newer(database, of_the_day(), newest, 100) == 0
    assert await listing.newer(database, of_the_day(), newest - 1, 100) == 1


async def test_figures_are_of_hours_and_days_of_the_accounts_time_zone(database: Database) -> None:
    await message(database, 1)
    await message(database, 2, state=State.UNDELIVERED, smsc_id=2, refunded_milli=160)
    await message(database, 3, after=timedelta(hours=12, minutes=1))  # 0:01 of the next day
    zone = "America/Sao_Paulo"

    hours = await traffic.buckets(database, 1, _NOON - _DAY, _NOON + _DAY, traffic.HOUR, zone)
    assert [
        (b.at, b.smsc_id, b.state, b.messages, b.parts, b.charged_milli, b.refunded_milli) for b in hours
    ] == [
        (_NOON, 1, State.DELIVERED, 1, 2, 160, 0),
        (_NOON, 2, State.UNDELIVERED, 1, 2, 160, 160),
        (_NOON + timedelta(hours=12), 1, State.DELIVERED, 1, 2, 160, 0),
    ]
    days = await traffic.buckets(database, 1, _NOON - _DAY, _NOON + _DAY, traffic.DAY, zone)
    midnight = _NOON - timedelta(hours=12)
    assert [(b.at, b.messages) for b in days] == [(midnight, 1), (midnight, 1), (midnight + _DAY, 1)]


async def test_the_median_until_delivery_is_of_delivered_messages(database: Database) -> None:
    for n in (1, 2, 9):
        await message(database, n)
    await message(database, 4, state=State.UNDELIVERED)
    await message(database, 5, smsc_id=2)
    times = await traffic.receipt_times(database, 1, _NOON - _DAY, _NOON + _DAY)
    assert times == {1: 2.0, 2: 5.0, 0: 3.5}


async def test_a_view_is_its_accounts_own_and_replaced_by_its_name(database: Database) -> None:
    await database.execute("insert into account (name) values ('a'), ('b')")
    assert await views.save(database, 1, "Falhas", "situacao=falhas")
    assert await views.save(database, 1, "Falhas", "situacao=nao-entregue")
    [view] = await views.views(database, 1)
    assert view["query"] == "situacao=nao-entregue"
    assert await views.views(database, 2) == []
    assert not await views.remove(database, 2, view["id"])
    assert await views.remove(database, 1, view["id"])
    for n in range(views.MOST):
        assert await views.save(database, 1, f"v{n}", "")
    assert not await views.save(database, 1, "one too many", "")
    assert await views.save(database, 1, "v3", "q=x")
