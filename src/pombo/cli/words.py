"""Names that people give to accounts and connections."""

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
