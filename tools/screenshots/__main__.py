"""`make screenshots`: the pictures in docs/screenshots, taken in chromium of a demonstration with made-up data.

A picture more is a line in SHOTS; what has to be done on its page before is a function beside it.
"""

import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect
from tools.screenshots import made_up

from pombo.store.database import Database
from pombo.store.embedded import attach

OUT = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_OCTETS = 150 * 1024
WIDE, PHONE = (1280, 860), (390, 844)


class Scene:
    """The demonstration that is looked at, and whoever is signed in to it."""

    def __init__(self, url: str, browser: Browser, db: Database, account_id: int) -> None:
        self.url = url
        self.db = db
        self.account_id = account_id
        self.zone = afternoon()
        self.campaign = ""
        self._browser = browser
        self._state: Any = None

    async def page(self, size: tuple[int, int] = WIDE, *, dark: bool = False) -> Page:
        context = await self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale="pt-BR",
            timezone_id=self.zone,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            storage_state=self._state,
        )
        page = await context.new_page()
        page.set_default_timeout(20_000)
        return page

    async def sign_in(self, link: str) -> None:
        page = await self.page()
        await page.goto(link)
        await expect(page.locator("main h1")).to_be_visible()
        self._state = await page.context.storage_state()
        await page.context.close()


async def first_steps(page: Page, _scene: Scene) -> None:
    """A message goes to the handset and is answered, and both are told of."""
    calls = page.locator("#calls .hit-in")
    await page.get_by_role("button", name="Enviar", exact=True).click()
    await expect(calls).to_have_count(1)
    await page.get_by_role("button", name="SIM", exact=True).click()
    await expect(calls).to_have_count(2)
    await expect(page.locator("#tick-3")).to_contain_text("feito")


async def priced(page: Page, _scene: Scene) -> None:
    await expect(page.locator("#check")).to_contain_text("R$")


async def draft(page: Page, _scene: Scene) -> None:
    await page.locator("#msg").fill(
        "Olá, João! Sua consulta com a Dra. Helena está confirmada para amanhã, às 14h30. Responda SIM ou NÃO."
    )
    await page.locator("[name=destino]").first.fill("(11) 90000-1020")
    await expect(page.locator("#check")).to_contain_text("R$")


async def a_talk(page: Page, _scene: Scene) -> None:
    await page.locator(".conv").nth(1).click()
    await expect(page.locator("#newest .bub").first).to_be_visible()


async def a_delivered_message(page: Page, scene: Scene) -> None:
    await page.goto(f"{scene.url}/mensagens?situacao=entregue")
    await page.locator("tbody a.to").nth(2).click()
    await expect(page.locator("#message .life")).to_be_visible()


async def a_campaign(page: Page, scene: Scene) -> None:
    """From its file to its last row; the preview on the way is a picture, too."""
    file = {"name": "consultas-de-dezembro.csv", "mimeType": "text/csv", "buffer": made_up.campaign_file(240)}
    await page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    await page.locator("form button.btn-primary").click()
    await page.wait_for_url("**/mensagem")
    scene.campaign = page.url.removesuffix("/mensagem")
    await page.locator("[name=nome]").fill("Consultas de dezembro")
    await page.locator("#msg").fill("Olá, {nome}! Sua consulta está confirmada para amanhã, às {hora}.")
    await page.locator("[name=classe][value='1']").check()
    await page.locator("form button.btn-primary").last.click()
    await page.wait_for_url("**/previa")
    await expect(page.locator("table.t").first).to_be_visible()


async def started(page: Page, scene: Scene) -> None:
    await page.goto(f"{scene.campaign}/confirmar")
    await page.get_by_role("button", name="Confirmar campanha").click()
    await page.wait_for_url(scene.campaign)
    await expect(page.get_by_text("Todas na fila").first).to_be_visible()
    await expect(page.get_by_text("Aguardando DLR 0")).to_be_visible(timeout=30_000)


