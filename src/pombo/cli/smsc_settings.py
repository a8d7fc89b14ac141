"""What can be set of a connection: the same options for `smsc add` and `smsc set`, the same names in JSON."""

import math
import ssl
import sys
from dataclasses import dataclass, fields
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from pombo.cli.answer import note
from pombo.errors import PomboError
from pombo.smpp.codec import encode
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import BindTransceiver, SubmitSm
from pombo.smpp.status import failure_of, status_name
from pombo.store.smscs import Smsc

_OCTET = Number(gte=0, lte=255)
_LONGEST_S = 30 * 86400
_VERDICTS = ("final", "temporary", "throttling")
_MOST_OCTETS = {"system_id": 15, "password": 8}  # SMPP 3.4 §5.2.1, §5.2.2, without the NUL


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """None: not given. The database knows the defaults that the sentences name."""

    system_type: Annotated[str | None, Parameter(help="Where the operator asks for one.")] = None
    bind: Annotated[
        Literal["transceiver", "pair"] | None,
        Parameter(help="One bind for both ways (default), or a transmitter and a receiver."),
    ] = None
    binds: Annotated[
        int | None,
        Parameter(help="So many of them at once; default 1.", validator=Number(gte=1, lte=32)),
    ] = None
    tls: Annotated[bool | None, Parameter(help="Speak TLS to the operator; default no.")] = None
    tls_ca: Annotated[
        Path | None,
        Parameter(
            help="File with the certificates (PEM) that the operator's must be signed by, or be; - for those that this"
            " system trusts (default).",
            allow_leading_hyphen=True,
        ),
    ] = None
    tls_name: Annotated[
        str | None, Parameter(help="The name in the operator's certificate, where that is not --host.")
    ] = None
    window: Annotated[
        int | None,
        Parameter(
            help="Messages under way without a response, for each bind; default 20.",
            validator=Number(gte=1, lte=1000),
        ),
    ] = None
    rate: Annotated[
        float | None, Parameter(help="Messages per second at the most; 0 sets no limit (default).")
    ] = None
    alphabet: Annotated[
        Literal["gsm", "latin1", "ascii"] | None,
        Parameter(help="What the operator takes data_coding 0 for; default gsm."),
    ] = None
    long: Annotated[
        Literal["udh8", "udh16", "sar", "payload"] | None,
        Parameter(
            help="How the parts of a long message are marked: a header with an 8-bit (default) or 16-bit reference,"
            " sar_* parameters, or one message_payload."
        ),
    ] = None
    source: Annotated[
        str | None, Parameter(help="Short code or sender that messages come from.", allow_leading_hyphen=True)
    ] = None
    source_ton: Annotated[
        int | None, Parameter(help="Type of number of --source; default 0.", validator=_OCTET)
    ] = None
    source_npi: Annotated[
        int | None, Parameter(help="Numbering plan of --source; default 0.", validator=_OCTET)
    ] = None
    uncertain: Annotated[
        Literal["resend", "hold"] | None,
        Parameter(
            help="What happens to messages that were written and never answered: sent again (default), or held."
        ),
    ] = None
    validity_s: Annotated[
        int | None,
        Parameter(
            help="Seconds that a message may wait for this connection; default 86400.",
            validator=Number(gte=1, lte=_LONGEST_S),
        ),
    ] = None
    operator_validity_s: Annotated[
        int | None,
        Parameter(
            help="Seconds that the operator is asked to keep trying; 0 leaves it to the operator (default).",
            validator=Number(gte=0, lte=_LONGEST_S),
        ),
    ] = None
    receipt_ids: Annotated[
        Literal["auto", "raw", "hex", "dec"] | None,
        Parameter(
            help="How receipts write message ids: found out (default), as the response did, or in hexadecimal or decimal"
            " while the response did the other."
        ),
    ] = None
    response_timeout_s: Annotated[
        int | None,
        Parameter(
            help="Seconds without an answer to a submit after which its fate counts as not known; default 60.",
            validator=Number(gte=1, lte=3600),
        ),
    ] = None
    enquire_link_s: Annotated[
        int | None,
        Parameter(
            help="Seconds of silence after which the operator is asked for a sign of life; default 30.",
            validator=Number(gte=1, lte=3600),
        ),
    ] = None
    patience_s: Annotated[
        int | None,
        Parameter(
            help="Seconds that it may be down before its messages go over another connection; default 60.",
            validator=Number(gte=0, lte=_LONGEST_S),
        ),
    ] = None
    verdict: Annotated[
        tuple[str, ...] | None,
        Parameter(
            help="STATUS=final|temporary|throttling: what this operator's command_status means, such as 0x45=temporary;"
            " =usual takes that back. May stand several times.",
            negative=(),
        ),
    ] = None

    def columns(self, verdicts: dict[int, str]) -> dict[str, Any]:
        """Columns of the table for what was given. Raises PomboError for what no connection can have.

        verdicts: those that the connection has so far.
        """
        given: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        found = {_COLUMNS.get(name, name): value for name, value in given.items() if value is not None}
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate >= 0):
            raise PomboError("The rate is 0 (no limit) or a number of messages per second.")
        if self.tls_ca is not None:
            found["tls_ca"] = _certificates(self.tls_ca)
        if self.verdict is not None:
            found.pop("verdict")
            found["verdicts"] = _changed(verdicts, self.verdict)
        check_fields(system_type=self.system_type, source=self.source)
        return found


