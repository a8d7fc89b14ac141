"""The replies of the legacy API, octet for octet: compact JSON in pure ASCII, keys in the order of the document."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from zoneinfo import ZoneInfo

import asyncpg

from pombo import country
from pombo.accept.submission import Submission
from pombo.account.account import Account
from pombo.errors import Refusal
from pombo.message import LEGACY_STATUS, State

DEFAULT_ZONE = ZoneInfo("America/Sao_Paulo")


@lru_cache(maxsize=256)
def _local(zone: ZoneInfo, at: datetime) -> str:
    """All messages of one commit share their date."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def submissions(envelope: str, items: Iterable[Submission]) -> bytes:
    """`envio` or `detalhes`: an item per submission."""
    now = datetime.now(UTC)
    texts = []
    for item in items:
        if item.refusal is None:
            assert item.accepted_at is not None, "200 is said only after the commit"
            status, description, at = 200, '"OK"', item.accepted_at
        else:
            status, description, at = 0, quoted(_description(item.refusal, item.detail)), now
        zone = item.account.zone if item.account else DEFAULT_ZONE
        ref = quoted(item.client_ref)
        texts.append(
            f'{{"destino":{quoted(item.destination)},"status":{status},"messageID":{ref},"mesageID":{ref},'
            f'"data":"{_local(zone, at)}","detailDescription":{description}}}'
        )
    return f'{{"{envelope}":[{",".join(texts)}]}}'.encode("ascii")


def _description(refusal: Refusal, detail: str) -> str:
    return f"{refusal.text}: {detail}" if detail and refusal is Refusal.MALFORMED else refusal.text


def refused(envelope: str, refusal: Refusal, detail: str = "") -> bytes:
    """A whole request refused: one item of status 0; for queries an empty list and the reason."""
    if envelope in ("dlr", "mo", "saldo"):
        text = quoted(_description(refusal, detail))
        return f'{{"{envelope}":[],"status":0,"detailDescription":{text}}}'.encode("ascii")
    item = Submission(None, "", "", refusal)
    item.detail = detail
    return submissions(envelope, [item])


def status(account: Account, row: asyncpg.Record | None) -> bytes:
    """`dlr`: one message, or none."""
    if row is None:
        return b'{"dlr":[]}'
    state = State(row["state"])
    delivered_at = row["final_at"] if state is State.DELIVERED else None
    destination = quoted(row["destination"])
    return (
        f'{{"dlr":[{{"data":"{account.local(row["accepted_at"])}","enviado":"{account.local(row["sent_at"])}",'
        f'"entregue":"{account.local(delivered_at)}","status":"{LEGACY_STATUS[state]}","destino":{destination},'
        f'"numero":{destination},"mensagem":{quoted(row["body"])},"id":{quoted(row["client_ref"])}}}]}}'
    ).encode("ascii")


def balance(account: Account, row: asyncpg.Record) -> bytes:
    """`saldo`: money with a point and three decimals, as PHP reads numbers."""
    kind = "pos" if row["billing"] == "postpaid" else "pre"
    return (
        f'{{"saldo":[{{"saldo":"{_reais(row["balance_milli"])}","saldo_milli":{row["balance_milli"]},"moeda":"BRL",'
        f'"tipo":"{kind}","limite":"{_reais(row["limit_milli"])}","preco":"{_reais(row["price_milli"])}",'
        f'"data":"{account.local(row["at"])}"}}]}}'
    ).encode("ascii")


def _reais(milli: int) -> str:
    whole, fraction = divmod(abs(milli), 1000)
    return f"{'-' if milli < 0 else ''}{whole}.{fraction:03}"


def inbox(account: Account, rows: Iterable[asyncpg.Record]) -> bytes:
    """`mo`: replies, oldest first."""
    items = []
    for row in rows:
        handset = quoted(country.shown(row["source"]))
        items.append(
            f'{{"destino":{handset},"numero":{handset},"data":"{account.local(row["received_at"])}",'
            f'"mensagem":{quoted(row["body"])},"id":{quoted(row["client_ref"])},"mo_id":"{row["id"]}"}}'
        )
    return f'{{"mo":[{",".join(items)}]}}'.encode("ascii")
