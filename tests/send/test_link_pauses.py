from pombo.send.link import _failures, _pause_s
from pombo.smpp.status import Status


def test_a_silent_operator_is_asked_ever_more_rarely_up_to_a_minute():
    most = [max(_pause_s(failures, None) for _ in range(500)) for failures in (0, 2, 4, 6, 60)]
    assert most[0] <= 1 < most[1] <= 4 < most[2] <= 16 < most[3] <= 60 and most[4] <= 60


def test_a_refused_bind_waits_longer_and_wrong_credentials_longest():
    assert min(_pause_s(1, Status.ESME_RBINDFAIL) for _ in range(500)) >= 5
    assert min(_pause_s(1, Status.ESME_RINVPASWD) for _ in range(500)) >= 30


def test_a_session_that_stood_is_a_success_and_a_short_one_half_a_failure():
    assert _failures(5, 60.0) == 0
    assert _failures(0, 0.1) == 1 and _failures(7, 0.1) == 2
    assert _failures(7, None) == 8
