"""The shapes that `envio.php` takes: arrays, bare objects, forms, and a single flat message."""

from typing import Any, NamedTuple

from pombo.accept import parameters as read
from pombo.accept.parameters import Malformed, Parameters, TooMany, as_text, lower_names

_MOST_MESSAGES = 1000
_MOST_ITEMS = 10_000  # a batch larger than this is answered with a single item
_NAMES = frozenset({"token", "mensagens", "destino", "msg"})
_NO_BATCH = "o corpo deve ser uma lista de objetos com token e mensagens"
NO_OBJECT = "cada mensagem deve ser um objeto com destino e msg"
NO_MESSAGES = "mensagens vazio ou ausente"


class Batch(NamedTuple):
    """Messages in input order, each with the token of its object.

    A str stands for what is no message, and says why.
    """

    messages: list[tuple[str, Parameters | str]]

    @property
    def tokens(self) -> set[str]:
        return {token for token, _ in self.messages}

    @property
    def too_large(self) -> bool:
        return len(self.messages) > _MOST_MESSAGES


def read_batch(query: bytes, body: bytes, content_type: str) -> Batch:
    """Raises Malformed when nothing in the request is a batch or a message, TooMany when it is far too large."""
    given = read.of_urlencoded(query)
    if body.strip():
        return _of_value(_value(body, content_type), given)
    if not given:
        raise Malformed("o corpo esta vazio")
    return _of_value(read.nested(given), given)


def _value(body: bytes, content_type: str) -> Any:
    value = read.of_body(body, content_type)
    if isinstance(value, list) or _NAMES & lower_names(value).keys():
        return value
    return read.of_json(body)  # neither form nor JSON: say where


def _of_value(value: Any, query: Parameters) -> Batch:
    objects = value if isinstance(value, list) else [value]
    if not objects or not all(isinstance(member, dict) for member in objects):
        raise Malformed(_NO_BATCH)
    if len(objects) == 1:
        objects = [{**query, **lower_names(objects[0])}]
    messages: list[tuple[str, Parameters | str]] = []
    for members in map(lower_names, objects):
        messages.extend(_of_object(members, query))
        if len(messages) > _MOST_ITEMS:
            raise TooMany
    return Batch(messages)


def _of_object(members: Parameters, query: Parameters) -> list[tuple[str, Parameters | str]]:
    token = as_text(members.get("token")) or as_text(query.get("token"))
    mode = members.get("codificacao")
    if mode is None:
        mode = query.get("codificacao")
    schedule = query.get("agendar") if _is_blank(members.get("agendar")) else members["agendar"]
    inner = members.get("mensagens")
    if isinstance(inner, str) and inner.strip():  # JSON in a field of a form
        inner = read.of_json(as_text(inner).encode())
        if isinstance(inner, list) and any(
            isinstance(member, dict) and "mensagens" in lower_names(member) for member in inner
        ):
            return _of_value(inner, {"token": token, "codificacao": mode, "agendar": schedule}).messages
    if isinstance(inner, dict) and inner:
        inner = [inner]
    if isinstance(inner, list) and inner:
        if len(inner) > _MOST_ITEMS:
            raise TooMany
        return [(token, _message(m, mode, schedule) if isinstance(m, dict) else NO_OBJECT) for m in inner]
    if inner is None and {"destino", "msg"} & members.keys():
        return [(token, _message(members, mode, schedule))]
    return [(token, NO_MESSAGES)]


def _message(given: Parameters, mode: Any, schedule: Any) -> Parameters:
    """mode, schedule: the `codificacao` and `agendar` of its object, for a message that has none of its own."""
    message = lower_names(given)
    if mode is not None and message.get("codificacao") is None:
        message["codificacao"] = mode
    if not _is_blank(schedule) and _is_blank(message.get("agendar")):
        message["agendar"] = schedule
    return message


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
