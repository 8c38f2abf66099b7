"""A kernel's netem beside our model: the traffic of a case, what the guest read, how they differ.

The model is given the times at which the guest really sent, so a frame that was sent late is late
for both. Which copies of which frames arrive, flipped or whole, must then be the same without
exception. Arrivals come later than the model says by what system calls take, and in its order where
its times differ by more than that.
"""

import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from fieldproof_simulators.links.live.kernel_netem import read_back, tc_arguments
from fieldproof_simulators.links.netem import Impairments, LinkModel, Passage

BOOT = Path(__file__).parents[2] / "ci" / "netem-guest" / "boot"
BOOT_S = 400
TYPICAL_NS, LATE_NS = 50_000, 1_000_000
"""How much later than the model has them half of the arrivals may be, and how much later any: 5 and
20 times what was seen. The guest's clock counts instructions: no load on the machine adds to it."""
ORDER_NS = 100_000
"""Frames whose times in the model differ by more than this arrive in that order."""


class Case(NamedTuple):
    """What to ask of netem, and the traffic: `frames` of `length` bytes, `interval_us` apart."""

    name: str
    impairments: Impairments
    seed: int
    frames: int
    interval_us: int
    length: int = 400

    def line(self) -> str:
        """The case as ci/netem-guest/boot wants it."""
        words = tc_arguments(self.impairments, self.seed)
        return " ".join(map(str, (self.name, self.frames, self.length, self.interval_us, *words)))


class Arrival(NamedTuple):
    """One copy of a frame that came out of the link."""

    index: int
    ns: int
    whole: bool


class Reading(NamedTuple):
    """What the guest saw of one case."""

    seed: int | None  # as tc reads it back
    sent_ns: tuple[int, ...]
    refused: int  # how often the queue had no room
    arrivals: tuple[Arrival, ...]  # in order

    def came(self) -> dict[int, list[Arrival]]:
        """The arrivals of each frame, in order."""
        came = defaultdict(list)
        for arrival in self.arrivals:
            came[arrival.index].append(arrival)
        return came


class Guest(NamedTuple):
    """The versions of what was asked, and its readings by case."""

    kernel: str
    tc: str
    readings: dict[str, Reading]


def boot(cases: Sequence[Case], folder: Path) -> Guest:
    """Boots a guest that treats the cases; its files go to `folder`."""
    asked, read = folder / "cases", folder / "readings"
    asked.write_text("".join(f"{case.line()}\n" for case in cases))
    done = subprocess.run(
        [BOOT, asked, read], stderr=subprocess.PIPE, text=True, timeout=BOOT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"No guest: {done.stderr}")
    return parse(read.read_text())


def parse(text: str) -> Guest:
    """The readings that the guest wrote; ValueError where it did not get to the end."""
    head, *blocks = text.split("case ")
    kernel, tc, *_ = head.splitlines()
    if not blocks or not blocks[-1].endswith("\nend\n"):
        raise ValueError(f"The guest's readings stop after case {len(blocks)}.")
    return Guest(kernel, tc, dict(map(_parse_case, blocks)))


def _parse_case(block: str) -> tuple[str, Reading]:
    name, shown, sent, refused, came, *_ = block.splitlines()
    words = came.split()[1:]
    return name, Reading(
        seed=read_back(shown),
        sent_ns=tuple(map(int, sent.split()[1:])),
        refused=int(refused.removeprefix("refused ")),
        arrivals=tuple(
            Arrival(int(index.rstrip("!")), int(ns), not index.endswith("!"))
            for index, ns in zip(words[::2], words[1::2], strict=True)
        ),
    )


# --- the comparison -------------------------------------------------------------------------------


def model_of(case: Case, reading: Reading) -> tuple[list[Passage], int]:
    """The case's frames through our model, sent when the guest sent them; and its draws."""
    model = LinkModel(case.impairments, case.seed)
    return [model.send(ns, case.length) for ns in reading.sent_ns], model.draws


def differences(case: Case, reading: Reading) -> list[str]:
    """Where the kernel and the model disagree; nothing where they agree."""
    if len(reading.sent_ns) != case.frames:
        return [f"{len(reading.sent_ns)} of {case.frames} frames were sent"]
    passages, _ = model_of(case, reading)
    found = list(_other_fates(passages, reading))
    if reading.seed != case.seed:
        found.append(f"the qdisc has the seed {reading.seed}")
    over_limit = sum(passage.dropped == "limit" for passage in passages)
    if reading.refused != over_limit:
        found.append(f"the queue had no room for {reading.refused} frames, not {over_limit}")
    if not found:
        found += _other_times(passages, reading)
    return found


def _other_fates(passages: list[Passage], reading: Reading) -> Iterator[str]:
    """The frames of which other copies arrived than the model says, or other ones were flipped."""
    came = reading.came()
    for index in sorted(came.keys() - range(len(passages))):
        yield f"frame {index} was never sent"
    for index, passage in enumerate(passages):
        asked = [copy.corrupted for copy in sorted(passage.copies, key=lambda copy: copy.due_ns)]
        has = [not arrival.whole for arrival in came.get(index, ())]
        if asked != has:
            yield f"frame {index} arrived {_said(has)}, not {_said(asked)}"


def _said(copies: list[bool]) -> str:
    return " and ".join("flipped" if flipped else "whole" for flipped in copies) or "never"


def late_ns(passages: list[Passage], reading: Reading) -> list[tuple[int, int]]:
    """For each arrival, in order: when the model has it due, and how much later it came."""
    due_ns = [sorted(copy.due_ns for copy in passage.copies) for passage in passages]
    nth: dict[int, int] = defaultdict(int)
    late = []
    for index, ns, _ in reading.arrivals:
        due = due_ns[index][nth[index]]
        nth[index] += 1
        late.append((due, ns - due))
    return late


def _other_times(passages: list[Passage], reading: Reading) -> Iterator[str]:
    """Frames that came when the model does not have them due, or that overtook others."""
    late = late_ns(passages, reading)
    typical_ns = median_low([by_ns for _, by_ns in late])
    if typical_ns > TYPICAL_NS:
        yield f"half of the frames arrived {typical_ns / 1e6:.3f} ms late or later"
    latest = accumulate((due for due, _ in late), max)
    for before, (due, by_ns), arrival in zip(latest, late, reading.arrivals, strict=True):
        if not 0 <= by_ns <= LATE_NS:
            yield f"frame {arrival.index} arrived {by_ns / 1e6:.3f} ms late"
        if before - due > ORDER_NS:
            later_ms = (before - due) / 1e6
            yield f"frame {arrival.index} was overtaken by one due {later_ms:.3f} ms later"
