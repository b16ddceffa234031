"""E-mail by SMTP: plain text, one Message-ID a notice however often it is sent, one thread an incident.

To the sender, recipient or message, an answer of 4xx is temporary, one of 5xx permanent (RFC 5321 §4.2.1). A greeting or login
that is refused is ours to mend, and temporary. A connection lost before the message was handed over is temporary; one lost while
it was, unknown.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from contextlib import ExitStack
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from monitor.alerts.channels.channel import Outcome, Permanent, Sent, Temporary, Unknown
from monitor.alerts.notice import Notice
from monitor.settings import Smtp
from monitor.signals import EPOCH

ADDRESS = r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+"
POLICY = SMTP.clone(cte_type="7bit")  # not every server takes eight bits
REPEAT = {"en": "This message may have reached you before.", "fr": "Ce message vous est peut-être déjà parvenu."}


class EmailChannel:
    """One conversation with the mail server a notice; every step of it within the time-out."""

    def __init__(self, settings: Smtp) -> None:
        self._settings = settings
        self._timeout = settings.timeout.total_seconds()

    def send(self, notice: Notice) -> Outcome:
        """Hand one notice to the mail server."""
        try:
            message = compose(notice, self._settings.sender)
            server = self._connected()
        except (OSError, ValueError) as error:  # every smtplib error is an OSError; ValueError: a text that is no header
            return Temporary(f"{self._where}: {_reason(error)}")
        try:
            return self._delivered(server, message.as_bytes(), notice.address)
        except OSError as error:
            return Temporary(f"{self._where}: {_reason(error)}")
        finally:
            _hang_up(server)

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _connected(self) -> smtplib.SMTP:
        """A server that has greeted, protected as the settings say, logged in where there is a user name."""
        said = self._settings
        if said.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                said.host, said.port, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(said.host, said.port, timeout=self._timeout)
        with ExitStack() as opened:
            opened.callback(server.close)
            if said.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if said.username:
                server.login(said.username, Path(said.password_file).read_text(encoding="utf-8").partition("\n")[0])
            opened.pop_all()  # nothing went wrong: it stays open
        return server

    def _delivered(self, server: smtplib.SMTP, message: bytes, address: str) -> Outcome:
        """The conversation itself: whom it is from, whom it is for, what it says."""
        server.ehlo_or_helo_if_needed()
        for code, answer in (server.mail(self._settings.sender), server.rcpt(address)):
            if code not in (250, 251):
                return _answered(code, answer, self._where)
        try:
            code, answer = server.data(message)
        except smtplib.SMTPDataError as error:
            return _answered(error.smtp_code, error.smtp_error, self._where)
        except OSError as error:
            return Unknown(f"{self._where}: lost while the message was handed over: {_reason(error)}")
        return Sent(_text(answer)) if code == 250 else _answered(code, answer, self._where)


def compose(notice: Notice, sender: str) -> EmailMessage:
    """The message: the same for the same notice, but for what marks a repeat."""
    domain = Address(addr_spec=sender).domain
    message = EmailMessage(policy=POLICY)
    message["From"], message["To"] = sender, notice.address
    message["Subject"] = " ".join(notice.subject.split())
    message["Date"] = format_datetime(EPOCH + timedelta(milliseconds=notice.created))
    # When it was written is part of the id: after a new database begins, incident 1 is another one, and readers drop known ids.
    message["Message-ID"] = f"<{notice.key}.{notice.created}@{domain}>"
    # The thread's root need not exist: readers group by it all the same.
    thread = notice.occasion if notice.incident is None else f"incident-{notice.incident}"
    message["In-Reply-To"] = message["References"] = f"<{thread}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if notice.severity == "critical":
        message["X-Priority"] = "1"
    again = REPEAT[notice.language] + "\n\n" if notice.repeat else ""
    message.set_content(again + notice.body + "\n")
    return message


def _answered(code: int, answer: bytes | str, where: str) -> Outcome:
    """What a refusal means."""
    detail = f"{where}: {code} {_text(answer)}"
    return Permanent(detail) if 500 <= code < 600 else Temporary(detail)


def _reason(error: Exception) -> str:
    """What an exception says in one line; of a refused login or greeting, the server's words."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return " ".join(str(error).split()) or type(error).__name__


def _text(answer: bytes | str) -> str:
    return (answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer).strip()


def _hang_up(server: smtplib.SMTP) -> None:
    """Leave politely where that is possible: what was sent is sent, whatever happens now."""
    with contextlib.suppress(OSError):
        server.quit()
    server.close()
