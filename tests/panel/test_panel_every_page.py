"""Every page loads without complaints under the CSP, asks nobody outside, is accessible in both themes, and fits a phone."""

import pytest
from panel_browser import Visit, inspected

from pombo.account.people import Role
from pombo.panel import handlers
from pombo.panel.nav import Nav

pytestmark = pytest.mark.anyio

# Pages with an id in their path have a test of their own, with `panel_browser.inspected`.
PAGES = [
    "/bloqueios",
    "/bloqueios/importar",
    "/contatos",
    "/contatos/importar",
    "/contatos/novo",
    "/conversas",
    "/integracao/aparelho",
    "/integracao/callbacks",
    "/integracao/documentacao",
    "/integracao/documentacao?caminho=envio",
    "/integracao/tokens",
    "/modelos",
    "/modelos/novo",
    "/painel",
    "/enviar",
    "/mensagens",
    "/mensagens?q=nada",
    "/relatorios",
    "/perfil/configuracoes",
    "/perfil/idioma",
    "/perfil/seguranca",
    "/perfil/usuarios",
    "/campanhas",
    "/campanhas/nova",
]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page(visit: Visit, path: str) -> None:
    await inspected(visit, path)


@pytest.mark.parametrize("path", ["/entrar", "/nada/disso"])
async def test_pages_of_whoever_is_not_signed_in(visit: Visit, path: str) -> None:
    await inspected(
        visit,
        path,
        role=None,
        expected=("Failed to load resource: the server responded with a status of 404",),
    )


def test_every_page_that_people_find_is_swept() -> None:
    nav = Nav(handlers)
    found = {entry.path for group in nav.groups(Role.ADMIN) for entry in group.entries}
    found |= {entry.path for entry in nav.profile(Role.ADMIN)}
    assert found - {"/perfil"} <= set(PAGES)
