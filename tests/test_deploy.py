"""The files of deploy/: the unit and the image start the program as it is, as a user without rights."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from monitor import cli
from monitor.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def unit() -> dict[str, list[str]]:
    """The settings of the unit, each with all its values."""
    said: dict[str, list[str]] = defaultdict(list)
    for line in (DEPLOY / "monitor.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            said[key].append(value)
    return said


def instructions() -> list[tuple[str, str]]:
    """The instructions of the image, each with what follows."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def parsed(words: list[str]) -> object:
    """What the program makes of a command; it ends the process where it does not know it."""
    return cli._parser().parse_args(words)


def test_the_unit_starts_a_command_that_there_is() -> None:
    program, *words = shlex.split(unit()["ExecStart"][0])
    assert program.endswith("/.venv/bin/monitor")
    assert parsed(words)


def test_the_unit_takes_away_what_the_program_does_not_need() -> None:
    said = unit()
    assert (said["Type"], said["Restart"]) == (["notify"], ["on-failure"])
    assert said["User"] != ["root"]
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"):
        assert said[key] == ["yes"], key
    assert (said["ProtectSystem"], said["CapabilityBoundingSet"]) == (["strict"], [""])
    assert int(said["LimitNOFILE"][0]) > load_settings(ROOT / "config" / "monitor.toml").ingest.listener.max_connections


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    text = re.sub(
        r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", (DEPLOY / "monitor.service").read_text("utf-8"), flags=re.M
    )
    file = tmp_path / "monitor.service"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run([verify, "verify", "--man=no", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_runs_a_command_that_there_is_as_a_user_without_rights() -> None:
    said = instructions()
    [command] = [rest for word, rest in said if word == "CMD" and "run" in rest]
    assert parsed(re.findall(r'"([^"]*)"', command))
    assert [rest for word, rest in said if word == "USER"] == ["monitor"]
    assert sum(word == "FROM" for word, _ in said) == 2
    assert any("--require-hashes" in rest for word, rest in said if word == "RUN")


def test_the_image_copies_what_there_is() -> None:
    copied = [shlex.split(rest)[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    missing = [name for names in copied for name in names if not (ROOT / name).exists()]
    assert not missing
