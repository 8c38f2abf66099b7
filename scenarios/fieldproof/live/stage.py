"""Where a live run happens: PID 1 of its own namespaces, or a plain process where there are none.

    ready     hosts get networks, disks, clocks and cables; the pump carries the links, the player
              plays the instruments; true time 0 is a moment from now
    lead      from true time 0: every host boots
    span      what the scenario tells
    settle    faults are over and nodes are up; on for the lead's length at least, then until edge
              and center have converged (`settle.py`), or `settles_within` is over
    close     the systems are asked to end; logs are merged; `world.json` is written last

Standard input is a lifeline: its end means that nobody listens, and ends everything here. Nothing
is judged; off-target links and late wake-ups are measured and written down.
"""

import os
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from types import FrameType

import msgspec

from fieldproof.live.build import Built, build
from fieldproof.live.messages import (
    Crashed,
    NotHere,
    Played,
    Refused,
    Said,
    Status,
    encode,
    read_request,
)
from fieldproof.live.settle import Convergence
from fieldproof.live.summary import close
from fieldproof.live.watch import Watcher
from fieldproof.store import write_document
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.machines.live.processes import reap_orphans

STATUS_NS = SECOND_NS // 4
WAKE_NS = SECOND_NS // 20
STARTING_NS = 5 * SECOND_NS
"""How long after the lead a system may still say that it does not do the scenario."""

LATE_NS = SECOND_NS // 10
"""A machine that wakes this process so late has its own part in what a system does late."""

RESERVE_BYTES = 256 << 20
"""What has to be free where the run directory lies. A system may write too much, and so may others:
nobody could be judged by a full disk of the machine."""

LOOK_NS = SECOND_NS
"""How often it is asked whether edge and center have converged, who is still alive, and whether
there is room."""

GRACE_NS = 15 * SECOND_NS
"""How long edge and center may still take to converge when one of them is down for good: what is on
its way arrives, and the center looks at it."""


class Stage:
    """One run, from true time 0 to its end."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.settled_ns: int | None = None
        self._calendar = built.ground.calendar
        self._watcher = Watcher(built)
        self.declined = ""
        self._lame_ns: int | None = None  # when a host ended by itself: it is down for good

    def play(self) -> None:
        """Lead, span and settle."""
        built, calendar = self.built, self._calendar
        calendar.every(STATUS_NS, self._tell)
        calendar.every(WAKE_NS, self._woken)
        calendar.every(LOOK_NS, self._look)
        for number, host in enumerate(built.ground.hosts.values()):
            calendar.call_at(number * SECOND_NS // 20, partial(built.ground.boot, host))
        calendar.run_until(self._from_ns())
        if self.declined:
            return
        convergence = Convergence(
            built.center.place.disk, built.from_ns, built.to_ns, built.scenario.inherited_hours
        )
        while calendar.now_ns() < self._gives_up_ns():
            if self._converged(convergence):
                self.settled_ns = calendar.now_ns()
                return
            calendar.run_until(calendar.now_ns() + LOOK_NS)

    def _converged(self, convergence: Convergence) -> bool:
        if not self.built.scenario.center.reconciles:
            return True
        asked = [site.name for site in self.built.scenario.sites if site.reconcile != "none"]
        edges = [self.built.ground.hosts[name] for name in asked]
        return all(convergence.holds(edge.name, edge.place.disk, edge.clock) for edge in edges)

    def _from_ns(self) -> int:
        """From when on edge and center may be asked whether they have converged."""
        return max(self.built.to_ns + self.built.lead_ns, self.built.over_ns)

    def _gives_up_ns(self) -> int:
        """Until when edge and center may converge."""
        gives_up_ns = self._from_ns() + self.built.settles_ns
        if self._lame_ns is None:
            return gives_up_ns
        return min(gives_up_ns, self._lame_ns + GRACE_NS)

    def _tell(self) -> None:
        status = self._watcher.status()
        say(Status(status))

    def _woken(self) -> None:
        late_ns = self.built.watch.woken(time.monotonic_ns())
        if late_ns > LATE_NS:
            self.built.facts.note("machine", "late", ms=late_ns // 1_000_000)

    def _look(self) -> None:
        """Systems that ended by themselves are facts; orphans of theirs are ours to bury. Raises
        NotHere where the machine's disk is full."""
        _insist_on_room(self.built.request.run_dir)
        ground = self.built.ground
        for host in ground.hosts.values():
            if how := host.ended():
                ground.quiet(host)
                self._lame_ns = self._lame_ns or self._calendar.now_ns()
                is_early = self._calendar.now_ns() < self.built.from_ns + STARTING_NS
                if how.declined and is_early:  # later it would be an escape
                    self.declined = self.declined or f"{host.name} {how.words}"
                last = host.last_words()
                ground.fact(host.name, "host died", code=how.code, how=how.words, last=last)
        if self.declined:
            self._calendar.end()
        if self.built.request.isolation:  # else there is another PID 1
            reap_orphans(self.built.own_pids())


def _insist_on_room(run_dir: str) -> None:
    """Raises NotHere."""
    about = os.statvfs(run_dir)
    free_bytes = about.f_bavail * about.f_frsize
    if free_bytes < RESERVE_BYTES:
        raise NotHere(
            f"The disk of {run_dir} has only {free_bytes >> 20} MB left, and a live run wants"
            f" {RESERVE_BYTES >> 20}: the run was ended. See who fills it, or choose another folder"
            " with --runs."
        )


def say(message: Said) -> None:
    """Tell the outside; whoever does not listen ends us by the lifeline."""
    os.write(1, encode(message))


def main() -> int:
    """Play the one request on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_at_once)
    request = read_request(sys.stdin.buffer.readline())
    began_s = time.monotonic()
    try:
        with build(request) as built:
            calendar = built.ground.calendar
            calendar.listen(0, partial(_lifeline, built))
            stage = Stage(built)
            stage.play()
            facts = close(built, stage.settled_ns, stage.declined)
        facts["seconds"] = round(time.monotonic() - began_s, 3)
        document = msgspec.json.format(msgspec.json.encode(facts))
        write_document(Path(request.run_dir) / "world.json", document)
        say(Played())
    except NotHere as error:
        say(Refused(str(error)))
    except Exception as error:
        traceback.print_exc()
        text = " ".join(str(error).split())
        say(Crashed(f"{type(error).__name__}: {text}"))
    return 0


def _lifeline(built: Built) -> None:
    """Nobody listens: everything ends, in order as far as there is time."""
    if not os.read(0, 1):
        built.abandon()
        sys.exit(2)


def _end_at_once(signum: int, frame: FrameType | None) -> None:
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
