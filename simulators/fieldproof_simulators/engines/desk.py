"""The engines of one host: what its nodes have running, and what comes of it.

    RunEngine --> runs --> over: one EngineEnded, unless the host dies first

* A delta is made, and a plot drawn, when the job is over: `DELTA_NS` or `DRAW_NS` after it was
  asked for. A node that stops it gets no output.
* A served tree is over when it is stopped, and that is its good end.
* An engine ends with its node and with its host; its streams are then reset as by any process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, assert_never

from fieldproof_contract import (
    Address,
    ApplyDelta,
    DrawDay,
    EngineEnded,
    Event,
    Job,
    MakeDelta,
    PullTree,
    ServeTree,
)
from fieldproof_simulators.engines.jobs import Outcome, Tools, Tree
from fieldproof_simulators.engines.pull import Pull
from fieldproof_simulators.engines.serve import Service, Serving
from fieldproof_simulators.links.streams import Stack
from fieldproof_simulators.machines.disk import check_path
from fieldproof_simulators.machines.files import Files
from fieldproof_simulators.streams import child_seed

DELTA_NS = 100_000_000
"""How long xdelta3 takes for hour files: our assumption, for a small computer."""

DRAW_NS = 2_000_000_000
"""How long a plot takes: our assumption."""

NO_PLOTS = "No plots are drawn in virtual time here: the harness gave nothing that draws."

SEEDS = 10_000
"""rsync's checksum seed crosses the link as text: four digits at most."""

Tell: TypeAlias = Callable[[Event], None]
Draw: TypeAlias = Callable[[bytes], bytes]
"""Makes a plot of a document. Raises OSError where it cannot."""


class Shown(NamedTuple):
    """A folder as its daemon shows it."""

    service: Service
    files: Files

    def tree(self, folder: str) -> Tree:
        """The plain files of a folder below the daemon's root."""
        return self.files.tree(self.service.root + folder)


class Workshop(Protocol):
    """What engines need of their world."""

    @property
    def seed(self) -> int:
        """Of the world."""

    @property
    def tools(self) -> Tools:
        """The programs."""

    @property
    def draw(self) -> Draw | None:
        """What draws plots, if anything does."""

    def shown(self, at: Address) -> Shown | None:
        """What a daemon at an address shows; None where there is none."""


@dataclass(slots=True, eq=False)
class _Running:
    """An engine at work: how to end it."""

    stop: Callable[[], None]


Key: TypeAlias = tuple[str, str]
"""A node, and its name for a run."""


class Engines:
    """See the head of this file."""

    def __init__(self, stack: Stack, files: Files, workshop: Workshop) -> None:
        self._stack = stack
        self._files = files
        self._workshop = workshop
        self._running: dict[Key, _Running] = {}
        self._services: dict[int, Service] = {}
        self._pulls = 0

    def run(self, node: str, tell: Tell, run: str, job: Job) -> None:
        """Begin. Raises OSError where the node has an engine of this name at work."""
        key = (node, run)
        if key in self._running:
            raise OSError(f"There is an engine {run} at work already: choose another name.")

        def ended(outcome: Outcome) -> None:
            if self._running.get(key) is running:
                del self._running[key]
                tell(EngineEnded(run, outcome.output, outcome.reason))

        running = self._running[key] = _Running(lambda: ended(Outcome(reason="stopped")))
        match job:
            case MakeDelta():
                self._later(key, DELTA_NS, lambda: ended(self._tools.make_delta(job)))
            case ApplyDelta():
                self._later(key, DELTA_NS, lambda: ended(self._tools.apply_delta(job)))
            case DrawDay(document):
                self._later(key, DRAW_NS, lambda: ended(self._drawn(document)))
            case ServeTree() | PullTree():
                refused = self._refused(job)
                if refused:
                    self._later(key, 0, lambda: ended(Outcome(reason=refused)))
                elif isinstance(job, ServeTree):
                    running.stop = self._serve(job, ended)
                else:
                    running.stop = self._pull(job, ended)
            case _:
                assert_never(job)

    def stop(self, node: str, run: str) -> None:
        """End an engine that is at work."""
        running = self._running.get((node, run))
        if running is not None:
            self._later((node, run), 0, running.stop)

    def accept(self, port: int) -> Serving | None:
        """Who owns a stream to a port; None where no daemon listens there."""
        service = self._services.get(port)
        return None if service is None else service.accept()

    def shown(self, port: int) -> Shown | None:
        """What the daemon of a port shows."""
        service = self._services.get(port)
        return None if service is None else Shown(service, self._files)

    def abandon(self, node: str) -> None:
        """The node died, and its engines with it: nobody is told."""
        for key in [key for key in self._running if key[0] == node]:
            self._running.pop(key).stop()

    def perish(self) -> None:
        """The host died. Its streams are reset, or not, by its stack."""
        self._running.clear()
        self._services.clear()

    @property
    def _tools(self) -> Tools:
        return self._workshop.tools

    def _later(self, key: Key, wait_ns: int, action: Callable[[], None]) -> None:
        """Do it then, if this very run is still at work."""
        running = self._running[key]

        def due() -> None:
            if self._running.get(key) is running:
                action()

        self._stack.world.call_at(self._stack.world.now_ns() + wait_ns, due)

    def _drawn(self, document: bytes) -> Outcome:
        draw = self._workshop.draw
        if draw is None:
            return Outcome(reason=NO_PLOTS)
        try:
            return Outcome(draw(document))
        except OSError as error:
            return Outcome(reason=str(error))

    def _refused(self, job: ServeTree | PullTree) -> str:
        """Why rsync cannot even begin; "" where it can."""
        port = job.port if isinstance(job, ServeTree) else job.peer.port
        if not 0 < port < 65536:
            return f"rsync: there is no port {port}."
        if isinstance(job, ServeTree) and port in self._services:
            return f"rsync: port {port} is taken by another daemon."
        folders = [job.root] if isinstance(job, ServeTree) else [job.folder, job.like, job.into]
        try:
            for folder in folders:
                check_path(folder.removesuffix("/"))
        except OSError as error:
            return f"rsync: {error}"
        return self._tools.lacks("rsync")

    def _serve(self, job: ServeTree, ended: Callable[[Outcome], None]) -> Callable[[], None]:
        """Begin to serve; what ends it."""
        service = self._services[job.port] = Service(self._stack, job.root)

        def stop() -> None:
            del self._services[job.port]
            service.perish()
            ended(Outcome())

        return stop

    def _pull(self, job: PullTree, ended: Callable[[Outcome], None]) -> Callable[[], None]:
        """Begin to pull; what ends it."""
        self._pulls += 1
        name = f"rsync:{self._stack.machine.address}:{self._pulls}"
        seed = 1 + child_seed(self._workshop.seed, name) % (SEEDS - 1)
        shown = self._workshop.shown
        pull = Pull(job, self._stack, self._files, self._tools, seed, shown, ended)
        return lambda: pull.perish("stopped")