_COLUMNS = {
    "bind": "bind_mode",
    "window": "window_size",
    "rate": "rate_per_s",
    "long": "long_mode",
    "source": "source_addr",
    "uncertain": "uncertain_policy",
}


def facts_of(smsc: Smsc) -> dict[str, Any]:
    """As programs read it. Never the password."""
    options = {
        f.name: getattr(smsc, _COLUMNS.get(f.name, f.name)) for f in fields(Settings) if f.name != "verdict"
    }
    return {
        "smsc": smsc.id, "name": smsc.name, "host": smsc.host, "port": smsc.port, "system_id": smsc.system_id,
        **options,
        "verdicts": {status_name(status): verdict for status, verdict in sorted(smsc.verdicts.items())},
        "wanted": smsc.wanted,
    }  # fmt: skip


def check_host(host: str) -> None:
    if not host.strip() or any(char.isspace() or char in "/@" for char in host):
        raise PomboError(f"{host!r} is no host name or address, such as smpp.example.com or 192.0.2.1.")


def read_password(given: str) -> str:
    """- stands for stdin, so that the password is in no list of processes."""
    if given != "-":
        return given
    return getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


def check_fields(**given: str | None) -> dict[str, bytes]:
    """Octets of system_id, password, system_type and source, those that are not None. Raises PomboError for what a
    bind or a submit_sm could not carry."""
    octets: dict[str, bytes] = {}
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if value is None:
            continue
        try:
            octets[name] = value.encode("latin-1")
        except UnicodeEncodeError:
            raise PomboError(
                f"{option} holds a character that SMPP cannot carry: use ASCII or Latin-1."
            ) from None
        if any(octet < 0x20 for octet in octets[name]):
            raise PomboError(f"{option} holds a control character.")
    bind = BindTransceiver(
        system_id=octets.get("system_id", b""),
        password=octets.get("password", b""),
        system_type=octets.get("system_type", b""),
    )
    try:
        encode(bind, 1)
        encode(SubmitSm(source_addr=octets.get("source", b"")), 1)
    except EncodeError as error:
        raise PomboError(f"This cannot be sent to an operator: {error}.") from None
    for name, most in _MOST_OCTETS.items():
        if len(octets.get(name, b"")) > most:
            option = "--" + name.replace("_", "-")
            note(f"{option} is longer than the {most} characters of SMPP 3.4. It is sent as it is.")
    return octets


def _certificates(file: Path) -> str:
    if str(file) == "-":
        return ""
    try:
        pem = file.read_text(encoding="ascii")
        ssl.create_default_context(cadata=pem or "nothing")  # an empty one would load the system's
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no certificate in PEM"
        raise PomboError(f"{file} cannot be taken for --tls-ca: {reason}.") from None
    return pem


def _changed(verdicts: dict[int, str], given: tuple[str, ...]) -> dict[int, str]:
    changed = dict(verdicts)
    for text in given:
        name, equals, verdict = text.partition("=")
        status = failure_of(name.strip())
        if not equals or status is None or verdict not in (*_VERDICTS, "usual"):
            raise PomboError(
                f"--verdict {text!r} is not STATUS=final, =temporary, =throttling or =usual,"
                " such as 0x45=temporary or ESME_RSUBMITFAIL=temporary."
            )
        changed.pop(status, None)
        if verdict != "usual":
            changed[status] = verdict
    return changed
