"""What stands on a handset's screen, and how long."""

import pytest

from pombo.simulator import bubbles
from pombo.simulator.bubbles import Bubble, Handsets, Part, Place

NUMBER = "5511900000001"


def bubble(number: int, text: str = "oi") -> Bubble:
    made = Bubble(f"m{number}", f"55119{number:08}", "27300", "mt", float(number), b"cliente")
    made.parts[1] = Part(text.encode(), 0)
    return made


def test_oldest_numbers_and_bubbles_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubbles, "NUMBERS_KEPT", 3)
    handsets = Handsets()
    for n in (1, 2, 3, 1, 4):
        handsets.show(bubble(n))
    assert [number[-1] for number in handsets.numbers("27300")] == ["4", "1", "3"]
    for _ in range(bubbles.BUBBLES_KEPT + 5):
        handsets.show(bubble(4))
    assert len(handsets.bubbles("5511900000004")) == bubbles.BUBBLES_KEPT


def test_talks_with_two_short_codes_are_apart() -> None:
    handsets = Handsets()
    handsets.show(bubble(1))
    other = bubble(1, "de outra conta")
    other.short_code = "27301"
    handsets.show(other)
    handsets.show(bubble(2))
    for form in ("5511900000001", "11900000001", "(11) 90000-0001"):
        assert [shown.read() for shown in handsets.bubbles(form, "27301")] == ["de outra conta"]
    assert handsets.numbers("27301") == ["5511900000001"]
    assert handsets.numbers("27300") == ["5511900000002", "5511900000001"]
    assert handsets.bubbles("5511900000003", "27300") == handsets.numbers("1") == []


def test_whoever_knows_a_count_of_changes_finds_what_is_new_and_what_has_changed_since() -> None:
    handsets = Handsets()
    old, settled = bubble(1), bubble(1, "entregue depois")
    handsets.show(old)
    handsets.show(settled)
    seen = handsets.changes
    settled.settle(1)
    handsets.change(settled)
    new = bubble(1, "nova")
    handsets.show(new)
    kept = handsets.bubbles(NUMBER)
    assert [b for b in kept if b.changed > seen] == [settled, new]
    assert [b for b in kept if b.shown > seen] == [new]


def test_part_that_comes_too_late_begins_a_message_of_its_own() -> None:
    handsets = Handsets()
    for n, (at, sequence) in enumerate(((0.0, 1), (bubbles.JOINING_S + 1, 1), (bubbles.JOINING_S + 2, 2))):
        made = Bubble(f"m{n}", NUMBER, "27300", "mt", at, b"cliente")
        handsets.arrived(made, Part(b"ab"[sequence - 1 : sequence], 0), Place(7, 2, sequence))
    assert [shown.read() for shown in handsets.bubbles(NUMBER)] == ["a…", "ab"]
