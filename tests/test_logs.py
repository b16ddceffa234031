"""What the program writes of itself: lines for people or for machines, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from monitor import logs
from monitor.settings import Log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the root logger back as it was, with those of others."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIETER}
    yield
    root.handlers[:] = before
    root.setLevel(level)
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)


def written(form: str, level: str = "warning", *, board: bool = False) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(Log(form=form, level=level), board=board, stream=stream)
    return stream


def test_a_line_is_one_json_object_with_its_fields() -> None:
    stream = written("json")
    logging.getLogger("monitor").warning("%s waits", "a\nb", extra={"carrier": "acme"})
    [line] = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {"level": "warning", "logger": "monitor", "message": "a\nb waits", "carrier": "acme"}


def test_an_exception_is_in_its_line() -> None:
    stream = written("json")
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("monitor").exception("broken")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: odd" in json.loads(line)["error"]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "postgresql://monitor:hunter2@db/telematics: out of reach",
        "refused: Authorization: Bearer hunter2hunter2",
        "refused: Authorization: Basic hunter2hunter2==",
        "password=hunter2",
        "'token': 'hunter2'",
    ],
)
def test_a_secret_is_not_written(form: str, text: str) -> None:
    stream = written(form)
    logging.getLogger("monitor").error("%s", text, extra={"more": text})
    assert stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_what_is_no_secret_is_written_as_it_is() -> None:
    for text in ("set web.token_file, or password_file: it is empty", "too many passwords are being tried; try again"):
        assert logs.redacted(text) == text


@pytest.mark.parametrize(
    ("level", "board", "least"), [("debug", False, "debug"), ("warning", False, "warning"), ("debug", True, "error")]
)
def test_the_level_is_as_said_and_beside_a_board_errors_alone(level: str, board: bool, least: str) -> None:
    stream = written("json", level, board=board)
    for name in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("monitor"), name)("x")
    assert json.loads(stream.getvalue().splitlines()[0])["level"] == least


def test_others_say_little() -> None:
    """Httpx tells every address that it asks, and that of a heartbeat is a secret."""
    stream = written("text", "debug")
    for name in ("httpx", "apscheduler.scheduler", "uvicorn.error"):
        logging.getLogger(name).info("GET https://hc.example/secret")
    assert stream.getvalue() == ""


def test_what_is_announced_is_seen_whatever_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    stream = written("json", "error")
    logs.announce(Log(form="json"), "ready", ports={"MQTT": 1883})
    said = json.loads(stream.getvalue())
    assert (said["level"], said["message"], said["ports"]) == ("info", "ready", {"MQTT": 1883})
    logs.announce(Log(), "ready, MQTT on port 1883")
    assert capsys.readouterr().err == "monitor: ready, MQTT on port 1883\n"
