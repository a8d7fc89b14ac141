from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from pombo.route.routes import Route, Routes

VIVO, TIM, ALL = Route("5511", 1, 60), Route("55", 2, 60), Route("", 3, 60)
NUMBER = 5511999999999


def test_the_longest_prefix_wins_whatever_the_order():
    for routes in (Routes([VIVO, TIM, ALL]), Routes([ALL, TIM, VIVO])):
        assert routes.choose(5511999999999) is VIVO
        assert routes.choose(5521999999999) is TIM
        assert routes.choose(351999999999) is ALL


def test_of_equal_prefixes_the_first_one_counts():
    first, second = Route("55", 1, 60, id=1), Route("55", 2, 60, id=2)
    assert Routes([second, first]).choose(NUMBER) is first


def test_without_a_route_that_fits_there_is_none():
    assert Routes([VIVO]).choose(5521999999999) is None
    assert Routes().choose(5521999999999) is None


def test_a_lower_position_goes_before_a_longer_prefix():
    everything = Route("", 3, 60, id=9, position=10)
    assert Routes([VIVO, TIM, everything]).choose(NUMBER) is everything


def test_a_rule_for_the_account_goes_before_one_for_all():
    mine = Route("55", 1, 60, id=7, account_id=7)
    routes = Routes([Route("55", 2, 60, id=1), mine])
    assert routes.choose(NUMBER, 7) is mine
    assert routes.choose(NUMBER, 8).smsc_id == 2


def test_a_rule_for_a_class_carries_only_that_class():
    routes = Routes([Route("55", 1, 60, id=1, message_class=0), Route("55", 2, 60, id=2)])
    assert [routes.choose(NUMBER, 1, message_class).smsc_id for message_class in (0, 1, 2)] == [1, 2, 2]
    assert Routes([Route("55", 1, 60, message_class=0)]).choose(NUMBER, 1, 1) is None


def test_the_operator_of_the_number_decides_and_an_unknown_one_fits_no_rule():
    operators = {NUMBER: "vivo", NUMBER + 1: "tim"}
    routes = Routes(
        [Route("55", 1, 60, id=1, operator="vivo"), Route("55", 2, 60, id=2)], operator_of=operators.get
    )
    assert [routes.choose(NUMBER + n).smsc_id for n in range(3)] == [1, 2, 2]


def test_weights_share_the_numbers_to_a_hundredth():
    routes = Routes([Route("55", smsc_id, 60, id=smsc_id, weight=smsc_id) for smsc_id in (1, 2, 7)])
    for step in (1, 7, 1000, 99991):  # campaigns come in any pattern
        shares = Counter(routes.choose(5511900000000 + n * step).smsc_id for n in range(100_000))
        assert all(abs(shares[smsc_id] - 10_000 * smsc_id) < 1000 for smsc_id in (1, 2, 7)), (step, shares)


def test_all_messages_of_one_number_take_the_same_share():
    rules = [Route("55", smsc_id, 60, id=smsc_id, weight=1) for smsc_id in (1, 2)]
    assert Routes(rules).choose(NUMBER) is Routes(rules[::-1]).choose(NUMBER)


def test_of_sharing_connections_only_the_share_of_the_one_that_is_down_goes_elsewhere():
    rules = [Route("55", smsc_id, 60, id=smsc_id, weight=1) for smsc_id in (1, 2, 3)]
    for down in (1, 2, 3):
        before, after = Routes(rules), Routes(rules, unavailable={down})
        moved = Counter()
        for number in range(5511900000000, 5511900030000):
            was, now = before.choose(number).smsc_id, after.choose(number).smsc_id
            assert now == was or was == down
            moved[now] += was == down
        assert all(abs(moved[other] - 5000) < 500 for other in {1, 2, 3} - {down}), (down, moved)


def test_one_without_a_weight_stands_by_for_those_that_share():
    rules = [
        Route("55", 9, 60, id=1),
        Route("55", 1, 60, id=2, weight=1),
        Route("55", 2, 60, id=3, weight=1),
    ]
    assert {Routes(rules).choose(NUMBER + n).smsc_id for n in range(100)} == {1, 2}
    assert Routes(rules, unavailable={1, 2}).choose(NUMBER).smsc_id == 9


def test_a_connection_that_is_away_is_passed_over():
    assert Routes([VIVO, TIM], unavailable={1}).choose(NUMBER) is TIM


def test_where_all_that_fit_are_away_the_first_one_is_taken_all_the_same():
    assert Routes([VIVO, TIM, ALL], unavailable={1, 2, 3}).choose(NUMBER) is VIVO


def test_elsewhere_is_available_and_was_not_tried():
    routes = Routes([VIVO, TIM, ALL], unavailable={2})
    assert routes.elsewhere(NUMBER, 1, 1, {1}) == 3
    assert routes.elsewhere(NUMBER, 1, 1, {1, 3}) is None


_rules = st.builds(
    Route,
    prefix=st.sampled_from(["", "5", "55", "5511", "55119", "5521"]),
    smsc_id=st.integers(1, 4),
    validity_s=st.just(60),
    id=st.integers(1, 50),
    position=st.sampled_from([1, 100]),
    account_id=st.sampled_from([None, None, 1, 2]),
    message_class=st.sampled_from([None, None, 0, 2]),
    operator=st.sampled_from([None, None, "vivo", "tim"]),
    weight=st.sampled_from([0, 0, 1, 3]),
)


@settings(max_examples=400)
@given(
    st.lists(_rules, max_size=12, unique_by=lambda rule: rule.id),
    st.sets(st.integers(1, 4)),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from([5511900000001, 5511900000002, 5521900000003, 351900000004]),
)
def test_what_is_worked_out_before_agrees_with_trying_rule_after_rule(
    rules, unavailable, account_id, message_class, number
):
    routes = Routes(
        rules, operator_of={5511900000001: "vivo", 5521900000003: "tim"}.get, unavailable=unavailable
    )
    fitting = list(routes.fitting(number, account_id, message_class))
    available = [route for route in fitting if route.smsc_id not in unavailable]
    assert routes.choose(number, account_id, message_class) is next(iter(available + fitting), None)
