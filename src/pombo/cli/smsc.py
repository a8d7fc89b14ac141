"""`smsc add|list`."""

import math
import sys
from getpass import getpass
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from pombo.cli.answer import Answer, note, table
from pombo.cli.options import EVERY, Every
from pombo.cli.words import a_name
from pombo.errors import PomboError
from pombo.smpp.codec import encode
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import BindTransceiver, SubmitSm
from pombo.store import explain, smscs

_OCTET = Number(gte=0, lte=255)
_VALIDITY_MOST_S = 30 * 86400


async def add(
    name: str,
    /,
    *,
    host: Annotated[str, Parameter(help="The operator's host name or address.")],
    port: Annotated[int, Parameter(help="Its SMPP port.", validator=Number(gte=1, lte=65535))],
    system_id: Annotated[str, Parameter(help="The name to bind with.", allow_leading_hyphen=True)],
    password: Annotated[
        str,
        Parameter(
            help="The password to bind with, or - to read it from stdin; kept encrypted.",
            allow_leading_hyphen=True,
        ),
    ],
    system_type: Annotated[str, Parameter(help="Where the operator asks for one.")] = "",
    window: Annotated[
        int, Parameter(help="Messages under way without a response.", validator=Number(gte=1, lte=1000))
    ] = 20,
    rate: Annotated[float, Parameter(help="Messages per second at the most; 0 sets no limit.")] = 0,
    alphabet: Annotated[
        Literal["gsm", "latin1", "ascii"], Parameter(help="What the operator takes data_coding 0 for.")
    ] = "gsm",
    source: Annotated[str, Parameter(help="Short code or sender that messages come from.")] = "",
    source_ton: Annotated[int, Parameter(help="Type of number of --source.", validator=_OCTET)] = 0,
    source_npi: Annotated[int, Parameter(help="Numbering plan of --source.", validator=_OCTET)] = 0,
    uncertain: Annotated[
        Literal["resend", "hold"],
        Parameter(help="What happens to messages that were written and never answered: sent again, or held."),
    ] = "resend",
    validity_s: Annotated[
        int,
        Parameter(
            help="Seconds that a message may wait for this connection.",
            validator=Number(gte=1, lte=_VALIDITY_MOST_S),
        ),
    ] = 86400,
    every: Every = EVERY,
) -> Answer:
    """Add a connection to an operator. A running node binds to it at once."""
    name = a_name(name, "connection")
    if password == "-":  # noqa: S105 - so that the password stands in no list of processes
        password = sys.stdin.readline().rstrip("\r\n") if not sys.stdin.isatty() else getpass("Password: ")
    if not host.strip() or any(char.isspace() or char in "/@" for char in host):
        raise PomboError(f"{host!r} is no host name or address, such as smpp.example.com or 192.0.2.1.")
    if not math.isfinite(rate) or rate < 0:
        raise PomboError("The rate is 0 (no limit) or a number of messages per second.")
    password_octets = _check_fields(system_id, password, system_type, source)
    async with every.reached() as (db, secrets):
        smsc_id = await smscs.add_smsc(
            db, name, host, port, system_id, secrets.seal(password_octets),
            system_type=system_type, window_size=window, rate_per_s=rate, alphabet=alphabet, source_addr=source,
            source_ton=source_ton, source_npi=source_npi, uncertain_policy=uncertain, validity_s=validity_s,
        )  # fmt: skip
    return Answer({"smsc": smsc_id}, Text(f"Connection {smsc_id}, {name}: {host}:{port} as {system_id}."))


def _check_fields(system_id: str, password: str, system_type: str, source: str) -> bytes:
    """The password's octets. Raises PomboError for what a bind or a submit_sm could not carry."""
    octets = {}
    for option, value in {
        "--system-id": system_id, "--password": password, "--system-type": system_type, "--source": source,
    }.items():  # fmt: skip
        try:
            octets[option] = value.encode("latin-1")
        except UnicodeEncodeError:
            raise PomboError(
                f"{option} holds a character that SMPP cannot carry: use ASCII or Latin-1."
            ) from None
        if any(octet < 0x20 for octet in octets[option]):
            raise PomboError(f"{option} holds a control character.")
    bind = BindTransceiver(
        system_id=octets["--system-id"], password=octets["--password"], system_type=octets["--system-type"]
    )
    try:
        encode(bind, 1)
        encode(SubmitSm(source_addr=octets["--source"]), 1)
    except EncodeError as error:
        raise PomboError(f"This cannot be sent to an operator: {error}.") from None
    for option, most in (("--system-id", 15), ("--password", 8)):  # SMPP 3.4 §5.2.1, §5.2.2, without the NUL
        if len(octets[option]) > most:
            note(f"{option} is longer than the {most} characters of SMPP 3.4. It is sent as it is.")
    return octets["--password"]


async def show(*, every: Every = EVERY) -> Answer:
    """All connections to operators. Passwords are never shown."""
    async with every.reached() as (db, _):
        rows = await smscs.smscs(db)
        forms = await smscs.learned_forms(db)
        bound = {line["smsc"] for line in await explain.connections(db) if line["bound"]}
    facts = [
        {
            "smsc": smsc.id,
            "name": smsc.name,
            "host": smsc.host,
            "port": smsc.port,
            "system_id": smsc.system_id,
            "system_type": smsc.system_type,
            "window": smsc.window_size,
            "rate": smsc.rate_per_s,
            "alphabet": smsc.alphabet,
            "source": smsc.source_addr,
            "source_ton": smsc.source_ton,
            "source_npi": smsc.source_npi,
            "uncertain": smsc.uncertain_policy,
            "validity_s": smsc.validity_s,
            "id_form": forms.get(smsc.id),
            "bound": smsc.id in bound,
        }
        for smsc in rows
    ]
    shown = table(
        ">id", "name", "address", "system_id", ">window", ">rate", "alphabet", "source", "uncertain", "bound",
        rows=(
            (
                str(smsc.id), smsc.name, f"{smsc.host}:{smsc.port}", smsc.system_id, str(smsc.window_size),
                f"{smsc.rate_per_s:g}/s" if smsc.rate_per_s else "-", smsc.alphabet, smsc.source_addr or "-",
                smsc.uncertain_policy, "yes" if smsc.id in bound else "no",
            )
            for smsc in rows
        ),
        empty="No connections yet: pombo smsc add NAME --host H --port P --system-id S --password W",
    )  # fmt: skip
    return Answer({"smscs": facts}, shown)
