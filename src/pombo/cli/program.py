"""All commands, and how each run of one ends: exit code, and what stands on stdout and stderr.

Exit codes: 0 done, 1 refused or failed (also where a check finds a fault and, quietly, where nobody reads stdout any more),
2 not a command as it was typed, 130 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from inspect import iscoroutine
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from cyclopts import App, CycloptsError

import pombo
from pombo.cli.answer import Answer, complain, say
from pombo.errors import PomboError, Unavailable

# Command: (where it stands, its line in the help). Only the module of the command that runs is imported.
COMMANDS = {
    "demo": ("node:demo", "Try it: everything on this machine, with a simulated operator."),
    "serve": ("node:serve", "Run the platform."),
    "migrate": ("node:migrate", "Bring the database up to this version."),
    "status": ("status:status", "What runs, what waits, what is stuck."),
    "backup": ("backup:backup", "Write the whole platform into one file."),
    "restore": ("backup:restore", "Bring a backup to life in a new data directory."),
    "doctor": ("doctor:doctor", "Whether everything in the database agrees."),
    "explain": ("explain:explain", "One message's whole life."),
    "send": ("send:send", "Send one message, by the same rules as the API."),
    "cancel": ("cancel:cancel", "Take back messages that are not sent yet."),
    "account add": ("account:add", "Add a customer's account, with its first token."),
    "account list": ("account:show", "All accounts and their balances."),
    "account show": ("billing:show", "One account: its terms and what it has."),
    "account set": ("billing:change", "Change an account's terms and limits."),
    "account suspend": ("account:suspend", "Refuse an account's messages from now on."),
    "account resume": ("account:resume", "Take an account's messages again."),
    "account recharge": ("billing:recharge", "Add to an account's balance."),
    "account adjust": ("billing:adjust", "Correct an account's balance, up or down."),
    "account statement": ("billing:statement", "What came and went on an account."),
    "account token": ("token:add", "The same as token add."),
    "user add": ("user:add", "Let somebody into an account's panel."),
    "user list": ("user:show", "Who uses the panel."),
    "user role": ("user:role", "Change what somebody may do."),
    "user password": ("user:password", "A one-time link for somebody who forgot their password."),
    "user onefactor": (
        "user:second_factor_off",
        "Let somebody in without the second step, who lost the telephone.",
    ),
    "user remove": ("user:remove", "Take somebody's access away."),
    "token add": ("token:add", "Give an account one more API token."),
    "token list": ("token:show", "API tokens: what each may do, and when it was used last."),
    "token set": ("token:change", "Change what a token may do."),
    "token rotate": ("token:rotate", "Make a new token like an old one, which ends after a while."),
    "token revoke": ("token:revoke", "End a token at once and for good."),
    "price list": ("price:show", "All prices, in the order in which they count."),
    "price set": ("price:change", "Set the price of messages that fit its conditions."),
    "price remove": ("price:remove", "Take a price away."),
    "smsc add": ("smsc:add", "Add a connection to an operator."),
    "smsc list": ("smsc:show_all", "All connections to operators, and how they stand."),
    "smsc show": ("smsc:show", "Everything about one connection."),
    "smsc set": ("smsc:change", "Change a connection."),
    "smsc start": ("smsc:start", "Bind to the operator and send what waits."),
    "smsc stop": ("smsc:stop", "Wait for responses, unbind, and stay unbound."),
    "smsc drain": ("smsc:drain", "Give it no new messages, and send what waits."),
    "smsc remove": ("smsc:remove", "Forget a connection that is stopped and unused."),
    "route add": ("route:add", "Send messages that fit its conditions over a connection."),
    "route list": ("route:show", "All routes, in the order in which they are tried."),
    "route remove": ("route:remove", "Take a route away."),
    "route explain": ("route:explain", "Which route a number takes, and why not the others."),
    "queue list": ("queue:show", "What waits, is being written, or is held."),
    "queue retry": ("queue:retry", "Try at once what waits for its next try."),
    "queue hold": ("queue:hold", "Keep waiting messages from being sent."),
    "queue release": ("queue:release", "Send held messages."),
    "queue discard": ("queue:discard", "End waiting and held messages without sending them."),
    "reply list": ("reply:show", "The newest replies, and whose they are."),
    "reply assign": ("reply:assign", "Give replies that nobody owns to an account."),
    "shortcode add": ("shortcode:add", "Give an account the replies to a number that answer no message."),
    "shortcode list": ("shortcode:show", "Who gets replies that answer no message."),
    "shortcode remove": ("shortcode:remove", "Take a number or a keyword from its account."),
    "block list": ("block:show", "How many numbers each block list has."),
    "block add": ("block:add", "Block a number: messages to it are refused."),
    "block remove": ("block:remove", "Take a number off a block list."),
    "block check": ("block:check", "On which block lists a number is."),
    "block import": ("block:import_", "Block the numbers of a file."),
    "block export": ("block:export", "Write a block list to a file, without the numbers."),
    "block confirmation": ("block:confirmation", "What people who opt out are answered."),
    "link list": ("link:show", "Whose links are looked at, and where they may lead."),
    "link add": ("link:add", "Let an account's links lead to a host."),
    "link remove": ("link:remove", "Let an account's links lead to a host no more."),
    "link guard": ("link:guard", "Hold messages with links to other hosts, or no more."),
    "receipt list": ("receipt:show", "Receipts that wait for their message, and why."),
    "receipt rematch": ("receipt:rematch", "Try waiting receipts again, or give one to its message."),
    "callback set": ("callback:register", "Register where an account is called."),
    "callback endpoints": ("callback:show", "Where accounts are called."),
    "callback secret": ("callback:secret", "What an account's callbacks are signed with."),
    "callback remove": ("callback:remove", "Call an account no more."),
    "callback list": ("delivery:show_all", "Callbacks, the newest first."),
    "callback show": ("delivery:show", "One callback, with the request and the answer of each attempt."),
    "callback replay": ("delivery:replay", "Make callbacks again at once."),
    "privacy export": ("privacy:export", "Write all that is kept of a number to a file."),
    "privacy erase": ("privacy:erase", "Erase a number from everything that is kept."),
    "privacy search": ("privacy:search", "Look for a number in every row of every table."),
    "privacy access": ("privacy:access", "Who used the platform, when and from where."),
    "audit list": ("audit:show", "Who changed what, when and from where."),
    "audit verify": ("audit:verify", "Check that the audit trail is whole."),
    "audit export": ("audit:export", "Write the audit trail as lines of JSON."),
}

_GROUPS = {
    "account": "Customers' accounts.",
    "user": "People who use the panel.",
    "token": "API tokens of accounts.",
    "price": "What a part of a message costs, by account, number and class.",
    "smsc": "Connections to operators.",
    "route": "Which connection carries which numbers.",
    "queue": "Messages that are not sent yet.",
    "block": "Numbers that must not be written to: opt-outs, and the operator's blocks.",
    "link": "Where the links in an account's messages may lead.",
    "receipt": "Delivery receipts (DLR) whose message is not known yet.",
    "reply": "Replies (MO) that came in.",
    "shortcode": "Whose the replies to a number are where they answer no message.",
    "callback": "Where customers are told of receipts (DLR) and replies (MO).",
    "privacy": "What is kept of people, and who used the platform.",
    "audit": "Who changed what.",
}


running = ""  # the words of the command that runs in this process


def program() -> App:
    root = App(
        name="pombo",
        help="SMS gateway: HTTP in, SMPP 3.4 out, receipts and replies back.",
        version=pombo.__version__,
        version_flags=["--version"],
        help_format="plaintext",  # markdown would load a parser and a highlighter that no sentence here needs
        print_error=False,
        exit_on_error=False,
    )
    groups = {name: App(name=name, help=sentence) for name, sentence in _GROUPS.items()}
    for group in groups.values():
        root.command(group)
    for words, (place, sentence) in COMMANDS.items():
        group_name, _, name = words.rpartition(" ")
        (groups[group_name] if group_name else root).command(f"pombo.cli.{place}", name=name, help=sentence)
    return root


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _open_missing()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to fail
    try:
        code = _run(arguments, as_json="--json" in arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
    sys.exit(code)


def _open_missing() -> None:
    """Descriptors 0 to 2 that the caller closed lead nowhere: else a socket would get that number and be printed to."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, this one
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115


