"""Every refusal: its text to the customer, whether sending again may help, and whose fault it is."""

from enum import Enum, StrEnum
from typing import NamedTuple


class Fault(Enum):
    CUSTOMER = "customer"
    PLATFORM = "platform"


class _Refusal(NamedTuple):
    text: str  # `detailDescription`, Portuguese without accents: old clients compare it
    retryable: bool  # the same request may succeed later, unchanged
    fault: Fault


class Refusal(Enum):
    """Why a message is not accepted (`status` 0). The texts are part of the contract: never change one."""

    TOKEN = _Refusal("Token invalido", False, Fault.CUSTOMER)
    DESTINATION = _Refusal("Destino invalido", False, Fault.CUSTOMER)
    EMPTY = _Refusal("Mensagem vazia", False, Fault.CUSTOMER)
    TOO_LONG = _Refusal("Mensagem muito longa", False, Fault.CUSTOMER)
    ID = _Refusal("ID invalido", False, Fault.CUSTOMER)
    ID_DUPLICATE = _Refusal("ID duplicado", False, Fault.CUSTOMER)
    CREDIT = _Refusal("Saldo insuficiente", True, Fault.CUSTOMER)
    SUSPENDED = _Refusal("Conta bloqueada", True, Fault.CUSTOMER)
    BLOCKED = _Refusal("Destino bloqueado", False, Fault.CUSTOMER)
    NO_ROUTE = _Refusal("Sem rota", True, Fault.PLATFORM)
    BATCH_SIZE = _Refusal("Limite de 1000 mensagens excedido", False, Fault.CUSTOMER)
    RATE = _Refusal("Limite de requisicoes excedido", True, Fault.CUSTOMER)
    MALFORMED = _Refusal("Requisicao invalida", False, Fault.CUSTOMER)
    UNAVAILABLE = _Refusal("Servico indisponivel", True, Fault.PLATFORM)

    @property
    def text(self) -> str:
        return self.value.text

    @property
    def retryable(self) -> bool:
        return self.value.retryable


class Limit(StrEnum):
    """Which limit of an account was reached, where a refusal is Refusal.RATE; for figures."""

    REQUESTS_PER_S = "requests_per_s"
    MESSAGES_PER_S = "messages_per_s"
    MESSAGES_PER_DAY = "messages_per_day"
    SPEND_PER_DAY = "spend_per_day"
    MESSAGES_PER_PREFIX = "messages_per_prefix"


class PomboError(Exception):
    """Something a person can mend: the message says what is wrong and what to do. Never a traceback."""


class Unavailable(Exception):
    """The store did not confirm a commit: what was to be stored is not known to be stored."""


def why(error: BaseException) -> str:
    """What the log calls a failure of the store: the type of what is behind it. Never its words: they may quote data."""
    return type(error.__cause__ or error).__name__


class Taken(Exception):
    """Something else has this name or number already: nothing was changed."""
