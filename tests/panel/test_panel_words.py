"""Portuguese stands in the pages; English has all of it, and nothing that is said no more."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract, extract_python
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import pombo
from pombo.panel import words
from pombo.panel.words import Voice

PANEL = Path(pombo.__file__).parent / "panel"
KEYWORDS = {"_": None, "ngettext": (1, 2), "noted": None}


def said() -> set[str]:
    """Every text in pages and modules; of singular and plural the singular."""
    found: set[str] = set()
    for path in [*PANEL.rglob("*.html"), *PANEL.rglob("*.py")]:
        method = babel_extract if path.suffix == ".html" else extract_python
        options = {"silent": "false", "trimmed": "true"}
        for _line, text, _comments, _context in extract(
            method, BytesIO(path.read_bytes()), keywords=KEYWORDS, options=options
        ):
            found.add(text if isinstance(text, str) else text[0])
    return found


def test_english_has_everything_that_pages_say_and_nothing_else() -> None:
    known: dict[str, list[str]] = {}
    for path in (PANEL / "locale" / "en").glob("*.po"):
        for message in read_po(BytesIO(path.read_bytes()), locale="en", abort_invalid=True):
            if not message.id:
                continue
            one = message.id if isinstance(message.id, str) else message.id[0]
            translated = [message.string] if isinstance(message.string, str) else list(message.string)
            assert known.setdefault(one, translated) == translated, (
                f"{path.name}: {one!r} is another elsewhere"
            )
            assert all(translated) and not message.fuzzy, f"{path.name}: {one!r}"
            assert not list(message.check()), f"{path.name}: {one!r}"
    everything = said()
    missing = "\n".join(f'\nmsgid "{text}"\nmsgstr ""' for text in sorted(everything - known.keys()))
    assert missing == "", "\n" + missing
    assert known.keys() - everything == set()


@pytest.fixture(params=["pt", "en"])
def locale(request: pytest.FixtureRequest) -> str:
    words.speak(Voice(request.param, ZoneInfo("America/Manaus"), whole_numbers=True))
    return str(request.param)


def test_times_are_of_the_account_and_written_as_people_write_them(locale: str) -> None:
    at = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    assert words.moment(at) == {"pt": "21/11/2026 21:02:03", "en": "21 Nov 2026, 21:02:03"}[locale]
    assert words.day(at) == {"pt": "21/11/2026", "en": "21 Nov 2026"}[locale]
    assert words.long_day(at) == {"pt": "Sábado, 21 de novembro", "en": "Saturday, 21 November"}[locale]
    assert words.clock(at) == "21:02:03"
    assert words.moment(None) == words.clock(None) == ""


def test_lengths_are_as_exact_as_they_are_short(locale: str) -> None:
    assert words.took(0.0841) == "84 ms"
    assert words.took(2.14) == {"pt": "2,1 s", "en": "2.1 s"}[locale]
    assert words.took(timedelta(seconds=200)) == "3 min 20 s"
    assert words.took(3600) == "1 h"
    assert words.took(86400 * 2 + 3 * 3600) == "2 d 3 h"


def test_amounts_show_thousandths_where_there_are_some(locale: str) -> None:
    space = "\N{NO-BREAK SPACE}"
    assert words.money(79) == {"pt": f"R${space}0,079", "en": f"R${space}0.079"}[locale]
    assert words.money(3_808_590) == {"pt": f"R${space}3.808,59", "en": f"R${space}3,808.59"}[locale]
    assert words.money(-1000) == {"pt": f"-R${space}1,00", "en": f"-R${space}1.00"}[locale]


def test_counts_are_short_where_they_are_long(locale: str) -> None:
    assert words.compact(9_999) == {"pt": "9.999", "en": "9,999"}[locale]
    assert words.compact(104_812) == {"pt": "104,8\N{NO-BREAK SPACE}mil", "en": "104.8K"}[locale]
    assert words.percent(0.9763) == {"pt": "97,6%", "en": "97.6%"}[locale]


def test_numbers_are_whole_only_for_people_who_may_see_them() -> None:
    voice = Voice("pt", ZoneInfo("America/Sao_Paulo"), whole_numbers=True)
    words.speak(voice)
    assert words.phone(5511987654321) == words.phone("5511987654321") == "(11) 98765-4321"
    words.speak(voice._replace(whole_numbers=False))
    assert words.phone(5511987654321) == "(11) 9****-4321"
    assert "987654" not in words.phone("+55 11 98765 4321") and words.phone("TIM Brasil") == "TI******il"


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("", "pt"),
        ("en-US,en;q=0.9", "en"),
        ("de, pt-BR;q=0.8, en;q=0.3", "pt"),
        ("pt;q=0.1, en", "en"),
        ("x;q=y", "pt"),
    ],
)
def test_the_browser_says_which_language_it_would_like_best(asked: str, spoken: str) -> None:
    assert words.negotiated(asked) == spoken
