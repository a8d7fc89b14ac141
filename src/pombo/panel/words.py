"""The panel's two languages, and how it writes times, amounts and numbers.

Portuguese is what stands in pages and modules, `_("Mensagens")`; English comes from locale/en/*.po, a file for each page,
read as they are. Who asks sets the voice of a request once (session.py), and everything that is written takes it from there.
"""

import gettext
import io
from contextvars import ContextVar
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_compact_decimal, format_decimal, format_percent

from pombo import number
from pombo.account.people import Role

LOCALES = ("pt", "en")
_BABEL = {"pt": Locale("pt", "BR"), "en": Locale("en")}
_PATTERNS = {  # CLDR, tr35-dates: what a time is to be read as
    "pt": {"day": "dd/MM/y", "moment": "dd/MM/y HH:mm:ss", "short": "dd/MM, HH:mm", "long": "EEEE, d 'de' MMMM"},
    "en": {"day": "d MMM y", "moment": "d MMM y, HH:mm:ss", "short": "d MMM, HH:mm", "long": "EEEE, d MMMM"},
}  # fmt: skip


class Voice(NamedTuple):
    locale: str
    zone: ZoneInfo
    whole_numbers: bool  # may see handsets' numbers whole


_FIRST = Voice("pt", ZoneInfo("America/Sao_Paulo"), whole_numbers=False)
_voice: ContextVar[Voice] = ContextVar("voice", default=_FIRST)


def speak(voice: Voice) -> None:
    """From here to the end of this request."""
    _voice.set(voice)


def voice() -> Voice:
    return _voice.get()


def negotiated(accept_language: str) -> str:
    """Of `Accept-Language`: Portuguese, unless the browser would rather have English."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:20]:
        language, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((-float(weight or 1), language.strip()[:2].lower()))
        except ValueError:
            continue
    wanted.sort(key=lambda pair: pair[0])
    return negotiate_locale([language for _, language in wanted], LOCALES) or LOCALES[0]


# Words


def _(text: str, /, **values: object) -> str:
    """In the request's language. values: for `%(name)s` in it."""
    said = _translations(_voice.get().locale).gettext(text)
    return said % values if values else said


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    said = _translations(_voice.get().locale).ngettext(one, many, n)
    return said % {"num": count(n), **values}


def noted(text: str) -> str:
    """As it is, for a table of words that are spoken later: `_(entry.label)`."""
    return text


def role_names() -> dict[Role, str]:
    return {
        Role.ADMIN: _("Administrador"),
        Role.SENDER: _("Operador"),
        Role.VIEWER: _("Leitura"),
        Role.DEVELOPER: _("Desenvolvedor"),
    }


def english() -> Catalog:
    """All that locale/en has."""
    catalog = Catalog(locale="en")
    for path in sorted((files("pombo.panel") / "locale" / "en").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".po"):
            for message in read_po(io.BytesIO(path.read_bytes()), locale="en"):
                if message.id:
                    catalog[message.id] = message
    return catalog


@cache
def _translations(locale: str) -> gettext.NullTranslations:
    if locale == "pt":
        return gettext.NullTranslations()
    octets = io.BytesIO()
    write_mo(octets, english())
    octets.seek(0)
    return gettext.GNUTranslations(octets)


# Times, in the account's zone


def moment(at: datetime | None) -> str:
    """`22/11/2026 17:42:08`"""
    return _formatted(at, "moment")


def day(at: datetime | None) -> str:
    """`22/11/2026`"""
    return _formatted(at, "day")


def long_day(at: datetime) -> str:
    """`Domingo, 22 de novembro`"""
    text = _formatted(at, "long")
    return text[:1].upper() + text[1:]


def clock(at: datetime | None) -> str:
    """`17:42:08`"""
    return "" if at is None else at.astimezone(_voice.get().zone).strftime("%H:%M:%S")


def when(at: datetime | None) -> str:
    """`hoje, 17:42`, `ontem, 17:42`, `19/11, 17:42`; with the year where it is another one."""
    if at is None:
        return ""
    zone = _voice.get().zone
    local, today = at.astimezone(zone), datetime.now(zone).date()
    if local.date() == today:
        return _("hoje, %(time)s", time=f"{local:%H:%M}")
    if local.date() == today - timedelta(days=1):
        return _("ontem, %(time)s", time=f"{local:%H:%M}")
    return _formatted(at, "short" if local.year == today.year else "moment")


def took(length: timedelta | float | None) -> str:
    """`84 ms`, `2,1 s`, `3 min 20 s`, `5 h 10 min`, `2 d 3 h`. length: or seconds."""
    if length is None:
        return ""
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if seconds < 1:
        return f"{round(max(seconds, 0) * 1000)} ms"
    if seconds < 60:
        return f"{decimal(round(seconds, 1))} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def _formatted(at: datetime | None, which: str) -> str:
    if at is None:
        return ""
    locale, zone, _whole = _voice.get()
    return format_datetime(at.astimezone(zone), _PATTERNS[locale][which], locale=_BABEL[locale])


# Amounts and numbers


def money(milli: int) -> str:
    """`R$ 3.808,59`, `R$ 0,079`: thousandths are shown where there are some."""
    locale = _voice.get().locale
    figure = format_decimal(abs(Decimal(milli)) / 1000, "#,##0.00#", locale=_BABEL[locale])
    return f"{'-' if milli < 0 else ''}R$\N{NO-BREAK SPACE}{figure}"


def count(n: int) -> str:
    """`48.210`"""
    return str(format_decimal(n, locale=_BABEL[_voice.get().locale]))


def compact(n: int) -> str:
    """`104,8 mil`; whole below ten thousand."""
    if abs(n) < 10_000:
        return count(n)
    return str(format_compact_decimal(n, locale=_BABEL[_voice.get().locale], fraction_digits=1))


def decimal(value: float) -> str:
    """`2,1`"""
    return str(format_decimal(value, "#,##0.##", locale=_BABEL[_voice.get().locale]))


def percent(share: float) -> str:
    """`97,6%` of 0.976"""
    return str(format_percent(share, "0.#%", locale=_BABEL[_voice.get().locale]))


def phone(handset: int | str | None) -> str:
    """`(11) 98765-4321`, or `(11) 9****-4321` for people who need not see it whole. What is no number stays as it is; of one
    that was erased (0, or no source of a reply) it is said so."""
    if handset is None:
        return ""
    text = str(handset)
    if text in ("", str(number.ERASED)):
        return _("(número apagado)")
    whole = _voice.get().whole_numbers
    if text.isascii() and text.isdigit() and len(text) > 4:
        return number.pretty(int(text)) if whole else number.masked(int(text))
    return text if whole else text[:2] + "*" * max(len(text) - 4, 0) + text[-2:]


def written(text: str) -> str:
    """What somebody wrote; no text is an erased one: empty ones are refused."""
    return text or _("(texto apagado)")
