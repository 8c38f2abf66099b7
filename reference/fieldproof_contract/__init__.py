"""The vocabulary that nodes and drivers share: values only, no codec, no imports of ours.

A *node* is one job of an edge or a center, written as a plain object. It never looks at a clock,
a disk or a socket: the driver calls it with an event and the time, and the node returns the
*effects* that it wants. A driver in virtual time (simulators) and a driver in real time can
therefore run the very same object.

The laws that every driver keeps:

1. Effects run in the order given and stop at the first that fails; the node then receives
   `Failed(effect, reason)`, and what followed that effect never happened.
2. A `Sync` is answered by one `Synced` with the same paths, later, unless the host dies first.
3. `deadline()` is asked for after every call; `advance()` comes at that monotonic time or later.
4. `DiskView` shows the node its own host's files, appends that are not yet synced included.
5. Nodes of one host meet by topic or by file and in no other way. A `Publish` reaches the nodes of
   the host that hear that topic, in the order in which the nodes were added, before the next
   outside event. What a node hears (lines, ports, topics) is said where the host is put together.
6. Monotonic time never steps and starts anywhere; UTC may step, drift, or repeat a second.
7. An exception ends the one node that raised it, not its neighbours.
8. A stream is a connection of one node, by a name that is unique on that node: the node's own for
   what it opens, the driver's for what it accepts. Bytes keep their order and come once; there is
   one `StreamClosed`, last, whoever closed. A host's death closes its streams for the other end.
9. An engine is a program that is not ours, working for one node. A `RunEngine` is answered by one
   `EngineEnded`, later, unless the host dies first, which ends the engine, too. What it takes from
   the host's files it takes as they are then; files that it makes are there before the answer.
10. `Stop` comes once, last, and only where a host ends in good order: what a node then asks for is
   carried out and synced before the process ends. A kill says nothing.

The unions are closed on purpose: drivers match them exhaustively (`assert_never`), so a new kind
of event or effect cannot be forgotten by one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NewType, Protocol, TypeAlias

Monotonic = NewType("Monotonic", int)
"""Nanoseconds on a clock that never steps; the zero is the driver's."""

SECOND_NS = 1_000_000_000


class Now(NamedTuple):
    """The time at which a node is called."""

    monotonic: Monotonic
    utc_ns: int  # Unix time by the host's own clock, nanoseconds; it may be wrong


class Address(NamedTuple):
    """Where a datagram comes from or goes to."""

    host: str  # IPv4 or IPv6 in text form, without brackets
    port: int


class DiskView(Protocol):
    """What a node may look at: the files of its own host. Paths are relative, with `/`."""

    def size(self, path: str) -> int | None:
        """Bytes in the file, or None where there is no such file."""

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Up to `size` bytes from `offset` (all that follow when negative); b"" past the end.
        Raises FileNotFoundError where there is no such file."""

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""


# --- effects: what a node asks for ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Add bytes to the end of a file, which is made with its folders when missing."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Replace:
    """Give a file this content, durably and at once: readers see the old or the new, never less."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Rename:
    """Move a file over whatever is at the new path, durably and at once."""

    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Cut a file to its first `size` bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a file; a file that is not there is a failure."""

    path: str


@dataclass(frozen=True, slots=True)
class Sync:
    """Make all of some files durable, in this order; answered by one `Synced`."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send one UDP datagram from one of the host's ports."""

    port: int  # source port; the driver binds it
    to: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect to a TCP port; answered by `StreamOpened`, or by `StreamClosed` with a reason."""

    stream: str
    to: Address


@dataclass(frozen=True, slots=True)
class WriteStream:
    """Send bytes on a stream; the driver keeps what the connection does not take at once."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CloseStream:
    """End a stream once all that was written is sent. A stream that is gone already is no error."""

    stream: str


@dataclass(frozen=True, slots=True)
class RunEngine:
    """Have another program do a job; answered by one `EngineEnded`. An engine that is not on this
    machine is an answer, too."""

    run: str  # unique on that node while it runs
    job: "Job"


@dataclass(frozen=True, slots=True)
class StopEngine:
    """End a job that is not done; it is answered as any other. One that is over is no error."""

    run: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the nodes of this host that hear this topic."""

    topic: str
    message: object  # a frozen value


@dataclass(frozen=True, slots=True)
class Log:
    """A line in the run's log, for people and for checks."""

    what: str
    detail: Mapping[str, str | int] = field(default_factory=dict)


