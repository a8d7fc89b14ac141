"""Variables of a text: `{nome}` stands for what is different in each message made of it.

A name begins with a letter and has letters, digits, `_`, `-` and blanks inside; case and accents do not matter, so that
`{Código}` is the column `codigo`. Other braces are text.
"""

import re
from collections.abc import Mapping

from pombo.text.keyword import folded

_MOST_CHARACTERS = 40
_LETTER = r"\w\u0300-\u036f"  # or the accent of one that was written apart
_VARIABLE = re.compile(rf"\{{\s*([^\W\d_](?:[{_LETTER} -]{{0,{_MOST_CHARACTERS - 2}}}[{_LETTER}])?)\s*\}}")


def key(name: str) -> str:
    """The one form of a name, also of a column's heading: `nome completo` of ` Nome  Completo `."""
    return " ".join(folded(name).split())


def names(text: str) -> list[str]:
    """The variables of a text, in their one form, each once, in the order of their first use."""
    return list(dict.fromkeys(key(found) for found in _VARIABLE.findall(text)))


def split(text: str) -> list[tuple[str, str]]:
    """The text in pieces: what stands before a variable, and the variable in its one form; of the last piece ''."""
    found, end = [], 0
    for variable in _VARIABLE.finditer(text):
        found.append((text[end : variable.start()], key(variable[1])))
        end = variable.end()
    return [*found, (text[end:], "")]


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced, once: braces in a value are text. What has no value stays as it is written.

    values: by the one form of their names.
    """
    return _VARIABLE.sub(lambda found: values.get(key(found[1]), found[0]), text)
