from pombo.send.verdict import resend_delay_s, retry_delay_s
from pombo.smpp.status import Status


def test_throttling_waits_a_moment_however_often_it_comes():
    assert retry_delay_s(Status.ESME_RTHROTTLED, 1) == retry_delay_s(Status.ESME_RMSGQFUL, 50) == 1.0


def test_temporary_refusals_wait_longer_each_time():
    delays = [retry_delay_s(Status.ESME_RSYSERR, attempts) for attempts in range(1, 9)]
    assert delays == sorted(delays) and delays[0] == 5.0 and delays[-1] == 600.0


def test_refusals_of_the_message_itself_and_of_vendors_are_final():
    for status in (Status.ESME_RINVDSTADR, Status.ESME_RINVMSGLEN, Status.ESME_RX_R_APPN, 0x45F, 0xFFFF):
        assert retry_delay_s(status, 1) is None


def test_what_is_never_answered_is_sent_again_at_once_and_then_ever_later():
    delays = [resend_delay_s(attempts) for attempts in range(1, 9)]
    assert delays == sorted(delays) and delays[:2] == [0.0, 5.0] and delays[-1] == 600.0
