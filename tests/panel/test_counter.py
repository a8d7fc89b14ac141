"""The counter of the pages says what the gateway does: the same fixture, and texts of all kinds, by both."""

import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pombo.text import gsm7, split, ucs2, variables
from pombo.text.outgoing import prepare

_HERE = Path(__file__).parent
_CASES = json.loads((_HERE.parent / "text" / "segments.json").read_text(encoding="utf-8"))["cases"]
_MODES = ("ascii", "auto", "unicode")
_PIECES = [
    "a", "palavra ", "é", "ção", "€", "[", "\n", "\r\n", "\t", "😀", "👩‍👩‍👧", "中", "Привет", "“a”", "…", "½", "ﬁ", "Ａ",
    "ẩ", "a\u0303", "\u200b", "\u202e", "\ufeff", "\x00", "\x1b", "1\u20e3", "‼\ufe0f", "™", "ª", "–", "`", "\u2028",
    "ǆ", "한", "ﷺ", "\ud83d",
]  # fmt: skip


def spell(pieces: list[Any]) -> str:
    return "".join(p if isinstance(p, str) else p["repeat"][0] * p["repeat"][1] for p in pieces)


def counted(asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """What the JavaScript says of each mode and text."""
    lines = "\n".join(json.dumps({"mode": mode, "text": text}) for mode, text in asked)
    ran = subprocess.run(
        ["node", str(_HERE / "count.js")], input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in ran.stdout.split("\n") if line]


def test_the_counter_satisfies_the_fixture() -> None:
    said = counted([(case["mode"], spell(case["text"])) for case in _CASES])
    for case, answer in zip(_CASES, said, strict=True):
        expected = {key: case[key] for key in ("ucs2", "parts", "units", "cut")}
        expected["sent"] = spell(case.get("sent", case["text"]))
        assert {key: answer[key] for key in expected} == expected, case["name"]


def test_the_counter_and_the_gateway_agree_on_any_text() -> None:
    dice = random.Random(5)
    asked = []
    for _ in range(1500):
        pieces = dice.choices(_PIECES, k=dice.randint(0, 6))
        text = "".join(piece * dice.choice((1, 1, 1, 40, 67, 153)) for piece in pieces)
        text += "".join(chr(dice.randint(1, 0xD7FF)) for _ in range(dice.choice((0, 0, 0, 2))))
        asked.append((dice.choice(_MODES), text))
    for (mode, text), answer in zip(asked, counted(asked), strict=True):
        outgoing = prepare(text, mode)
        assert (answer["sent"], answer["ucs2"], answer["parts"]) == outgoing, (mode, text)
        if outgoing.ucs2:
            cut = [len(piece) // 2 for piece in split.cut_ucs2(ucs2.encode(outgoing.sent))]
        else:
            cut = [len(piece) for piece in split.cut_gsm(gsm7.encode(outgoing.sent) or b"")]
        assert answer["cut"] == cut, (mode, text)


def test_what_gsm_lacks_is_named_once_and_in_order() -> None:
    [answer] = counted([("auto", "Não é “só” ação 😀 😀 €")])
    assert answer["odd"] == ["ã", "“", "ó", "”", "ç", "😀"]
    assert answer["stubborn"] == ["😀"]


def test_the_pages_find_the_variables_that_a_campaign_fills() -> None:
    texts = [
        "Oi {nome}, {Código} e {nome}", "{co\u0301digo} { numero do pedido }", "{}", "{1} {_a} {a-b_c 2}", "{{x}}", "{a{b}",
        "{" + "n" * 40 + "}", "{" + "n" * 41 + "}", '{"json": 1}', "{a\nb}", "{имя}",
    ]  # fmt: skip
    said = counted([("auto", text) for text in texts])
    for text, answer in zip(texts, said, strict=True):
        keys = dict.fromkeys(variables.key(written[1:-1]) for written in answer["variables"])
        assert list(keys) == variables.names(text), text
