"""`shortcode add|list|remove`."""

from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from pombo.cli.answer import Answer, table
from pombo.cli.options import EVERY, Every, Flag
from pombo.errors import PomboError
from pombo.store import accounts, outbox, owners
from pombo.store.database import Database
from pombo.text.keyword import first_word, folded

_PAGE = 1000
_NUMBER_MOST_CHARACTERS = 20  # an address of SMPP 3.4 §5.2.8

Keyword = Annotated[
    str,
    Parameter(help="Only replies with this first word, without case and accents.", allow_leading_hyphen=True),
]


async def add(
    number: str,
    /,
    *,
    account: Annotated[str, Parameter(help="Whose they are: name or id.")],
    keyword: Keyword = "",
    unowned: Annotated[
        bool, Flag, Parameter(help="Also give it those that have come already and nobody owns.")
    ] = False,
    every: Every = EVERY,
) -> Answer:
    """Give an account the replies to a number that answer no message: all of them, or those with a keyword."""
    number, word = _number(number), _word(keyword)
    async with every.changing("shortcode.add") as (change, _):
        row = await accounts.account(change.db, account)
        await owners.add_owner(change.db, number, word, row["id"])
        fitting = await _unowned(change.db, number, word, row["id"] if unowned else None)
        told = {"account": row["id"], "keyword": word, "assigned": fitting if unowned else 0}
        change.record(f"shortcode {number}", after=told)
    facts = {
        "number": number, "keyword": word, "account": row["id"],
        "assigned": fitting if unowned else 0, "unowned": 0 if unowned else fitting,
    }  # fmt: skip
    said = f"Replies to {number}{_beginning(word)} that answer no message go to {row['name']}."
    if unowned:
        said += f" {fitting} that nobody owned went there."
    elif fitting:
        said += (
            f" {fitting} that nobody owns stay as they are; the same command with --unowned gives them, too."
        )
    return Answer(facts, Text(said))


async def show(*, every: Every = EVERY) -> Answer:
    """Who gets replies that answer no message. A keyword counts before its number alone."""
    async with every.reached() as (db, _):
        rows = await owners.owners(db)
    facts = [
        {"number": r["number"], "keyword": r["keyword"], "account": r["account_id"], "name": r["account"]}
        for r in rows
    ]
    shown = table(
        "number", "keyword", "account",
        rows=((f["number"], f["keyword"] or "(any)", f["name"]) for f in facts),
        empty="No short code has an owner: pombo shortcode add NUMBER --account ACCOUNT",
    )  # fmt: skip
    return Answer({"shortcodes": facts}, shown)


async def remove(number: str, /, *, keyword: Keyword = "", every: Every = EVERY) -> Answer:
    """Take a number or a keyword from its account. What the account has got stays there."""
    number, word = _number(number), _word(keyword)
    async with every.changing("shortcode.remove") as (change, _):
        account_id = await owners.remove_owner(change.db, number, word)
        if account_id is None:
            what = f"The keyword {word!r} on {number}" if word else f"{number} without a keyword"
            raise PomboError(f"{what} is nobody's. `pombo shortcode list` shows what is.")
        change.record(f"shortcode {number}", before={"account": account_id, "keyword": word})
    facts = {"number": number, "keyword": word, "account": account_id, "removed": True}
    return Answer(
        facts, Text(f"Replies to {number}{_beginning(word)} that answer no message are nobody's now.")
    )


async def _unowned(db: Database, number: str, word: str, to_account_id: int | None) -> int:
    """How many replies that nobody owns fit; they are given to the account where there is one, page by page."""
    others = await owners.keywords_of(db, number) - {word}
    count, after_id, more = 0, 0, True
    while more:
        async with db.transaction() as tx:
            page = await owners.unowned_to(tx, number, after_id, _PAGE)
            fitting = [row["id"] for row in page if _fits(first_word(row["body"]), word, others)]
            if to_account_id is not None:
                fitting = await owners.assign(tx, fitting, to_account_id)
                await outbox.of_replies(tx, None, fitting)
        count += len(fitting)
        more = len(page) == _PAGE
        after_id = page[-1]["id"] if page else 0
    return count


def _fits(first: str, word: str, others: set[str]) -> bool:
    return first == word if word else first not in others - {""}


def _number(text: str) -> str:
    text = text.strip()
    if not text or len(text) > _NUMBER_MOST_CHARACTERS or not text.isprintable():
        raise PomboError("A short code is a number such as 27300, or a long one such as 5511999999999.")
    return text


def _word(keyword: str) -> str:
    word = first_word(keyword)
    if word != folded(keyword.strip()):
        raise PomboError("A keyword is one word of letters and digits, such as PROMO.")
    return word


def _beginning(word: str) -> str:
    return f" beginning with {word.upper()}" if word else ""
