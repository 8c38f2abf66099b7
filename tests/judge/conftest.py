"""A small run directory, written by hand: two sites, one judged hour, three faults, all repaired.

The story: daws and gill send a record a minute from 15:55 to 17:04. Daws loses one datagram at
16:20 (fault 0), the center is down from 16:30 to 16:35 (fault 1), and daws is killed at 16:40:20
for ten seconds (fault 2). Everything that arrived late was restored, so every claim holds. A test
spoils one thing and looks at what the judge says.

Records, index lines and log lines are packed here, apart from the system and from the oracle.
"""

import datetime
import json
import struct
import zlib
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fieldproof.checks import (
    accounted,
    archive_bytes,
    identical,
    in_order,
    latency,
    lost_exactly,
    quarantined,
    raw_untouched,
    received_daily,
    sometimes,
    split_recovered,
    wire_bytes,
)
from fieldproof.faults import CenterDown, Kill, Lose, at
from fieldproof.scenario import Center, Link, Scenario, Site, to_json
from fieldproof_simulators.instruments.riometer import Riometer

S = 1_000_000_000
BEGINS_S = 1137513600 - 600 - 600  # 2006-01-17T15:40Z
STARTS_S = BEGINS_S + 1200  # 16:00Z
HOUR = 3600
ADDRESSES = {"daws": "198.51.100.1", "gill": "198.51.100.2"}
PHASES = {"daws": 5, "gill": 35}


def clock_s(text):
    """Unix second of HH:MM:SS on the day of the story."""
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return STARTS_S - 16 * HOUR + hours * HOUR + minutes * 60 + seconds


def sha16(data):
    """How the log names a payload."""
    return sha256(data).hexdigest()[:16]


def pack(site, label_s, points):
    """A record of points (average, range, npoints)."""
    header = struct.pack(
        "<4s4scBHIHH", b"XRIO", site.upper().encode(), b"0", 1, 0, label_s, len(points), 0
    )
    return header + b"".join(struct.pack("<3H", *point) for point in points)


def measure(codes, floor=False):
    """The point of some samples."""
    total, count = int(codes.sum(dtype=np.int64)), len(codes)
    average = total // count if floor else (2 * total + count) // (2 * count)
    return average, int(codes.max()) - int(codes.min()), count


def record(riometer, site, label_s, bounds=None, floor=False):
    """A record of sixty seconds from `label_s` on; `bounds` are the 61 samples between them."""
    if bounds is None:
        seconds_ns = (np.arange(61) + label_s - BEGINS_S) * S
        bounds = riometer.firsts_at(seconds_ns).tolist()
    points = [measure(riometer.codes(*pair), floor) for pair in pairwise(bounds)]
    return pack(site, label_s, points)


