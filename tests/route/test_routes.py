from pombo.route.routes import Route, Routes

VIVO, TIM, ALL = Route("5511", 1, 60), Route("55", 2, 60), Route("", 3, 60)


def test_the_longest_prefix_wins_whatever_the_order():
    for routes in (Routes([VIVO, TIM, ALL]), Routes([ALL, TIM, VIVO])):
        assert routes.choose(5511999999999) is VIVO
        assert routes.choose(5521999999999) is TIM
        assert routes.choose(351999999999) is ALL


def test_of_equal_prefixes_the_first_one_counts():
    assert Routes([Route("55", 1, 60), Route("55", 2, 60)]).choose(5511999999999) == Route("55", 1, 60)


def test_without_a_route_that_fits_there_is_none():
    assert Routes([VIVO]).choose(5521999999999) is None
    assert Routes().choose(5521999999999) is None
