"""A site that shows its archive and a center that pulls it, over a virtual link."""

import json
from collections.abc import Callable
from pathlib import Path

from fieldproof_contract import (
    Address,
    EngineEnded,
    Event,
    Job,
    PullTree,
    RunEngine,
    ServeTree,
)
from fieldproof_simulators.engines.jobs import File, Outcome, Pulled, Turn
from fieldproof_simulators.links.profiles import Profile, profile
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

PORT = 24992
SITE, CENTER = "198.51.100.1", "192.0.2.1"
FOLDER = "2006/01/17/daws_xrio/"
INTO = "staging/rsync/daws/"
BEGINS_NS = 1_137_542_400 * 10**9  # 2006-01-18
SERVE = ServeTree(PORT, "riometer/")
PULL = PullTree(Address(SITE, PORT), FOLDER, f"riometer/{FOLDER}", INTO, 1_000_000)


class Asks:
    """A node that asks for engines, at its start or when it is told something, and notes what it
    is told."""

    def __init__(self, *effects: object, then: Callable[[Event], tuple] = lambda event: ()) -> None:
        self.effects, self.then = effects, then
        self.told: list = []
        self.times_ns: list[int] = []

    def start(self, disk, now):
        return self.effects

    def receive(self, event, now):
        self.told.append(event)
        self.times_ns.append(now.monotonic)
        return self.then(event)

    def advance(self, now):
        return ()

    def deadline(self):
        return None


class Play:
    """A world with a site and a center."""

    def __init__(self, folder: Path, link: Profile | str = "dawson-2005", seed: int = 1, **more):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.ended = folder, False
        self.done_ns = 0  # when a pull was over
        tools = more.pop("tools", None)
        self.world = World(seed, BEGINS_NS, folder, {PORT: "rsync"}, **more)
        self.world.tools = tools or self.world.tools
        self.center: Host = self.world.add_host("center", CENTER)
        self.site: Host = self.world.add_host("daws", SITE)
        self.world.add_link("l", profile(link) if isinstance(link, str) else link, 10**15)
        self.link = self.world.links["l"]
        self.world.connect(self.site, self.link)

    def up(self, client: Asks, server: Asks | None = None) -> "Play":
        """Boot both with these nodes."""
        self.center.add("client", lambda: client, ("topic",))
        self.site.add("server", lambda: server or Asks(RunEngine("s", SERVE)), ())
        self.world.boot(self.site)
        self.world.boot(self.center)
        return self

    def give(self, host: Host, files: dict[str, bytes], changed_s: int = 1_137_456_000) -> None:
        """Put files below the archive of a host; each is changed an hour after the one before."""
        for number, (name, data) in enumerate(sorted(files.items())):
            utc_ns = (changed_s + 3600 * number) * 10**9 + 123_456_789
            host.files.store(f"riometer/{FOLDER}{name}", File(data, utc_ns))

    def pulled(self) -> dict[str, bytes]:
        """What is below `into`, by name."""
        disk = self.center.disk
        return {path.removeprefix(INTO): disk.read(path) for path in disk.listing(INTO)}

    def wire(self) -> tuple[int, int]:
        """IP bytes and packets for rsync, both ways."""
        tallies = [self.link.tallies[way, "rsync"] for way in ("up", "down")]
        return sum(tally.bytes for tally in tallies), sum(tally.packets for tally in tallies)

    def run(self, seconds: float) -> "Play":
        """Let so much time pass."""
        self.world.run_until(self.world.now_ns() + round(seconds * 1e9))
        return self

    def end(self) -> list[dict]:
        """Close the world, once; the lines of its log."""
        if not self.ended:
            self.world.close()
        self.ended = True
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]


def pulls(*more: object, job: Job = PULL) -> Asks:
    """A center's node that pulls."""
    return Asks(RunEngine("p", job), *more)


def ended(node: Asks) -> list[EngineEnded]:
    """What a node was told of its engines."""
    return [event for event in node.told if isinstance(event, EngineEnded)]


class Scripted:
    """Tools that have their answers ready: no program runs."""

    def __init__(self, pulled: Pulled | None = None, missing: str = "") -> None:
        self.pulled = pulled or Pulled(TURNS, {"a": File(b"new", 5), "b": File(b"other", 7)})
        self.missing = missing
        self.asked: list = []

    def lacks(self, tool):
        return self.missing

    def make_delta(self, job):
        return Outcome(job.source + job.target)

    def apply_delta(self, job):
        return Outcome(job.source + job.delta, "" if job.delta else "no delta")

    def pull(self, job, served, like, seed):
        self.asked.append((job, served, like, seed))
        return self.pulled


TURNS = (
    Turn(True, 0, (b"c" * 41,)),
    Turn(False, 0, (b"s" * 41,)),
    Turn(True, 41, (b"c", b"c" * 299)),
    Turn(False, 341, (b"s" * 30_000,)),
    Turn(True, 30_041, (b"c" * 5,)),
)
"""A short conversation: a center asks, a site answers with 30 kB."""
