"""The list of places that hold something of a person is complete: a column that may, and that nobody has thought about,
fails here."""

import re

import pytest

from pombo.store.database import Database
from pombo.store.privacy import DELETE, PLACES

pytestmark = pytest.mark.anyio

# Any text or octets, and what its name says is a number of a telephone.
_MAY = re.compile(r"^(text|character|json|bytea|inet|cidr|name|ARRAY)", re.IGNORECASE)
_SOUNDS = re.compile(r"number|destination|handset|source|msisdn|phone|prefix", re.IGNORECASE)

# By table, what may hold anything and does not: nothing of people who are written to.
_HARMLESS = {
    # Who writes. Staff and customers' people are not erased by a handset's number.
    "account": "name billing text_mode time_zone source_addr source_ton source_npi networks marketing_window optout_text"
    " countries messages_per_prefix",
    "token": "hmac prefix name scopes networks",
    "endpoint": "url secret_sealed",
    "template": "name folded body",
    "allowed_host": "host",
    "campaign": "name file_name titles uses body text_mode waits_for created_by outcome",
    "campaign_event": "kind who detail",
    "reply_owner": "address keyword number",  # short codes and numbers of customers
    "person": "email name role password_hash locale theme",
    "panel_session": "hmac address browser",
    "sign_in_code": "hmac",
    "sign_in_half": "hmac",
    "second_factor": "secret_sealed",
    "recovery_code": "hmac",
    "sign_in_try": "hmac",
    # Who runs it, and how.
    "access": "kind who what address",  # addresses of customers and staff, for six months
    "audit": "actor source action subject before after previous hash",  # numbers are masked where it is written
    "fact": "name value",
    "ledger": "kind note reference",  # append-only; docs/operating.md asks for no numbers there
    "migration": "number name sha256",
    "node": "number roles",
    "notice": "kind",
    "price": "prefix",
    "route": "prefix operator",
    "smsc": "name host system_id password_sealed system_type alphabet source_addr source_ton source_npi uncertain_policy"
    " id_form bind_mode tls_ca tls_name long_mode receipt_ids verdicts wanted",
    "velocity": "prefix",  # of a thousand numbers, for an hour or two
    # Keyed hashes, which cannot be read; opt-outs must outlive the number.
    "block": "number_hmac reason",
    "message_key": "content_hmac",
    # The operator's words and ids, and states.
    "attempt": "smsc_message_id smsc_key receipt_error interim",
    "callback": "last_error",
    "callback_attempt": "address error",
    "campaign_row": "refusal detail",
    "inbox": "destination sequence_number",  # what was written to: a short code; of the PDU
    "message": "error source_addr",
    "parked_key": "key",
    "parked_receipt": "raw_id",
    "queue": "held_for",
    "reply_part": "destination",
}


async def _columns(db: Database) -> dict[tuple[str, str], str]:
    rows = await db.fetch(
        "select table_name, column_name, data_type from information_schema.columns c"
        " join information_schema.tables t using (table_schema, table_name)"
        " where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def test_every_column_that_may_hold_something_of_a_person_is_known(database: Database) -> None:
    columns = await _columns(database)
    known = {(place.table, column) for place in PLACES for column in place.columns.split()}
    harmless = {(table, column) for table, names in _HARMLESS.items() for column in names.split()}
    may = {at for at, kind in columns.items() if _MAY.match(kind) or _SOUNDS.search(at[1])}

    assert may - known - harmless == set(), (
        "Each needs its line in PLACES (store/privacy.py), so that it is exported and erased, or, where it never holds a"
        " number or a text of people who are written to, its place among the harmless ones of this test."
    )
    assert (known | harmless) - columns.keys() == set(), "these are no columns (any more)"


async def test_what_is_erased_covers_every_column_of_its_place(database: Database) -> None:
    """What is not deleted has something else in place of each of its columns, in all places of its table together."""
    changed: dict[str, str] = {}
    for place in PLACES:
        changed[place.table] = changed.get(place.table, "") + " " + place.erased
    for place in PLACES:
        for column in place.columns.split():
            if DELETE not in changed[place.table].split() and (place.table, column) != (
                "callback",
                "subject_id",
            ):
                assert re.search(rf"\b{column} = ", changed[place.table]), f"{place.table}.{column}"


async def test_no_text_is_sampled_for_planners(database: Database) -> None:
    """A sample would outlive the text itself."""
    await database.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,"
        " accepted_at) select g, 1, g, '11999990001', 5511999990001, 'canario', false, 1, 0, 1, now()"
        " from generate_series(1, 100) g"
    )
    await database.execute("analyze message")
    sampled = {
        row[0] for row in await database.fetch("select attname from pg_stats where tablename = 'message'")
    }
    assert "state" in sampled
    assert not sampled & {"body", "sent_body", "destination"}
