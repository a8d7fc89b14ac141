"""What the pages of campaigns say. Portuguese is the source language; whoever shows a word has it translated."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from pombo.account.window import Window
from pombo.campaign.progress import Progress
from pombo.campaign.reading import Fault
from pombo.campaign.reasons import Reason
from pombo.campaign.states import State
from pombo.panel.words import _, count, noted
from pombo.store.campaigns import Campaign

FAULTS: Mapping[Fault, str] = {
    Fault.EMPTY: noted("O arquivo está vazio."),
    Fault.NO_ROWS: noted("O arquivo só tem a linha de títulos: faltam os contatos."),
    Fault.TOO_MANY_ROWS: noted(
        "O arquivo tem mais de 200.000 linhas: divida-o e faça uma campanha de cada parte."
    ),
    Fault.TOO_MANY_COLUMNS: noted("O arquivo tem mais de 100 colunas: deixe as que a mensagem usa."),
    Fault.NO_TEXT: noted("Isto não é um CSV nem um XLSX. Abra-o na planilha e salve como CSV ou XLSX."),
    Fault.OLD_EXCEL: noted(
        "Esta planilha é do formato antigo (.xls) ou tem senha. Salve como XLSX, sem senha, ou CSV."
    ),
    Fault.NO_SHEET: noted("A planilha não tem nenhuma aba à mostra."),
    Fault.OPEN_QUOTE: noted(
        "Na linha %(detail)s começam aspas que não terminam. Corrija-as e envie de novo."
    ),
    Fault.BROKEN: noted("A planilha está danificada: abra-a, salve de novo e envie."),
    Fault.TOO_LARGE: noted("O arquivo é grande demais: até 50 MB, e sem planilhas que crescem ao abrir."),
}

WRONG: Mapping[str, str] = {
    "started": noted("Esta campanha já começou e não pode mais ser mudada."),
    "changed": noted(
        "A campanha mudou depois que você abriu esta página. Confira a prévia e confirme de novo."
    ),
    "columns": noted("As colunas não são as do arquivo. Abra a página de novo."),
    "no_number_column": noted("Escolha a coluna com os celulares: o uso dela é Destino."),
    "two_number_columns": noted("Só uma coluna pode ser o Destino."),
    "empty_message": noted("Escreva a mensagem."),
    "long_message": noted("A mensagem é longa demais."),
    "unknown_variable": noted("A mensagem usa {%(detail)s}, que não é uma coluna em uso do arquivo."),
    "nobody": noted("Nenhuma linha pode receber: corrija o arquivo e envie de novo."),
    "typed": noted("Para confirmar, digite o número de pessoas: %(detail)s."),
    "too_far": noted("Agende para dentro de um ano."),
    "past": noted("Esse horário já passou."),
    "no_time": noted("Escolha o dia e a hora."),
    "suspended": noted("Sua conta está bloqueada: fale com o suporte."),
    "not_running": noted("Esta campanha não está mais enviando."),
    "not_paused": noted("Esta campanha não está pausada."),
}


class Refused(NamedTuple):
    """Why a row is not sent, what to do about it, and what several are called."""

    text: str
    advice: str
    many: str


REASONS: Mapping[Reason, Refused] = {
    Reason.NO_NUMBER: Refused(noted("Sem número"), noted("Complete no arquivo"), noted("sem número")),
    Reason.NO_DDD: Refused(noted("Falta o DDD"), noted("Complete no arquivo"), noted("sem DDD")),
    Reason.FIXED_LINE: Refused(noted("Telefone fixo"), noted("Use um celular, com 9"), noted("fixos")),
    Reason.FOREIGN: Refused(
        noted("Número de outro país"), noted("Sua conta não envia para lá"), noted("de outro país")
    ),
    Reason.ROUNDED: Refused(
        noted("Arredondado pela planilha"), noted("Formate a coluna como texto"), noted("arredondadas")
    ),
    Reason.BAD_NUMBER: Refused(noted("Não é um celular"), noted("Corrija no arquivo"), noted("inválidas")),
    Reason.SHIFTED: Refused(
        noted("Mais células que títulos"),
        noted("Ponha aspas onde há o separador"),
        noted("com células a mais"),
    ),
    Reason.EMPTY_VARIABLE: Refused(
        noted("{%(detail)s} está vazio"), noted("Complete, ou aceite vazios"), noted("com variável vazia")
    ),
    Reason.EMPTY_TEXT: Refused(
        noted("Mensagem vazia"), noted("Complete no arquivo"), noted("com mensagem vazia")
    ),
    Reason.TOO_LONG: Refused(
        noted("Mensagem longa demais"), noted("Encurte o texto"), noted("longas demais")
    ),
    Reason.DUPLICATE: Refused(
        noted("Repetida, igual à linha %(detail)s"), noted("Recebe só uma vez"), noted("repetidas")
    ),
    Reason.BLOCKED: Refused(
        noted("Descadastrado ou bloqueado"), noted("Não pode receber"), noted("descadastros e bloqueios")
    ),
    Reason.NO_ROUTE: Refused(noted("Nenhuma operadora leva"), noted("Fale com o suporte"), noted("sem rota")),
    Reason.REFUSED: Refused(noted("Recusada: %(detail)s"), noted("Fale com o suporte"), noted("recusadas")),
}

STOPS: Mapping[str, str] = {
    "credit": noted(
        "O saldo acabou. Recarregue e continue: as que faltam esperam na ordem, ninguém é pulado."
    ),
    "suspended": noted("Sua conta foi bloqueada. Fale com o suporte; as que faltam esperam na ordem."),
    "no_route": noted(
        "Nenhuma operadora está levando mensagens agora. Fale com o suporte; as que faltam esperam."
    ),
}

WAITS: Mapping[str, str] = {
    "window": noted("Fora do horário de marketing. Continua sozinha quando ele abrir, e nada se perde."),
    "rate": noted("O limite da sua conta foi alcançado. Continua sozinha assim que houver lugar."),
    "unavailable": noted("O banco de dados não respondeu. Continua sozinha, sem pular nem repetir ninguém."),
}

EVENTS: Mapping[str, tuple[str, str, str]] = {  # heading, icon, colour
    "started": (noted("Começou"), "send", "info"),
    "paused": (noted("Pausada"), "player-pause", "warn"),
    "stopped": (noted("Parou sozinha"), "player-pause", "bad"),
    "resumed": (noted("Continuou"), "player-play", "ok"),
    "taken_over": (noted("Servidor reiniciado"), "refresh", "info"),
    "done": (noted("Todas na fila"), "check", "ok"),
    "cancelled": (noted("Cancelada"), "x", "bad"),
}


class Standing(NamedTuple):
    word: str
    pill: str  # of app.css
    hint: str = ""


def standing(campaign: Campaign, progress: Progress | None = None) -> Standing:
    """progress: None where it was not counted."""
    match campaign.state:
        case State.DRAFT | State.CHECKED:
            return Standing(_("Rascunho"), "")
        case State.CHECKING:
            return Standing(_("Conferindo"), "info")
        case State.PAUSED:
            hint = STOPS.get(campaign.waits_for)
            said = hint or noted(
                "Pausada. As que já estão com a operadora ainda chegam; as outras esperam na ordem, ninguém é pulado."
            )
            return Standing(_("Pausada"), "bad" if hint else "warn", _(said))
        case State.CANCELLING:
            return Standing(_("Cancelando"), "warn")
        case State.CANCELLED:
            return Standing(_("Cancelada"), "bad")
        case State.RUNNING:
            return _running(campaign)
    if progress is not None and progress.left:
        return Standing(_("Enviando"), "info")
    if progress is not None and progress.taken:
        return Standing(_("Enviada"), "info")
    return Standing(_("Concluída"), "ok")


def _running(campaign: Campaign) -> Standing:
    if campaign.start_at is not None and campaign.start_at > datetime.now(UTC):
        return Standing(_("Agendada"), "info")
    hint = WAITS.get(campaign.waits_for)
    return Standing(_("Esperando"), "warn", _(hint)) if hint else Standing(_("Enviando"), "info")


def happened(kind: str, detail: str) -> str:
    """What a line of the history says below its heading."""
    if kind == "started":
        rows, _space, refused = detail.partition(" ")
        return _("%(rows)s na lista, %(refused)s recusadas.", rows=_figure(rows), refused=_figure(refused))
    if kind == "taken_over":
        return _(
            "Retomada sozinha na linha %(line)s. Ninguém pulado nem repetido.",
            line=_figure(str(int(detail) + 1)),
        )
    if kind == "stopped":
        return _(STOPS[detail]) if detail in STOPS else ""
    if kind == "cancelled":
        return _("As que esperavam na fila também.") if detail else _("As que já estavam na fila seguem.")
    return ""


def _figure(digits: str) -> str:
    return count(int(digits))


def hours(window: Window | None) -> str:
    """`de segunda a sábado, das 9h às 22h`"""
    if window is None:
        return _("a qualquer hora")
    names = [_(name) for name in _DAYS]
    days = sorted(window.days)
    run = days == list(range(days[0], days[-1] + 1)) and len(days) > 2
    said = (
        _("de %(first)s a %(last)s", first=names[days[0]], last=names[days[-1]])
        if run
        else ", ".join(names[day] for day in days)
    )
    return _(
        "%(days)s, das %(opens)s às %(closes)s",
        days=said,
        opens=_hour(window.opens_min),
        closes=_hour(window.closes_min),
    )


def _hour(minutes: int) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{hour}h{minute:02d}" if minute else f"{hour}h"


_DAYS = (
    noted("segunda"), noted("terça"), noted("quarta"), noted("quinta"), noted("sexta"), noted("sábado"), noted("domingo"),
)  # fmt: skip