class Shot(NamedTuple):
    name: str
    path: str
    size: tuple[int, int] = WIDE
    dark: bool = False
    before: Callable[[Page, Scene], Awaitable[None]] | None = None


SHOTS = (
    Shot("painel", "/painel?periodo=7d", before=priced),
    Shot("painel-escuro", "/painel?periodo=7d", dark=True, before=priced),
    Shot("enviar", "/enviar", before=draft),
    Shot("mensagens", "/mensagens"),
    Shot("mensagens-celular", "/mensagens", PHONE),
    Shot("mensagem", "/mensagens", before=a_delivered_message),
    Shot("conversas-escuro", "/conversas", dark=True, before=a_talk),
    Shot("configuracoes", "/perfil/configuracoes"),
)
FIRST = Shot("aparelho", "/integracao/aparelho", before=first_steps)  # while nothing else is there
CAMPAIGN = (
    Shot("campanha-previa", "/campanhas/nova", before=a_campaign),
    Shot("campanha", "/campanhas", before=started),
)


def few_colours(picture: Image.Image) -> Image.Image:
    """Of 256: those that most of it has, unchanged, and some that stand for all others."""
    counted = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
    often = [part for _count, colour in counted[:216] for part in colour]
    palette = Image.new("P", (1, 1))
    palette.putpalette(often + picture.quantize(40).getpalette()[: 3 * 40])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


async def take(scene: Scene, shot: Shot) -> None:
    page = await scene.page(shot.size, dark=shot.dark)
    await page.goto(scene.url + shot.path)
    if shot.before is not None:
        await shot.before(page, scene)
    await page.evaluate("document.fonts.ready")
    await expect(
        page.locator("[data-count=unread]").locator("visible=true").first
    ).to_be_visible()  # all is live
    file = OUT / f"{shot.name}.png"
    few_colours(Image.open(io.BytesIO(await page.screenshot())).convert("RGB")).save(file, optimize=True)
    await page.context.close()
    octets = file.stat().st_size
    print(f"{file.name}: {octets // 1024} KiB")
    assert octets <= MOST_OCTETS, f"{file.name} is too large for a repository"


@asynccontextmanager
async def demonstration(data: Path) -> AsyncIterator[dict[str, Any]]:
    """`pombo demo` as anybody starts it; what it says when it is ready."""
    command = [
        sys.executable,
        "-m",
        "pombo.cli",
        "demo",
        "--data",
        str(data),
        "--port",
        "0",
        "--json",
        "--no-browser",
    ]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("POMBO_")}
    with (data / "log").open("w") as log:
        program = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert program.stdout is not None
        line = await asyncio.to_thread(program.stdout.readline)
        assert line, (data / "log").read_text()
        yield json.loads(line)
    finally:
        program.terminate()
        await asyncio.to_thread(program.wait, 60)


def afternoon() -> str:
    """A time zone in which the day is nearly over, so that there is something to see of today."""
    east = (17 - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-east:+d}"


async def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        async with demonstration(Path(place)) as ready, async_playwright() as playwright:
            url = await attach(Path(place))
            assert url is not None
            db = await Database.open(url, size=2)
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            account_id = await db.fetchval("select id from account where name = 'demo'")
            scene = Scene(ready["url"], browser, db, account_id)
            await db.execute(
                "update account set name = $2, time_zone = $3 where id = $1",
                account_id,
                made_up.NAME,
                scene.zone,
            )
            await scene.sign_in(ready["login_url"])
            await take(scene, FIRST)
            await made_up.fill(db, account_id)
            receiver = await made_up.move_endpoints(
                db, account_id, made_up.SYSTEM
            )  # nothing is called meanwhile
            for shot in SHOTS:
                await take(scene, shot)
            await made_up.move_endpoints(db, account_id, receiver)
            for shot in CAMPAIGN:
                await take(scene, shot)
            await browser.close()
            await db.close()


if __name__ == "__main__":
    asyncio.run(main())
