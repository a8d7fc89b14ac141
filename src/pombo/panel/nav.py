"""The panel's pages as people find them: at the side, at the foot of a phone, and by keys."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from pombo.account.people import Role
from pombo.panel.words import noted


class Entry(NamedTuple):
    path: str
    label: str
    icon: str
    key: str = ""  # after `g`
    dock: str = ""  # its shorter name at the foot of a phone
    badge: str = ""  # what is counted beside it, in events.py
    also: tuple[str, ...] = ()  # other paths that belong to it

    def holds(self, asked: str) -> bool:
        """Whether this page is of it."""
        return any(asked == path or asked.startswith(f"{path}/") for path in (self.path, *self.also))


class Group(NamedTuple):
    label: str
    entries: Sequence[Entry]


PROFILE = (
    Entry("/perfil/configuracoes", noted("Configurações"), "settings"),
    Entry("/perfil/seguranca", noted("Dados e segurança"), "shield-lock"),
    Entry("/perfil/usuarios", noted("Usuários"), "users"),
    Entry("/perfil/idioma", noted("Idioma e tema"), "language"),
)
_GROUPS = (
    Group(
        "",
        (
            Entry("/painel", noted("Painel"), "layout-dashboard", "p", noted("Painel")),
            Entry("/enviar", noted("Enviar SMS"), "send", "s", noted("Enviar")),
            Entry("/campanhas", noted("Campanhas"), "speakerphone", "c"),
            Entry("/mensagens", noted("Mensagens"), "list-details", "m", noted("Mensagens")),
            Entry("/conversas", noted("Caixa de entrada"), "inbox", "e", noted("Entrada"), "unread"),
            Entry("/contatos", noted("Contatos e bloqueios"), "address-book", "k", also=("/bloqueios",)),
            Entry("/modelos", noted("Modelos"), "template", "t"),
        ),
    ),
    Group(
        noted("Integração"),
        (
            Entry("/integracao/documentacao", noted("Documentação da API"), "code", "d"),
            Entry("/integracao/tokens", noted("Tokens de API"), "key"),
            Entry("/integracao/callbacks", noted("Entregas de callback"), "webhook", "l"),
            Entry("/integracao/aparelho", noted("Aparelho virtual"), "device-mobile", "a"),
        ),
    ),
    Group(
        noted("Conta"),
        (
            Entry("/relatorios", noted("Relatórios e consumo"), "activity", "r"),
            Entry("/perfil", noted("Meu Perfil"), "settings", "u"),
        ),
    ),
)


class Nav:
    """Built from the pages that are registered: what is not there yet stands nowhere."""

    def __init__(self, handlers: Iterable[ControllerRouterHandler]) -> None:
        self._roles: dict[str, frozenset[Role]] = {}
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler) and "GET" in handler.http_methods:
                roles: frozenset[Role] = handler.opt.get("roles", frozenset(Role))
                self._roles |= dict.fromkeys(handler.paths, roles)
        self.groups = cache(self._groups)
        self.profile = cache(self._profile)

    def has(self, path: str, role: Role) -> bool:
        return role in self._roles.get(path, ())

    def _groups(self, role: Role) -> list[Group]:
        found = [
            group._replace(entries=[e for e in group.entries if self.has(e.path, role)]) for group in _GROUPS
        ]
        return [group for group in found if group.entries]

    def _profile(self, role: Role) -> list[Entry]:
        return [entry for entry in PROFILE if self.has(entry.path, role)]

    def home(self, role: Role) -> str:
        groups = self.groups(role)
        return groups[0].entries[0].path
