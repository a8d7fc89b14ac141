"""Money as people type it, in thousandths of a real, and back."""

import re

from pombo.errors import PomboError

_MOST_DIGITS = 12  # before the decimals: far from the end of the database's bigint

_HIGHEST_PRICE_MILLI = 10_000_000  # so that that of a long message is far from the end of an integer

_PLAIN = re.compile(r"([0-9]+)(?:[.,]([0-9]{1,3}))?", re.ASCII)
_GROUPED = re.compile(
    r"([1-9][0-9]{0,2}(?:([.,])[0-9]{3})(?:\2[0-9]{3})*)(?:(?!\2)[.,]([0-9]{1,3}))?", re.ASCII
)
_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}", re.ASCII)


def parse(text: str) -> int:
    """`1000.00`, `1000,00`, `1.000,00`, `1,000.00` or `R$ 0,080` as thousandths of a real.

    Raises PomboError for anything else, and for `1.000`, which is a thousand to some and one to others.
    """
    typed = text.strip().removeprefix("R$").strip()
    if typed.startswith("-"):
        raise PomboError(f"An amount is not negative: {text!r}.")
    if _AMBIGUOUS.fullmatch(typed):
        whole, decimals = typed[:-4], typed[-3:]
        less = f"{whole}.{decimals[:2]}" if decimals.endswith("0") else f"0{whole}.{decimals}"
        raise PomboError(
            f"{text!r} can be read in two ways: write {whole}{decimals}.00 or {less}, as you mean it."
        )
    if plain := _PLAIN.fullmatch(typed):
        whole, decimals = plain[1], plain[2]
    elif grouped := _GROUPED.fullmatch(typed):
        whole, decimals = re.sub("[.,]", "", grouped[1]), grouped[3]
    else:
        raise PomboError(
            f"{text!r} is no amount of money: write it as 1000.00 or 1.000,00, with three decimals at most."
        )
    if len(whole.lstrip("0")) > _MOST_DIGITS:
        raise PomboError(
            f"The amount {text!r} is too large: {_MOST_DIGITS} digits at most before the decimals."
        )
    return int(whole) * 1000 + int((decimals or "").ljust(3, "0"))


def parse_signed(text: str) -> int:
    """The same, with a minus where it is taken off."""
    typed = text.strip()
    return -parse(typed[1:]) if typed.startswith("-") else parse(typed)


def parse_price(text: str) -> int:
    """The price of one part. Raises PomboError for one that cannot be meant so."""
    milli = parse(text)
    if milli > _HIGHEST_PRICE_MILLI:
        raise PomboError(f"A part costs {show(_HIGHEST_PRICE_MILLI)} at the most, not {text!r}.")
    return milli


def show(milli: int) -> str:
    """`R$ 1.000,00`; with a third decimal where it is not 0: `R$ 999,925`."""
    return _show(milli, decimals=3 if milli % 10 else 2)


def show_price(milli: int) -> str:
    """`R$ 0,080`: prices of a part always have their three decimals."""
    return _show(milli, decimals=3)


def _show(milli: int, decimals: int) -> str:
    whole, fraction = divmod(abs(milli), 1000)
    grouped = f"{whole:,}".replace(",", ".")
    return f"{'-' if milli < 0 else ''}R$ {grouped},{f'{fraction:03}'[:decimals]}"
