"""enquire_link_timer: 30 s of silence, 10 s to answer, two misses."""

from pombo.smpp.timers import Due, Silence


def test_nothing_is_due_before_the_silence_is_long_enough():
    silence = Silence(30.0, 10.0, now=100.0)
    assert silence.deadline() == 130.0
    assert silence.due(129.9) is Due.NOTHING
    assert silence.due(130.0) is Due.ASK


def test_two_misses_are_the_end():
    silence = Silence(30.0, 10.0, now=0.0)
    assert silence.due(30.0) is Due.ASK
    assert silence.due(39.9) is Due.NOTHING
    assert silence.due(40.0) is Due.ASK
    assert silence.deadline() == 50.0
    assert silence.due(50.0) is Due.DEAD


def test_a_sign_of_life_starts_the_silence_anew():
    silence = Silence(30.0, 10.0, now=0.0)
    silence.due(30.0)
    silence.due(40.0)
    silence.heard(45.0)
    assert silence.deadline() == 75.0
    assert silence.due(75.0) is Due.ASK
    assert silence.due(85.0) is Due.ASK


def test_a_late_look_at_the_clock_still_gives_the_peer_time_to_answer():
    silence = Silence(30.0, 10.0, now=0.0)
    assert silence.due(500.0) is Due.ASK
    assert silence.deadline() == 510.0
