"""The command `monitor`, also `python -m monitor`.

While the parts are being loaded, Ctrl-C ends the program at once and without a word; afterwards it is the commands' business.
"""

from __future__ import annotations

import signal


def main() -> int:
    """Run the command line; gives the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from monitor import cli

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
