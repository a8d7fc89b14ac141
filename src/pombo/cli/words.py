"""What people give to commands in words: names, numbers, times."""

from datetime import UTC, datetime

from pombo import country
from pombo.errors import PomboError

_NAME_MOST_CHARACTERS = 100


def a_name(name: str, what: str) -> str:
    """The name as it is kept: no blanks around it. what: `account` or `connection`, for the refusal."""
    name = name.strip()
    if not name:
        raise PomboError(f"The {what} needs a name.")
    if len(name) > _NAME_MOST_CHARACTERS:
        raise PomboError(f"The {what}'s name is too long: {_NAME_MOST_CHARACTERS} characters at most.")
    if not name.isprintable():
        raise PomboError(f"The {what}'s name contains characters that cannot be shown.")
    return name


def a_number(text: str) -> int:
    """Of whatever country, as E.164 digits."""
    normalised = country.normalise(text, None)
    if normalised is None:
        raise PomboError(
            "This is no mobile number, such as 11999999999, or +5491123456789 of another country."
        )
    return normalised


def a_time(text: str | None) -> datetime | None:
    """`2026-11-24`, `2026-11-24 10:00`, `2026-11-24T10:00:00-03:00`. Without an offset it is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise PomboError(
            f"{text!r} is no time. Write it as 2026-11-24 10:00 (UTC), or as 2026-11-24T10:00-03:00."
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
