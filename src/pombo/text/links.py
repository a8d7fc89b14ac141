"""Links in a text, as a handset or its reader would find them, and the hosts they lead to.

Rather one link too many than one too few: what is found makes a person look, and stops nothing.
"""

import re
import unicodedata
from collections.abc import Collection

# What people write for a dot so that no machine sees it; wide and small forms are made plain before.
_DOTS = re.compile(r"[\u3002\u2024\u00b7\u2022\u30fb]|\s*[\[({]\s*(?:\.|dot|ponto)\s*[\])}]\s*")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u206a-\u206f\ufe00-\ufe0f\ufeff]"
)
_SPACED_SCHEME = re.compile(r"\b(https?)\s*:\s*/\s*/\s*")
_SPACED_WWW = re.compile(r"\bwww\s*\.\s*")
_SPACED_DOTS = re.compile(r"(?<=\w)\s*\.\s*(?=\w)")

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})+"
_SCHEME = re.compile(rf"h(?:tt|xx)ps?://+(?:[^\s/?#@]*@)?(\[[0-9a-f:.]+\]|{_HOST}|{_LABEL})")
_WWW = re.compile(rf"\b(www\d?\.{_HOST}|www\d?\.{_LABEL})")
_BARE = re.compile(rf"(?<![\w@.-])({_HOST})(:\d{{2,5}})?(?=(/[^\s]*)?)")

# Names without `www` and without a path are taken for hosts under these endings: `loja.com.br`, `bit.ly`. With a path,
# under any ending of two letters or more: `abc.museum/x`.
_ENDINGS = frozenset(
    re.findall(
        r"\w+",
        "app art bet biz blog br cc cloud club co com dev digital edu email eu fm fun gd gg gl gle gov gratis gt icu im"
        " info ink io is it la link live ly me media mobi money mx net news one online org page pay pe pro pt pw rs run"
        " sale sh shop site space store tech tk to top tv uk us vip website win work world ws xyz zone",
    )
)
_DECIMAL = re.compile(r"\d+(?:\.\d+)+")
_IPV4 = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")


def hosts(text: str) -> set[str]:
    """Of all links in a text: small letters, IDN in its ASCII form."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    plain = _DOTS.sub(".", plain)
    if "." not in plain and "/" not in plain:
        return set()
    # Blanks around dots hide a link only where the reader is told that there is one.
    together = _SPACED_WWW.sub("www.", _SPACED_SCHEME.sub(r"\1://", plain))
    readings = [plain] if together == plain else [plain, _SPACED_DOTS.sub(".", together)]
    found = {
        match[1] for reading in readings for links in (_SCHEME, _WWW) for match in links.finditer(reading)
    }
    for match in _BARE.finditer(plain):
        if _is_host(match[1], has_path=bool(match[3]), has_port=bool(match[2])):
            found.add(match[1])
    return {_ascii(host) for host in found}


def elsewhere(text: str, allowed: Collection[str]) -> bool:
    """Whether a link leads to a host that is neither allowed nor below one that is."""
    return any(not _is_below(host, allowed) for host in hosts(text))


def host_of(typed: str) -> str | None:
    """The host that somebody means by `Loja.com.br`, `*.loja.com.br` or `https://loja.com.br/x`; None for anything else."""
    text = unicodedata.normalize("NFKC", typed.strip()).casefold().removeprefix("*.")
    text = re.sub(r"^[a-z]+://", "", text).split("/")[0].split(":")[0].rstrip(".")
    return _ascii(text) if re.fullmatch(_HOST, text) else None


def _is_host(name: str, *, has_path: bool, has_port: bool) -> bool:
    if _DECIMAL.fullmatch(name):  # an amount, a date, a version
        return bool(_IPV4.fullmatch(name)) and (has_path or has_port)
    ending = name.rpartition(".")[2]
    if ending in _ENDINGS or ending.startswith("xn--"):
        return True
    return (has_path or has_port) and len(ending) > 1 and not ending.isdecimal()


def _ascii(host: str) -> str:
    labels = []
    for label in host.split("."):
        try:
            labels.append(label if label.isascii() else label.encode("idna").decode())
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def _is_below(host: str, allowed: Collection[str]) -> bool:
    while host:
        if host in allowed:
            return True
        host = host.partition(".")[2]
    return False
