"""Every channel keeps the same promises; each has a few of its own."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from rich.console import Console

from monitor.alerts.channels import CHANNELS, build_channels
from monitor.alerts.channels.channel import Channel, Outcome, Permanent, Sent, Temporary, Unknown
from monitor.alerts.channels.console import ConsoleChannel
from monitor.alerts.channels.email import EmailChannel
from monitor.alerts.channels.logfile import LogfileChannel
from monitor.errors import ConfigurationError
from monitor.settings import Alerts, Smtp
from tests.alerts.mail_server import HANG, HANG_UP, Mailbox, mail_server
from tests.alerts.scenes import notice


def smtp(port: int, **changes: str) -> Smtp:
    said = Smtp(host="127.0.0.1", port=port, security="none", sender="monitor@carrier.example", timeout=timedelta(seconds=5))
    return dataclasses.replace(said, **changes)  # type: ignore[arg-type]


def parsed(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


class Rig:
    """All channels, switched on, and what each of them told the world."""

    def __init__(self, folder: Path, mailbox: Mailbox) -> None:
        self.stream, self.mailbox, self.log = io.StringIO(), mailbox, folder / "deep" / "notices.log"
        self.channels = build_channels(Alerts(notice_log=str(self.log), smtp=smtp(mailbox.port)), Console(file=self.stream))

    def told(self, name: str) -> str:
        """Everything that a channel carried so far, as text."""
        if name == "console":
            return self.stream.getvalue()
        if name == "log":
            return self.log.read_text(encoding="utf-8")
        return "\n".join(f"{parsed(m)['Subject']} {parsed(m).get_content()}" for m in self.mailbox.messages)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with mail_server() as mailbox:
        yield Rig(tmp_path, mailbox)


every_channel = pytest.mark.parametrize("name", CHANNELS)
"""The contract: one suite over the registry."""


@every_channel
def test_every_channel_is_switched_on_by_its_settings(name: str, rig: Rig) -> None:
    assert name in rig.channels


@every_channel
def test_every_channel_carries_the_subject_and_every_line(name: str, rig: Rig) -> None:
    said = notice(channel=name, body="Qui : été à Montréal\nOù : 2,4 km", language="fr")
    assert isinstance(rig.channels[name].send(said), Sent)
    for part in ("unscheduled stop, not yet explained", "été à Montréal", "2,4 km"):
        assert part in rig.told(name)


@every_channel
def test_every_channel_says_that_a_repeat_is_one(name: str, rig: Rig) -> None:
    rig.channels[name].send(notice(channel=name, repeat=True))
    assert re.search(r'repeat: it may|"repeat": true|may have reached you before', rig.told(name))


@every_channel
def test_every_channel_survives_words_that_look_like_markup_or_a_header(name: str, rig: Rig) -> None:
    said = notice(channel=name, subject="[WARNING] [red]truck[/]\r\nBcc: x@y.example", body="[bold]a[/bold]\n.\n[/]")
    assert isinstance(rig.channels[name].send(said), Sent)
    assert "[bold]a[/bold]" in rig.told(name)
    assert all("Bcc" not in parsed(message) for message in rig.mailbox.messages)


@every_channel
def test_every_channel_takes_a_world_that_is_broken_as_an_outcome_not_an_exception(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    stream = io.StringIO()
    stream.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        alerts = Alerts(notice_log=str(tmp_path / "file" / "log"), smtp=smtp(taken.getsockname()[1]))
        outcome = build_channels(alerts, Console(file=stream))[name].send(notice(channel=name))
    assert isinstance(outcome, Temporary)
    assert outcome.detail


def test_switched_off_channels_are_not_built() -> None:
    assert list(build_channels(Alerts(notice_log=""), Console())) == ["console"]


def test_mail_without_a_sender_or_without_its_password_file_is_a_fault() -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_channels(Alerts(smtp=Smtp(host="mail.example", username="monitor")), Console())
    assert [fault.split(" = ")[0] for fault in caught.value.faults] == ["alerts.smtp.sender", "alerts.smtp.password_file"]


def test_the_terminal_rings_the_bell_for_what_is_critical_only() -> None:
    stream = io.StringIO()
    channel: Channel = ConsoleChannel(Console(file=stream, force_terminal=True))
    channel.send(notice())
    assert "\a" not in stream.getvalue()
    channel.send(notice(severity="critical", subject="[CRITICAL] truck-17"))
    assert "\a" in stream.getvalue()


def test_the_log_is_one_json_line_a_notice_with_its_key(tmp_path: Path) -> None:
    channel = LogfileChannel(tmp_path / "notices.log")
    channel.send(notice("a"))
    channel.send(notice("b", body="two\nlines"))
    lines = [json.loads(line) for line in (tmp_path / "notices.log").read_text().splitlines()]
    assert [(line["key"], line["created"]) for line in lines] == [
        ("a", "2026-02-04T10:30:00.000Z"),
        ("b", "2026-02-04T10:30:00.000Z"),
    ]


def test_a_mail_has_a_fixed_id_and_threads_by_incident(rig: Rig) -> None:
    channel = rig.channels["email"]
    channel.send(notice("7-raised-1-night-1", "email"))
    channel.send(notice("7-raised-1-night-1", "email", repeat=True))
    channel.send(notice("7-repeat-2-night-1", "email"))
    mails = [parsed(message) for message in rig.mailbox.messages]
    assert [mail["Message-ID"] for mail in mails] == [
        "<7-raised-1-night-1.1770201000000@carrier.example>",
        "<7-raised-1-night-1.1770201000000@carrier.example>",
        "<7-repeat-2-night-1.1770201000000@carrier.example>",
    ]
    assert {mail["In-Reply-To"] for mail in mails} == {"<incident-7@carrier.example>"}
    assert mails[0]["Date"].datetime.isoformat() == "2026-02-04T10:30:00+00:00"


def sent_to(answers: dict[str, str], **changes: str) -> tuple[Outcome, Mailbox]:
    with mail_server(answers) as mailbox:
        said = smtp(mailbox.port, **changes)
        if HANG in answers.values():
            said = dataclasses.replace(said, timeout=timedelta(milliseconds=300))
        return EmailChannel(said).send(notice(channel="email")), mailbox


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"RCPT": "451 greylisted, come back later"}, Temporary),
        ({"RCPT": "550 no such user"}, Permanent),
        ({"MAIL": "452 no room"}, Temporary),
        ({"MAIL": "553 sender not allowed"}, Permanent),
        ({"DATA": "451 not now"}, Temporary),
        ({"DATA": "554 no"}, Permanent),
        ({"END": "451 try again"}, Temporary),
        ({"END": "554 looks like spam"}, Permanent),
        ({"CONNECT": "554 go away"}, Temporary),
        ({"CONNECT": HANG_UP}, Temporary),
        ({"CONNECT": HANG}, Temporary),
        ({"RCPT": HANG_UP}, Temporary),
        ({"RCPT": HANG}, Temporary),
        ({"END": HANG_UP}, Unknown),
        ({"END": HANG}, Unknown),
        ({"QUIT": HANG_UP}, Sent),
        ({"QUIT": HANG}, Sent),
    ],
)
def test_what_the_mail_server_does_is_told_apart(answers: dict[str, str], outcome: type[Outcome]) -> None:
    found, mailbox = sent_to(answers)
    assert type(found) is outcome
    assert len(mailbox.messages) == (1 if outcome is Sent else 0)
    [said] = answers.values()
    assert said in (HANG, HANG_UP) or said.split(" ", 1)[1] in found.detail


def test_a_server_that_cannot_protect_the_connection_gets_no_mail() -> None:
    outcome, mailbox = sent_to({}, security="starttls")
    assert (type(outcome), mailbox.messages) == (Temporary, [])


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that nobody vouches for, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("there is no openssl to make a certificate with")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    kind = ["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([program, *kind, *names, *files], check=True, capture_output=True, timeout=60)
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_protected_connection_carries_mail_to_a_server_that_proves_its_name_and_to_no_other(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate(tmp_path)
    protected = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    protected.load_cert_chain(public, private)
    with mail_server(mailbox=Mailbox(protected=protected, at_once=security == "tls")) as mailbox:
        channel = EmailChannel(smtp(mailbox.port, security=security))
        assert type(channel.send(notice(channel="email"))) is Temporary
        assert mailbox.messages == []
        monkeypatch.setenv("SSL_CERT_FILE", str(public))  # this machine vouches for it now
        assert type(channel.send(notice(channel="email"))) is Sent
        assert len(mailbox.messages) == 1


def test_the_password_comes_from_its_file_and_is_in_no_outcome(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\nanother line\n")
    account = {"username": "monitor", "password_file": str(tmp_path / "password")}
    outcome, mailbox = sent_to({}, **account)
    assert (type(outcome), mailbox.logins) == (Sent, [b"\0monitor\0correct horse"])
    refused, _ = sent_to({"AUTH": "535 bad credentials"}, **account)
    assert type(refused) is Temporary
    assert "correct horse" not in refused.detail
    assert "535" in refused.detail
    missing, _ = sent_to({}, username="monitor", password_file=str(tmp_path / "gone"))
    assert type(missing) is Temporary
