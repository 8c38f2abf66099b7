"""What a frozen host hears later: all that its buffers hold.

`RECEIVE_BUFFER_BYTES` of datagrams; of each serial line `LINE_BUFFER_BYTES`, which come in one
piece unless the line went down in between; and whatever else its nodes are told, which is few.
"""

from typing import Generic, TypeAlias, TypeVar

from fieldproof_contract import Datagram, Event, LineData, LineDown, LineSeconds, LineUp

RECEIVE_BUFFER_BYTES = 212_992
"""Linux's default socket receive buffer (net.core.rmem_default)."""

LINE_BUFFER_BYTES = 4095
"""What a Linux line discipline holds for a reader that does not read."""

LineEvent: TypeAlias = LineData | LineSeconds | LineUp | LineDown
"""What happens on a serial line."""

Who = TypeVar("Who")


class Buffers(Generic[Who]):
    """Of one host; `Who` is to hear an event."""

    def __init__(self) -> None:
        self._held: list[tuple[Who, Event]] = []
        self._unread: dict[str, list[LineEvent]] = {}  # by line

    def clear(self) -> None:
        """The host died."""
        self._held.clear()
        self._unread.clear()

    def hold(self, who: Who, event: Event) -> None:
        """Keep an event."""
        self._held.append((who, event))

    def room(self, datagram: Datagram) -> bool:
        """Whether a datagram can be kept."""
        kept = (len(held.data) for _, held in self._held if isinstance(held, Datagram))
        return sum(kept) + len(datagram.data) <= RECEIVE_BUFFER_BYTES

    def hold_line(self, event: LineData | LineUp | LineDown) -> None:
        """Keep what the line discipline can, in order; pieces without a break are one."""
        unread = self._unread.setdefault(event.line, [])
        if not isinstance(event, LineData):
            unread.append(event)
            return
        held = sum(len(kept.data) for kept in unread if isinstance(kept, LineData))
        if held + len(event.data) > LINE_BUFFER_BYTES:
            return
        before = unread[-1] if unread else None
        if isinstance(before, LineData):
            unread[-1] = LineData(event.line, before.data + event.data)
        else:
            unread.append(event)

    def take(self) -> tuple[list[LineEvent], list[tuple[Who, Event]]]:
        """What was kept of lines, by line, and of all else, in order; nothing is left."""
        lines = [event for events in self._unread.values() for event in events]
        held, self._held = self._held, []
        self._unread = {}
        return lines, held
