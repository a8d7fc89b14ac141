"""The handset's page in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from esme_client import bound, in_time, message
from handset_server import served
from playwright.async_api import Browser, Page, async_playwright, expect

from pombo.simulator.script import Script

NUMBER, FAILS = "5511900000001", "5511900000002"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'&amp; \u202eabc 😀"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
FLAGS += ["--disable-component-update", "--disable-sync"]

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, width: int = 1280, **options: Any) -> AsyncIterator[Page]:
    """The page; when it closes, it has logged no error and asked nobody but its own server for anything."""
    complaints: list[str] = []
    asked: list[str] = []
    page = await browser.new_page(viewport={"width": width, "height": 844}, **options)
    page.set_default_timeout(10_000)
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append("dialog"))
    page.on("request", lambda request: asked.append(request.url))
    try:
        await page.goto(url)
        await expect(page.locator("#ligacao")).to_have_text("simulador ligado")
        yield page
    finally:
        await page.close()
    assert complaints == []
    origin = url.partition("/aparelho")[0]
    assert [other for other in asked if not other.startswith((origin, "data:"))] == []


async def test_message_appears_turns_to_delivered_and_is_answered(browser: Browser) -> None:
    async with served(Script(receipt_delay_s=(0.3, 0.3))) as (_, port, url), opened(browser, url) as page:
        await expect(page.locator("#conversa")).to_contain_text("Envie a linha de curl")
        await expect(page.get_by_role("button", name="SIM", exact=True)).to_be_disabled()
        client = await bound(port)
        await client.submit(NUMBER, "Responda SIM")
        await expect(page.locator(".bubble.mt")).to_have_text("Responda SIM")
        await expect(page.locator(".meta .enviada")).to_have_text("enviada")
        await expect(page.locator(".meta .entregue")).to_have_text("entregue")
        await in_time(client.delivered.get())

        await page.get_by_role("button", name="SIM", exact=True).click()
        assert (await in_time(client.delivered.get())).short_message == b"SIM"
        await page.get_by_label("Responder pelo aparelho").fill("Amanhã não 😀")
        await page.keyboard.press("Enter")
        reply = await in_time(client.delivered.get())
        assert reply.short_message.decode("utf-16-be") == "Amanhã não 😀"
        assert (reply.source_addr, reply.destination_addr) == (NUMBER.encode(), b"27300")
        await expect(page.locator(".bubble.mo")).to_have_text(["SIM", "Amanhã não 😀"])
        await expect(page.locator(".meta.mo .entregue")).to_have_count(2)
        await expect(page.get_by_label("Responder pelo aparelho")).to_have_value("")


async def test_another_number_is_counted_until_it_is_opened(browser: Browser) -> None:
    async with served() as (_, port, url), opened(browser, url) as page:
        client = await bound(port)
        await client.submit(NUMBER, "primeira")
        await page.get_by_role("button", name="(11) 90000-0001").click()
        await client.submit(FAILS, "segunda")
        await client.submit(FAILS, "terceira")
        await expect(page.locator(".count")).to_have_text("2")
        await expect(page.locator(".bubble")).to_have_text("primeira")
        await page.get_by_role("button", name="(11) 90000-0002").click()
        await expect(page.locator(".bubble")).to_have_text(["segunda", "terceira"])
        await expect(page.locator(".meta .falhou").first).to_have_text("falhou · não entregue (UNDELIV)")
        await expect(page.locator(".count")).to_have_count(0)
        await page.get_by_label("Número a abrir").fill("(11) 90000-0001")
        await page.keyboard.press("Enter")
        await expect(page.locator(".bubble")).to_have_text("primeira")
        await page.reload()
        await expect(page.locator(".bubble")).to_have_text("primeira")


async def test_messages_of_one_millisecond_are_counted_once_each(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes of a message is no news of another one, however alike their times are."""
    monkeypatch.setattr("pombo.simulator.smsc.time.time", lambda: 1_800_000_000.0)
    script = Script(receipt_delay_s=(0.3, 0.3))
    async with served(script) as (_, port, url), opened(browser, url) as page:
        client = await bound(port)
        await client.submit(NUMBER, "primeira")
        await page.get_by_role("button", name="(11) 90000-0001").click()
        await client.submit(FAILS, "segunda")
        await client.submit(FAILS, "terceira")
        for _ in range(3):
            await in_time(client.delivered.get())
        await client.submit(NUMBER, "quarta")
        await expect(page.locator(".bubble")).to_have_text(["primeira", "quarta"])
        await expect(page.locator(".count")).to_have_text("2")


async def test_hostile_texts_show_as_text(browser: Browser) -> None:
    async with served(curl="curl '<b>&amp;</b>'") as (operator, port, url), opened(browser, url) as page:
        client = await bound(port)
        text = HOSTILE.encode("utf-16-be")
        sender = b"<i>27300</i>"
        await client.ask(submit(FAILS, text, sender))
        await client.ask(submit("<b>x</b>", text, sender))
        await page.get_by_role("button", name="(11) 90000-0002").click()
        assert await page.locator(".bubble").text_content() == HOSTILE
        await expect(page.locator("#remetente")).to_have_text("<i>27300</i>")
        await expect(page.locator("#curl")).to_have_text("curl '<b>&amp;</b>'")
        operator.reply(FAILS, HOSTILE)
        await expect(page.locator(".bubble.mo")).to_have_count(1)
        await page.locator("#numeros button", has_text="<b>x</b>").click()
        await expect(page.locator(".bubble.mt")).to_have_count(1)
        assert await page.locator("main :is(b b, i b, i i, img), body script, .thread script").count() == 0


def submit(destination: str, text: bytes, sender: bytes) -> Any:
    return message(destination, short_message=text, source_addr=sender, data_coding=8)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_phone_width_has_no_sideways_scroll(browser: Browser, scheme: str) -> None:
    async with served() as (_, port, url), opened(browser, url, width=390, color_scheme=scheme) as page:
        client = await bound(port)
        for number in (NUMBER, FAILS, "5521987654321"):
            await client.submit(number, "semespaco" * 15)
        await expect(page.locator("#numeros li")).to_have_count(3)
        await expect(page.locator(".bubble")).to_have_count(1)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        box = await page.locator("#resposta").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390


async def test_page_comes_back_after_the_stream_broke(browser: Browser) -> None:
    async with served() as (operator, port, url), opened(browser, url) as page:
        client = await bound(port)
        await client.submit(NUMBER, "antes")
        await expect(page.locator(".bubble")).to_have_text("antes")
        operator.handsets.close()
        await client.submit(NUMBER, "no meio")
        await expect(page.locator(".bubble")).to_have_text(["antes", "no meio"])
        await client.submit(NUMBER, "depois")
        await expect(page.locator(".bubble")).to_have_text(["antes", "no meio", "depois"])