Effect: TypeAlias = (
    Append
    | Replace
    | Rename
    | Truncate
    | Remove
    | Sync
    | SendDatagram
    | OpenStream
    | WriteStream
    | CloseStream
    | RunEngine
    | StopEngine
    | Publish
    | Log
)
Effects: TypeAlias = tuple[Effect, ...]


# --- jobs: what engines do ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeDelta:
    """xdelta3: what makes `target` of `source`, as VCDIFF (RFC 3284). The output is the delta."""

    source: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class ApplyDelta:
    """xdelta3: a delta and its source make the target, which is the output. One of more than
    `most_bytes` is a failure."""

    source: bytes
    delta: bytes
    most_bytes: int


@dataclass(frozen=True, slots=True)
class ServeTree:
    """rsync: a daemon that lets anybody read what is below a folder of the host, until it is
    stopped."""

    port: int  # TCP, on the host's own address
    root: str  # path of the folder, with a final `/`


@dataclass(frozen=True, slots=True)
class PullTree:
    """rsync: the files of a folder that a `ServeTree` shows. Only what differs from `like` crosses
    the link; whole copies of all files that differ in content or time are below `into`, of which
    nothing is left from before. The canonical files are not touched."""

    peer: Address
    folder: str  # below the peer's root, with a final `/`
    like: str  # a folder of the host that has other versions of the same files, with a final `/`
    into: str  # a folder of the host, with a final `/`
    most_bytes: int  # of one file; larger ones are left out


@dataclass(frozen=True, slots=True)
class DrawDay:
    """matplotlib: the plot of a site's day. The output is a PNG; `document` is what
    `products` of the center has computed, as JSON."""

    document: bytes


Job: TypeAlias = MakeDelta | ApplyDelta | ServeTree | PullTree | DrawDay


# --- events: what a node is told -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineData:
    """Bytes from a serial line; `now` is when the last of them arrived."""

    line: str
    data: bytes


@dataclass(frozen=True, slots=True)
class LineSeconds:
    """Whole seconds of samples from a front-end that groups them itself (fidelity `seconds`).

    The samples are those that `LineData` would have brought one by one, so that a node that takes
    both must write the same bytes for both."""

    line: str
    utc_s: int  # Unix second of the first group by the host's clock; the others follow
    lengths: bytes  # samples in each second, uint16 little-endian
    codes: bytes  # all samples in order, uint16 little-endian


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram, whole."""

    port: int  # the port it came to
    source: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class LineUp:
    """A serial line was opened: what comes now continues nothing that came before."""

    line: str


@dataclass(frozen=True, slots=True)
class LineDown:
    """A serial line is gone (unplugged); the driver tries to open it again."""

    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A connection stands: one that the node asked for, or one to a port that it serves."""

    stream: str
    peer: Address


@dataclass(frozen=True, slots=True)
class StreamData:
    """Bytes from the other end, in order, cut anywhere."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The stream is gone, or never came to be; `reason` is empty where the other end closed it in
    good order after all its bytes, or the node itself did."""

    stream: str
    reason: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What a node of this host published."""

    topic: str
    message: object


@dataclass(frozen=True, slots=True)
class Synced:
    """The outcome of a `Sync`: all that the files held when it was asked for is durable."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """An effect could not be carried out; later effects of the same call were not tried."""

    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True)
class EngineEnded:
    """An engine's job is over; `reason` is empty where it was done, else one sentence."""

    run: str
    output: bytes = b""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """The host ends in good order."""


Event: TypeAlias = (
    LineData
    | LineSeconds
    | LineUp
    | LineDown
    | Datagram
    | StreamOpened
    | StreamData
    | StreamClosed
    | Topic
    | Synced
    | Failed
    | EngineEnded
    | Stop
)


class Listen(NamedTuple):
    """A TCP port that a node serves: stands among what it hears."""

    port: int


Hears: TypeAlias = tuple[int | str | Listen, ...]
"""What a node hears: UDP ports, serial lines and topics, TCP ports."""


class Node(Protocol):
    """One job on one host. See the laws at the head of this file."""

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Begin (again) from what the disk holds; called once, first."""

    def receive(self, event: Event, now: Now) -> Effects:
        """Something happened."""

    def advance(self, now: Now) -> Effects:
        """The deadline came."""

    def deadline(self) -> Monotonic | None:
        """When `advance` is wanted next, if at all."""
