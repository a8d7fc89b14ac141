"""Who gets in, by what, for how long, and who does not."""

import re

import pytest
from panel_server import ACTOR, PASSWORD, Client, Panel

from pombo.account import password, people
from pombo.account.people import Role
from pombo.panel import session, tries
from pombo.store import users
from pombo.store.audit import changing

pytestmark = pytest.mark.anyio


async def ana(panel: Panel, role: Role = Role.ADMIN) -> str:
    """Somebody with a password. The code that lets her in once."""
    async with changing(panel.db, ACTOR, "user.add") as change:
        added = await people.add(change, panel.doors.secrets, panel.account_id, email(panel), role, "Ana")
        await users.set_password(change.db, added.person_id, await password.hashed(PASSWORD))
    return added.code


def email(panel: Panel) -> str:
    return f"ana{panel.account_id}@aurora.example"


async def enter(
    panel: Panel, client: Client, senha: str = PASSWORD, *, status: int = 303, **fields: str
) -> str:
    return await client.post("/entrar", {"email": email(panel), "senha": senha, **fields}, status=status)


def cookie(client: Client) -> str:
    return client.http.cookie_jar.filter_cookies(client.http._base_url)[session.COOKIE].value  # type: ignore[arg-type]


async def test_a_password_lets_in_and_on_to_where_one_wanted_to_go(panel: Panel) -> None:
    await ana(panel)
    client = await panel.client(None)
    assert await client.get("/perfil/idioma?x=1", status=303) == "/entrar?depois=/perfil/idioma%3Fx%3D1"
    assert 'value="/perfil/idioma?x=1"' in await client.get("/entrar?depois=/perfil/idioma%3Fx%3D1")
    assert await enter(panel, client, depois="/perfil/idioma?x=1") == "/perfil/idioma?x=1"
    page = await client.get("/perfil/idioma")
    assert "Clínica Aurora" in page and "Ana" in page
    [access] = await panel.db.fetch(
        "select who, what, address, account_id, times from access where kind = 'panel'"
    )
    person_id = await panel.db.fetchval("select id from person where email = $1", email(panel))
    assert tuple(access) == (f"person {person_id}", "sign in", "127.0.0.1", panel.account_id, 1)


@pytest.mark.parametrize(
    "elsewhere",
    ["https://x.example/", "//x.example", "/\\x.example", "javascript:alert(1)", "/a\nb", "/日本"],
)
async def test_nobody_is_led_elsewhere_after_signing_in(panel: Panel, elsewhere: str) -> None:
    await ana(panel)
    assert await enter(panel, await panel.client(None), depois=elsewhere) == "/"


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(panel: Panel) -> None:
    await ana(panel)
    client = await panel.client(None)
    wrong = await enter(panel, client, "outra senha qualquer", status=401)
    unknown = await client.post("/entrar", {"email": "nina@aurora.example", "senha": PASSWORD}, status=401)
    assert "E-mail ou senha não conferem." in wrong
    assert without_address(wrong) == without_address(unknown)


def without_address(page: str) -> str:
    return re.sub(r"\w+@aurora\.example", "", page)


async def test_signing_in_and_out_gives_new_cookies_and_the_old_ones_lead_nowhere(panel: Panel) -> None:
    await ana(panel)
    client = await panel.client(None)
    before = cookie(client)
    await enter(panel, client)
    inside = cookie(client)
    assert before != inside
    client.csrf = panel.doors.secrets.panel_hmac("csrf", inside).hex()
    await enter(panel, client)  # once more, from inside
    assert cookie(client) != inside
    assert await (await panel.client_with(inside)).get("/perfil/idioma", status=303)
    client.csrf = panel.doors.secrets.panel_hmac("csrf", cookie(client)).hex()
    last = cookie(client)
    assert await client.post("/sair") == "/entrar"
    assert await client.get("/perfil/idioma", status=303) == "/entrar?depois=/perfil/idioma"
    client.http.cookie_jar.update_cookies({session.COOKIE: last})
    assert await client.get("/perfil/idioma", status=303) == "/entrar?depois=/perfil/idioma"


async def test_a_session_is_kept_as_a_hash_and_ends_unused_and_after_its_whole_length(panel: Panel) -> None:
    await ana(panel)
    client = await panel.client(None)
    await enter(panel, client, continuar="on")
    [row] = await panel.db.fetch("select * from panel_session order by id desc limit 1")
    assert cookie(client).encode() not in row["hmac"] and len(row["hmac"]) == 32
    assert row["idle"] == session.KEPT_IDLE
    await client.get("/perfil/idioma")
    for over in ("used_at = now() - idle", "used_at = now(), ends_at = now()"):
        await panel.db.execute(f"update panel_session set {over}")
        assert await client.get("/perfil/idioma", status=303) == "/entrar?depois=/perfil/idioma"
        await panel.db.execute("update panel_session set used_at = now(), ends_at = now() + interval '1 day'")


async def test_a_link_lets_in_once_and_looking_at_it_does_not_use_it_up(panel: Panel) -> None:
    code = await ana(panel)
    client, other = await panel.client(None), await panel.client(None)
    for _ in range(2):
        assert email(panel) in await client.get(f"/entrar/{code}")
    assert await client.post(f"/entrar/{code}") == "/perfil/seguranca"
    assert "Ana" in await client.get("/perfil/idioma")
    assert "já foi usado ou venceu" in await other.get(f"/entrar/{code}", status=404)
    assert await other.post(f"/entrar/{code}") == f"/entrar/{code}"
    assert await other.get("/perfil/idioma", status=303)


