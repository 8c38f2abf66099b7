"""What strangers send in a live run: raw packets that scapy makes in a process of its own.

The payload of a spoof is written by `fieldproof.forge`, apart from the reference's packers. What is
wrong with the packet around it, or with a packet of the run itself that comes back, is the forge's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fieldproof.faults import Spoof
from fieldproof.forge import forged
from fieldproof.live.messages import NotHere
from fieldproof.oracle.pcap import packets_of
from fieldproof.oracle.trees import TELEMETRY_PORT
from fieldproof.oracle.xrio import RECORD_BYTES
from fieldproof_contract import Address
from fieldproof_simulators.links.live import forge_orders
from fieldproof_simulators.links.live.forge import Forge, ForgeMissing

IP_UDP_BYTES = 28
OVERSIZED_RECORDS = 11
"""A datagram of so many records does not fit into one packet of 1500 bytes."""

FLIPPED_BITS = (8 * 20, 8 * 21 + 3)
"""Bits of the first point of a record: a value changes, and the record stays well-formed."""


class Forged(NamedTuple):
    """Packets that belong together, and the payload that a socket hears of them."""

    packets: tuple[bytes, ...]
    payload: bytes


class Strangers:
    """Starts its forge only where strangers are to speak. Raises NotHere where there is none."""

    def __init__(self, log: Path, are_wanted: bool) -> None:
        self._forge = Forge(log) if are_wanted else None
        if self._forge is not None:
            self._forge.start()

    @property
    def pid(self) -> int | None:
        """The forge's process, if there is one."""
        return None if self._forge is None else self._forge.pid

    def await_ready(self) -> None:
        """Wait until packets can be had at once."""
        try:
            if self._forge is not None:
                self._forge.await_ready()
        except ForgeMissing as error:
            raise NotHere(str(error)) from None

    def forge(
        self, spoof: Spoof, utc_s: int, to: Address, source_port: int, capture: Path
    ) -> Forged:
        """The packets of a spoof at Unix time `utc_s`; `capture` holds what crossed the site's link
        so far. Raises ForgeError."""
        assert self._forge is not None
        order, payload = self._order(spoof, utc_s, to, source_port, capture)
        return Forged(tuple(self._forge.make(order)), payload)

    def close(self) -> None:
        """The forge ends."""
        if self._forge is not None:
            self._forge.stop()

    def _order(
        self, spoof: Spoof, utc_s: int, to: Address, source_port: int, capture: Path
    ) -> tuple[forge_orders.Making, bytes]:
        match spoof.kind:
            case "replay" | "flipped":
                index, packet = list(_telemetry(capture))[-1]
                payload = packet[IP_UDP_BYTES:]
                if spoof.kind == "replay":
                    again = forge_orders.Replay(str(capture), index, spoof.source, source_port)
                    return again, payload
                return forge_orders.Flip(packet, FLIPPED_BITS), _flipped(payload)
            case "truncated-ip":
                kind: forge_orders.Kind = "truncated-ip"
                payload = _record(spoof, utc_s)
            case "oversized":
                kind, payload = "oversized", _record(spoof, utc_s) * OVERSIZED_RECORDS
            case _:
                kind, payload = "udp", forged(spoof, utc_s)
        made = forge_orders.Spoof(kind, spoof.source, source_port, to.host, to.port, payload)
        return made, payload


def _record(spoof: Spoof, utc_s: int) -> bytes:
    return forged(Spoof("forged", spoof.site, spoof.source), utc_s)


def _telemetry(capture: Path) -> Iterator[tuple[int, bytes]]:
    """The records in a capture of raw IP, and which packets they are."""
    for index, (_, packet) in enumerate(packets_of(capture.read_bytes())):
        is_udp = packet[9:10] == b"\x11" and packet[0:1] == b"\x45"
        port = int.from_bytes(packet[22:24], "big")
        if is_udp and port == TELEMETRY_PORT and len(packet) == IP_UDP_BYTES + RECORD_BYTES:
            yield index, packet


def _flipped(payload: bytes) -> bytes:
    bent = bytearray(payload)
    for bit in FLIPPED_BITS:
        bent[bit // 8] ^= 1 << bit % 8
    return bytes(bent)
