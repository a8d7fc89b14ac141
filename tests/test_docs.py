"""Every setting, command, refusal and state has its place in `docs/`, and nothing stands there that does not exist."""

import dataclasses
import re
from pathlib import Path

import pytest
from cyclopts import App

from pombo.cli.program import COMMANDS, program
from pombo.config import Config
from pombo.errors import Limit, Refusal
from pombo.message import FINAL, LEGACY_STATUS, State

_DOCS = Path(__file__).parent.parent / "docs"
_OPS = _DOCS.parent / "ops"
_SETTINGS = (_DOCS / "settings.md").read_text(encoding="utf-8")
_COMMANDS = (_DOCS / "commands.md").read_text(encoding="utf-8")
_LEGACY_API = (_DOCS / "legacy-api.md").read_text(encoding="utf-8")
_EVERYWHERE = {"--data", "--json", "--help", "-h", "--version"}


def _rows(page: str) -> list[list[str]]:
    """The cells of every line of every table."""
    return [
        [cell.strip() for cell in line.strip(" |").split("|")]
        for line in page.splitlines()
        if line.lstrip().startswith("|")
    ]


def _section(words: str) -> str:
    """What stands below the heading of a command, up to the next heading."""
    found = re.search(rf"^### `pombo {words}\b[^\n]*\n(.*?)(?=^#|\Z)", _COMMANDS, re.MULTILINE | re.DOTALL)
    assert found, f"`pombo {words}` has no heading in docs/commands.md"
    return found[0]


def _command(words: str) -> App:
    app = program()
    for word in words.split():
        app = app[word]
    return app


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_setting_is_documented_with_its_default_and_sentence(
    field: "dataclasses.Field[object]",
) -> None:
    [row] = [row for row in _rows(_SETTINGS) if row[0] == f"`POMBO_{field.name.upper()}`"]
    default = row[1].strip("`")
    shown = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    assert default == (f"{shown:g}" if isinstance(shown, float) else str(shown))
    first_clause = re.split("[.;,:]", field.metadata["sentence"])[0]
    assert row[2].startswith(first_clause)
    if field.metadata["least"] is not None:
        assert row[2].endswith(f" {field.metadata['least']} to {field.metadata['most']}.")


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"POMBO_{field.name.upper()}" for field in dataclasses.fields(Config)}
    for page in _DOCS.glob("*.md"):
        assert set(re.findall(r"POMBO_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))) <= known, page.name


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_documented_with_all_its_options(words: str) -> None:
    section = _section(words)
    names = {name for argument in _command(words).assemble_argument_collection() for name in argument.names}
    options = {name for name in names if name.startswith("--")} - _EVERYWHERE
    assert set(re.findall(r"--[a-z0-9][a-z0-9-]*", section)) - _EVERYWHERE == options


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = re.findall(r"^### `pombo ([a-z ]+[a-z])", _COMMANDS, re.MULTILINE)
    assert sorted(documented) == sorted(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_every_option_has_its_line_of_help(words: str) -> None:
    app = _command(words)
    assert app.help
    for argument in app.assemble_argument_collection():
        if argument.parse and not argument.children and argument.name.startswith("--"):
            assert argument.parameter.help, argument.name


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_is_documented_with_whether_to_try_again(refusal: Refusal) -> None:
    [row] = [row for row in _rows(_LEGACY_API) if row[0] == f"`{refusal.text}`"]
    assert row[2].startswith("yes" if refusal.retryable else "no")


def test_every_limit_is_documented_where_the_figures_are() -> None:
    metrics = (_DOCS / "metrics.md").read_text(encoding="utf-8")
    assert all(f"`{limit}`" in metrics for limit in Limit)


@pytest.mark.parametrize("state", State)
def test_every_state_is_documented_with_its_status(state: State) -> None:
    [row] = [row for row in _rows(_LEGACY_API) if len(row) == 4 and row[1] == f"`{state.name}`"]
    assert (row[0], row[3]) == (f"`{LEGACY_STATUS[state]}`", "yes" if state in FINAL else "no")


@pytest.mark.parametrize("page", ["operating.md", "operating.pt-BR.md"])
def test_every_event_that_asks_for_attention_is_documented_in_both_languages(page: str) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (_DOCS.parent / "src").rglob("*.py"))
    events = set(re.findall(r"log\.(?:warning|error|exception)\(\s*\"(\w+)\"", source))
    documented = {
        name for row in _rows((_DOCS / page).read_text("utf-8")) for name in re.findall(r"`(\w+)`", row[0])
    }
    assert len(events) > 20
    assert events <= documented


@pytest.mark.parametrize("page", ["operating.md", "operating.pt-BR.md"])
def test_every_alert_is_documented_in_both_languages_and_no_other(page: str) -> None:
    alerts = re.findall(
        r"^ *- alert: (\w+)$", (_OPS / "prometheus" / "alerts.yml").read_text("utf-8"), re.MULTILINE
    )
    rows = _rows((_DOCS / page).read_text("utf-8"))
    assert [row[0].strip("`") for row in rows if row[0].startswith("`Pombo")] == alerts


def test_links_between_pages_lead_somewhere() -> None:
    for page in _DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            if "://" in target:
                continue
            linked = (page.parent / file) if file else page
            assert linked.exists(), f"{page.name}: {target}"
            if anchor:
                assert anchor in _anchors(linked.read_text(encoding="utf-8")), f"{page.name}: {target}"


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_picture_is_shown_in_both_languages_and_small() -> None:
    pictures = {path.name: path.stat().st_size for path in (_DOCS / "screenshots").iterdir()}
    assert max(pictures.values()) <= 150 * 1024
    for page in ("panel.md", "panel.pt-BR.md"):
        assert set(re.findall(r"\(screenshots/([^)]+)\)", (_DOCS / page).read_text("utf-8"))) == set(pictures)
