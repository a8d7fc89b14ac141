"""A promise counts only if breaking the code turns its test red: a copy is broken, and the guard must notice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Mutation(NamedTuple):
    file: str
    old: str
    new: str
    guard: str  # the test that has to fail


MUTATIONS = {
    "200 is said before the commit": Mutation(
        "accept/intake.py",
        "        begun = time.perf_counter()\n",
        "        begun = time.perf_counter()\n        _settle(requests, None)\n",
        "accept/test_legacy_outage.py::test_200_is_said_after_the_commit",
    ),
    "one bad value fails the whole flush": Mutation(
        "accept/intake.py",
        "            if len(requests) == 1:\n",
        "            if requests:\n",
        "accept/test_legacy_outage.py::test_a_value_that_the_database_will_not_have_harms_only_its_own_request",
    ),
    "a message is not charged": Mutation(
        "store/intake.py",
        "set balance_milli = a.balance_milli - u.cost,",
        "set balance_milli = a.balance_milli - 0 * u.cost,",
        "accept/test_legacy_credit.py::test_50_clients_that_race_for_100_credits_get_exactly_100",
    ),
    "a retry is another message": Mutation(
        "accept/intake.py",
        "                if (s.account.id, s.client_ref) in known:\n",
        "                s.client_ref += 'x'\n                if (s.account.id, s.client_ref) in known:\n",
        "accept/test_legacy_same_id.py::test_50_requests_with_one_id_at_the_same_moment_are_one_message",
    ),
    "a day has no end": Mutation(
        "store/intake.py",
        "set balance_milli = a.balance_milli - u.cost, used_on = u.day, day_messages = u.day_messages,",
        "set balance_milli = a.balance_milli - u.cost, used_on = u.day, day_messages = 0 * u.day_messages,",
        "accept/test_legacy_limits.py::test_50_clients_of_two_nodes_that_race_for_a_days_last_100_messages_get_exactly_100",
    ),
    "an account is left out of a query": Mutation(
        "store/messages.py",
        '" where k.account_id = $1 and k.client_ref = $2 and m.account_id = $1"',
        '" where $1::bigint > 0 and k.client_ref = $2"',
        "accept/test_legacy_dlr.py::test_another_accounts_id_is_answered_like_an_unknown_one_octet_for_octet",
    ),
    "replies of another account are shown": Mutation(
        "store/inbox.py",
        '"i.account_id = $1 and i.received_at',
        '"$1::bigint > 0 and i.received_at',
        "accept/test_legacy_mo.py::test_nobody_sees_anothers_replies_nor_those_of_nobody",
    ),
    "a page finds another account's contact": Mutation(
        "store/contacts.py",
        'from contact where account_id = $1 and id = $2"',
        'from contact where $1::bigint > 0 and id = $2"',
        "panel/test_panel_tenants.py::test_on_every_route_another_accounts_id_is_like_one_that_was_never_given",
    ),
    "what a crash leaves is not uncertain": Mutation(
        "store/sessions.py",
        "    await _mark_uncertain(tx, ids)\n",
        "",
        "send/test_link.py::test_what_a_dead_process_was_writing_is_uncertain_after_the_next_start",
    ),
    "hold sends again": Mutation(
        "send/settlement.py",
        'self._flow.smsc.uncertain_policy == "hold"',
        'self._flow.smsc.uncertain_policy == "never"',
        "send/test_link.py::test_under_hold_nothing_is_sent_twice_and_a_receipt_settles_it",
    ),
    "the window has no end": Mutation(
        "send/submit.py",
        "        return min(self._session.room, ",
        "        return 50 or min(self._session.room, ",
        "send/test_link.py::test_no_more_than_a_window_is_in_flight",
    ),
    "a session that was taken over claims on": Mutation(
        "store/queue.py",
        "    where exists (select from session_open)\n",
        "",
        "send/test_owner.py::test_the_owner_of_before_claims_nothing_and_begins_no_session",
    ),
    "deliver_sm is answered before the commit": Mutation(
        "send/bind.py",
        "        self._settlement.delivery(body, sequence_number)\n",
        "        self._settlement.delivery(body, sequence_number)\n"
        "        self._session.respond(sequence_number, body.response(), 0)\n",
        "send/test_link.py::test_a_deliver_sm_is_answered_after_its_effect_is_committed",
    ),
    "a receipt that comes early is forgotten": Mutation(
        "receipt/match.py",
        "        if parked:\n            await rows.park",
        "        if parked and not parked:\n            await rows.park",
        "send/test_link.py::test_a_receipt_that_comes_before_the_response_counts",
    ),
    "a final state moves": Mutation(
        "store/receipts.py",
        "where m.id = d.message_id and m.state in (0, 1, 2) returning m.id, m.state",
        "where m.id = d.message_id returning m.id, m.state",
        "receipt/test_receipt_match.py::test_one_part_that_fails_fails_the_message_at_once",
    ),
    "a message is refunded twice": Mutation(
        "store/endings.py",
        "m.refunded_milli is null and ",
        "",
        "send/test_refunds.py::test_a_commit_that_is_made_again_refunds_nothing_again",
    ),
    "a reply that comes again is stored again": Mutation(
        "store/replies.py",
        " and r.of_id is null left join",
        " left join",
        "send/test_link.py::test_the_same_reply_again_from_a_new_session_is_kept_once",
    ),
    "a session ends when it is found": Mutation(
        "store/leases.py",
        ", before[\"over_s\"])",
        ")",
        "send/test_owner.py::test_a_dead_owners_session_ended_when_its_lease_did_however_late_it_is_found",
    ),
    "marketing goes before codes": Mutation(
        "send/turn.py",
        "ring = waiting[0]",
        "ring = waiting[-1]",
        "send/test_codes.py::test_codes_go_past_sixty_thousand_marketing_messages_of_another_account",
    ),
    "any answer confirms a callback": Mutation(
        "callback/deliver.py",
        "        ok = status == 200 or ",
        "        ok = status is not None or ",
        "callback/test_callback_deliver.py::test_nothing_but_200_confirms",
    ),
    "the address guard is off": Mutation(
        "callback/dial.py",
        "if may_dial(address, self._allow)]",
        "if address]",
        "callback/test_callback_deliver.py::test_the_platforms_own_network_is_never_dialled",
    ),
    "a length is not checked before the octets are awaited": Mutation(
        "smpp/framing.py",
        "            if not LEAST_OCTETS <= length <= self.most_octets:\n",
        "            if length < LEAST_OCTETS:\n",
        "smpp/test_smpp_framing.py::test_four_octets_tell_that_it_is_not_smpp",
    ),
}  # fmt: skip


def copied(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "src"


def run(source: Path, *guards: str) -> "subprocess.CompletedProcess[str]":
    """These tests alone, against this source."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(f"tests/{guard}" for guard in guards)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(source), "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_every_guard_passes_on_a_copy_that_is_not_broken(tmp_path: Path) -> None:
    done = run(copied(tmp_path), *(mutation.guard for mutation in MUTATIONS.values()))

    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("promise", MUTATIONS)
def test_the_guard_of_a_promise_sees_it_broken(promise: str, tmp_path: Path) -> None:
    mutation = MUTATIONS[promise]
    file = copied(tmp_path) / "pombo" / mutation.file
    text = file.read_text("utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file} has changed: say anew how to break it there"
    file.write_text(text.replace(mutation.old, mutation.new), "utf-8")

    done = run(tmp_path / "src", mutation.guard)

    assert done.returncode == 1, f"nobody noticed: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert f"FAILED tests/{mutation.guard}" in done.stdout, done.stdout[-2000:]
