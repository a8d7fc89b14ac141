"""Who runs this command, as far as the system can tell."""

import os
import pwd
import socket

from pombo.store.audit import Actor

_MOST_CHARACTERS = 100


def this_actor() -> Actor:
    """The person's login where `sudo` or the terminal knows it, else the user that the process runs as; and from where."""
    places = [place for place in (this_address(), _plain(_terminal())) if place]
    return Actor(f"cli:{_plain(_login())}@{_plain(socket.gethostname())}", " ".join(places))


def this_address() -> str:
    """Where SSH says that the person sits; '' at the machine itself."""
    ssh = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_CLIENT") or ""
    return _plain(ssh.split(" ")[0])


def _login() -> str:
    if by_sudo := os.environ.get("SUDO_USER"):
        return by_sudo
    try:
        return os.getlogin()
    except OSError:  # no terminal: a container, a timer
        pass
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _terminal() -> str:
    for descriptor in (0, 1, 2):
        try:
            return os.ttyname(descriptor)
        except OSError:
            continue
    return ""


def _plain(text: str) -> str:
    """Anybody may put anything into the environment."""
    return "".join(char for char in text if char.isprintable() and not "\ud800" <= char <= "\udfff")[
        :_MOST_CHARACTERS
    ]
