"""A virtual rsync client: one pull of a folder over a virtual stream.

    calling -- the stream stands --> talking -- all was said and heard --> done
    calling, talking -- refused, reset, closed early, silent, stopped --> failed, with a reason

Both programs run when the stream stands (`Tools.pull`); what they said is then said again over the
stream, and only when the last byte is here are the files written. So a stream that breaks leaves
nothing below `into`, and what rsync itself would leave there of a broken transfer is not modelled.
"""

from collections.abc import Callable
from typing import Protocol

from fieldproof_contract import Address, PullTree
from fieldproof_simulators.engines.jobs import Outcome, Pulled, Tools, Tree
from fieldproof_simulators.engines.serve import Service
from fieldproof_simulators.engines.talk import Patience, Speaker
from fieldproof_simulators.links.streams import End, Stack
from fieldproof_simulators.machines.files import Files


class Shown(Protocol):
    """A folder of another host, as its daemon shows it."""

    @property
    def service(self) -> Service:
        """The daemon."""

    def tree(self, folder: str) -> Tree:
        """The plain files of a folder below its root."""


class Pull:
    """See the head of this file; `ended` is called once, with what came of it."""

    def __init__(
        self,
        job: PullTree,
        stack: Stack,
        files: Files,
        tools: Tools,
        seed: int,
        look: Callable[[Address], Shown | None],
        ended: Callable[[Outcome], None],
    ) -> None:
        self._job = job
        self._files = files
        self._tools = tools
        self._seed = seed
        self._look = look
        self._ended: Callable[[Outcome], None] | None = ended
        self._speaker: Speaker | None = None
        self._pulled = Pulled((), {})
        files.clear(job.into)
        self._end: End = stack.connect(job.peer, self)
        self._patience = Patience(stack, self._end, lambda: self.perish("rsync: no answer."))

    def opened(self, end: End, peer: Address) -> None:
        """The stream stands: let the programs talk, here and now, and say it over the stream."""
        shown = self._look(peer)
        if shown is None:
            self.perish("rsync: connection reset.")  # it died while its answer was on the way
            return
        like = self._files.tree(self._job.like)
        self._pulled = self._tools.pull(self._job, shown.tree(self._job.folder), like, self._seed)
        shown.service.expect(end.local, self._pulled.turns)
        self._speaker = Speaker(end, self._pulled.turns, by_client=True)
        self._speaker.speak()
        self._look_over()

    def heard(self, data: bytes) -> None:
        """Bytes of the server."""
        if self._speaker is not None:
            self._speaker.hear(data)
            self._look_over()

    def closed(self, reason: str) -> None:
        """The server is gone, before all was said."""
        self._finish(Outcome(reason=f"rsync: {reason or 'the other end closed too early'}."))

    def perish(self, reason: str) -> None:
        """The program ends here and now, for a reason."""
        self._end.perish(True)
        self._finish(Outcome(reason=reason))

    def _look_over(self) -> None:
        """All was said: the client closes, and its files are there."""
        if self._speaker is not None and self._speaker.done:
            self._end.close()
            self._finish(self._keep())

    def _keep(self) -> Outcome:
        """Write what came."""
        if self._pulled.reason:
            return Outcome(reason=self._pulled.reason)
        try:
            for name in sorted(self._pulled.files):
                self._files.store(self._job.into + name, self._pulled.files[name])
        except OSError as error:
            self._files.clear(self._job.into)
            return Outcome(reason=f"rsync: {error}")
        return Outcome()

    def _finish(self, outcome: Outcome) -> None:
        self._patience.stop()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(outcome)
