"""What a pump writes: captures of raw IP, and the facts of its links.

Captures are pcap with nanoseconds (magic a1b23c4d, link type 101: the packet begins with its IP
header), stamped with true UTC. Facts are JSON, one a line, in the format of the run's log but
without "utc". Both go to the disk in batches, each second at the latest (`flush`); what was written
stays readable if the pump is killed, but for a cut last entry.
"""

from pathlib import Path
from struct import Struct

import msgspec

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.fates import Detail

MAGIC, LINK_TYPE_RAW, SNAP_BYTES = 0xA1B23C4D, 101, 0xFFFF
BATCH_BYTES = 1 << 18

_FILE_HEADER = Struct("<IHHiIII")
_PACKET_HEADER = Struct("<IIII")


class Batches:
    """A file that is appended to in large pieces. Raises OSError where it cannot be."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._chunks: list[bytes] = []
        self._waiting = 0

    def add(self, *chunks: bytes) -> None:
        """These bytes come next."""
        self._chunks += chunks
        self._waiting += sum(map(len, chunks))
        if self._waiting > BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand all of it to the kernel."""
        data = memoryview(b"".join(self._chunks))
        while data:
            data = data[self._file.write(data) :]
        self._chunks.clear()
        self._waiting = 0

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        self._file.close()


class Capture(Batches):
    """One pcap file. `begins_utc_ns` is true UTC at true time 0."""

    def __init__(self, path: Path, begins_utc_ns: int) -> None:
        super().__init__(path)
        self._begins_utc_ns = begins_utc_ns
        self.add(_FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAP_BYTES, LINK_TYPE_RAW))

    def packet(self, true_ns: int, raw: bytes) -> None:
        """A packet passed by. This is on the path of every packet, hence no call of `add`."""
        utc_s, ns = divmod(self._begins_utc_ns + true_ns, SECOND_NS)
        size = len(raw)
        self._chunks += (_PACKET_HEADER.pack(utc_s, ns, size, size), raw)
        self._waiting += size + 16
        if self._waiting > BATCH_BYTES:
            self.flush()


class Facts(Batches):
    """`facts.jsonl` of a pump, and the latest of them for who looks on."""

    KEPT = 100
    """Facts that wait to be shown; what comes on top is in the file only."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._latest: list[dict[str, str | int]] = []
        self._unshown = 0

    def say(self, ns: int, where: str, what: str, detail: Detail) -> None:
        """Something happened at a true time."""
        line = {"ns": ns, "where": where, "what": what, **detail}
        self.add(msgspec.json.encode(line), b"\n")
        if len(self._latest) < self.KEPT:
            self._latest.append(line)
        else:
            self._unshown += 1

    def latest(self) -> tuple[list[dict[str, str | int]], int]:
        """The facts since this was last asked, and how many more there were."""
        shown, self._latest = self._latest, []
        unshown, self._unshown = self._unshown, 0
        return shown, unshown
