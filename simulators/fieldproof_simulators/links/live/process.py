"""The pump as the stage has it: started, told what to do, listened to, stopped.

    with LivePump(begin, attachments, run_dir, log) as pump:
        pump.go_dark("vsat", 0)
        pump.said()                  # never waits; raises LinkError once the pump is dead
        result = pump.stop(5.0)

What an order names is checked here, where a mistake can still be told to who made it. The wire is
the pump's lifeline: if this process dies, however it dies, the pump writes its evidence and ends.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, TypeAlias

import msgspec

from fieldproof_simulators.links.live import messages
from fieldproof_simulators.links.live.messages import PumpBegin, Status, WayStatus
from fieldproof_simulators.links.live.ports import Attachment, LinkError
from fieldproof_simulators.machines.live.control import Control, ControlClosed, pair

__all__ = ["LivePump", "OrderKind", "PumpBegin", "PumpResult", "Status", "WayStatus"]

PROGRAM = "fieldproof_simulators.links.live.pump"
START_S = 20.0
"""How long a start may take; it is a tenth of a second of work."""
END_S = 5.0
"""How long a pump whose wire is cut may take to write its evidence."""

PART_BYTES = 32_768
"""How much of an injected packet goes into one message."""

OrderKind: TypeAlias = Literal["lose", "duplicate", "delay", "corrupt"]


@dataclass(frozen=True)
class PumpResult:
    """What a run of the pump comes to, in rows of `world.json`."""

    wire: tuple[dict[str, str | int], ...]
    achieved: tuple[dict[str, str | int | float | None], ...]
    generators_end: dict[str, str]
    fired: dict[int, int]
    """How many datagrams each fault's orders have met."""


class LivePump:
    """A pump that runs. Use it in one thread."""

    def __init__(
        self, begin: PumpBegin, attachments: Sequence[Attachment], run_dir: Path, log: BinaryIO
    ) -> None:
        """Starts it and waits until all links work. The attachments are the pump's from now on.
        Raises LinkError where it does not come up."""
        self._links = {name for name, _ in begin.links}
        self._hosts = {begin.center[0], *(name for name, _, _ in begin.sites)}
        self._last_words: list[messages.LinkEnd | messages.Ended] = []
        self._log_name = str(getattr(log, "name", "its log"))
        try:
            self._wire = self._spawn(log)
            try:
                self._start(begin, attachments, run_dir)
            except BaseException:
                self.close()
                raise
        finally:
            for attachment in attachments:
                attachment.close()

    def _spawn(self, log: BinaryIO) -> Control[messages.Said]:
        ours, theirs = pair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, "--control", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        return Control(ours, msgspec.json.Decoder(messages.Said).decode)

    def _start(self, begin: PumpBegin, attachments: Sequence[Attachment], run_dir: Path) -> None:
        for each in attachments:
            self._send(
                messages.Attach(each.kind, each.name, dict(each.settings), len(each.descriptors)),
                each.descriptors,
            )
        self._send(messages.Start(begin, str(run_dir / "links")))
        if messages.Ready() not in self._await(START_S):  # its first word
            raise LinkError(f"The link pump did not come up within {START_S:g} s.")

    @property
    def pid(self) -> int:
        """The pump's process."""
        return self._process.pid

    def fileno(self) -> int:
        """Readable when the pump has said something, or is dead."""
        return self._wire.fileno()

    # --- orders ---

    def go_dark(self, link: str, fault: int) -> None:
        """An outage begins; `fault` is its cause."""
        self._send(messages.GoDark(self._link(link), fault))

    def recover(self, link: str, fault: int) -> None:
        """The outage of this cause ends."""
        self._send(messages.Recover(self._link(link), fault))

    def order(self, link: str, kind: OrderKind, count: int, fault: int, by_ns: int = 0) -> None:
        """Do something to the next `count` telemetry datagrams; `by_ns` is for "delay"."""
        self._send(messages.Obey(self._link(link), kind, count, fault, by_ns))

    def move(self, host: str, address: str) -> None:
        """The host has another address from now on."""
        self._send(messages.Move(self._host(host), address))

    def inject(self, host: str, packet: bytes) -> None:
        """A stranger's IPv4 packet reaches the host by no link."""
        host = self._host(host)
        for at in range(0, len(packet), PART_BYTES):
            part = packet[at : at + PART_BYTES]
            self._send(messages.Inject(host, part, at + PART_BYTES >= len(packet)))

    # --- news ---

    def said(self) -> list[Status]:
        """What the pump has said since this was last asked. Raises LinkError if it is dead."""
        try:
            heard = self._wire.receive_all()
        except ControlClosed:
            raise self._death() from None
        self._keep(heard)
        return [said for said in heard if isinstance(said, Status)]

    def stop(self, timeout_s: float) -> PumpResult:
        """End it in good order. Raises LinkError where it is dead or takes longer; it is gone then
        as well."""
        try:
            with suppress(ControlClosed):  # it may have ended already, by a signal
                self._wire.send(messages.Stop())
            deadline_s = time.monotonic() + timeout_s
            while (result := _result(self._last_words)) is None:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise LinkError(
                        f"The link pump did not end within {timeout_s:g} s and was killed."
                    )
                self._keep(self._await(left_s))
            return result
        finally:
            self.close()

    # --- the end ---

    def close(self) -> None:
        """End it now, however it is; without results. A second time does nothing."""
        self._wire.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- talking ---

    def _send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        try:
            self._wire.send(message, descriptors)
        except ControlClosed:
            raise self._death() from None

    def _await(self, timeout_s: float) -> list[messages.Said]:
        """What the pump says next; nothing when the time is over."""
        try:
            return self._wire.await_some(timeout_s)
        except ControlClosed:
            raise self._death() from None

    def _keep(self, heard: Sequence[messages.Said]) -> None:
        """Results can come before they are asked for: a signal ends a pump too."""
        self._last_words += (
            said for said in heard if isinstance(said, messages.LinkEnd | messages.Ended)
        )

    def _death(self) -> LinkError:
        """What there is to say of a pump that has cut its wire."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        status = self._process.poll()
        how = "cut its wire" if status is None else f"ended with status {status}"
        return LinkError(f"The link pump {how}: see {self._log_name}.")

    def _link(self, name: str) -> str:
        if name not in self._links:
            raise LinkError(
                f"The pump has no link {name!r}, only {', '.join(sorted(self._links))}."
            )
        return name

    def _host(self, name: str) -> str:
        if name not in self._hosts:
            raise LinkError(
                f"The pump has no host {name!r}, only {', '.join(sorted(self._hosts))}."
            )
        return name


def _result(words: Sequence[messages.LinkEnd | messages.Ended]) -> PumpResult | None:
    """The result that a pump told; None where it has not told all of it yet."""
    ends = [said for said in words if isinstance(said, messages.LinkEnd)]
    states = [pair for end in ends for pair in end.generators_end.items()]
    return next(
        (
            PumpResult(
                wire=tuple(row for end in ends for row in end.wire),
                achieved=tuple(row for end in ends for row in end.achieved),
                generators_end=dict(states),
                fired=said.fired,
            )
            for said in words
            if isinstance(said, messages.Ended)
        ),
        None,
    )
