"""Real browsers on the panel, which complain about whatever a page should not do."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from panel_server import Panel
from playwright.async_api import Browser, BrowserContext, Page, expect

from pombo.account.people import Role
from pombo.panel.session import COOKIE

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = 390
_AXE = Path(__file__).parent.parent / "peers" / "node_modules" / "axe-core" / "axe.min.js"

Visit = Callable[..., Awaitable[Page]]


class Visits:
    """All pages that a test opens. None logs an error, shows a dialog, or asks anybody but our server."""

    def __init__(self, browser: Browser, panel: Panel) -> None:
        self._browser = browser
        self._panel = panel
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        for context in self._contexts:
            await context.close()
        if kind is None:
            assert self.complaints == []

    async def visit(
        self,
        path: str,
        *,
        theme: str = "light",
        width: int = 1280,
        role: Role | None = Role.ADMIN,
        account_id: int | None = None,
        locale: str = "pt-BR",
        expected: tuple[str, ...] = (),
    ) -> Page:
        """A page in a browser of its own, in which somebody with this role is signed in; with None nobody.

        theme: of the system, which people follow unless they chose one. expected: beginnings of console lines that may come.
        """
        context = await self._browser.new_context(
            viewport={"width": width, "height": 844},
            locale=locale,
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self._contexts.append(context)
        if role is not None:
            cookie = await self._panel.signed_in(role, account_id)
            await context.add_cookies([{"name": COOKIE, "value": cookie, "url": self._panel.url}])
        page = await context.new_page()
        page.set_default_timeout(10_000)
        self._watch(page, expected)
        await page.goto(self._panel.url + path)
        return page

    def _watch(self, page: Page, expected: tuple[str, ...]) -> None:
        def complain(text: str) -> None:
            if not text.startswith(expected or ("\0",)):
                self.complaints.append(text)

        page.on("console", lambda line: complain(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("dialog", lambda dialog: complain("dialog"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((self._panel.url, "data:")) else complain(request.url)
            ),
        )


async def axe(page: Page, *, rules: list[str] | None = None) -> None:
    """WCAG 2.2 A and AA, and what axe calls best practice. rules: only these of axe's."""
    assert _AXE.exists(), "make tests/peers/node_modules/.installed"
    await page.evaluate(_AXE.read_text("utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found: dict[str, Any] = await page.evaluate("options => axe.run(document, options)", options)
    said = [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
    assert said == [], f"{page.url}\n" + "\n".join(said)


async def no_sideways_scroll(page: Page) -> None:
    """Compared with the width that it was opened with: `innerWidth` grows with what flows over."""
    assert page.viewport_size is not None
    assert await page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]


async def inspected(visit: Visit, path: str, **options: Any) -> None:
    """A page as the sweep looks at every page: in both themes, and as wide as a phone. options: of `visit`."""
    page = await visit(path, **options)
    await expect(page.locator("h1").first).to_be_visible()
    await axe(page)
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    await axe(page, rules=["color-contrast"])
    await page.set_viewport_size({"width": PHONE, "height": 844})
    await no_sideways_scroll(page)
