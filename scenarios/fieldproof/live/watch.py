"""What can be seen of a live run while it goes on, gathered from everybody who knows a part."""

from collections import deque
from typing import Literal

from fieldproof.live.build import Built
from fieldproof.live.merge import Entry
from fieldproof.live.settle import newest_record, records_in
from fieldproof.live.view import HostStatus, LineStatus, LinkStatus, LiveStatus
from fieldproof.live.words import in_words
from fieldproof.oracle import trees
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.lines.live.messages import Happened, Stats
from fieldproof_simulators.links.live.process import Status
from fieldproof_simulators.machines.clock import iso

MOST_EVENTS = 50
"""How many sentences are kept for who looks seldom."""

SELDOM = 8
"""A host's disk and processes are looked at in every so many looks: it takes time itself."""

_STAMP = slice(12, 16)


class Watcher:
    """Call `status` a few times a second; it never waits."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self._pump: Status | None = None
        self._player: Stats | None = None
        self._events: deque[str] = deque(maxlen=MOST_EVENTS)
        self._events_in_all = 0
        self._facts_told = 0
        self._looks = 0
        self._seen: dict[str, HostStatus] = {}
        self._cpu_s: dict[str, tuple[int, float]] = {}  # when, and how much until then

    def status(self) -> LiveStatus:
        """Everything at this moment."""
        built = self._built
        self._hear()
        now_ns = max(0, built.ground.calendar.now_ns())
        for number, host in enumerate(built.ground.hosts):
            # In turns: to look at many at once would make the stage late.
            if host not in self._seen or (self._looks + number) % SELDOM == 0:
                self._seen[host] = self._look(host, now_ns)
        self._looks += 1
        phase, fraction = self._phase(now_ns)
        return LiveStatus(
            isolation=f"{built.request.isolation or 'plain machine'}, {built.wiring.backend}",
            true_ns=now_ns,
            utc=iso(built.ground.utc.at(now_ns))[:19].replace("T", " "),
            phase=phase,
            fraction=fraction,
            hosts=tuple(self._host(name) for name in built.ground.hosts),
            links=tuple(self._link(link.name) for link in built.scenario.links),
            lines=self._lines(),
            events=tuple(self._events),
            events_in_all=self._events_in_all,
        )

    # --- hearing ---

    def _hear(self) -> None:
        ground = self._built.ground
        for said in ground.pump.said():
            self._pump = said
            for fact in said.facts:
                where, what = str(fact["where"]), str(fact["what"])
                self._tell(Entry(int(fact["ns"]), where, what, fact, False))
        for word in ground.player.said():
            match word:
                case Stats():
                    self._player = word
                case Happened(ns, where, what, detail):
                    self._tell(Entry(ns, where, what, detail, False))
        entries = self._built.facts.entries
        for entry in entries[self._facts_told :]:
            self._tell(entry)
        self._facts_told = len(entries)

    def _tell(self, entry: Entry) -> None:
        if sentence := in_words(entry, self._built.ground.utc):
            self._events.append(sentence)
            self._events_in_all += 1

    # --- looking ---

    def _phase(self, now_ns: int) -> tuple[Literal["lead", "span", "settle"], float]:
        built = self._built
        if now_ns < built.from_ns:
            return "lead", now_ns / built.from_ns
        if now_ns < built.to_ns:
            return "span", (now_ns - built.from_ns) / (built.to_ns - built.from_ns)
        settles_ns = built.settles_ns
        return "settle", min(1.0, (now_ns - built.to_ns) / settles_ns)

    def _host(self, name: str) -> HostStatus:
        seen, host = self._seen[name], self._built.ground.hosts[name]
        return HostStatus(
            name, host.state, seen.records, seen.last_record, seen.cpu_percent, seen.rss_mb
        )

    def _look(self, name: str, now_ns: int) -> HostStatus:
        host = self._built.ground.hosts[name]
        is_center = host is self._built.center
        records, last = self._received() if is_center else self._archived(name)
        usage = host.usage()
        spent_s = usage.utime_s + usage.stime_s
        then_ns, before_s = self._cpu_s.get(name, (now_ns, spent_s))
        self._cpu_s[name] = now_ns, spent_s
        passed_s = (now_ns - then_ns) / SECOND_NS
        percent = 100 * (spent_s - before_s) / passed_s if passed_s > 0 else None
        return HostStatus(name, host.state, records, last, percent, usage.rss_bytes / 1e6)

    def _archived(self, site: str) -> tuple[int, str]:
        """How many records a site has, and when the newest began."""
        disk = self._built.ground.hosts[site].place.disk
        files = [disk / file.path for file in trees.hour_files(disk, site)]
        records = records_in(files)
        if not records:
            return 0, ""
        newest = newest_record(files[-1])
        stamp_s = int.from_bytes(newest[_STAMP], "little")
        return records, iso(stamp_s * SECOND_NS)[11:19]

    def _received(self) -> tuple[int, str]:
        """How many records the center has received."""
        disk = self._built.center.place.disk
        arrived = disk.glob(f"udp/*/*/*/*/*_{trees.TELEMETRY_PORT}.dat")
        return records_in(path for path in arrived if trees.is_own(disk, path)), ""

    def _link(self, name: str) -> LinkStatus:
        ways = [way for way in self._pump.ways if way.link == name] if self._pump else []
        rates = {way.direction: way.bit_s for way in ways}
        return LinkStatus(
            name,
            self._built.wiring.backend,
            rates.get("up", 0),
            rates.get("down", 0),
            sum(way.held for way in ways),
            sum(way.packets for way in ways),
            sum(way.lost for way in ways),
            dark=name in self._built.inflictor.dark,
        )

    def _lines(self) -> tuple[LineStatus, ...]:
        if self._player is None:
            return ()
        return tuple(
            LineStatus(line.site, line.words_per_s, line.late_p99_ms, line.plugged)
            for line in self._player.lines
        )
