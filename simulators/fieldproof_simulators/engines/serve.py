"""A virtual rsync daemon: a TCP port of a host, behind which a folder of its disk can be read.

What it says to a client is not known here: the client's side runs both programs at the instant at
which its stream stands, and leaves here what the server says, by the client's address. So the
folder is read as it is then. A client that left nothing is no rsync, and is hung up on.
"""

from fieldproof_contract import Address
from fieldproof_simulators.engines.jobs import Turn
from fieldproof_simulators.engines.talk import Patience, Speaker
from fieldproof_simulators.links.streams import End, Stack


class Service:
    """The daemon of one port."""

    def __init__(self, stack: Stack, root: str) -> None:
        self.root = root
        self._stack = stack
        self._expected: dict[Address, tuple[Turn, ...]] = {}
        self._serving: list[Serving] = []

    def expect(self, client: Address, turns: tuple[Turn, ...]) -> None:
        """A client of this address will speak as these turns do."""
        self._expected[client] = turns

    def accept(self) -> "Serving":
        """Who owns a stream that somebody opens to the port."""
        return Serving(self, self._stack)

    def perish(self) -> None:
        """The daemon ends: its streams are reset."""
        for serving in list(self._serving):
            serving.perish()

    def begin(self, serving: "Serving", client: Address) -> tuple[Turn, ...] | None:
        """A stream stands: what is said on it; None for a stranger's."""
        self._serving.append(serving)
        return self._expected.pop(client, None)

    def forget(self, serving: "Serving") -> None:
        """A stream is over."""
        if serving in self._serving:
            self._serving.remove(serving)


class Serving:
    """The server's end of one stream."""

    def __init__(self, service: Service, stack: Stack) -> None:
        self._service = service
        self._stack = stack
        self._end: End | None = None
        self._speaker: Speaker | None = None
        self._patience: Patience | None = None

    def opened(self, end: End, peer: Address) -> None:
        """The stream stands."""
        turns = self._service.begin(self, peer)
        self._end = end
        if turns is None:
            self._service.forget(self)
            end.close()
            return
        self._patience = Patience(self._stack, end, self.perish)
        self._speaker = Speaker(end, turns, by_client=False)
        self._speaker.speak()

    def heard(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._speaker is not None:
            self._speaker.hear(data)

    def closed(self, reason: str) -> None:
        """The client is gone."""
        self._leave()

    def perish(self) -> None:
        """The program ends here and now."""
        self._leave()
        if self._end is not None:
            self._end.perish(True)

    def _leave(self) -> None:
        self._service.forget(self)
        if self._patience is not None:
            self._patience.stop()
