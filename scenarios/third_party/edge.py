"""A riometer edge for the live tier, written without fieldproof: it reads serial words, files a
record a minute, and sends each to the center. THIRD-PARTY.md, one folder up, is all it knows."""

import os
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import serial

SECOND_NS, RATE_HZ, RECORD_POINTS, RECORD_BYTES = 10**9, 60, 60, 380


class Recorder:
    """Words of the line become samples, the samples of a second a point, sixty points a record."""

    def __init__(self, site: str) -> None:
        self.head = b"XRIO" + site.upper().encode("ascii") + b"0\x01\0\0"
        self.half: int | None = None  # first byte of a word that waits for its second
        self.begins_s = 0  # UTC second of the open record's first point
        self.points: list[tuple[int, int, int]] = []
        self.codes: list[int] = []  # samples of the open second

    def read(self, data: bytes, utc_ns: int) -> Iterator[bytes]:
        """The records that are complete with these bytes, the last of which came at `utc_ns`."""
        codes = []
        for byte in data:
            if byte < 0x40 and self.half is not None:
                codes.append((self.half & 0x3F) << 6 | byte)
            self.half = byte if 0x80 <= byte < 0xC0 else None
        for later, code in zip(range(len(codes))[::-1], codes, strict=True):
            yield from self.sample(code, (utc_ns - later * SECOND_NS // RATE_HZ) // SECOND_NS)

    def sample(self, code: int, second: int) -> Iterator[bytes]:
        """Take a sample of a UTC second. A second that is over stays over, whatever clocks do."""
        if not self.points and not self.codes:
            self.begins_s = second
        while self.begins_s + len(self.points) < second:
            n, codes, self.codes = len(self.codes), self.codes, []
            self.points.append((sum(codes) // n, max(codes) - min(codes), n) if n else (0, 0, 0))
            if len(self.points) == RECORD_POINTS:
                values = [value for point in self.points for value in point]
                yield self.head + struct.pack("<IHH180H", self.begins_s, RECORD_POINTS, 0, *values)
                self.begins_s, self.points = second, []
        self.codes.append(code)


def file_record(archive: Path, site: str, record: bytes) -> None:
    """Add a record to its hour, durably, behind the last whole one: a death may leave a half."""
    utc = time.gmtime(int.from_bytes(record[12:16], "little"))
    path = archive / time.strftime(f"riometer/%Y/%m/%d/{site}_xrio/%Y%m%d_%H_{site}_xrio.dat", utc)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.truncate(file.tell() // RECORD_BYTES * RECORD_BYTES)
        if file.write(record) < RECORD_BYTES:
            raise OSError("The disk took half a record.")
        os.fsync(file)


def readings(port: str) -> Iterator[bytes]:
    """What the line brings, as it comes; b"" where what follows continues nothing."""
    while True:
        try:
            with serial.Serial(port, 9600, timeout=1) as line:
                yield b""
                while True:
                    yield line.read(line.in_waiting or 1)
        except (OSError, termios.error):  # unplugged, or not there yet
            time.sleep(0.1)


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = {name.removeprefix("FIELDPROOF_"): value for name, value in os.environ.items()}
    if told["ROLE"] != "edge" or "STATUS" in told:  # it has no status monitor
        sys.exit(77)
    offset_ns = round(float(told["UTC_OFFSET_S"]) * SECOND_NS)
    host, _, port = told["CENTER"].rpartition(":")
    recorder, waiting = Recorder(told["SITE"]), list[bytes]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((told["ADDRESS"], 0))
        for data in readings(told["SERIAL"]):
            recorder.half = recorder.half if data else None
            waiting.extend(recorder.read(data, time.time_ns() + offset_ns))
            with suppress(OSError):  # a full disk is tried again, a network that is down is not
                while waiting:
                    file_record(Path(told["ARCHIVE"]), told["SITE"], waiting[0])
                    udp.sendto(waiting.pop(0), (host, int(port)))


if __name__ == "__main__":
    main()
