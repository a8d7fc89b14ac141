"""Every setting of the platform: type, default, unit, one sentence.

Settings come from environment variables `POMBO_<NAME>` and from command line options, which win.
What can change while the platform runs (accounts, connections, routes, endpoints) is not here but in the database.
"""

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pombo.errors import PomboError

ROLES = frozenset({"api", "send", "callback"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _setting(default: Any, sentence: str, least: float | None = None, most: float | None = None) -> Any:
    """least, most: of a number, both included."""
    return field(default=default, metadata={"sentence": sentence, "least": least, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    data: Path = _setting(Path("data"), "Directory of everything this node keeps: database, secret, sockets.")
    database_url: str = _setting("", "PostgreSQL 15 or newer to use instead of the embedded one.")
    postgres_bin: str = _setting("", "Directory of PostgreSQL's programs, instead of those of the wheel.")
    secret: str = _setting(
        "", "Key of all token hashes and sealed passwords; else the file `secret` in the data directory."
    )
    host: str = _setting("127.0.0.1", "Address that the HTTP server listens on.")
    port: int = _setting(8080, "Port that the HTTP server listens on.", 0, 65535)
    roles: str = _setting(
        "api,send,callback",
        "What this node does: accept messages, serve connections to operators, call customers back.",
    )
    api_workers: int = _setting(
        0, "Processes that accept messages on the same port, beside the main one.", 0, 32
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "Networks of proxies whose `X-Forwarded-For` is believed, separated by commas."
    )
    panel_url: str = _setting(
        "", "Address at which people reach the panel, for the links that commands print."
    )
    body_limit_octets: int = _setting(16 * 1024 * 1024, "Largest HTTP request body, in octets.", 1024, 2**30)
    body_timeout_s: float = _setting(
        30.0, "Longest pause in a request's body before the connection is closed, in seconds.", 0.1, 3600
    )
    intake_limit_messages: int = _setting(
        50_000,
        "Messages that may wait in memory for their commit before requests are answered 503.",
        1,
        10_000_000,
    )
    commit_timeout_s: float = _setting(
        10.0, "Longest wait for a commit before its requests are answered 503, in seconds.", 0.1, 600
    )
    callback_allow: tuple[Network, ...] = _setting(
        (), "Networks inside the platform that callbacks may reach all the same, separated by commas."
    )
    callback_timeout_s: float = _setting(
        15.0, "Longest time for one callback attempt in all, in seconds.", 0.1, 50
    )
    callback_in_flight: int = _setting(4, "Callbacks in flight to one endpoint, to begin with.", 1, 1000)
    callback_in_flight_max: int = _setting(
        32, "Callbacks in flight to one endpoint while it answers well.", 1, 1000
    )
    metrics_allow: tuple[Network, ...] = _setting(
        (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")),
        "Networks that may read `/metrics`, separated by commas.",
    )
    operators_file: str = _setting("", "CSV file of numbers and their operators, for routes by operator.")
    simulator_port: int = _setting(
        0, "Port of the simulated operator under `serve`; 0 leaves it off.", 0, 65535
    )
    simulator_script: str = _setting(
        "",
        "How the simulated operator behaves, such as `refused=0.05,lost=0.1`; empty: it delivers everything.",
    )
    log_level: str = _setting("info", "Least level that is logged: debug, info, warning or error.")

    def __post_init__(self) -> None:
        """Raises PomboError for a number out of its range, which NaN always is."""
        for f in dataclasses.fields(self):
            least, most, value = f.metadata["least"], f.metadata["most"], getattr(self, f.name)
            if least is not None and not least <= value <= most:
                raise PomboError(f"{_variable(f.name)}={value} is out of its range: {least} to {most}.")
        if self.callback_in_flight > self.callback_in_flight_max:
            raise PomboError(
                f"POMBO_CALLBACK_IN_FLIGHT={self.callback_in_flight} is more than "
                f"POMBO_CALLBACK_IN_FLIGHT_MAX={self.callback_in_flight_max}."
            )
        if not self.role_names or not self.role_names <= ROLES:
            raise PomboError(
                f"POMBO_ROLES={self.roles} is none of api, send and callback, or several of them with commas."
            )
        if self.api_workers and "api" not in self.role_names:
            raise PomboError("POMBO_API_WORKERS needs the role api among POMBO_ROLES.")

    @property
    def role_names(self) -> frozenset[str]:
        return frozenset(role.strip() for role in self.roles.split(",") if role.strip())


def from_env(env: Mapping[str, str] = os.environ, **options: object) -> Config:
    """The configuration from `POMBO_*` variables, overridden by the options that are not None.

    Raises PomboError for a variable that cannot be read or is out of its range.
    """
    values: dict[str, Any] = {
        f.name: _read(variable, env[variable], f.default)
        for f in dataclasses.fields(Config)
        if (variable := _variable(f.name)) in env
    }
    values.update({name: value for name, value in options.items() if value is not None})
    return Config(**values)


def to_env(config: Config) -> dict[str, str]:
    """Variables that `from_env` reads this configuration from."""
    return {_variable(f.name): _written(getattr(config, f.name)) for f in dataclasses.fields(Config)}


def unknown_variables(env: Mapping[str, str] = os.environ) -> list[str]:
    """`POMBO_*` variables that are no setting: somebody's typing error, most likely."""
    known = {_variable(f.name) for f in dataclasses.fields(Config)}
    return sorted(variable for variable in env if variable.startswith("POMBO_") and variable not in known)


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _variable(name: str) -> str:
    return f"POMBO_{name.upper()}"


def _read(variable: str, text: str, default: object) -> object:
    try:
        match default:
            case tuple():
                return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
            case Path():
                return Path(text)
            case int():
                return int(text)
            case float():
                return float(text)
            case _:
                return text
    except ValueError as error:
        raise PomboError(f"{variable}={text!r} cannot be read: {error}") from None
