from pombo.send.verdict import resend_delay_s, retry_delay_s, verdict_of
from pombo.smpp.status import Status


def test_throttling_waits_a_moment_however_often_it_comes():
    assert verdict_of(Status.ESME_RTHROTTLED, {}) == verdict_of(Status.ESME_RMSGQFUL, {}) == "throttling"
    assert retry_delay_s("throttling", 1) == retry_delay_s("throttling", 50) == 1.0


def test_temporary_refusals_wait_longer_each_time():
    assert verdict_of(Status.ESME_RSYSERR, {}) == "temporary"
    delays = [retry_delay_s("temporary", attempts) for attempts in range(1, 9)]
    assert delays == sorted(delays) and delays[0] == 5.0 and delays[-1] == 600.0


def test_refusals_of_the_session_cost_no_message():
    for status in (Status.ESME_RINVBNDSTS, Status.ESME_RINVPASWD, Status.ESME_RINVCMDID):
        assert verdict_of(status, {}) == "temporary"


def test_refusals_of_the_message_itself_and_of_vendors_are_final():
    for status in (Status.ESME_RINVDSTADR, Status.ESME_RINVMSGLEN, Status.ESME_RX_R_APPN, 0x45F, 0xFFFF):
        assert verdict_of(status, {}) == "final"
    assert retry_delay_s("final", 1) is None


def test_a_connection_may_see_a_status_its_own_way():
    own = {0x45F: "temporary", int(Status.ESME_RMSGQFUL): "final", 8: "throttling"}
    assert [verdict_of(status, own) for status in (0x45F, Status.ESME_RMSGQFUL, 8, 0x460)] == [
        *("temporary", "final", "throttling"),
        "final",
    ]


def test_what_is_never_answered_is_sent_again_at_once_and_then_ever_later():
    delays = [resend_delay_s(attempts) for attempts in range(1, 9)]
    assert delays == sorted(delays) and delays[:2] == [0.0, 5.0] and delays[-1] == 600.0
