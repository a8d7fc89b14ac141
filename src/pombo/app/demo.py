"""Everything that `demo` adds to a node: two accounts, the simulated operator, the virtual handset, a receiver of callbacks.

`serve` uses the simulated operator alone, where POMBO_SIMULATOR_PORT asks for it.
"""

import ipaddress
import json
import os
import secrets
from collections.abc import Sequence
from typing import Any

import structlog
from litestar.types import ControllerRouterHandler

from pombo.account import people
from pombo.account.secret import TOKEN_PREFIX, new_token
from pombo.app.node import Node
from pombo.callback import endpoints
from pombo.config import Config
from pombo.errors import PomboError
from pombo.message import CallbackKind
from pombo.simulator import script
from pombo.simulator.bubbles import Bubble
from pombo.simulator.receiver import Received, Receiver
from pombo.simulator.smsc import Operator
from pombo.store import accounts, routes, smscs, users
from pombo.store.audit import Actor, changing

log = structlog.get_logger()

_BALANCE_MILLI = 100_000_000  # R$ 100.000,00
_ACCOUNTS = ("demo", "demo2")
_EMAIL, _NAME = "demo@pombo.example", "Pessoa de Teste"
_ACTOR = Actor("demo", "")
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_SMSC = "simulador"
_SYSTEM_ID = "pombo"
_SHORT_CODE = "27300"
_OWN_SHORT_CODE = "27301"  # of the first account: what others send to the same number is not its talk
_WINDOW = 100


class Handset:
    """What the panel's *Aparelho virtual* shows: of one account, as long as this process runs."""

    def __init__(self, operator: Operator, receiver: Receiver, account_id: int, token: str) -> None:
        self._operator = operator
        self._receiver = receiver
        self.account_id = account_id
        self.token = token

    def version(self) -> int:
        return self._operator.handsets.changes + self._receiver.newest

    def numbers(self) -> Sequence[str]:
        return self._operator.handsets.numbers(_OWN_SHORT_CODE)

    def bubbles(self, number: str) -> Sequence[Bubble]:
        return self._operator.handsets.bubbles(number, _OWN_SHORT_CODE)

    def calls(self) -> Sequence[Received]:
        return list(self._receiver.calls)

    def reply(self, number: str, text: str) -> None:
        if not self.bubbles(number):
            raise LookupError(f"nobody has written to {number} yet")
        self._operator.reply(number, text, _OWN_SHORT_CODE)


class Demo:
    def __init__(self, node: Node, config: Config, base_url: str, *, all_of_it: bool) -> None:
        """all_of_it: False for the simulated operator alone, on the configured port."""
        self._node = node
        self._base_url = base_url
        self._all_of_it = all_of_it
        self._kept = _kept(config) if all_of_it else {}
        self._operator = Operator(
            port=config.simulator_port,
            script=script.read(config.simulator_script),
            system_id=_SYSTEM_ID if all_of_it else "",
            password=self._kept.get("smsc_password", ""),
        )
        self._port = 0
        self.routes: Sequence[ControllerRouterHandler] = ()
        self.handset: Handset | None = None

    async def start(self) -> None:
        """The operator listens before the node binds to it; the demo data is there before the first request."""
        try:
            self._port = await self._operator.start()
        except OSError as error:
            raise PomboError(f"The simulated operator cannot listen: {error.strerror}.") from None
        if not self._all_of_it:
            log.warning(
                "simulator_on",
                port=self._port,
                hint="POMBO_SIMULATOR_PORT is set; no real operator is behind it",
            )
            return
        await self._make_accounts()
        await self._make_connection()
        account_id = (await accounts.account(self._node.db, _ACCOUNTS[0]))["id"]
        receiver = Receiver(self._node.secrets.panel_hmac("receiver", str(account_id)).hex()[:24])
        await self._register(receiver, account_id)
        self.routes = [receiver.routes()]
        self.handset = Handset(self._operator, receiver, account_id, self._kept["token"])

    async def stop(self) -> None:
        await self._operator.stop()

    async def ready(self) -> dict[str, Any]:
        """The fields of app.Ready that only `demo` has."""
        return {
            "login_url": await self._login_url(),
            "token": self._kept["token"],
            "second_token": self._kept["second_token"],
            "smsc_port": self._port,
        }

    async def _login_url(self) -> str:
        """A new one at each start: it lets in once."""
        account = await accounts.account(self._node.db, _ACCOUNTS[0])
        there = await users.by_email(self._node.db, _EMAIL)
        async with changing(self._node.db, _ACTOR, "user.password" if there else "user.add") as change:
            if there is None:
                added = await people.add(
                    change, self._node.secrets, account["id"], _EMAIL, people.Role.ADMIN, _NAME
                )
                code = added.code
            else:
                code = await people.invite(change, self._node.secrets, account["id"], there["person_id"])
        return f"{self._base_url}/entrar/{code}"

    async def _register(self, receiver: Receiver, account_id: int) -> None:
        """Where nothing is registered; and where it is this receiver, on the port of an earlier start. What a person has
        set to something else stays."""
        for kind in CallbackKind:
            before = await endpoints.registered(self._node.db, account_id, kind)
            name = kind.name.lower()
            url = receiver.url(self._base_url, name)
            if before is not None and (before.url == url or not receiver.is_at(before.url, name)):
                continue
            async with changing(self._node.db, _ACTOR, "callback.set") as change:
                await endpoints.register(
                    change, self._node.secrets, account_id, kind, url, LOOPBACK,
                    literal=before is not None and before.literal, any_2xx=before is not None and before.any_2xx,
                )  # fmt: skip

    async def _make_accounts(self) -> None:
        there = {row["name"] for row in await accounts.accounts(self._node.db)}
        for name, token in zip(_ACCOUNTS, (self._kept["token"], self._kept["second_token"]), strict=True):
            if name not in there:
                hmac = self._node.secrets.token_hmac(token)
                prefix = token[: len(TOKEN_PREFIX) + 4]
                await accounts.add_account(self._node.db, name, _BALANCE_MILLI, hmac, prefix, demo=True)
        await accounts.set_source(self._node.db, _ACCOUNTS[0], _OWN_SHORT_CODE)

    async def _make_connection(self) -> None:
        """Each start has a free port of its own, so the connection moves."""
        known = {smsc.name: smsc for smsc in await smscs.smscs(self._node.db)}
        if _SMSC in known:
            await smscs.move_smsc(self._node.db, known[_SMSC].id, "127.0.0.1", self._port)
            return
        await smscs.add_smsc(
            self._node.db, _SMSC, "127.0.0.1", self._port, _SYSTEM_ID,
            self._node.secrets.seal(self._kept["smsc_password"].encode()),
            window_size=_WINDOW, source_addr=_SHORT_CODE, demo=True,
        )  # fmt: skip
        await routes.add_route(self._node.db, "", _SMSC)


def _kept(config: Config) -> dict[str, str]:
    """The demo's secrets, random per data directory. They stand there in the clear, for this user only: `demo` shows
    the same ones at each start."""
    file = config.data / "demo.json"
    try:
        if not file.exists():
            made = {
                "token": new_token(),
                "second_token": new_token(),
                "smsc_password": secrets.token_hex(4),
            }
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                json.dump(made, handle)
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise PomboError(
            f"{file} cannot be read or made: {error}. Remove it to get new demo tokens."
        ) from None
