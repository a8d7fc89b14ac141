"""What a draft would send, and what not, and why."""

import pytest
from campaign_office import CAMILA, Office

from pombo.account.prices import Price, Prices
from pombo.campaign import operations
from pombo.campaign.columns import Use
from pombo.campaign.operations import Wrong
from pombo.campaign.states import State
from pombo.route.routes import Route
from pombo.store import blocks
from rows import SECRETS

pytestmark = pytest.mark.anyio


async def test_each_row_that_cannot_be_sent_says_why(office: Office) -> None:
    await blocks.add(office.db, 1, [SECRETS.number_hmac(5511987654327)], "manual")
    campaign_id = await office.upload(
        b"Nome;Celular\n"
        b"Ana;11987654321\n"
        b"Ana;(11) 3864-2210\n"
        b"Ana;98441-0072\n"
        b"Ana;\n"
        b";11987654322\n"
        b"Ana;+55 11 98765-4321\n"
        b"Ana;11987654327\n"
        b"Ana;11987654328;mais\n"
        b"Ana;+1 202 555 0123\n"
        + f"{'x' * 5000};11987654329\n".encode()
        + b"Ana;011987654321\n"
    )  # fmt: skip
    await office.write(campaign_id, "Oi {nome}")

    assert await office.reasons(campaign_id) == [
        (3, "fixed_line", ""),
        (4, "no_ddd", ""),
        (5, "no_number", ""),
        (6, "empty_variable", "nome"),
        (7, "duplicate", "2"),
        (8, "blocked", ""),
        (9, "shifted", ""),
        (10, "foreign", ""),
        (11, "too_long", ""),
        (12, "duplicate", "2"),
    ]
    campaign = await office.campaign(campaign_id)
    assert (campaign.row_count, campaign.refused) == (11, 10)
    assert await office.sent() == []


async def test_numbers_of_other_countries_are_read_as_the_api_reads_them(office: Office) -> None:
    await office.db.execute("update account set countries = '{BR,PT}'")
    office.routes.append(Route("351", 1, 86400))
    campaign_id = await office.started(
        b"Celular;Nome\n"
        b"+351 912 345 678;Ana\n"
        b"00351 912 345 679;Rui\n"
        b"351912345677;Eva\n"  # without + or 00 a number is one of Brazil
        b"+34 612 345 678;Leo\n"
        b"+351 212 345 678;Ivo\n"
        b"11987654321;Bia\n"
    )
    await office.until(campaign_id, State.DONE)
    assert {number for number, _body in await office.sent()} == {351912345678, 351912345679, 5511987654321}
    assert await office.reasons(campaign_id) == [
        (4, "bad_number", ""),
        (5, "foreign", ""),
        (6, "bad_number", ""),
    ]


async def test_a_number_whose_first_row_is_refused_goes_to_its_next_row(office: Office) -> None:
    campaign_id = await office.upload(b"Nome;Celular\n;11987654321\nAna;11987654321\nRui;11987654321\n")
    await office.write(campaign_id, "Oi {nome}")
    assert await office.reasons(campaign_id) == [(2, "empty_variable", "nome"), (4, "duplicate", "3")]


async def test_an_empty_variable_may_be_left_out(office: Office) -> None:
    campaign_id = await office.upload(b"Nome;Celular\n;11987654321\n")
    await office.write(campaign_id, "Oi {nome}", empty_refused=False)
    assert await office.reasons(campaign_id) == []


async def test_the_cost_is_what_will_be_charged_and_says_what_would_save_money(office: Office) -> None:
    office.prices = Prices([Price("5521", 50)])
    campaign_id = await office.upload(
        "Nome;Celular\nJoão;11987654321\nAna;21987654321\n".encode() + f"{'ó' * 50};11987654322\n".encode()
    )
    await office.write(campaign_id, "Olá {nome}, " + "x" * 70, text_mode="auto")
    sums = await office.totals(campaign_id)
    # 70 code units hold none of the texts; without accents one part holds each of them.
    assert (sums.rows, sums.parts) == (3, 6)
    assert (sums.price_milli, sums.plain_price_milli) == (2 * 80 * 2 + 50 * 2, 2 * 80 + 50)
    assert (sums.longer, sums.saved_milli) == (3, 210)

    await office.start(campaign_id)
    await office.until(campaign_id, State.DONE)
    assert await office.db.fetchval("select 100000000 - balance_milli from account") == sums.price_milli


async def test_a_message_that_is_changed_is_checked_from_the_first_row_again(office: Office) -> None:
    campaign_id = await office.upload(b"Nome;Celular\n;11987654321\n")
    await office.write(campaign_id, "Oi {nome}")
    assert len(await office.reasons(campaign_id)) == 1
    await office.write(campaign_id, "Oi")
    assert await office.reasons(campaign_id) == []
    assert (await office.campaign(campaign_id)).refused == 0


