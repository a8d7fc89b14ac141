"""Documentação da API: try a call, copy it into a program, and look up what an answer means."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from litestar.exceptions import NotFoundException

from pombo.errors import Refusal
from pombo.message import LEGACY_STATUS, State
from pombo.panel import meaning, samples
from pombo.panel.page import Asked, Page, act, doors_of, form_of, person_of, render, show
from pombo.panel.session import base_url
from pombo.panel.words import _, noted

MOST_SHOWN = 20  # recipients in a sample of a batch


class Field(NamedTuple):
    name: str
    hint: str
    usual: str = ""
    many: bool = False


_TO = Field("destino", noted("como você tiver: com ou sem 55, pontos, traços"), "11987654321")
_TEXT = Field("msg", noted("o texto"), noted("Olá! Seu pedido saiu para entrega."))
_MODE = Field("codificacao", noted("opcional: ascii, auto ou unicode"))
_WHEN = Field("agendar", noted("opcional: 2026-12-24 10:00:00"))


class Path(NamedTuple):
    """One of the API."""

    file: str
    label: str
    sentence: str
    fields: Sequence[Field]
    answer: str


PATHS: Mapping[str, Path] = {
    "unitario": Path(
        "unitario.php",
        noted("Enviar uma"),
        noted("Uma mensagem. 200 quer dizer gravada: daí em diante ela não se perde."),
        (_TO, _TEXT, Field("id", noted("opcional, seu: até 64 letras sem espaço")), _MODE, _WHEN),
        '{"envio":[{"destino":"11987654321","status":200,"messageID":"5b678259ef213","mesageID":"5b678259ef213",'
        '"data":"2026-11-22 10:00:00","detailDescription":"OK"}]}',
    ),
    "envio": Path(
        "envio.php",
        noted("Enviar em lote"),
        noted("Até 1000 mensagens num pedido. Cada uma vale por si, na ordem em que veio."),
        (Field("destino", noted("um por linha"), "11987654321\n21987654321", many=True), _TEXT, _MODE, _WHEN),
        '{"detalhes":[{"destino":"11987654321","status":200,"messageID":"5b678259ef213","mesageID":"5b678259ef213",'
        '"data":"2026-11-22 10:00:00","detailDescription":"OK"},{…}]}',
    ),
    "dlr": Path(
        "dlr.php",
        noted("Consultar situação"),
        noted("O que foi feito de uma mensagem. Um id que não é seu responde vazio."),
        (Field("id", noted("da mensagem"), "5b678259ef213"),),
        '{"dlr":[{"data":"2026-11-22 10:00:00","enviado":"2026-11-22 10:00:01","entregue":"2026-11-22 10:00:04",'
        '"status":"2","destino":"11987654321","numero":"11987654321","mensagem":"Olá!","id":"5b678259ef213"}]}',
    ),
    "mo": Path(
        "mo.php",
        noted("Ler respostas"),
        noted("As respostas que ainda não foram lidas, as mais antigas antes, até 1000 por vez."),
        (
            Field("todas", noted("opcional: 1 traz também as já lidas")),
            Field("de", noted("opcional: 2026-11-22 ou 2026-11-22 10:00:00")),
            Field("ate", noted("opcional: até quando")),
            Field("apos", noted("opcional: mo_id da última, para a página seguinte")),
        ),
        '{"mo":[{"destino":"11987654321","numero":"11987654321","data":"2026-11-22 10:05:00","mensagem":"SIM",'
        '"id":"5b678259ef213","mo_id":"…"}]}',
    ),
    "saldo": Path(
        "saldo.php",
        noted("Consultar saldo"),
        noted("O saldo da conta em reais, sem arredondar."),
        (),
        '{"saldo":[{"saldo":"3808.590","saldo_milli":3808590,"moeda":"BRL","tipo":"pre","limite":"0.000","preco":"0.079",'
        '"data":"2026-11-22 10:00:00"}]}',
    ),
}

# When each is said. That there is one for every refusal is tested.
WHEN: Mapping[Refusal, str] = {
    Refusal.TOKEN: noted("Faltou, foi revogado, expirou, ou não vale para isto ou deste endereço"),
    Refusal.SUSPENDED: noted("A conta está suspensa"),
    Refusal.DESTINATION: noted("Não é celular do Brasil, nem de outro país combinado para a conta"),
    Refusal.BLOCKED: noted("Pediu SAIR, ou está na sua lista ou na da plataforma"),
    Refusal.EMPTY: noted("msg faltou ou só tem espaços"),
    Refusal.TOO_LONG: noted("Mais segmentos do que a conta permite"),
    Refusal.ID: noted("Mais de 64 letras, ou com espaços e acentos"),
    Refusal.ID_DUPLICATE: noted("Já usado com outro número ou texto"),
    Refusal.CREDIT: noted("O saldo não paga a mensagem"),
    Refusal.NO_ROUTE: noted("Nenhuma conexão alcança o número agora"),
    Refusal.BATCH_SIZE: noted("Lote grande demais: nada dele foi aceito"),
    Refusal.RATE: noted("Um limite da conta foi alcançado"),
    Refusal.MALFORMED: noted("Corpo ilegível; depois de “: ” vem o que e onde"),
    Refusal.UNAVAILABLE: noted("Talvez não gravada (HTTP 503): envie de novo com o mesmo id"),
}
_STATUSES: Sequence[tuple[State, str]] = (
    (State.WAITING, noted("Na fila ou agendada")),
    (State.SUBMITTED, noted("Com a operadora; algumas nunca confirmam")),
    (State.DELIVERED, noted("Chegou ao aparelho. Final")),
    (State.UNDELIVERED, noted("A operadora desistiu, ou a validade acabou. Final")),
    (State.REJECTED, noted("Recusada, bloqueada ou cancelada. Final")),
)


@show("/integracao/documentacao")
async def documentation(request: Asked, caminho: str = "unitario") -> Page:
    path = _path(caminho)
    return render(
        request,
        "docs.html",
        paths=PATHS,
        chosen=caminho,
        path=path,
        base=base_url(request),
        max_parts=person_of(request).account.max_parts,
        body_limit_mib=doors_of(request).config.body_limit_octets // 2**20,
        refusals=[(refusal, WHEN[refusal]) for refusal in Refusal],
        statuses=[(LEGACY_STATUS[state], meaning.STATES[state], sentence) for state, sentence in _STATUSES],
        **_codes(
            request, caminho, {field.name: _(field.usual) if field.usual else "" for field in path.fields}
        ),
    )


@act("/integracao/documentacao/codigo")
async def code(request: Asked) -> Page:
    """The same call in six languages, with what the fields hold."""
    form = await form_of(request)
    return render(request, "parts/codes.html", **_codes(request, form.get("caminho", ""), form))


def _path(name: str) -> Path:
    path = PATHS.get(name)
    if path is None:
        raise NotFoundException
    return path


def _codes(request: Asked, name: str, given: Mapping[str, str]) -> dict[str, Any]:
    path = _path(name)
    values = {field.name: given.get(field.name, "") for field in path.fields}
    if name == "envio":
        recipients = [line.strip() for line in values.pop("destino").splitlines() if line.strip()][
            :MOST_SHOWN
        ]
        messages = [{"destino": recipient, **values} for recipient in recipients or ["11987654321"]]
        of = samples.call(base_url(request), path.file, {}, messages)
    else:
        of = samples.call(base_url(request), path.file, values)
    return {
        "codes": {language: samples.sample(language, of) for language in samples.LANGUAGES},
        "languages": samples.LANGUAGES,
        "variable": samples.VARIABLE,
    }


handlers = [documentation, code]
