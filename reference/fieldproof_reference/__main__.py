"""The programs: `fieldproof-edge`, `fieldproof-center`, and `python -m fieldproof_reference`.

    fieldproof-edge config.yml            what to be is read from a file
    fieldproof-edge                       ... or from FIELDPROOF_* variables
    fieldproof-edge --check config.yml    read it, and look whether the machine has what it names
    fieldproof-center losses PATH ...     what is missing in a tree of index files, and why
    fieldproof-center rebuild PATH ...    the archive once more from the raw tree, compared
    python -m fieldproof_reference edge|center|serve [--check] [CONFIG]

`serve` offers an archive that another program writes, read-only by HTTP with ranges; it is told
the same as an edge. Exit codes: 0 an end in good order, 1 all nodes died, 4 a bad configuration or
call, 69 something of the machine is missing.

A program takes longer to come up than to be asked to end. Until the process has its own handlers
(`live/process.py`), nothing is begun and nothing is open: then SIGTERM and SIGINT end it in good
order at once, and SIGHUP is nothing to it. So little is imported here before that is said.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

EARLY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ROLES = ("edge", "center", "serve")
BAD_CONFIGURATION = 4


def edge(argv: Sequence[str] | None = None) -> int:
    """The program `fieldproof-edge`; its exit code."""
    return _run("edge", argv)


def center(argv: Sequence[str] | None = None) -> int:
    """The program `fieldproof-center`; its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    command = COMMANDS.get(given[0]) if given else None
    return _run("center", given) if command is None else command(given[1:])


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m fieldproof_reference`; its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] not in ROLES:
        sys.stderr.write(f"fieldproof_reference: say first what to be: {', '.join(ROLES)}.\n")
        return BAD_CONFIGURATION
    return center(given[1:]) if given[0] == "center" else _run(given[0], given[1:])


def _losses(argv: Sequence[str]) -> int:
    from fieldproof_reference.losses import losses

    return losses(argv)


def _rebuild(argv: Sequence[str]) -> int:
    from fieldproof_reference.rebuild import rebuild

    return rebuild(argv)


COMMANDS = {"losses": _losses, "rebuild": _rebuild}
"""What can be asked of a center's archive, be the center at work or not."""


def _run(role: str, argv: Sequence[str] | None) -> int:
    with _may_end_early():
        from fieldproof_reference import programs

        return programs.PROGRAMS[role](argv)


@contextmanager
def _may_end_early() -> Iterator[None]:
    """Signals mean what the head of this file says, until others say what they mean."""
    before = {number: signal.getsignal(number) for number in EARLY}
    for number in EARLY:
        signal.signal(number, _end_at_once)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _end_at_once(number: int, frame: object) -> None:
    os._exit(0)  # an exception would be lost where Python is just importing


if __name__ == "__main__":
    sys.exit(main())