@pytest.mark.parametrize(
    ("uses", "body", "word"),
    [
        ([Use.TEXT, Use.TEXT], "oi", "no_number_column"),
        ([Use.NUMBER, Use.NUMBER], "oi", "two_number_columns"),
        ([Use.TEXT], "oi", "columns"),
        ([Use.TEXT, "anything"], "oi", "columns"),
        ([Use.TEXT, Use.NUMBER], "  \n", "empty_message"),
        ([Use.TEXT, Use.NUMBER], "x" * 5001, "long_message"),
        ([Use.TEXT, Use.NUMBER], "Oi {sobrenome}", "unknown_variable"),
        ([Use.IGNORE, Use.NUMBER], "Oi {nome}", "unknown_variable"),
    ],
)
async def test_a_message_that_cannot_be_made_is_refused_with_the_reason(
    office: Office, uses: list[str], body: str, word: str
) -> None:
    campaign_id = await office.upload(b"Nome;Celular\nAna;11987654321\n")
    with pytest.raises(Wrong) as caught:
        await office.write(campaign_id, body, uses=uses)
    assert caught.value.word == word
    assert (await office.campaign(campaign_id)).state == State.DRAFT


async def test_only_what_the_messages_need_is_kept_once_it_is_confirmed(office: Office) -> None:
    await office.started(
        b"Nome;CPF;Celular;Bairro\nAna;1;11987654321;Moema\nRui;2;1138642210;Bras\n", "Oi {bairro}"
    )
    rows = await office.db.fetch("select cells from campaign_row order by n")
    assert [row["cells"] for row in rows] == [
        ["", "", "11987654321", "Moema"],
        ["", "", "1138642210", "Bras"],
    ]


async def test_who_sends_to_many_types_their_number(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "TYPED_FROM", 2)
    campaign_id = await office.upload(b"Celular\n11987654321\n11987654322\n")
    await office.write(campaign_id)

    async def start(typed: str, version: int = 1) -> None:
        await operations.start(
            office.db, 1, campaign_id, version=version, start_at=None, typed=typed, who=CAMILA
        )

    for typed in ("", "1", "22"):
        with pytest.raises(Wrong) as caught:
            await start(typed)
        assert (caught.value.word, caught.value.detail) == ("typed", "2")
    with pytest.raises(Wrong) as caught:
        await start("2", version=0)
    assert caught.value.word == "changed"
    await start(" 2 ")
    with pytest.raises(Wrong) as caught:
        await start("2")
    assert caught.value.word == "started"


async def test_what_the_balance_does_not_pay_for_is_not_started(office: Office) -> None:
    campaign_id = await office.upload(b"Celular\n11987654321\n11987654322\n")
    await office.write(campaign_id)
    await office.db.execute("update account set balance_milli = 100")
    with pytest.raises(Wrong) as caught:
        await office.start(campaign_id)
    assert (caught.value.word, caught.value.detail) == ("credit", "60")


async def test_a_campaign_of_nobody_is_not_started(office: Office) -> None:
    campaign_id = await office.upload(b"Celular\n1138642210\n")
    await office.write(campaign_id)
    with pytest.raises(Wrong) as caught:
        await office.start(campaign_id)
    assert caught.value.word == "nobody"


async def test_a_campaign_of_another_account_is_unknown(office: Office) -> None:
    campaign_id = await office.upload(b"Celular\n11987654321\n")
    for ask in (operations.pause, operations.resume, operations.drop):
        with pytest.raises(Wrong) as caught:
            await ask(office.db, 2, campaign_id, CAMILA)
        assert caught.value.word == "unknown"


async def test_what_people_do_is_in_the_audit_trail_without_numbers_and_texts(office: Office) -> None:
    campaign_id = await office.started(b"Nome;Celular\nAna;11987654321\n", "Oi {nome}")
    rows = await office.db.fetch("select actor, action, subject, after from audit order by id")
    assert [(row["actor"], row["action"], row["subject"]) for row in rows] == [
        ("panel:camila@loja", "campaign.message", f"campaign {campaign_id}"),
        ("panel:camila@loja", "campaign.start", f"campaign {campaign_id}"),
    ]
    assert "Oi" not in str(rows) and "98765" not in str(rows)


async def test_drafts_that_nobody_touches_go_with_their_rows(office: Office) -> None:
    _, new = [await office.upload(b"Celular\n11987654321\n") for _ in range(2)]
    started = await office.started(b"Celular\n11987654321\n")
    await office.db.execute(
        "update campaign set changed_at = now() - interval '73 hours' where id <> $1", new
    )
    await office.new_runner().step()
    rows = await office.db.fetch("select distinct campaign_id from campaign_row order by 1")
    assert [row[0] for row in rows] == [new, started]
    await operations.drop(office.db, 1, new, CAMILA)
    assert await office.db.fetchval("select count(*) from campaign") == 1
