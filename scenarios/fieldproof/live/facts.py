"""What the stage itself notes of a run: who came up, who went down, and what was done to whom."""

from fieldproof.live.calendar import Calendar
from fieldproof.live.merge import Entry

MOST_TOLD = 8
"""How many of the last facts a view is told."""


class Facts:
    """Facts in the order of true time."""

    def __init__(self, calendar: Calendar) -> None:
        self.entries: list[Entry] = []
        self._calendar = calendar

    def note(self, where: str, what: str, **detail: str | int) -> None:
        """Something happened at a host or a line, now."""
        self.entries.append(Entry(self._calendar.now_ns(), where, what, dict(detail), False))
