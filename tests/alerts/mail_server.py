"""A real SMTP server on a free port of this machine, small and scripted: it takes mail, refuses it, hangs or hangs up."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

HANG_UP = "hang up"
HANG = "hang"


@dataclass
class Mailbox:
    """What the server took, and how it answers: a verb (MAIL, RCPT, ... END of the message) -> an answer other than yes."""

    port: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)
    messages: list[bytes] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    protected: ssl.SSLContext | None = None
    """Offers STARTTLS under this; with `at_once`, speaks TLS from the first byte."""
    at_once: bool = False


class Conversation(socketserver.StreamRequestHandler):
    """One connection: answers line by line."""

    def handle(self) -> None:
        """Talk until QUIT, or until the script hangs up."""
        self.mailbox = cast(Server, self.server).mailbox
        if self.mailbox.at_once:
            self.protect()
        if not self.answer("CONNECT", "220 mail.example ready"):
            return
        while line := self.rfile.readline():
            verb = line.split(b" ")[0].strip().upper().decode()
            if verb == "EHLO":
                offer = "250-STARTTLS\r\n" if self.mailbox.protected else ""
                going = self.answer(verb, f"250-mail.example\r\n{offer}250 AUTH PLAIN")
            elif verb == "STARTTLS":
                going = self.answer(verb, "220 go on")
                self.protect()
            elif verb == "AUTH":
                self.mailbox.logins.append(base64.b64decode(line.split()[-1]))
                going = self.answer(verb, "235 welcome")
            elif verb == "DATA":
                going = self.answer(verb, "354 go on") and self.take()
            else:
                going = self.answer(verb, "221 bye" if verb == "QUIT" else "250 ok") and verb != "QUIT"
            if not going:
                return

    def protect(self) -> None:
        """Go on under TLS."""
        assert self.mailbox.protected is not None
        self.request = self.mailbox.protected.wrap_socket(self.request, server_side=True)
        self.setup()

    def take(self) -> bool:
        """Read a message up to its dot."""
        if "DATA" in self.mailbox.answers:
            return True
        lines = list(iter(self.rfile.readline, b".\r\n"))
        if "END" not in self.mailbox.answers:
            self.mailbox.messages.append(b"".join(lines))
        return self.answer("END", "250 queued")

    def answer(self, verb: str, usual: str) -> bool:
        """Say what the script says, else the usual; False if the conversation is over."""
        said = self.mailbox.answers.get(verb, usual)
        if said == HANG:
            self.mailbox.released.wait(30)
        if said in (HANG, HANG_UP):
            return False
        self.wfile.write(said.encode() + b"\r\n")
        return True


class Server(socketserver.ThreadingTCPServer):
    """The server, with its mailbox."""

    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the script."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.mailbox = mailbox
        mailbox.port = self.server_address[1]


@contextmanager
def mail_server(answers: Mapping[str, str] | None = None, mailbox: Mailbox | None = None) -> Iterator[Mailbox]:
    """Run a server with such answers, or over such a mailbox; give the mailbox."""
    mailbox = mailbox or Mailbox(answers=answers or {})
    with Server(mailbox) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mailbox
        finally:
            mailbox.released.set()
            server.shutdown()
            thread.join()
