from pombo.store.ids import EPOCH_MS, ID_BITS_BELOW_MS, Ids

NOW_S = EPOCH_MS / 1000 + 1_000_000


def test_ids_rise_and_never_repeat():
    ids = Ids(3)
    taken = ids.take(100_000, NOW_S) + ids.take(10, NOW_S)
    assert len(set(taken)) == len(taken) and taken == sorted(taken)


def test_ids_of_two_nodes_never_meet():
    assert not set(Ids(1).take(50_000, NOW_S)) & set(Ids(2).take(50_000, NOW_S))


def test_an_id_tells_its_millisecond_and_fits_into_63_bits():
    (newest,) = Ids(255).take(1, NOW_S)
    assert newest >> ID_BITS_BELOW_MS == 1_000_000_000
    (of_2094,) = Ids(255).take(1, EPOCH_MS / 1000 + 69 * 365 * 86400)
    assert of_2094 < 2**63


def test_a_clock_that_steps_back_does_not_make_older_ids():
    ids = Ids(1)
    (before,) = ids.take(1, NOW_S)
    (after,) = ids.take(1, NOW_S - 3600)
    assert after > before


def test_after_a_restart_ids_go_on_above_the_highest_one_there_is():
    (floor,) = Ids(9).take(1, NOW_S)
    assert all(new > floor for new in Ids(1, floor).take(1000, NOW_S - 3600))


def test_neighbours_differ_in_their_low_octet_whenever_they_come():
    """It is the reference by which a handset joins the parts of a long message."""
    ids = Ids(1)
    taken = [new for ms in range(300) for new in ids.take(ms % 3, NOW_S + ms / 1000)]
    for n, new in enumerate(taken):
        assert new & 0xFF not in {other & 0xFF for other in taken[max(0, n - 255) : n]}
    assert taken == sorted(set(taken))
