"""What each row of a campaign would become. Nothing is sent; the answer is kept with the row."""

from collections.abc import Sequence

from pombo.account.account import Account
from pombo.campaign import reasons
from pombo.campaign.columns import Template, Use
from pombo.campaign.doors import Doors
from pombo.campaign.reasons import Reason
from pombo.store import blocks
from pombo.store.campaign_rows import Row, Verdict
from pombo.store.campaigns import Campaign


class Letters:
    """The texts and destinations of a campaign's rows."""

    def __init__(self, campaign: Campaign) -> None:
        self.template = Template(campaign.body, campaign.titles, campaign.uses)
        self._place = list(campaign.uses).index(Use.NUMBER) if Use.NUMBER in campaign.uses else None

    @property
    def places(self) -> list[int]:
        """The columns that are needed."""
        return sorted({*self.template.used, *([] if self._place is None else [self._place])})

    def destination(self, cells: Sequence[str]) -> str:
        return "" if self._place is None else cells[self._place]

    def text(self, cells: Sequence[str]) -> str:
        return self.template.compose(cells)


async def verdicts(
    doors: Doors, account: Account, campaign: Campaign, letters: Letters, rows: Sequence[Row]
) -> list[Verdict]:
    """Of a page of rows. Repetitions are found when all pages are done."""
    found = [_verdict(doors, account, campaign, letters, row) for row in rows]
    asked = [place for place, verdict in enumerate(found) if not verdict.refusal and verdict.number]
    hmacs = [doors.number_hmac(number) for place in asked if (number := found[place].number)]
    for blocked in await blocks.blocked(doors.db, [account.id] * len(hmacs), hmacs):
        place = asked[blocked]
        found[place] = found[place]._replace(refusal=Reason.BLOCKED)
    return found


def _verdict(doors: Doors, account: Account, campaign: Campaign, letters: Letters, row: Row) -> Verdict:
    destination, text = letters.destination(row.cells), letters.text(row.cells)
    judged = doors.judge(account, destination, text, campaign.text_mode)
    refusal, detail = "", ""
    if row.refusal == Reason.SHIFTED:
        refusal = Reason.SHIFTED
    elif judged.refusal is not None:
        refusal, detail = reasons.of_refusal(judged.refusal, destination, account.countries)
    elif campaign.empty_refused and (name := letters.template.empty(row.cells)):
        refusal, detail = Reason.EMPTY_VARIABLE, name
    if judged.number == 0:
        return Verdict(row.n, None, 0, 0, 0, refusal, detail)
    plain = judged.parts
    if judged.ucs2 and judged.refusal is None:
        plain = doors.judge(account, destination, text, "ascii").parts
    return Verdict(row.n, judged.number, judged.parts, plain, judged.price_milli, refusal, detail)
