"""The second step: turned on and off, asked for, and passed once by each code."""

import re
import time
from urllib.parse import urlsplit

import pytest
from panel_browser import Visit, axe, inspected, no_sideways_scroll
from panel_server import ACTOR, PASSWORD, Client, Panel
from playwright.async_api import expect

from pombo.account import password, people, second_factor
from pombo.account.people import Role
from pombo.panel import session, tries
from pombo.store import doctor, second_factors, users
from pombo.store.audit import changing

pytestmark = pytest.mark.anyio

PATH = "/perfil/seguranca/duas-etapas"


async def ana(panel: Panel) -> int:
    """An admin with a password."""
    person_id = await panel.person()
    await users.set_password(panel.db, person_id, await password.hashed(PASSWORD))
    return person_id


async def turned_on(panel: Panel) -> tuple[int, list[str]]:
    """Her id, and the recovery codes. The code that turned it on counts for nothing afterwards, as half a minute later."""
    person_id = await ana(panel)
    await second_factor.begin(panel.db, panel.doors.secrets, person_id)
    async with changing(panel.db, ACTOR, "user.second_factor") as change:
        codes = await second_factor.turn_on(
            change, panel.doors.secrets, person_id, PASSWORD, await code(panel, person_id),
            session_id=0, now_s=time.time(),
        )  # fmt: skip
    await panel.db.execute("update second_factor set last_step = 0 where person_id = $1", person_id)
    return person_id, codes


async def code(panel: Panel, person_id: int, *, steps: int = 0) -> str:
    """What the application shows. steps: how many later."""
    row = await second_factors.of(panel.db, person_id)
    assert row
    secret = panel.doors.secrets.unseal(row["secret_sealed"])
    return second_factor.code_at(secret, time.time() + 30 * steps)


async def wrong(panel: Panel, person_id: int) -> str:
    """None of the codes that are good about now."""
    good = {await code(panel, person_id, steps=steps) for steps in range(-2, 3)}
    return next(
        one for one in ("000000", "111111", "222222", "333333", "444444", "555555") if one not in good
    )


async def by_password(
    panel: Panel, client: Client, *, status: int = 303, senha: str = PASSWORD, **fields: str
) -> str:
    form = {"email": f"admin{panel.account_id}@aurora.example", "senha": senha, **fields}
    return await client.post("/entrar", form, status=status)


def renewed(panel: Panel, client: Client) -> None:
    """The token for the cookie that the client has now."""
    cookies = client.http.cookie_jar.filter_cookies(client.http._base_url)  # type: ignore[arg-type]
    client.csrf = panel.doors.secrets.panel_hmac("csrf", cookies[session.COOKIE].value).hex()


async def test_it_is_turned_on_by_password_and_code_and_the_recovery_codes_are_shown_once(
    panel: Panel,
) -> None:
    person_id = await ana(panel)
    client, other = await panel.client(), await panel.client()
    assert await client.post(PATH) == PATH
    page = await client.get(PATH)
    row = await second_factors.of(panel.db, person_id)
    assert row
    secret = panel.doors.secrets.unseal(row["secret_sealed"])
    assert second_factor.written(secret) in page and "<svg" in page and "style=" not in page
    for form, said in (
        ({"senha": "outra qualquer", "codigo": await code(panel, person_id)}, "A senha atual não confere."),
        ({"senha": PASSWORD, "codigo": await wrong(panel, person_id)}, "O código não confere"),
    ):
        assert said in await client.post(f"{PATH}/ligar", form, status=422)
        assert await by_password(panel, await panel.client(None)) == "/", "it is not on yet"
    shown = await client.post(
        f"{PATH}/ligar", {"senha": PASSWORD, "codigo": await code(panel, person_id)}, status=200
    )
    codes = re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\b", shown)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    again = await client.get(PATH)
    assert codes[0] not in again and second_factor.written(secret) not in again
    assert "restam 10" in again
    assert await other.get(PATH, status=303), "whoever came in by the password alone is out"
    kept = await panel.db.fetchval(
        "select string_agg(t::text, ' ') from (select f::text from second_factor f"
        " union all select c::text from recovery_code c) t"
    )
    for secret_text in (*codes, secret.hex(), second_factor.written(secret).replace(" ", "")):
        assert secret_text not in kept and secret_text.replace("-", "") not in kept
    [record] = await panel.db.fetch(
        "select after::text from audit where action = 'user.second_factor' and subject = $1",
        f"person {person_id}",
    )
    assert '"second_factor": true' in record[0] and codes[0] not in record[0]


