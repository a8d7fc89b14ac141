"""What POMBO_SIMULATOR_SCRIPT says, and what it refuses."""

from dataclasses import fields

import pytest

from pombo.errors import PomboError
from pombo.simulator.script import Script, read


def test_everything_can_be_scripted() -> None:
    script = read(
        "response_delay_s=0.2, receipt_delay_s=1-20, refused=0.05, refusal_status=0x45, failed=.5, failure_code=REJECTD,"
        "lost=1, id_form=hex, receipt_id_form=dec, most_per_s=50,"
    )

    assert script == Script(
        response_delay_s=0.2, receipt_delay_s=(1.0, 20.0), refused=0.05, refusal_status=0x45, failed=0.5,
        failure_code="REJECTD", lost=1.0, id_form="hex", receipt_id_form="dec", most_per_s=50,
    )  # fmt: skip
    untouched = [f.name for f in fields(Script) if getattr(script, f.name) == getattr(Script(), f.name)]
    assert untouched == []


def test_what_is_not_said_stays() -> None:
    assert read("") == read(" , ") == Script()
    assert read("receipt_delay_s=3") == Script(receipt_delay_s=(3.0, 3.0))
    assert read("refusal_status=esme_rthrottled") == Script(refusal_status=0x58)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("losst=1", "knows no 'losst'"),
        ("0.5", "knows no '0.5'"),
        ("lost", "lost is a fraction from 0 to 1, not ''"),
        ("lost=1.5", "lost is a fraction from 0 to 1, not '1.5'"),
        ("refused=nan", "refused is a fraction"),
        ("response_delay_s=-1", "response_delay_s is a number of seconds"),
        ("receipt_delay_s=2-1", "receipt_delay_s is a number of seconds, or two as in 0.3-1.2, not '2-1'"),
        ("refusal_status=0", "refusal_status is a command_status"),
        ("failure_code=A B", "failure_code is a word"),
        ("id_form=oct", "id_form is dec or hex"),
        ("most_per_s=1.5", "most_per_s is a whole number"),
        ("most_per_s=-1", "most_per_s is a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(text: str, complaint: str) -> None:
    with pytest.raises(PomboError) as refused:
        read(text)
    assert complaint in str(refused.value)