def _run(arguments: Sequence[str], *, as_json: bool) -> int:
    try:
        answer = _call(arguments)
        if answer is not None:
            say(answer, as_json=as_json)
            return int(answer.failed)
    except CycloptsError as error:
        complain(" ".join(str(error).split()), as_json=as_json)
        return 2
    except PomboError as error:
        complain(str(error), as_json=as_json)
        return 1
    except Unavailable as error:
        complain(f"The database did not answer: {error}", as_json=as_json)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        # A fault of ours. Where, but not with what: an exception's message may quote a token or a text.
        for frame in traceback.extract_tb(error.__traceback__)[-6:]:
            sys.stderr.write(f"  {frame.filename}:{frame.lineno} {frame.name}\n")
        complain(f"A fault in Pombo: {type(error).__name__}. Please report the lines above.", as_json=as_json)
        return 1
    return 0


def _call(arguments: Sequence[str]) -> Answer | None:
    for argument in arguments:
        if not argument.isprintable() and any("\ud800" <= char <= "\udfff" for char in argument):
            raise PomboError("An argument is not UTF-8. Check the encoding of the terminal or the script.")
    command, bound, _ = program().parse_args(list(arguments))
    global running
    words = [argument for argument in arguments if not argument.startswith("-")]
    running = next((said for said in (" ".join(words[:2]), *words[:1]) if said in COMMANDS), "")
    result: Any = command(*bound.args, **bound.kwargs)
    if iscoroutine(result):
        from pombo.app import run  # all stages hang on it: not for --help

        result = run(result)
    return result if isinstance(result, Answer) else None
