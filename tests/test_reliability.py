"""docs/reliability.md names tests that there are, and every promise has one."""

import re
from pathlib import Path

import pytest

from mutations.test_mutations import MUTATIONS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text("utf-8")
ROWS = [
    line
    for line in PAGE.partition("## Figures")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| promise", "| fault"))
]
THERE = set(
    re.findall(
        r"^(?:async )?def (test_\w+)",
        "\n".join(path.read_text("utf-8") for path in [*TESTS.rglob("test_*.py"), *TESTS.rglob("soak.py")]),
        re.MULTILINE,
    )
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_every_promise_names_tests_that_there_are(row: str) -> None:
    named = re.findall(r"`(test_\w+)`", row)
    assert named, "no test proves it"
    assert set(named) <= THERE


def test_every_promise_whose_guard_is_tried_says_so() -> None:
    guarded = {mutation.guard.partition("::")[2] for mutation in MUTATIONS.values()}
    for row in ROWS:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert row.startswith("| **M** ") == bool(named & guarded), row
    assert guarded <= set(re.findall(r"`(test_\w+)`", PAGE))
