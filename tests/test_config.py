"""Settings are read, or refused before anything starts."""

import dataclasses

import pytest

from pombo.config import Config, from_env, to_env
from pombo.errors import PomboError

_NUMBERS = [field for field in dataclasses.fields(Config) if isinstance(field.default, int | float)]


@pytest.mark.parametrize("field", _NUMBERS, ids=lambda field: field.name)
def test_every_number_has_a_range_whose_ends_are_taken_and_no_more(
    field: "dataclasses.Field[object]",
) -> None:
    least, most = field.metadata["least"], field.metadata["most"]
    variable = f"POMBO_{field.name.upper()}"
    most_in_flight = (
        {"POMBO_CALLBACK_IN_FLIGHT": "1"}
        if field.name.endswith("_max")
        else {"POMBO_CALLBACK_IN_FLIGHT_MAX": "1000"}
    )
    for value in (least, most):
        assert getattr(from_env({**most_in_flight, variable: str(value)}), field.name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(PomboError, match=f"{variable}={value}.* out of its range: {least} to {most}"):
            from_env({**most_in_flight, variable: str(value)})


@pytest.mark.parametrize("typed", ["nan", "inf", "-inf"])
def test_what_is_no_finite_time_is_refused(typed: str) -> None:
    with pytest.raises(PomboError, match="out of its range"):
        from_env({"POMBO_BODY_TIMEOUT_S": typed})


def test_more_in_flight_to_begin_with_than_ever_is_refused() -> None:
    with pytest.raises(PomboError, match="POMBO_CALLBACK_IN_FLIGHT=64 is more than"):
        from_env({"POMBO_CALLBACK_IN_FLIGHT": "64"})


def test_an_option_wins_over_its_variable() -> None:
    assert from_env({"POMBO_PORT": "1"}, port=2, host=None) == Config(port=2)


@pytest.mark.parametrize("roles", ["", ",", "web", "api,web", "API"])
def test_roles_that_there_are_not_are_refused(roles: str) -> None:
    with pytest.raises(PomboError, match=f"POMBO_ROLES={roles} is none of api, send and callback"):
        from_env({"POMBO_ROLES": roles})


def test_api_workers_of_a_node_that_does_not_accept_are_refused() -> None:
    with pytest.raises(PomboError, match="POMBO_API_WORKERS needs the role api"):
        from_env({"POMBO_ROLES": "send,callback", "POMBO_API_WORKERS": "2"})
    assert from_env({"POMBO_ROLES": " send , api ", "POMBO_API_WORKERS": "2"}).role_names == {"send", "api"}


def test_a_configuration_is_handed_to_another_process_as_it_is() -> None:
    changed = {
        field.name: field.metadata["least"]
        for field in _NUMBERS
        if field.name not in ("callback_in_flight", "callback_in_flight_max")
    }
    config = from_env(
        {"POMBO_CALLBACK_ALLOW": "10.0.0.0/8, ::1", "POMBO_ROLES": "api,send", "POMBO_DATA": "here"},
        **changed,
    )
    assert from_env(to_env(config)) == config
    assert from_env(to_env(Config())) == Config()
