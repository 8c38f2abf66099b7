"""One process that plays all instruments of a run into their ports, in real time.

    python -m fieldproof_simulators.lines.live.player CONTROL FACTS

CONTROL is the descriptor of a control wire, on which the stage first says what to play
(`PlayerBegin`); its end is the end of this process. Facts are appended to the file FACTS.

Theory of operation. Whatever is to be done is a chore in a heap, by the true time at which it is
due: the next word of each line, a look at each port ten times a second, the figures four times.
The loop sleeps until the first is due, or a command comes. Deadlines are absolute: a chore that was
late is done at once, and moves none of those that follow. Whether the machine gave us the processor
in time shows in how late words were, which is what is reported.
"""

import gc
import heapq
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, assert_never

import msgspec

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.lines.hurts import Hurt
from fieldproof_simulators.lines.live.instrument import Instrument
from fieldproof_simulators.lines.live.messages import (
    Command,
    Done,
    End,
    Happened,
    HealLine,
    HostDown,
    HostUp,
    HurtLine,
    LineState,
    PlayerBegin,
    PlayerResult,
    Reopen,
    Stats,
)
from fieldproof_simulators.machines.live.control import Control, ControlClosed

LOOK_NS = SECOND_NS // 10
STATS_NS = SECOND_NS // 4
WANTED_NICE = -10
BEGIN_S = 10.0
"""How long the stage may take to say what to play."""

Chore: TypeAlias = Callable[[int], int]
"""Does what is due by a true time; says when to be called again."""

_Due: TypeAlias = tuple[int, int, Chore]
"""When a chore is due, and its number, so that ties never compare chores."""


