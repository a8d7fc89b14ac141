"""What the pages are made of is what npm gave, and asks nobody for more."""

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pombo

ROOT = Path(__file__).parent.parent.parent
ASSETS = Path(pombo.__file__).parent / "panel" / "assets"
VENDOR = ASSETS / "vendor"
LOCK = json.loads((VENDOR / "vendor.lock.json").read_text("utf-8"))
NPM = json.loads((ROOT / "tools" / "vendor" / "package-lock.json").read_text("utf-8"))


def test_every_vendored_file_is_the_one_that_was_locked() -> None:
    there = {path.name for path in VENDOR.iterdir()} - {"vendor.lock.json", "THIRD_PARTY_LICENSES"}
    assert there == set(LOCK)
    for name, locked in LOCK.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == locked["sha256"], name


def test_every_vendored_file_is_of_the_version_that_npm_locked_and_has_its_licence() -> None:
    licences = (VENDOR / "THIRD_PARTY_LICENSES").read_text("utf-8")
    for name, locked in LOCK.items():
        assert NPM["packages"][f"node_modules/{locked['package']}"]["version"] == locked["version"], name
        assert f"{locked['package']} {locked['version']} ({locked['licence']})\n===" in licences, name


def test_no_vendored_file_says_where_its_source_lies() -> None:
    for path in VENDOR.iterdir():
        assert b"sourceMappingURL" not in path.read_bytes(), path.name


def test_the_sprite_has_the_icons_that_were_asked_for_each_once() -> None:
    names = (ROOT / "tools" / "vendor" / "icons.txt").read_text("utf-8").split()
    sprite = ElementTree.fromstring((VENDOR / "icons.svg").read_text("utf-8"))
    assert [symbol.get("id") for symbol in sprite] == sorted(names)


def test_style_sheets_take_fonts_and_pictures_from_beside_them_alone() -> None:
    for path in ASSETS.rglob("*.css"):
        for url in re.findall(r"""url\(['"]?([^'")]+)""", path.read_text("utf-8")):
            assert url.startswith("data:") or (path.parent / url).is_file(), f"{path.name}: {url}"