def index_line(utc_ns, source, size, offset, first):
    """A line of an .idx file, as in the 2006 text."""
    moment = datetime.datetime.fromtimestamp(utc_ns // S, datetime.UTC)
    text = f"{moment:%Y-%m-%d %H:%M:%S}.{utc_ns % S // 1000:06d} {24985:7d}  {source:<21}"
    return f"{text}{size:7d} {offset:12d}  {''.join(f'{byte:02x} ' for byte in first)}\n"


class History:
    """What happened, as lists to spoil before `write`. Times in the lists are UTC ns."""

    def __init__(self, root, checks=None):
        self.root = root
        self.faults = (
            at("16:20", Lose("vsat")),
            at("16:30", CenterDown(), until="16:35"),
            at("16:40:20", Kill("daws", restart_after_s=10)),
        )
        self.riometers = {site: Riometer(site, 1, BEGINS_S * S) for site in ADDRESSES}
        self.edge = {site: self._records(site) for site in ADDRESSES}
        self.center = {site: list(records) for site, records in self.edge.items()}
        self.raw = {site: [] for site in ADDRESSES}  # (arrival, payload)
        self.log = []
        self.index_shift = {}  # (site, row): bytes added to the offset of an index line
        self.wire = {"telemetry": [0, 0], "repair": [4, 400]}  # packets, bytes
        self.quarantine = []
        self.reconciles = True
        self.more_at_center = {}  # files on the center's disk, by path
        stretches = (("16:18:00", "16:21:00"), ("16:28:00", "16:36:00"))
        self.restored = [tuple(clock_s(text) % 86_400 for text in pair) for pair in stretches]
        self.settled = True
        self.more = {}  # of world.json: what only a live run has
        self.declared = {}  # by site: lines of its own declaration
        self.fired = [1, 1, 1]
        self.leaps = []
        self._send()
        self.checks = self._checks() if checks is None else checks

    def _records(self, site):
        starts = range(clock_s("15:55:00") + PHASES[site], clock_s("17:05:00"), 60)
        if site == "daws":  # killed at 16:40:20, up again at 16:40:30
            before = [label for label in starts if label < clock_s("16:40:05")]
            starts = [*before, *range(clock_s("16:40:30"), clock_s("17:05:00"), 60)]
        return [record(self.riometers[site], site, label) for label in starts]

    def _send(self):
        for site in ADDRESSES:
            for data in self.edge[site]:
                label_s = int.from_bytes(data[12:16], "little")
                arrival_ns = (label_s + 60) * S + 900_000_000
                self.wire["telemetry"][0] += 1
                self.wire["telemetry"][1] += len(data) + 28
                if site == "daws" and label_s == clock_s("16:19:05"):
                    self.lose(data, arrival_ns, "lose", 0)
                elif clock_s("16:30:00") * S <= arrival_ns <= clock_s("16:35:00") * S:
                    self.lose(data, arrival_ns, "host down", 1)
                else:
                    self.raw[site].append((arrival_ns, data))
        for site in ADDRESSES:
            facts = {"site": site, "day": "2006-01-17", "method": "gaps"}
            self.say(clock_s("17:05:00") * S, "center/reconcile", "repaired", **facts)

    def _checks(self):
        plain = [zlib.compress(data, 6) for data in self.hour_files("daws")[1].values()]
        received = len(self.raw["daws"])
        return (
            lost_exactly("vsat", 11),
            identical("center:*", to="edges"),
            identical("*", to="oracle"),
            accounted(),
            in_order(),
            raw_untouched(),
            wire_bytes("vsat", "repair", at_most=400),
            latency("daws", p50_s=1.0, p99_s=1.0),
            quarantined("*", 0),
            received_daily("daws", (received,)),
            split_recovered("daws"),
            split_recovered("gill"),
            sometimes("repaired", where="center/reconcile", at_least=2),
            archive_bytes("daws", zlib6_bytes=len(plain[0])),
        )

    def go_live(self):
        """The same story in real time: the kernel says nothing of what met a center that was down,
        faults strike when they can, and links, lines and machine have figures."""
        self.log = [line for line in self.log if line.get("cause") != "host down"]
        self.checks = tuple(
            check
            for check in self.checks
            if type(check).__struct_config__.tag not in ("lost_exactly", "split_recovered")
        )
        begins_s = clock_s("16:00:00") - 1200
        times = [("16:20:00", None), ("16:30:00", "16:35:00"), ("16:40:20", "16:40:30")]
        self.more = {
            "tier": "live",
            "isolation": "user, network, PID and mount namespaces",
            "commands": {"edge": "edge", "center": "center"},
            "struck_ns": [
                [text and (clock_s(text) - begins_s) * S + 4_000_000 for text in pair]
                for pair in times
            ],
            "links": [
                {
                    "link": "vsat",
                    "direction": "up",
                    "backend": "tun",
                    "offered": 140,
                    "delivered": 139,
                    "lost_by_model": 0,
                    "lost_by_fault": 1,
                    "lost_by_machine": 0,
                    "asked_delay_ms": 300.0,
                    "asked_jitter_ms": 20.0,
                    "delay_p50_ms": 300.4,
                    "delay_p99_ms": 319.2,
                    "late_p50_ms": 0.1,
                    "late_p99_ms": 1.2,
                    "late_max_ms": 9.9,
                }
            ],
            "lines": [
                {
                    "site": site,
                    "samples": 216_000,
                    "late_p50_ms": 0.1,
                    "late_p99_ms": 2.3,
                    "late_max_ms": 26.6,
                    "overrun_bytes": 0,
                    "port": "/dev/pts/3",
                }
                for site in ADDRESSES
            ],
            "machine": {"wake_p99_ms": 1.0, "wake_max_ms": 8.0, "clock_stepped_ms": 0.1},
            "processes": [{"name": "pump", "cpu_s": 1.5, "rss_mb": 31.0}],
        }

    def hour_files(self, site):
        """The edge's hour files: all, and those of the judged hour, by path."""
        files = self.tree(site, self.edge[site])
        return files, {path: data for path, data in files.items() if "_16_" in path}

    # --- what tests do ---

    def replace(self, site, number, data):
        """Another record in the place of one, everywhere."""
        old = self.edge[site][number]
        self.edge[site][number] = data
        self.center[site][self.center[site].index(old)] = data
        self.raw[site] = [(when, data if one == old else one) for when, one in self.raw[site]]

    def remove(self, site, number):
        """As if a record had never been made."""
        old = self.edge[site].pop(number)
        self.center[site].remove(old)
        self.raw[site] = [entry for entry in self.raw[site] if entry[1] != old]
        self.wire["telemetry"][0] -= 1

    def number_of(self, site, text):
        """The place of the record labelled HH:MM:SS."""
        labels = [int.from_bytes(data[12:16], "little") for data in self.edge[site]]
        return labels.index(clock_s(text))

    def note(self, utc_ns, where, what, **detail):
        """A fact in the log."""
        self.log.append({"ns": utc_ns - BEGINS_S * S, "where": where, "what": what, **detail})

    def say(self, utc_ns, by, said, **detail):
        """The words of a node in the log."""
        self.log.append({"ns": utc_ns - BEGINS_S * S, "by": by, "said": said, "detail": detail})

    def lose(self, data, utc_ns, cause, fault):
        """A line on a lost datagram."""
        facts = {"direction": "up", "purpose": "telemetry", "bytes": len(data) + 28}
        self.note(utc_ns, "vsat", "lost", cause=cause, fault=fault, sha=sha16(data), **facts)

    # --- writing ---

    def write(self):
        """The run directory."""
        sites = tuple(
            Site(site, via="vsat", address=ADDRESSES[site], phase_s=PHASES[site])
            for site in ADDRESSES
        )
        scenario = Scenario(
            name="by-hand",
            story="A run that a test wrote by hand.",
            starts="2006-01-17T16:00Z",
            lasts="1h",
            links=(Link("vsat"),),
            nodes=(*sites, Center(reconciles=self.reconciles)),
            faults=self.faults,
            checks=self.checks,
            tiers=(self.more.get("tier", "virtual"),),
        )
        self.root.mkdir(exist_ok=True)
        (self.root / "scenario.json").write_bytes(to_json(scenario, 1))
        log = b"".join(json.dumps(line).encode() + b"\n" for line in self.log)
        (self.root / "log.jsonl").write_bytes(log)
        (self.root / "world.json").write_bytes(msgspec.json.encode(self.world(log)))
        for site in ADDRESSES:
            self._store(f"disks/{site}", self.tree(site, self.edge[site]))
            self._store("disks/center", self.tree(site, self.center[site]))
            self._store("disks/center", self.arrivals(site))
            self._store("disks/center", self._provenance(site))
            lines = b"".join(self.declared.get(site, ()))
            self._store(f"disks/{site}", {f"declared/{site}.jsonl": lines} if lines else {})
        self._store("disks/center", self._quarantine())
        self._store("disks/center", self.more_at_center)
        return self.root

    def world(self, log):
        """The content of world.json."""
        wire = [
            {
                "link": "vsat",
                "direction": "up",
                "purpose": purpose,
                "packets": packets,
                "bytes": size,
                "lost_packets": 0,
                "lost_bytes": 0,
            }
            for purpose, (packets, size) in self.wire.items()
        ]
        host = {"lives": [[0, None]], "utc_offset": [[0, 0, 0]]}
        return {
            "schema": "fieldproof-world/1",
            "system": "reference",
            "begins_utc_ns": BEGINS_S * S,
            "judged_ns": [1200 * S, 4800 * S],
            "ends_ns": 7200 * S,
            "leaps_ns": self.leaps,
            "settled": self.settled,
            "settled_ns": 5400 * S if self.settled else None,
            "wire": wire,
            "faults": [
                {"at": timed.when, "until": timed.until, "kind": "fault", "fired": fired}
                for timed, fired in zip(self.faults, self.fired, strict=True)
            ],
            "generators_end": {"link:vsat:up": "0"},
            "log_sha256": sha256(log).hexdigest(),
            "hosts": {"daws": host, "gill": host, "center": host},
            "rate_segments": {site: [[0, 50_000]] for site in ADDRESSES},
            "seconds": 1.0,
            **self.more,
        }

    def tree(self, site, records):
        """Hour files of records, by path."""
        files = {}
        for data in records:
            label_s = int.from_bytes(data[12:16], "little")
            moment = datetime.datetime.fromtimestamp(label_s, datetime.UTC)
            path = f"riometer/{moment:%Y/%m/%d}/{site}_xrio/{moment:%Y%m%d_%H}_{site}_xrio.dat"
            files[path] = files.get(path, b"") + data
        return files

    def arrivals(self, site):
        """Arrival files of a site, by path."""
        files = {}
        for row, (utc_ns, payload) in enumerate(self.raw[site]):
            moment = datetime.datetime.fromtimestamp(utc_ns // S, datetime.UTC)
            stem = f"udp/{moment:%Y/%m/%d}/{ADDRESSES[site]}/ut{moment:%H}_24985"
            data = files.get(f"{stem}.dat", b"")
            offset = len(data) + self.index_shift.get((site, row), 0)
            source = f"{ADDRESSES[site]}:32769"
            line = index_line(utc_ns, source, len(payload), offset, payload[:4])
            files[f"{stem}.dat"] = data + payload
            files[f"{stem}.idx"] = files.get(f"{stem}.idx", b"") + line.encode()
        return files

    def _provenance(self, site):
        """Each repaired stretch, as seconds of the day around it."""
        lines = [
            json.dumps({"what": "restored", "after_s": after_s, "before_s": before_s})
            for after_s, before_s in self.restored
        ]
        text = "".join(f"{line}\n" for line in lines)
        return {f"provenance/2006/01/17/{site}.jsonl": text.encode()}

    def _quarantine(self):
        files = {}
        for reason, data in self.quarantine:
            folder = "quarantine/2006/01/17"
            files[f"{folder}/{reason}-{sha16(data)}.bin"] = data
            note = {"reason": reason, "bytes": len(data), "sha256": sha256(data).hexdigest()}
            line = json.dumps(note).encode() + b"\n"
            notes = f"{folder}/provenance.jsonl"
            files[notes] = files.get(notes, b"") + line
        return files

    def _store(self, folder, files):
        for path, data in files.items():
            target = Path(self.root / folder / path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


@pytest.fixture
def history(tmp_path):
    """The story as it happened, before anything is spoiled."""
    return History(tmp_path / "run")


@pytest.fixture
def kit():
    """The packers, for tests that build records of their own."""
    import types

    names = (
        "ADDRESSES",
        "BEGINS_S",
        "S",
        "clock_s",
        "index_line",
        "measure",
        "pack",
        "record",
        "sha16",
    )
    return types.SimpleNamespace(**{name: globals()[name] for name in names})
