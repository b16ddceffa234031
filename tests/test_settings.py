"""Settings: TOML and `KEY=VALUE` become frozen values; limits are inherited load class > carrier > global."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigurationError
from monitor.settings import Settings, effective, format_duration, load_settings, milliseconds, parse_duration

MINUTE = timedelta(minutes=1)


def faults(*said: str) -> list[str]:
    """What is wrong with some assignments."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, said)
    return caught.value.faults


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("14d", 1_209_600), ("250ms", 0.25), ("1h30m", 5400), ("1.5h", 5400), ("0s", 0)],
)
def test_a_duration_is_numbers_with_their_units(text: str, seconds: float) -> None:
    """One or several numbers, each followed by ms, s, m, h or d."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5m ", "5min", "1h30", "1e3s", "PT5M"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="^" + text.replace(" ", ".")):
        parse_duration(text)


@given(st.integers(0, 10**12))
def test_a_duration_that_is_written_reads_the_same(ms: int) -> None:
    """To the millisecond."""
    assert milliseconds(parse_duration(format_duration(timedelta(milliseconds=ms)))) == ms


def test_without_a_file_every_setting_has_its_default() -> None:
    """The defaults alone are a configuration."""
    assert load_settings(None) == Settings()


def test_a_file_says_only_what_differs(tmp_path: Path) -> None:
    """What is not said keeps its default."""
    file = tmp_path / "monitor.toml"
    file.write_text('[detectors.unauthorized_stop]\nlimit = "20m"\n', encoding="utf-8")
    settings = load_settings(file)
    assert settings.detectors.unauthorized_stop.limit == 20 * MINUTE
    assert settings.detectors.unauthorized_stop.no_stop_limit == 5 * MINUTE


def test_an_assignment_comes_over_the_file(tmp_path: Path) -> None:
    """The last word is the command line's."""
    file = tmp_path / "monitor.toml"
    file.write_text('timezone = "Europe/Paris"\n[motion]\nradius_m = 50\n', encoding="utf-8")
    settings = load_settings(file, ["motion.radius_m=60", "ingest.source=broker"])
    assert (settings.motion.radius_m, settings.ingest.source, settings.timezone) == (60.0, "broker", "Europe/Paris")


@pytest.mark.parametrize("said", ['geofences="here"', "geofences=here", "geofences = here"])
def test_an_assigned_value_is_read_as_toml_or_else_as_text(said: str) -> None:
    """Quotes may be left away."""
    assert load_settings(None, [said]).geofences == "here"


def test_no_limit_is_written_none() -> None:
    """Where there may be none."""
    assert load_settings(None, ["detectors.long_dwell.customer=none"]).detectors.long_dwell.customer is None


@pytest.mark.parametrize("said", ["motion.radius_m", "=5", " =5"])
def test_an_assignment_without_key_or_value_is_refused(said: str) -> None:
    """It says what is allowed."""
    assert faults(said) == [f"--set {said}: allowed is KEY=VALUE"]


def test_an_assignment_below_a_value_is_refused() -> None:
    """A value is no section."""
    assert faults("timezone=UTC", "timezone.name=UTC") == [
        "defaults: timezone.name = 'UTC': allowed is a key below a section; timezone is a value"
    ]


def test_all_faults_come_at_once() -> None:
    """One line each."""
    assert len(faults("motion.radius_m=1", "order.gap=x", "nothing=1")) == 3


def test_limits_are_inherited_load_class_then_carrier_then_all() -> None:
    """The nearest word counts, one limit at a time."""
    settings = load_settings(
        None,
        [
            "detectors.unauthorized_stop.limit=31m",
            "detectors.unauthorized_stop.red_zone_limit=7m",
            "carrier.north.unauthorized_stop.limit=21m",
            "carrier.north.unauthorized_stop.no_stop_limit=4m",
            "load.dangerous.unauthorized_stop.limit=11m",
        ],
    )
    limits = [
        settings.limits(carrier, load).unauthorized_stop
        for carrier, load in (("south", "standard"), ("north", "standard"), ("north", "dangerous"), ("south", "dangerous"))
    ]
    assert [said.limit / MINUTE for said in limits] == [31, 21, 11, 11]
    assert [said.no_stop_limit / MINUTE for said in limits] == [5, 4, 4, 5]
    assert {said.red_zone_limit / MINUTE for said in limits} == {7}


def test_what_is_built_in_for_a_load_class_stays_where_nothing_else_is_said() -> None:
    """High-value and local loads have limits of their own; one more word on them does not take these away."""
    settings = load_settings(None, ["load.high_value.unauthorized_stop.limit=10m"])
    high, local = (settings.limits("any", load) for load in ("high_value", "local"))
    assert (high.unauthorized_stop.limit, high.unauthorized_stop.no_stop_limit) == (10 * MINUTE, 3 * MINUTE)
    assert (high.route_deviation.corridor_m, local.unauthorized_stop.limit) == (500.0, 45 * MINUTE)
    assert load_settings(None).limits("any", "high_value").unauthorized_stop.limit == 15 * MINUTE


def test_settings_cannot_be_changed() -> None:
    """A configuration is a value."""
    with pytest.raises(FrozenInstanceError):
        load_settings(None).motion.radius_m = 3.0  # type: ignore[misc]


def test_the_effective_configuration_lists_every_setting_once_as_it_is_written() -> None:
    """Durations as text, overrides with their whole key."""
    said = {setting.key: setting.value for setting in effective(load_settings(None, ["carrier.north.long_dwell.fuel=30m"]))}
    assert len(said) == len(effective(load_settings(None))) + 1
    assert (said["order.gap"], said["motion.radius_m"], said["load.local.unauthorized_stop.limit"]) == ("10m", 75.0, "45m")
    assert said["carrier.north.long_dwell.fuel"] == "30m"
    assert all(setting.doc for setting in effective(load_settings(None)))
