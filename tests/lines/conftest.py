"""Real lines for the tests of the player: what is played, and what the other end hears."""

import os
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.instruments.riometer import DEFAULT_SITES, PreampDead, Riometer
from fieldproof_simulators.lines.adwords import encode
from fieldproof_simulators.lines.live.process import (
    Happened,
    LineBegin,
    LineState,
    LivePlayer,
    PlayerBegin,
    Stats,
)
from fieldproof_simulators.lines.live.socat import Cable

NOON_NS = 1_137_499_200 * SECOND_NS  # 2006-01-17
SEED = 7
DEAD_NS = (0, 3600 * SECOND_NS)  # white noise: a few words are enough to tell where they belong
PATIENCE_S = 30.0


class Reader:
    """One end of a line: collects all bytes that come."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.data = b""

    def read(self, wait_s: float = 0.0) -> bytes:
        """What is there, waited for; also kept in `data`."""
        if not select.select((self.descriptor,), (), (), wait_s)[0]:
            return b""
        came = os.read(self.descriptor, 65_536)
        self.data += came
        return came

    def until(self, size: int) -> bytes:
        """The next bytes, at least so many."""
        came, give_up_s = b"", time.monotonic() + PATIENCE_S
        while len(came) < size and time.monotonic() < give_up_s:
            came += self.read(0.1)
        assert len(came) >= size, f"{len(came)} bytes came instead of {size}"
        return came


class Band:
    """A player of its own with some lines, and what it says. Starting one takes a while, so that
    tests share it, each with a line for itself."""

    def __init__(self, folder: Path, ends: dict[str, tuple[str, str]]) -> None:
        """`ends`: paths of the instrument's and the system's end, by site."""
        lines = (LineBegin(site, *pair, dead_ns=(DEAD_NS,)) for site, pair in ends.items())
        self.began_ns = time.monotonic_ns()
        begin = PlayerBegin(self.began_ns, NOON_NS, SEED, tuple(lines))
        self.player = LivePlayer(begin, folder, folder / "player.log")
        self.facts: list[Happened] = []
        self.stats: list[Stats] = []

    def listen(self, wait_s: float = 0.0) -> None:
        """Collect what the player says."""
        select.select((self.player,), (), (), wait_s)
        for message in self.player.said():
            (self.facts if isinstance(message, Happened) else self.stats).append(message)


class Line:
    """The riometer of a site on a line that somebody reads."""

    def __init__(self, band: Band, site: str, reader: Reader, cable: Cable | None = None) -> None:
        self.band, self.site, self.reader, self.cable = band, site, reader, cable
        self.player = band.player

    def up(self) -> None:
        """The host comes up."""
        self.player.host_up(self.site)

    def down(self) -> None:
        """The host goes down."""
        self.player.host_down(self.site)

    def hurt(self, kind: str, fault: int, **numbers) -> None:
        self.player.hurt(self.site, kind, fault, **numbers)

    def heal(self, kind: str, fault: int) -> None:
        self.player.heal(self.site, kind, fault)

    def now_ns(self) -> int:
        """True time."""
        return time.monotonic_ns() - self.band.began_ns

    def facts(self) -> list[Happened]:
        """What was said to have happened to this line."""
        self.band.listen()
        return [fact for fact in self.band.facts if fact.where == self.site]

    def fact(self, what: str) -> Happened:
        """The first fact of this kind, waited for."""
        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            for fact in self.facts():
                if fact.what == what:
                    return fact
            self.band.listen(0.1)
        raise AssertionError(f"no {what!r} among {[fact.what for fact in self.facts()]}")

    def states(self) -> list[LineState]:
        """The figures of this line so far."""
        self.band.listen()
        return [
            state for stats in self.band.stats for state in stats.lines if state.site == self.site
        ]

    def wait_for_words(self, count: int) -> None:
        """Until so many more were played."""
        while not self.states():
            self.band.listen(0.1)
        wanted = self.states()[-1].words + count
        while self.states()[-1].words < wanted:
            self.band.listen(0.1)

    def place(self, data: bytes) -> int:
        """Where these bytes stand in the instrument's stream; -1 where they do not."""
        played = riometer(self.site)
        return encode(played.codes(0, played.first_at(self.now_ns()) + 60)).find(data)

    def reopen(self) -> None:
        """The reader opens the system's end of the cable again."""
        again = os.open(self.cable.system_end, os.O_RDWR | os.O_NOCTTY)
        os.dup2(again, self.reader.descriptor)
        os.close(again)
        self.reader.data = b""


def riometer(site: str) -> Riometer:
    """The instrument that is played."""
    return Riometer(site, SEED, NOON_NS, faults=(PreampDead(*DEAD_NS),))


@contextmanager
def bare_lines(folder: Path, sites: Sequence[str]) -> Iterator[list[Line]]:
    """Lines without cables: the player writes to terminals of which the test has the other side."""
    pairs = {site: os.openpty() for site in sites}
    band = Band(folder, {site: (os.ttyname(slave), "") for site, (_, slave) in pairs.items()})
    try:
        yield [Line(band, site, Reader(master)) for site, (master, _) in pairs.items()]
    finally:
        band.player.close()
        for descriptor in (each for pair in pairs.values() for each in pair):
            os.close(descriptor)


@pytest.fixture(scope="module")
def shared_bare_lines(tmp_path_factory):
    """One for each test of a module."""
    with bare_lines(tmp_path_factory.mktemp("bare"), DEFAULT_SITES) as lines:
        yield iter(lines)


@pytest.fixture
def bare_line(shared_bare_lines):
    """A line of a player that the test must leave alive."""
    return next(shared_bare_lines)


@pytest.fixture
def own_bare_line(tmp_path):
    """The line of Dawson, with a player for itself."""
    with bare_lines(tmp_path, ("daws",)) as (line,):
        yield line


@pytest.fixture
def cable(tmp_path):
    """A plugged cable; gone after the test."""
    (tmp_path / "line, 'of' daws").mkdir()  # with all that socat would parse
    plugged = Cable(tmp_path / "line, 'of' daws", tmp_path / "socat.log")
    yield plugged
    plugged.close()


@pytest.fixture(scope="module")
def shared_cabled_lines(tmp_path_factory):
    """Lines over real cables, one for each test of a module, with a reader as a system under test
    would be one."""
    folder, cables = tmp_path_factory.mktemp("cabled"), {}
    with ExitStack() as stack:
        for site in DEFAULT_SITES:
            (folder / site).mkdir()
            cables[site] = Cable(folder / site, folder / f"{site}.log")
            stack.callback(cables[site].close)
        ends = {
            site: (str(cable.instrument_end), str(cable.system_end))
            for site, cable in cables.items()
        }
        band = Band(folder, ends)
        stack.callback(band.player.close)
        lines = []
        for site, cable in cables.items():
            end = os.open(cable.system_end, os.O_RDWR | os.O_NOCTTY)
            stack.callback(os.close, end)
            lines.append(Line(band, site, Reader(end), cable))
        yield iter(lines)


@pytest.fixture
def cabled_line(shared_cabled_lines):
    """A line over a real cable, of a player that the test must leave alive."""
    return next(shared_cabled_lines)