async def test_a_new_link_takes_the_place_of_the_old_one_and_ends_in_time(panel: Panel) -> None:
    first = await ana(panel)
    row = await users.by_email(panel.db, email(panel))
    assert row
    async with changing(panel.db, ACTOR, "user.password") as change:
        second = await people.invite(change, panel.doors.secrets, None, row["person_id"])
    client = await panel.client(None)
    await client.get(f"/entrar/{first}", status=404)
    await client.get(f"/entrar/{second}")
    await panel.db.execute("update sign_in_code set ends_at = now()")
    await client.get(f"/entrar/{second}", status=404)


async def test_who_guesses_waits_and_the_customer_does_not(panel: Panel) -> None:
    """Five wrong passwords; then no right one either, except in a browser that was in before, and by link."""
    code = await ana(panel)
    known, stranger = await panel.client(None), await panel.client(None)
    await enter(panel, known)
    known.csrf = panel.doors.secrets.panel_hmac("csrf", cookie(known)).hex()
    for _ in range(tries.MOST_OF_EMAIL):
        await enter(panel, stranger, "chute qualquer", status=401)
    held = await enter(panel, stranger, PASSWORD, status=429)
    assert "Muitas tentativas. Espere 1" in held
    assert await enter(panel, known) == "/"
    assert await (await panel.client(None)).post(f"/entrar/{code}") == "/perfil/seguranca"
    await panel.db.execute("update sign_in_try set at = at - $1::interval", tries.WITHIN)
    assert await enter(panel, stranger) == "/"


async def test_one_address_cannot_try_one_password_on_everybody(panel: Panel) -> None:
    await ana(panel)
    hmac = panel.doors.secrets.panel_hmac("tries of address", "127.0.0.1")
    await panel.db.execute(
        "insert into sign_in_try (hmac) select $1 from generate_series(1, $2)", hmac, tries.MOST_OF_ADDRESS
    )
    await enter(panel, await panel.client(None), status=429)
    assert await panel.db.fetchval("select count(*) from sign_in_try") == tries.MOST_OF_ADDRESS


async def test_what_is_posted_without_the_token_of_this_browser_changes_nothing(panel: Panel) -> None:
    client, other = await panel.client(), await panel.client()
    page = await client.post(
        "/perfil/idioma", {"tema": "dark"}, status=403, headers={"X-CSRF-Token": other.csrf}
    )
    assert "Esta página ficou velha." in page
    async with client.http.post("/perfil/idioma", data={"tema": "dark", "csrf": other.csrf}) as answer:
        assert answer.status == 403
    theme = "select theme from person where account_id = $1"
    assert await panel.db.fetchval(theme, panel.account_id) == "system"
    async with client.http.post(
        "/perfil/idioma", data={"tema": "dark", "csrf": client.csrf}, allow_redirects=False
    ) as answer:
        assert answer.status == 303
    assert await panel.db.fetchval(theme, panel.account_id) == "dark"


async def test_cookies_are_out_of_reach_and_secure_where_the_browser_speaks_tls(panel: Panel) -> None:
    await ana(panel)
    client = await panel.client(None)
    sent = {"X-CSRF-Token": client.csrf, "X-Forwarded-Proto": "https"}
    form = {"email": email(panel), "senha": PASSWORD}
    async with client.http.post("/entrar", data=form, headers=sent, allow_redirects=False) as answer:
        [given] = [value for value in answer.headers.getall("Set-Cookie") if value.startswith(session.COOKIE)]
    assert "HttpOnly" in given and "SameSite=lax" in given
    assert "Secure" not in given  # anybody can say that; only a proxy of ours is believed


async def test_every_answer_says_what_browsers_may_do_with_it(panel: Panel) -> None:
    client = await panel.client()
    for path, status in (("/perfil/idioma", 200), ("/nada", 404), ("/", 303)):
        async with client.http.get(path, allow_redirects=False) as answer:
            assert answer.status == status
            policy = answer.headers["Content-Security-Policy"]
            assert (
                "default-src 'self'" in policy
                and "frame-ancestors 'none'" in policy
                and "unsafe" not in policy
            )
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_programs_get_no_page_where_there_is_nothing(panel: Panel) -> None:
    client = await panel.client(None)
    assert await client.get("/api/outro.php", status=404, headers={"Accept": "*/*"}) == (
        '{"status_code":404,"detail":"Not Found"}'
    )


async def test_assets_are_kept_for_ever_under_the_hash_of_what_they_are(panel: Panel) -> None:
    client = await panel.client()
    page = await client.get("/perfil/idioma")
    for path in re.findall(r'(?:src|href)="(/assets/[^"#]+)', page):
        async with client.http.get(path) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
        async with client.http.get(re.sub("/assets/[^/]+", "/assets/0", path)) as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
    await client.get("/assets/0/../page.py", status=404)
    await client.get("/assets/0/vendor/vendor.lock.json", status=404)


async def test_pages_speak_as_the_browser_asks_until_the_person_chooses(panel: Panel) -> None:
    client = await panel.client()
    english = {"Accept-Language": "de;q=0.9, en-GB, pt;q=0.5"}
    assert '<html lang="en"' in await client.get("/perfil/idioma", headers=english)
    assert "Idioma e tema" in await client.get("/perfil/idioma", headers={"Accept-Language": "de"})
    await client.post("/idioma", {"idioma": "en", "depois": "/perfil/idioma"})
    page = await client.get("/perfil/idioma")
    assert "Language and theme" in page and "Idioma e tema" not in page
    assert "Language and theme" in await (await panel.client()).get(
        "/perfil/idioma"
    )  # the person's, not the browser's


async def test_without_the_database_a_page_says_so(own_panel: Panel) -> None:
    client = await own_panel.client()
    await own_panel.db.close()
    async with client.http.get("/perfil/idioma") as answer:
        assert answer.status == 503
        assert "Voltamos já." in await answer.text()
