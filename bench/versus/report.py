"""The figures as a table, as JSON, and as a page with a plot."""

import platform
import statistics
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.versus.results import AGAINST, Results

_TITLES = {
    "accept_batch": "accept, 1000 per request",
    "end_to_end_batch": "end to end, from batches",
    "end_to_end_batch_callbacks": "the same with receipts and callbacks",
    "accept_single": "accept, one per request",
    "end_to_end_single": "end to end, from single sends",
    "end_to_end_single_callbacks": "the same with receipts and callbacks ",
}
_WIDTH, _HEIGHT, _EDGE = 640, 240, 48


def facts(results: Results) -> dict[str, Any]:
    gateways: dict[str, Any] = {}
    for (gateway, work), runs in results.runs.items():
        gateways.setdefault(gateway, {})[work] = {
            "per_s": [round(per_s) for per_s in results.rates(gateway, work)],
            "p50_ms": _median([run.p50_ms for run in runs], 2),
            "p99_ms": _median([run.p99_ms for run in runs], 2),
            "cpu_us": {
                name: _median([run.cpu_us.get(name, 0.0) for run in runs], 1) for name in runs[0].cpu_us
            },
            "pss_mb": round(max(run.pss_mb for run in runs)),
            "others_busy": round(max(run.busy for run in runs), 2),
        }
    found: dict[str, Any] = {**gateways, "ratios": results.ratios()}
    if results.million is not None:
        found["million"] = {**results.million._asdict(), "depths": len(results.million.depths)}
    return found


def _rows(results: Results) -> list[list[str]]:
    rows, ratios = [], results.ratios()
    for work, title in _TITLES.items():
        runs = results.runs.get(("pombo", work))
        if not runs:
            continue
        theirs = results.rate("kannel", AGAINST[work])
        cpu = {name: _median([run.cpu_us.get(name, 0.0) for run in runs], 0) for name in runs[0].cpu_us}
        rows.append([
            title, f"{results.rate('pombo', work):,.0f}", "" if theirs is None else f"{theirs:,.0f}",
            f"{ratios[work]:.2f}" if work in ratios else "",
            " + ".join(f"{name} {us:.0f}" for name, us in cpu.items()),
            f"{max(run.pss_mb for run in runs):,.0f}", f"{max(run.busy for run in runs):.0%}",
        ])  # fmt: skip
    return rows


_HEADS = ["work", "Pombo msg/s", "Kannel msg/s", "ratio", "CPU µs a message", "PSS MB", "others' CPU"]


def _others(results: Results) -> list[str]:
    lines = []
    for gateway in ("pombo", "kannel"):
        if runs := results.runs.get((gateway, "latency")):
            p50, p99 = _median([run.p50_ms for run in runs], 1), _median([run.p99_ms for run in runs], 1)
            per_s = statistics.median(run.accept_per_s for run in runs)
            lines.append(
                f"{gateway.capitalize()}, single sends at half its rate ({per_s:,.0f} a second): p50 {p50} ms, p99 {p99} ms."
            )
    if (million := results.million) is not None:
        lines.append(
            f"With 1,000,000 messages waiting: accept {million.accept_ratio:.2f} and drain {million.drain_ratio:.2f} of the"
            f" rates with a short queue; {million.pss_mb:,.0f} MB (PSS) at the most;"
            f" ready {million.start_s:.1f} s after the start."
        )
    return lines


def show(results: Results) -> None:
    table = Table(*_HEADS)
    for row in _rows(results):
        table.add_row(*row)
    console = Console()
    console.print(table)
    for line in _others(results):
        console.print(line, highlight=False)


def write(file: Path, results: Results) -> None:
    """The tables as Markdown, and the plot beside it."""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {_machine()}, with {_versions()}.", "",
        f"| {' | '.join(_HEADS)} |", "|" + " --- |" * len(_HEADS),
        *(f"| {' | '.join(cell.strip() for cell in row)} |" for row in _rows(results)), "",
        *(f"- {line}" for line in _others(results)), "",
    ]  # fmt: skip
    if results.million is not None:
        plot = file.with_suffix(".svg")
        plot.write_text(_plot(results.million.depths))
        lines += [f"![Rate over queue depth]({plot.name})", ""]
    file.write_text("\n".join(lines))


def _machine() -> str:
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(names)} cores of {names[0] if names else platform.machine()}, Linux {platform.release().split('-')[0]}"


def _versions() -> str:
    return f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in ("uvloop", "asyncpg", "uvicorn")
    )


def _plot(depths: list[tuple[int, float]]) -> str:
    """Messages a second over how many wait."""
    most_x, most_y = max(x for x, _ in depths), max(y for _, y in depths) * 1.1

    def place(x: float, y: float) -> str:
        return f"{_EDGE + x / most_x * (_WIDTH - 2 * _EDGE):.0f},{_HEIGHT - _EDGE - y / most_y * (_HEIGHT - 2 * _EDGE):.0f}"

    line = " ".join(place(x, y) for x, y in depths)
    grid = "".join(
        f'<polyline points="{place(0, y)} {place(most_x, y)}" fill="none" stroke="#ccc"/>'
        f'<text x="4" y="{place(0, y).split(",")[1]}">{y / 1000:.0f}k/s</text>'
        for y in range(0, int(most_y), max(10_000, int(most_y / 5) // 10_000 * 10_000))
    )
    axis = "".join(
        f'<text x="{place(x, 0).split(",")[0]}" y="{_HEIGHT - _EDGE // 2}" text-anchor="middle">{x // 1000:,}k</text>'
        for x in range(0, most_x + 1, max(1, most_x // 5 // 1000 * 1000))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fff"/>{grid}{axis}'
        f'<polyline points="{line}" fill="none" stroke="#0b6b63" stroke-width="2"/>'
        f'<text x="{_WIDTH / 2}" y="16" text-anchor="middle">messages a second to the operator,'
        " over messages that wait</text></svg>\n"
    )


def _median(values: list[float], places: int) -> float:
    return round(statistics.median(values), places)
