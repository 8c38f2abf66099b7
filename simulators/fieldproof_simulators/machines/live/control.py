"""A wire between the stage and one of its processes: whole messages, and a lifeline.

Rules:

1. A message is one packet of an AF_UNIX SOCK_SEQPACKET pair: JSON, never cut, in order. Descriptors
   may travel with it.
2. Nobody waits for a reader that does not read: `offer` gives up at once, `send` after `SEND_S`.
3. The wire is a lifeline. When one end is gone, whatever ended its process, the other end learns
   it: `ControlClosed`, once all messages that came before were received. A child then exits.

Sockets of Python are not inherited over exec, so that only the process which was given an end
(`pass_fds`) holds it.
"""

import array
import select
import socket
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

MESSAGE_BYTES = 60_000
"""The longest message; the kernel's default buffer of a socket holds three of them."""

DESCRIPTORS = 64
"""The most descriptors that one message carries."""

SEND_S = 5.0
"""How long `send` waits for room."""

Heard = TypeVar("Heard")

_ROOM_FOR_DESCRIPTORS = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)


class ControlClosed(Exception):
    """The other end is gone, does not read, or does not speak our language."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a wire: one for the stage, one to be given to the child (`pass_fds`), which the
    stage then closes."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Control(Generic[Heard]):
    """One end of a wire; `understand` makes a message of its JSON, such as the `decode` of a
    `msgspec.json.Decoder`. Takes over the socket."""

    def __init__(self, end: socket.socket, understand: Callable[[bytes], Heard]) -> None:
        end.setblocking(False)
        self._end = end
        self._understand = understand
        self._descriptors: list[int] = []

    @classmethod
    def adopt(cls, descriptor: int, understand: Callable[[bytes], Heard]) -> "Control[Heard]":
        """The end that this process was given as an inherited descriptor."""
        return cls(socket.socket(fileno=descriptor), understand)

    def fileno(self) -> int:
        """For selectors: readable when there is a message or the end of all."""
        return self._end.fileno()

    def offer(self, message: object, descriptors: Sequence[int] = ()) -> bool:
        """Send a struct or a mapping if there is room for it at once; whether there was.

        Raises ControlClosed where the other end is gone, ValueError for what is too long."""
        data = msgspec.json.encode(message)
        if len(data) > MESSAGE_BYTES or len(descriptors) > DESCRIPTORS:
            raise ValueError(
                f"A message of {len(data)} bytes and {len(descriptors)} descriptors is too long: "
                f"{MESSAGE_BYTES} and {DESCRIPTORS} are the most; send several."
            )
        try:
            socket.send_fds(self._end, [data], list(descriptors))
        except BlockingIOError:
            return False
        except OSError as error:
            raise ControlClosed(f"The other end of a control wire is gone: {error}.") from None
        return True

    def send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send a struct or a mapping, with copies of some descriptors.

        Raises ControlClosed where the other end is gone or reads nothing for `SEND_S`."""
        while not self.offer(message, descriptors):
            if not select.select((), (self,), (), SEND_S)[1]:
                raise ControlClosed(
                    f"The other end of a control wire read nothing for {SEND_S:g} s."
                )

    def receive_all(self) -> list[Heard]:
        """The messages that are there, in order; none is no error. Raises ControlClosed when the
        other end is gone and all of its messages were received."""
        heard: list[Heard] = []
        while True:
            try:
                data = self._receive()
            except BlockingIOError:
                return heard
            except OSError:
                data = b""  # reset: it went without reading what we had sent
            if not data:
                if heard:
                    return heard
                raise ControlClosed("The other end of a control wire is gone.")
            try:
                heard.append(self._understand(data))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise ControlClosed(
                    f"A message on a control wire makes no sense: {error}."
                ) from None

    def await_some(self, timeout_s: float) -> list[Heard]:
        """As `receive_all`, but waits for the first message; none when the time is over."""
        select.select((self,), (), (), timeout_s)
        return self.receive_all()

    def take_descriptors(self) -> list[int]:
        """The descriptors that came with the messages received so far, in order; they are the
        caller's to close."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        """End the wire, and all that came with it and was not taken."""
        for descriptor in self.take_descriptors():
            socket.close(descriptor)
        self._end.close()

    def _receive(self) -> bytes:
        """One packet; b"" at the end."""
        data, extras, _, _ = self._end.recvmsg(
            MESSAGE_BYTES, _ROOM_FOR_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        for level, kind, content in extras:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                came = array.array("i")
                came.frombytes(content[: len(content) - len(content) % came.itemsize])
                self._descriptors.extend(came)
        return data
