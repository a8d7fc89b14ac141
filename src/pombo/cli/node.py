"""`demo`, `serve`, `migrate`: what runs, and what it runs on."""

import os
import shlex
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pombo import logs
from pombo.app import Ready
from pombo.app import serve as run_node
from pombo.cli.answer import Answer, say
from pombo.cli.options import EVERY, Every
from pombo.store.database import Database
from pombo.store.embedded import expect, reach
from pombo.store.migrate import migrate as bring_up

Port = Annotated[
    int | None,
    Parameter(help="Port of the HTTP server; 0 takes a free one.", validator=Number(gte=0, lte=65535)),
]

_DEMO_HANDSET = "11900000001"  # in the simulated operator this number delivers


async def demo(
    *,
    port: Port = None,
    no_browser: Annotated[bool, Parameter(help="Do not open the panel.", negative=())] = False,
    every: Every = EVERY,
) -> None:
    """Try it: starts PostgreSQL, the gateway and a simulated operator, with two demo accounts.

    Listens on 127.0.0.1 only. Ctrl-C ends it; the data stay.
    """
    config = every.config(host="127.0.0.1", port=port)
    if not every.json and "POMBO_LOG_LEVEL" not in os.environ:
        config = replace(
            config, log_level="warning"
        )  # a newcomer wants to see the lines to copy, and troubles

    def ready(node: Ready) -> None:
        say(Answer({"ready": True, **node._asdict()}, _welcome(node, config.data)), as_json=every.json)
        if not (no_browser or every.json) and node.login_url and _has_browser():
            # A browser may take its time, and some do not return at all.
            threading.Thread(target=webbrowser.open, args=(node.login_url,), daemon=True).start()

    await run_node(config, demo=True, ready=ready)


async def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address of the HTTP server. Default: 127.0.0.1.")] = None,
    port: Port = None,
    roles: Annotated[
        str | None, Parameter(help="What this node does: api, send, callback, or several. Default: all.")
    ] = None,
    api_workers: Annotated[
        int | None,
        Parameter(help="More processes that accept messages on the port.", validator=Number(gte=0, lte=32)),
    ] = None,
    every: Every = EVERY,
) -> None:
    """Run the platform until Ctrl-C or SIGTERM. `GET /readyz` answers 200 once it is ready."""

    def ready(node: Ready) -> None:
        say(
            Answer({"ready": True, "url": node.url}, f"Pombo serves on [bold]{node.url}[/]"),
            as_json=every.json,
        )

    await run_node(every.config(host=host, port=port, roles=roles, api_workers=api_workers), ready=ready)


async def migrate(*, every: Every = EVERY) -> Answer:
    """Bring the database up to this version. `serve` and every other command do so by themselves, too."""
    config = every.config()
    logs.configure("warning")
    if not config.database_url:
        await expect(config.data)
    async with AsyncExitStack() as stack:
        url = config.database_url or await stack.enter_async_context(reach(config.data, config.postgres_bin))
        db = await Database.open(url, size=1)
        stack.push_async_callback(db.close)
        applied = await bring_up(db)
    shown = f"Applied {', '.join(applied)}." if applied else "The database is up to date."
    return Answer({"applied": applied}, shown)


def _has_browser() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _welcome(node: Ready, data: Path) -> Group:
    """What `demo` tells a newcomer, in Portuguese. The lines of shell stand outside the frame, each on one line
    however narrow the terminal is, so that they work as they are copied."""
    places = Table.grid(padding=(0, 2))
    places.add_column(style="dim", no_wrap=True)
    places.add_column(overflow="fold")
    places.add_row("Endereço", node.url)
    places.add_row("Token", Text(str(node.token), style="bold"))
    frame = Panel(
        places,
        title="[bold]Pombo[/] está no ar",
        subtitle=Text.assemble("Ctrl-C encerra; os dados ficam em ", (str(data), "bold")),
        border_style="cyan",
        padding=(1, 2),
        expand=False,
    )
    way_in = (
        Text(
            "Abra os primeiros passos no painel (o link entra uma vez; cada início traz outro):", style="dim"
        ),
        Text(f"  {node.login_url}", style="bold cyan", no_wrap=True, overflow="ignore"),
    )
    return Group("", frame, "", *way_in, "", *_lines_of_shell(node), "")


def _lines_of_shell(node: Ready) -> Iterator[RenderableType]:
    token = shlex.quote(f"token={node.token}")
    send = f"-d destino={_DEMO_HANDSET} --data-urlencode 'msg=Olá do Pombo!'"
    for what, line in (
        (
            "Envie uma mensagem (ela aparece no aparelho virtual do painel):",
            f"curl -G {node.url}/api/unitario.php -d {token} {send}",
        ),
        (
            "Consulte o status, com o messageID da resposta:",
            f"curl -G {node.url}/api/dlr.php -d {token} -d id=…",
        ),
        ("Leia as respostas digitadas no aparelho virtual:", f"curl -G {node.url}/api/mo.php -d {token}"),
    ):
        yield Text(what, style="dim")
        yield Text(f"  {line}", style="green", no_wrap=True, overflow="ignore")
