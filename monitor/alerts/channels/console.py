"""The terminal: a compact block that a tired dispatcher reads at a glance, with the bell for what is critical."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from monitor.alerts.channels.channel import Outcome, Sent, Temporary
from monitor.alerts.notice import Notice

ADDRESS = ""
COLOURS = {"note": "cyan", "warning": "black on yellow", "critical": "bold white on red"}


class ConsoleChannel:
    """Writes each notice to a console, above the live board where there is one; with colours where it is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def send(self, notice: Notice) -> Outcome:
        """Write the block; a stream that is gone is a temporary failure."""
        try:
            self._console.print(block(notice), highlight=False, soft_wrap=True)
            if notice.severity == "critical":
                self._console.bell()
            self._console.file.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            return Temporary(f"console: {error}")
        return Sent("written to the terminal")


def block(notice: Notice) -> Text:
    """The notice as a block: the subject stands out, the lines below are indented."""
    severity, _, title = notice.subject.partition("] ")
    text = Text(f" {severity.lstrip('[')} ", style=COLOURS.get(notice.severity, ""))
    text.append(" " + title, style="bold")
    if notice.repeat:
        text.append("  (repeat: it may have been shown before)", style="dim")
    for line in notice.body.splitlines():
        text.append("\n   ").append(line)
    return text
