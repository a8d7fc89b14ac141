"""A customer schedules, thinks better of it, and sends marketing at a time that is none for it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from story_program import Customer, Program, new_number, until
from story_smsc import Smsc

_ZONE = ZoneInfo("America/Sao_Paulo")


def _local(ahead: timedelta) -> str:
    return f"{datetime.now(_ZONE) + ahead:%Y-%m-%d %H:%M:%S}"


def test_a_scheduled_message_goes_at_its_time_and_a_cancelled_one_never(
    program: Program, customer: Customer, smsc: Smsc
) -> None:
    number, other = new_number(), new_number()
    cancelled = customer.send(other, agendar=_local(timedelta(hours=1)))
    assert program.run("explain", cancelled)["queue"]["waits_for"] == "schedule"
    assert program.run("cancel", cancelled) == {"cancelled": 1}
    assert customer.status(cancelled) == "4"

    at = _local(timedelta(seconds=3))
    scheduled = customer.send(number, agendar=at)
    assert customer.status(scheduled) == "0"
    entry = customer.wait_status(scheduled, "2")

    assert at <= entry["enviado"] <= _local(timedelta())
    assert entry["data"] < at
    assert len(smsc.submits(number)) == 1
    assert smsc.submits(other) == []


def test_marketing_outside_its_window_waits_until_the_window_is_opened(program: Program, smsc: Smsc) -> None:
    shop = program.add_account("oferta")
    far = f"{datetime.now(_ZONE) + timedelta(days=3):%a}".lower()
    program.run("account", "set", "oferta", "--class", "marketing", "--window", f"{far} 10:00-11:00")
    number = new_number()

    def sent_as_marketing() -> str:
        message_id = shop.send(number)
        return message_id if program.run("explain", message_id)["queue"]["waits_for"] == "window" else ""

    message_id = until(sent_as_marketing, what="the class and the window to be known")
    assert shop.status(message_id) == "0"
    program.run("account", "set", "oferta", "--window", "always")
    shop.wait_status(message_id, "2", timeout_s=20)
    assert smsc.submits(number)
