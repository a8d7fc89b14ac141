from pombo.route.explain import explain
from pombo.route.routes import Route, Routes

NUMBER = 5511999999999


def told(rules, *, account_id=None, message_class=1, unavailable=None, operators=None):
    away = unavailable or {}
    routes = Routes(rules, operator_of=(operators or {}).get, unavailable=away)
    steps = explain(routes, NUMBER, account_id, message_class, unavailable=away)
    return {step.route.id: (step.outcome, step.reason) for step in steps}


def test_each_rule_says_why_it_does_not_fit():
    rules = [
        Route("5521", 1, 60, id=1),
        Route("55", 1, 60, id=2, account_id=7),
        Route("55", 1, 60, id=3, message_class=0),
        Route("55", 1, 60, id=4, operator="vivo"),
        Route("55", 1, 60, id=5),
        Route("", 2, 60, id=6),
    ]
    assert told(rules, operators={NUMBER: "tim"}) == {
        1: ("does not fit", "the number does not begin with 5521"),
        2: ("does not fit", "it is for another account"),
        3: ("does not fit", "it is for another class"),
        4: ("does not fit", "the number's operator is tim, not vivo"),
        5: ("taken", "it fits"),
        6: ("next", "it fits, after the one that is taken"),
    }
    assert told(rules)[4][1] == "the number's operator is not known, so it is not vivo"
    assert told(rules, account_id=7)[2] == ("taken", "it fits")


def test_a_rule_whose_connection_is_away_is_passed_over():
    rules = [Route("5511", 1, 60, id=1), Route("55", 2, 60, id=2)]
    assert told(rules, unavailable={1: "stopped"}) == {
        1: ("passed over", "its connection is stopped"),
        2: ("taken", "it fits"),
    }


def test_where_all_are_away_it_says_that_the_message_waits():
    outcome, reason = told([Route("55", 1, 60, id=1)], unavailable={1: "draining"})[1]
    assert outcome == "taken"
    assert "draining" in reason
    assert "waits" in reason


def test_shares_are_told_and_exactly_one_of_them_is_taken():
    rules = [
        Route("55", 1, 60, id=1, weight=1),
        Route("55", 2, 60, id=2, weight=3),
        Route("55", 3, 60, id=3),
    ]
    found = told(rules)
    taken = [rule for rule, (outcome, _) in found.items() if outcome == "taken"]
    assert taken == [Routes(rules).choose(NUMBER).id]
    assert found[taken[0]][1].endswith("and this one is among them")
    assert found[1][1].startswith("1 of 4 numbers")
    assert found[3] == (
        "next",
        "it stands by: it has no weight, and others with the same conditions have",
    )
