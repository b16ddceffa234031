"""The documents say what is so: their commands run, their examples give what stands there, their links lead somewhere."""

from __future__ import annotations

import ast
import csv
import doctest
import importlib
import io
import pkgutil
import re
import shlex
import shutil
from argparse import ArgumentParser
from pathlib import Path

import pytest

import monitor
from monitor.alerts import handling
from monitor.cli import _parser, main
from monitor.configuration import load_configuration
from monitor.engine import Engine
from monitor.fixes import Fleet
from monitor.ingest.files import read_fixes
from monitor.ingest.formats import native
from monitor.settings import Settings, effective, load_settings
from monitor.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "geofences").glob("*.md")], key=lambda file: file.as_posix()
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(monitor.__path__, "monitor.") if not module.name.endswith("migrations.env")
)
"""All but the one that only a running migration can import."""

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def block_with(language: str, words: str) -> str:
    """The one block of the README in which these words stand."""
    [found] = [block for block in blocks(README, language) if words in block]
    return found


def commands(block: str) -> list[list[str]]:
    """The arguments of every `monitor ...` line of a shell block, without comments, pipes and continued lines' ends."""
    lines = [shlex.split(line, comments=True) for line in block.replace("\\\n", " ").splitlines()]
    whole = [line[: line.index("|")] if "|" in line else line for line in lines if line]
    return [line[1:] for line in whole if Path(line[0]).name == "monitor"]


def said_commands() -> list[list[str]]:
    return [command for block in blocks(README, "sh") for command in commands(block)]


def subcommands() -> dict[str, ArgumentParser]:
    [choices] = [action.choices for action in _parser()._actions if isinstance(action.choices, dict)]
    return choices


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the repository's configuration and examples, as after a clone."""
    for name in ("config", "geofences", "docs/example"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", subcommands())
def test_every_command_is_in_the_readme(name: str) -> None:
    assert name in {command[0] for command in said_commands()} or f"`monitor {name}`" in README or f"make {name}" in README


@pytest.mark.parametrize("option", [o for a in subcommands()["replay"]._actions for o in a.option_strings if o[:2] == "--"])
def test_every_option_of_replay_is_in_the_readme(option: str) -> None:
    assert option == "--help" or option in README


@pytest.mark.parametrize("command", said_commands(), ids=shlex.join)
def test_every_command_line_in_the_readme_is_one_that_the_program_takes(command: list[str]) -> None:
    assert _parser().parse_args(command).run is not None


def test_the_replay_example_gives_the_signals_that_stand_below_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [command] = commands(block_with("sh", "monitor replay"))
    assert main(command) == 0
    assert capsys.readouterr().out == block_with("json", '"kind":"route_deviation"')


def test_the_commands_before_the_first_run_do_what_they_say(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = commands(block_with("sh", "monitor check"))
    run = [command for command in said if command != ["run"]]
    assert len(run) == len(said) - 1
    assert [main(command) for command in run] == [0] * len(run)
    told = capsys.readouterr().out
    for words in ('detectors.unauthorized_stop.limit = "30m"', "no fault", "user name: acme/truck-17", "1  acme  token"):
        assert words in told


def test_the_desk_commands_list_take_and_end_an_incident(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = load_configuration(folder / "config", ["trips=docs/example/trips.csv"])
    store, fleet = Store.open(configuration.settings.store.url, configuration.settings.store.busy_timeout), Fleet()
    desk = configuration.desk()
    engine = Engine(store, configuration.world, fleet, lambda t, changes, now, _: handling.process(t, changes, now, desk))
    [fixes] = read_fixes(folder / "docs/example/fixes.csv", fleet).fixes
    engine.take(fixes, (), int(fixes.time.view("int64").max()))
    store.close()
    assert [main(command) for command in commands(block_with("sh", "monitor ack 1 "))] == [0, 0, 0]
    told = capsys.readouterr().out
    assert "#1 WARNING truck-1" in told
    assert "incident 1: truck-1, acknowledged by YOUR-NAME" in told
    assert "incident 1: truck-1, resolved by YOUR-NAME: congestion" in told
    assert main(["verify"]) == 0


def test_the_payloads_of_the_readme_are_read_whole() -> None:
    [payload] = [block for block in blocks(README, "json") if '"ignition"' in block]
    sent = [payload, *re.findall(r"'(\{\"time\".*?\})'", README)]
    assert len(sent) == 4
    for text in sent:
        [fix] = native.read(text.encode())
        assert isinstance(fix, native.Fix)


def test_the_python_of_the_readme_is_python() -> None:
    for block in blocks(README, "python"):
        ast.parse(block)


def test_the_trips_of_the_readme_are_those_of_the_example() -> None:
    [block] = blocks(README, "csv")
    assert block == (ROOT / "docs/example/trips.csv").read_text(encoding="utf-8")
    assert next(csv.DictReader(io.StringIO(block)))["load"] == "high_value"


def test_the_configuration_that_is_shipped_is_the_defaults() -> None:
    shipped = {line.key: line.value for line in effective(load_settings(ROOT / "config/monitor.toml"))}
    assert {line.key: line.value for line in effective(Settings())}.items() <= shipped.items()


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://|mailto:)([^)#\s]*)#?([^)\s]*)\)", document.read_text(encoding="utf-8")):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@each_document
def test_every_file_named_is_there(document: Path) -> None:
    named = re.findall(r"`((?:monitor|config|geofences|docs|tests|benchmarks)/[\w./-]*)`", document.read_text(encoding="utf-8"))
    missing = [name for name in named if "NAME" not in name and not (ROOT / name).exists()]
    assert not missing


@each_document
def test_every_setting_named_exists(document: Path) -> None:
    keys = {line.key for line in effective(Settings())}
    sections = {key.split(".")[0] for key in keys if "." in key}
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?: = [^`]*)?`", document.read_text(encoding="utf-8"))
    wrong = [name for name in named if name.split(".")[0] in sections and name not in keys]
    assert not wrong


@each_document
def test_every_make_target_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    shown = "\n".join([*blocks(document.read_text(encoding="utf-8"), "sh"), *re.findall(r"`(make \w+)`", README)])
    assert set(re.findall(r"^make ([a-z]+)", shown, re.M)) <= targets


def test_the_examples_in_docstrings_hold() -> None:
    results = {name: doctest.testmod(importlib.import_module(name)) for name in MODULES}
    assert not [name for name, result in results.items() if result.failed]