async def test_the_password_alone_leads_no_further_than_to_the_second_step(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    client = await panel.client(None)
    way = await by_password(panel, client, depois="/perfil/idioma?x=1")
    assert urlsplit(way).path == "/entrar/codigo"
    assert await client.get("/perfil/idioma", status=303) == "/entrar?depois=/perfil/idioma"
    assert 'value="/perfil/idioma?x=1"' in await client.get(way)
    refused = await client.post("/entrar/codigo", {"codigo": await wrong(panel, person_id)}, status=401)
    assert "O código não confere" in refused
    assert await client.get("/perfil/idioma", status=303)
    shown = await code(panel, person_id)
    form = {"codigo": f" {shown[:3]} {shown[3:]} ", "depois": "/perfil/idioma?x=1"}
    assert await client.post("/entrar/codigo", form) == "/perfil/idioma?x=1"
    assert "Clínica Aurora" in await client.get("/perfil/idioma")
    assert await panel.db.fetchval("select count(*) from sign_in_half where person_id = $1", person_id) == 0


async def test_nobody_is_led_elsewhere_after_the_second_step(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    client = await panel.client(None)
    await by_password(panel, client)
    assert 'name="depois" value="/"' in await client.get("/entrar/codigo?depois=//x.example")
    form = {"codigo": await code(panel, person_id), "depois": "https://x.example/"}
    assert await client.post("/entrar/codigo", form) == "/"


async def test_a_code_is_good_once_and_none_from_before_it_is_good_after_it(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    used = await code(panel, person_id, steps=1)
    first, second = await panel.client(None), await panel.client(None)
    for client in (first, second):
        await by_password(panel, client)
    assert await first.post("/entrar/codigo", {"codigo": used}) == "/"
    for late in (used, await code(panel, person_id)):
        assert "já foi usado" in await second.post("/entrar/codigo", {"codigo": late}, status=401)


async def test_a_wrong_password_says_nothing_of_a_second_step(panel: Panel) -> None:
    await turned_on(panel)
    client = await panel.client(None)
    page = await by_password(panel, client, senha="outra senha qualquer", status=401)
    unknown = await client.post("/entrar", {"email": "nina@aurora.example", "senha": PASSWORD}, status=401)
    assert re.sub(r"\w+@aurora\.example", "", page) == re.sub(r"\w+@aurora\.example", "", unknown)
    assert await client.get("/entrar/codigo", status=303) == "/entrar"
    assert await client.post("/entrar/codigo", {"codigo": "000000"}) == "/entrar"


async def test_codes_are_guessed_as_slowly_as_passwords(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    client, other = await panel.client(None), await panel.client(None)
    for one in (client, other):
        await by_password(panel, one)
    guess = await wrong(panel, person_id)
    for times in range(tries.MOST_OF_EMAIL):
        await (client, other)[times % 2].post("/entrar/codigo", {"codigo": guess}, status=401)
    right = {"codigo": await code(panel, person_id)}
    for one in (client, other):
        assert "Muitas tentativas." in await one.post("/entrar/codigo", right, status=429)
        assert await one.get("/perfil/idioma", status=303)
    await by_password(panel, client)  # to begin anew gives no more tries
    await client.post("/entrar/codigo", right, status=429)
    await panel.db.execute("delete from sign_in_try")
    await client.post("/entrar/codigo", {"codigo": await code(panel, person_id)})
    page = await client.get("/perfil/idioma")
    assert "errou o código 5 vezes" in page and 'class="toast-p is-bad"' in page


async def test_who_guesses_passwords_keeps_nobody_from_the_second_step(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    client, stranger = await panel.client(None), await panel.client(None)
    await by_password(panel, client)
    for _time in range(tries.MOST_OF_EMAIL):
        await by_password(panel, stranger, senha="chute qualquer", status=401)
    await by_password(panel, stranger, senha="chute qualquer", status=429)
    assert await client.post("/entrar/codigo", {"codigo": await code(panel, person_id)}) == "/"


async def test_after_a_hundred_wrong_codes_only_a_recovery_code_lets_in(panel: Panel) -> None:
    person_id, codes = await turned_on(panel)
    await panel.db.execute("update second_factor set wrong = $1", second_factor.MOST_WRONG)
    client = await panel.client(None)
    await by_password(panel, client)
    right = {"codigo": await code(panel, person_id)}
    assert "códigos errados demais" in await client.post("/entrar/codigo", right, status=401)
    assert await client.post("/entrar/codigo", {"codigo": codes[0].upper()}) == "/"
    other = await panel.client(None)
    await by_password(panel, other)
    assert await other.post("/entrar/codigo", {"codigo": await code(panel, person_id)}) == "/"


async def test_a_recovery_code_lets_in_once_and_leaves_its_record(panel: Panel) -> None:
    person_id, codes = await turned_on(panel)
    client, other = await panel.client(None), await panel.client(None)
    for one in (client, other):
        await by_password(panel, one)
    assert await client.post("/entrar/codigo", {"codigo": codes[3]}) == "/"
    assert "Restam 9 códigos de recuperação." in await client.get("/perfil/seguranca")
    await other.post("/entrar/codigo", {"codigo": codes[3]}, status=401)
    record = await panel.db.fetchrow(
        "select * from audit where action = 'user.recovery_code' and subject = $1", f"person {person_id}"
    )
    assert record and record["actor"] == f"panel:admin{panel.account_id}@aurora.example"
    assert '"recovery_codes_left": 9' in record["after"]


async def test_a_link_asks_for_the_code_too(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    async with changing(panel.db, ACTOR, "user.password") as change:
        link = await people.invite(change, panel.doors.secrets, None, person_id)
    client = await panel.client(None)
    way = await client.post(f"/entrar/{link}")
    assert way == "/entrar/codigo?depois=/perfil/seguranca"
    assert await client.get("/perfil/seguranca", status=303)
    await client.post("/entrar/codigo", {"codigo": await code(panel, person_id)})
    assert 'name="atual"' not in await client.get("/perfil/seguranca"), "the link lets choose a password"


async def test_who_is_half_way_in_begins_anew_when_time_is_over_or_the_password_is_another(
    panel: Panel,
) -> None:
    person_id, _ = await turned_on(panel)
    client = await panel.client(None)
    for over in (
        "update sign_in_half set ends_at = now()",
        "delete from second_factor",
    ):
        await by_password(panel, client)
        await panel.db.execute(over)
        form = {"codigo": "123456"}
        assert await client.post("/entrar/codigo", form) == "/entrar"
    await turned_on(panel)
    await by_password(panel, client)
    await users.set_password(panel.db, person_id, await password.hashed("outra senha qualquer"))
    assert await client.post("/entrar/codigo", {"codigo": await code(panel, person_id)}) == "/entrar"


async def test_the_doctor_looks_whether_its_secret_can_be_opened(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    found = dict(await doctor.sealed(panel.db))
    assert len(panel.doors.secrets.unseal(found[f"the second factor of person {person_id}"])) == 20


async def test_it_is_turned_off_by_password_and_code(panel: Panel) -> None:
    person_id, codes = await turned_on(panel)
    client = await panel.client()
    for form in (
        {"senha": PASSWORD, "codigo": await wrong(panel, person_id)},
        {"senha": "outra qualquer", "codigo": codes[0]},
    ):
        await client.post(f"{PATH}/desligar", form, status=422)
    assert "2 etapas" in await client.get("/perfil/usuarios")
    form = {"senha": PASSWORD, "codigo": codes[0]}  # which the wrong password has not used up
    assert await client.post(f"{PATH}/desligar", form) == "/perfil/seguranca"
    assert "está desligada" in await client.get("/perfil/usuarios")
    assert "2 etapas" not in await client.get("/perfil/usuarios")
    assert await by_password(panel, await panel.client(None)) == "/"
    assert await panel.db.fetchval("select count(*) from recovery_code where person_id = $1", person_id) == 0


async def test_new_recovery_codes_take_the_place_of_the_old_ones(panel: Panel) -> None:
    person_id, old = await turned_on(panel)
    client = await panel.client()
    form = {"senha": PASSWORD, "codigo": await code(panel, person_id)}
    shown = await client.post(f"{PATH}/codigos", form, status=200)
    new = re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\b", shown)
    assert len(new) == second_factor.RECOVERY_CODES and not set(new) & set(old)
    stranger = await panel.client(None)
    await by_password(panel, stranger)
    await stranger.post("/entrar/codigo", {"codigo": old[0]}, status=401)
    assert await stranger.post("/entrar/codigo", {"codigo": new[0]}) == "/"


async def test_who_has_no_password_yet_chooses_one_first(panel: Panel) -> None:
    client = await panel.client(Role.VIEWER)
    await client.post(PATH)
    assert "Escolha uma senha antes" in await client.get(PATH)
    person_id = await panel.person(Role.VIEWER)
    form = {"senha": "", "codigo": await code(panel, person_id)}
    await client.post(f"{PATH}/ligar", form, status=422)


async def test_to_begin_again_takes_nothing_away_from_what_is_on(panel: Panel) -> None:
    person_id, _ = await turned_on(panel)
    before = await second_factors.of(panel.db, person_id)
    client = await panel.client()
    assert await client.post(PATH) == PATH
    form = {"senha": PASSWORD, "codigo": await code(panel, person_id)}
    assert await client.post(f"{PATH}/ligar", form) == PATH
    assert await second_factors.of(panel.db, person_id) == before


async def test_from_turning_it_on_to_signing_in_by_it_in_a_browser(visit: Visit, panel: Panel) -> None:
    person_id = await ana(panel)
    page = await visit("/perfil/seguranca")
    await page.get_by_role("button", name="Ligar", exact=True).click()
    await expect(page.get_by_role("img", name="Código QR")).to_be_visible()
    await inspected(visit, PATH)
    await page.get_by_label("Senha atual").fill(PASSWORD)
    await page.get_by_label("Código que o aplicativo mostra").fill(await code(panel, person_id))
    await page.get_by_role("button", name="Ligar a verificação").click()
    await expect(page.locator("#codigos")).to_contain_text("-")
    await inspected(visit, PATH)
    await panel.db.execute("update second_factor set last_step = 0")
    door = await visit("/entrar", role=None, theme="dark", width=390)
    await door.get_by_label("E-mail").fill(f"admin{panel.account_id}@aurora.example")
    await door.get_by_label("Senha", exact=True).fill(PASSWORD)
    await door.get_by_role("button", name="Entrar", exact=True).click()
    await expect(door.get_by_role("heading", name="Segunda etapa")).to_be_visible()
    await door.get_by_text("Estou sem o aplicativo").click()
    await axe(door)
    await no_sideways_scroll(door)
    await door.get_by_label("Código de 6 dígitos").fill(await code(panel, person_id))
    await door.keyboard.press("Enter")
    await expect(door.get_by_role("heading", name="Painel")).to_be_visible()
