"""Brings what the panel's pages are made of from npm into the package: `python3 tools/vendor.py`.

What lands in src/pombo/panel/assets/vendor is committed, so that neither a build nor a running node needs npm.
`vendor.lock.json` there says of each file which package and version it is of, and its SHA-256; a test holds them to it.
One more icon: its name into tools/vendor/icons.txt, and run this again.
"""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent / "vendor"
MODULES = HERE / "node_modules"
ASSETS = Path(__file__).parent.parent / "src" / "pombo" / "panel" / "assets"
VENDOR = ASSETS / "vendor"


class Taken(NamedTuple):
    """A file of a package, and its name among ours."""

    package: str
    file: str
    name: str


FILES = (
    Taken("htmx.org", "dist/htmx.min.js", "htmx.min.js"),
    Taken("@alpinejs/csp", "dist/cdn.min.js", "alpine-csp.min.js"),
    Taken("@tabler/core", "dist/css/tabler.min.css", "tabler.min.css"),
    Taken("uplot", "dist/uPlot.iife.min.js", "uPlot.iife.min.js"),
    Taken("uplot", "dist/uPlot.min.css", "uPlot.min.css"),
    Taken(
        "@fontsource-variable/inter",
        "files/inter-latin-wght-normal.woff2",
        "inter-latin-wght-normal.woff2",
    ),
)
SPRITE = "icons.svg"
ICONS = "@tabler/icons"

# What stands inside a file that we take, besides the package that it is of.
BUNDLED = ("@vue/reactivity", "@vue/shared")
MIT = """MIT License

{copyright}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
# Packages that name their licence and bring no file of it.
COPYRIGHTS = {
    "@alpinejs/csp": "Copyright (c) 2019-2026 Caleb Porzio and contributors",
    "@tabler/core": "Copyright (c) 2018-2026 The Tabler Authors, codecalm.net Paweł Kuna\n"
    "Copyright (c) 2011-2026 The Bootstrap Authors",
}


def main() -> None:
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE, check=True
    )
    VENDOR.mkdir(parents=True, exist_ok=True)
    for old in VENDOR.iterdir():
        old.unlink()
    for taken in FILES:
        (VENDOR / taken.name).write_bytes(without_map((MODULES / taken.package / taken.file).read_bytes()))
    names = (HERE / "icons.txt").read_text("utf-8").split()
    (VENDOR / SPRITE).write_text(sprite(names), encoding="utf-8")
    of = {taken.name: taken.package for taken in FILES} | {SPRITE: ICONS}
    lock = {
        name: {
            "package": package,
            "version": about(package)["version"],
            "licence": licence(package),
            "sha256": hashlib.sha256((VENDOR / name).read_bytes()).hexdigest(),
        }
        for name, package in sorted(of.items())
    }
    (VENDOR / "vendor.lock.json").write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    packages = sorted({*of.values(), *BUNDLED})
    texts = "\n".join(licence_text(package) for package in packages)
    (VENDOR / "THIRD_PARTY_LICENSES").write_text(texts, encoding="utf-8")


def about(package: str) -> dict[str, str]:
    return dict(json.loads((MODULES / package / "package.json").read_text("utf-8")))


def licence(package: str) -> str:
    return about(package)["license"]


def licence_text(package: str) -> str:
    head = f"{package} {about(package)['version']} ({licence(package)})"
    files = sorted((MODULES / package).glob("LICENSE*"))
    text = files[0].read_text("utf-8") if files else MIT.format(copyright=COPYRIGHTS[package])
    return f"{head}\n{'=' * len(head)}\n\n{text.strip()}\n"


def without_map(octets: bytes) -> bytes:
    """Without the note where the source lies, which would have the browser's tools ask for what is not there."""
    return re.sub(rb"\n?(/\*|//)# sourceMappingURL=\S+?( ?\*/)?\s*$", b"\n", octets)


def sprite(names: list[str]) -> str:
    """One file of <symbol>s, drawn as `<use href="…/icons.svg#NAME">` by whoever sets colour and width."""
    symbols = []
    for name in sorted(set(names)):
        text = (MODULES / ICONS / "icons" / "outline" / f"{name}.svg").read_text("utf-8")
        inner = re.sub(r"\s*\n\s*", "", text.partition("<svg")[2].partition(">")[2].rpartition("</svg>")[0])
        inner = re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>', "", inner)
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
            f' stroke-linecap="round" stroke-linejoin="round">{inner}</symbol>'
        )
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


if __name__ == "__main__":
    main()
