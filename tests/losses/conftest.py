"""Trees of index files, written here and not by the system: as another receiver might have.

Test files do not import each other: they get all of this as the fixture `kit`.
"""

import contextlib
import datetime
import io
import json
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from fieldproof_reference.losses import losses

S = 1_000_000_000
DAY = 13_165  # 2006-01-17
DAY_S = DAY * 86_400
DAWS, GILL, RANK = "206.172.47.234", "198.51.100.2", "2001:db8::7"


def index_line(utc_ns, source, size=380, offset=0, port=24985, first=b"XRIO"):
    """A line as the text of 2006 has it."""
    moment = datetime.datetime.fromtimestamp(utc_ns // S, datetime.UTC)
    host = f"[{source}]" if ":" in source else source
    text = f"{moment:%Y-%m-%d %H:%M:%S}.{utc_ns % S // 1000:06d} {port:7d}  {host + ':32769':21s}"
    return f"{text}{size:7d} {offset:12d}  {''.join(f'{byte:02x} ' for byte in first)}\n".encode()


def record(second, site=b"DAWS"):
    """A record whose first sample is of that Unix second."""
    header = struct.pack("<4s4scBHIHH", b"XRIO", site, b"0", 1, 0, second, 60, 0)
    return header + struct.pack("<180H", *((2048, 3, 60) * 60))


def minutes(phase_s, from_minute=0, until_minute=1440, without=()):
    """Arrivals of the day, one a minute: UTC ns, with the jitter of a watcher that polls."""
    return [
        (DAY_S + 60 * minute + phase_s) * S + (240_000_000 if minute % 2 else -240_000_000)
        for minute in range(from_minute, until_minute)
        if minute not in without
    ]


class Tree:
    """A tree to be written: by source and port the arrivals, each with its bytes or without."""

    def __init__(self, root):
        self.root = Path(root)
        self._folders = set()

    def put(self, source, came, port=24985, site=None, first=b"XRIO"):
        """Arrivals (UTC ns) of a source; with a site there is a .dat of records, too."""
        files = {}
        for utc_ns in came:
            second = utc_ns // S
            payload = None if site is None else record(second - 61, site)
            index = self.index(source, second, port)
            files.setdefault(index, []).append((utc_ns, payload))
        for index, datagrams in files.items():
            self._extend(index, source, port, datagrams, first)

    def add(self, source, utc_ns, payload=None, port=24985):
        """One datagram, with its bytes or without."""
        self._extend(self.index(source, utc_ns // S, port), source, port, [(utc_ns, payload)])

    def _extend(self, index, source, port, datagrams, first=b"XRIO"):
        dat = index.with_suffix(".dat")
        lines = index.read_bytes() if index.exists() else b""
        data = dat.read_bytes() if dat.exists() else b""
        for utc_ns, payload in datagrams:
            offset = 380 * lines.count(b"\n") if payload is None else len(data)
            size, shown = (380, first) if payload is None else (len(payload), payload[:4])
            lines += index_line(utc_ns, source, size, offset, port, shown)
            data += payload or b""
        index.write_bytes(lines)
        if data:
            dat.write_bytes(data)

    def index(self, source, utc_s, port=24985):
        """The path of an index file, whose folder is there."""
        moment = datetime.datetime.fromtimestamp(utc_s, datetime.UTC)
        path = self.root / f"{moment:%Y/%m/%d}/{source}/ut{moment:%H}_{port}.idx"
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        return path


def run(*argv, now_s=DAY_S + 40 * 86_400):
    """What the command prints, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = losses([str(word) for word in argv], lambda: now_s * S)
        except SystemExit as ended:
            code = ended.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def document(*argv, **more):
    """The report as JSON."""
    done = run(*argv, "--json", **more)
    assert (0, "") == (done.code, done.err), done.err
    return json.loads(done.out)


def stream(*argv, name=DAWS, port=24985, **more):
    """One stream of the report."""
    found = document(*argv, **more)["streams"]
    return next(each for each in found if (each["name"], each["port"]) == (name, port))


CAUSES = ("network", "server", "receiver", "untold")


def causes(figures):
    """The causes of the missing ones, those of no weight left out."""
    return {cause: figures[cause] for cause in CAUSES if figures[cause]}


@pytest.fixture(scope="session")
def kit():
    """Everything of this file that tests use; it holds no state."""
    return SimpleNamespace(
        DAWS=DAWS,
        DAY=DAY,
        DAY_S=DAY_S,
        GILL=GILL,
        RANK=RANK,
        S=S,
        Tree=Tree,
        causes=causes,
        document=document,
        index_line=index_line,
        minutes=minutes,
        record=record,
        run=run,
        stream=stream,
    )