class Player:
    """See the head of this file. Raises ValueError or OSError where a line cannot be played."""

    def __init__(self, begin: PlayerBegin, control: Control[Command], facts: int) -> None:
        self._began_ns = begin.began_ns
        self._control = control
        self._facts = facts
        self._lines = {line.site: Instrument(line, begin, self._tell) for line in begin.lines}
        self._heap: list[_Due] = []
        self._figures = Figures(list(self._lines.values()))
        self._ended = False

    def play(self) -> None:
        """Play until the stage ends it. Raises ControlClosed when the stage is gone."""
        now_ns = self._now_ns()
        for n, line in enumerate(self._lines.values()):
            self._push(line.begin(now_ns), line.play)
            # Looks are spread, so that none has to wait for the others.
            self._push(now_ns + LOOK_NS * n // len(self._lines), _looks(line))
        self._push(now_ns + STATS_NS, self._say_stats)
        readable = (self._control.fileno(),)
        while not self._ended:
            wait_ns = self._do_what_is_due()
            if select.select(readable, (), (), wait_ns / SECOND_NS)[0]:
                for command in self._control.receive_all():
                    self._obey(command)

    def result(self) -> PlayerResult:
        """End all lines; what came of them."""
        fired: dict[int, int] = {}
        for line in self._lines.values():
            fired.update(line.fired())
        used = resource.getrusage(resource.RUSAGE_SELF)
        return PlayerResult(
            rows=tuple(line.end() for line in self._lines.values()),
            last_samples={line.site: line.last_sample for line in self._lines.values()},
            fired=fired,
            cpu_s=round(used.ru_utime + used.ru_stime, 3),
            nice=os.nice(0),
        )

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    def _push(self, at_ns: int, chore: Chore) -> None:
        heapq.heappush(self._heap, (at_ns, len(self._heap), chore))

    def _do_what_is_due(self) -> int:
        """How long there is nothing more to do, ns."""
        heap = self._heap
        while True:
            at_ns, number, chore = heap[0]
            now_ns = time.monotonic_ns() - self._began_ns
            if at_ns > now_ns:
                return at_ns - now_ns
            heapq.heapreplace(heap, (chore(now_ns), number, chore))

    def _say_stats(self, now_ns: int) -> int:
        self._control.offer(self._figures.stats(now_ns))
        return now_ns + STATS_NS

    def _tell(self, where: str, what: str, detail: Mapping[str, str | int]) -> None:
        """A fact: to the file, and to the stage if it has room."""
        now_ns = self._now_ns()
        fact = {"ns": now_ns, "where": where, "what": what, **detail}
        os.write(self._facts, msgspec.json.encode(fact) + b"\n")
        self._control.offer(Happened(now_ns, where, what, dict(detail)))

    # --- commands ---

    def _obey(self, command: Command) -> None:
        """Carry out a command and say so; trouble is the stage's to judge."""
        if isinstance(command, End):
            self._ended = True
            return
        if isinstance(command, PlayerBegin):
            self._control.send(Done("The player plays already: start another one."))
            return
        trouble = ""
        line = self._lines.get(command.site)
        if line is None:
            trouble = f"There is no line of {command.site!r} among {', '.join(self._lines)}."
        else:
            try:
                self._do(command, line)
            except (OSError, ValueError) as error:
                trouble = str(error)
        self._control.send(Done(trouble))

    def _do(
        self, command: HostUp | HostDown | HurtLine | HealLine | Reopen, line: Instrument
    ) -> None:
        now_ns = self._now_ns()
        match command:
            case HostUp():
                line.host_up()
            case HostDown():
                line.host_down()
            case HurtLine(_, kind, fault, count, percent):
                line.hurt(now_ns, Hurt(kind, fault, count, percent))
            case HealLine(_, kind, fault):
                line.heal(now_ns, kind, fault)
                self._push_again(line, now_ns)
            case Reopen():
                line.reopen()
            case _:
                assert_never(command)

    def _push_again(self, line: Instrument, now_ns: int) -> None:
        """What a stall held back may be due before the line's next word: call it now."""
        for at, (due_ns, number, chore) in enumerate(self._heap):
            if chore == line.play:
                self._heap[at] = (min(due_ns, now_ns), number, chore)
        heapq.heapify(self._heap)


class Figures:
    """What is said of all lines four times a second."""

    def __init__(self, lines: Sequence[Instrument]) -> None:
        self._lines = lines
        self._said_ns = 0
        self._words = [0] * len(lines)
        self._turn = 0
        self._p99_ms = [0.0] * len(lines)

    def stats(self, now_ns: int) -> Stats:
        """The lines as they are; percentiles are renewed for one line in four each time."""
        passed_ns = max(1, now_ns - self._said_ns)
        self._turn = (self._turn + 1) % 4
        states = []
        for n, line in enumerate(self._lines):
            if n % 4 == self._turn:
                line.late.fold()
                self._p99_ms[n] = line.late.percentile_ms(99)
            per_s = (line.words - self._words[n]) * SECOND_NS / passed_ns
            self._words[n] = line.words
            states.append(
                LineState(line.site, line.words, round(per_s, 1), self._p99_ms[n], line.is_plugged)
            )
        self._said_ns = now_ns
        return Stats(tuple(states))


def _looks(line: Instrument) -> Chore:
    def look(now_ns: int) -> int:
        line.look()
        return now_ns + LOOK_NS

    return look


def main(arguments: Sequence[str]) -> int:
    """Play what the stage says. 0 when the stage has ended it, 1 when the stage is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the stage, which ends us
    control_fd, facts_path = int(arguments[0]), Path(arguments[1])
    control = Control.adopt(control_fd, msgspec.json.Decoder(Command).decode)
    facts = os.open(facts_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    _ask_for_priority()
    try:
        for begin in control.await_some(BEGIN_S):
            if isinstance(begin, PlayerBegin):
                return _play(begin, control, facts)
    except ControlClosed:
        pass
    return 1


def _ask_for_priority() -> None:
    """Where we may: priority among the processes of our session, and of our session among others,
    which Linux counts apart (sched(7), autogroup). `LivePlayer` gives us a session of our own."""
    with suppress(OSError):
        os.nice(WANTED_NICE)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(WANTED_NICE))


def _play(begin: PlayerBegin, control: Control[Command], facts: int) -> int:
    try:
        player = Player(begin, control, facts)
    except (OSError, ValueError) as error:
        control.send(Done(str(error)))
        return 1
    control.send(Done())
    gc.freeze()
    gc.disable()  # nothing in the loop makes cycles, and a collection would make words late
    player.play()
    control.send(player.result())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
