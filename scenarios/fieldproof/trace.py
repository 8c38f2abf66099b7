"""The fate of one record, told from the evidence of a run: disks, indexes, log and ledger.

A record is named by its site and the second of its first sample as the site's clock had it. Its
bytes are looked for, never decoded: a record that arrived changed is told by the log, which names
payloads by the first 16 hexadecimal digits of their SHA-256. A second that is in no record at all
has its fate in the ledger alone.
"""

import datetime
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fieldproof.console import describe
from fieldproof.oracle import foreign, idx, trees
from fieldproof.scenario import Scenario
from fieldproof.store import StoreError, read_capsule

HEADER_BYTES = 20
POINT_BYTES = 6
DAY_S = 86400
SECOND_NS = 1_000_000_000


class Step(Struct, frozen=True):
    """One thing that happened to a record."""

    what: str  # sampled, archived, arrived, restored, filed, judged, or what the log calls it
    utc: str  # when, as far as the evidence says, else ""
    where: str  # a file below the run directory, or a link
    detail: str = ""


class Fate(Struct, frozen=True):
    """Everything that happened to a record, in order."""

    unit: str
    bytes: int  # 0 where no record holds the second
    sha256: str
    steps: tuple[Step, ...]


def fate(run_dir: Path, unit: str) -> Fate:
    """What became of the record `unit`, such as `daws:2006-01-17T16:23:05`, in a stored run.

    Raises StoreError where the text names no record or the run holds none of it."""
    scenario = read_capsule(run_dir).scenario
    site, first_s = _parse(unit, run_dir, scenario)
    path = trees.hour_path(site, first_s)
    disks = run_dir / "disks"
    at_edge, at_center = disks / site / path, disks / scenario.center.name / path
    places = (_find(run_dir, path, site, first_s) for path in (at_edge, at_center))
    record = next(filter(None, places), None)
    if record is None:
        judged = tuple(_judged(run_dir, site, first_s, "", scenario))
        if judged:
            return Fate(unit, 0, "", judged)
        near = _nearest(run_dir, at_edge, site, first_s)
        raise StoreError(f"Run {run_dir} holds no record {unit}.{near}")
    digest = sha256(record).hexdigest()
    steps = (
        Step("sampled", _utc(first_s * SECOND_NS), site, "first sample, by the site's clock"),
        *_holds(run_dir, at_edge, record, "archived"),
        *_logged(run_dir, digest[:16], scenario),
        *_arrived(run_dir, disks / scenario.center.name, record),
        *_restored(run_dir, disks / scenario.center.name, site, first_s),
        *_holds(run_dir, at_center, record, "filed"),
        *_judged(run_dir, site, first_s, digest[:16], scenario),
    )
    return Fate(unit, len(record), digest, steps)


def render(told: Fate) -> str:
    """A fate as text, a line for each step."""
    lines = [f"{told.unit}   {told.bytes} B   sha256 {told.sha256[:16]}"]
    for step in told.steps:
        lines.append(f"  {step.what:<10} {step.utc:<27}  {step.where}   {step.detail}".rstrip())
    return "\n".join(lines) + "\n"


def _parse(unit: str, run_dir: Path, scenario: Scenario) -> tuple[str, int]:
    site, _, text = unit.partition(":")
    if site not in [node.name for node in scenario.sites]:
        sites = ", ".join(node.name for node in scenario.sites)
        raise StoreError(f"Unit {unit!r} names no site of {run_dir}; its sites are: {sites}.")
    try:
        moment = datetime.datetime.fromisoformat(text.removesuffix("Z"))
        if moment.tzinfo is not None:
            raise ValueError(text)  # all times here are UTC
    except ValueError:
        raise StoreError(
            f"Unit {unit!r} has no UTC time after its site, such as {site}:2006-01-17T16:23:05."
        ) from None
    return site, int(moment.replace(tzinfo=datetime.UTC).timestamp())


def _headers(site: str, timestamp: bytes) -> re.Pattern[bytes]:
    """Matches headers of the site's records: stream, site, version, rate, spare, time, points."""
    return re.compile(rb"XRIO(?i:%b)0.{3}(%b)(..)" % (site.encode(), timestamp), re.DOTALL)


def _find(run_dir: Path, path: Path, site: str, first_s: int) -> bytes | None:
    """The record of an hour file that begins at `first_s`."""
    data = _held(run_dir, path)
    match = _headers(site, re.escape(first_s.to_bytes(4, "little"))).search(data)
    if match is None:
        return None
    size = HEADER_BYTES + POINT_BYTES * int.from_bytes(match[2], "little")
    return data[match.start() : match.start() + size]


def _nearest(run_dir: Path, path: Path, site: str, first_s: int) -> str:
    """A hint at the record of the same hour that begins nearest."""
    data = _held(run_dir, path)
    found = [int.from_bytes(match[1], "little") for match in _headers(site, b"....").finditer(data)]
    if not found:
        return ""
    nearest_s = min(found, key=lambda stamp_s: abs(stamp_s - first_s))
    return f" The nearest is {site}:{_utc(nearest_s * SECOND_NS)[:19]}."


def _held(run_dir: Path, path: Path) -> bytes:
    """What a file of a host's disk holds; empty where there is nothing to be read."""
    return foreign.content(run_dir, path.relative_to(run_dir).as_posix()) or b""


def _holds(run_dir: Path, path: Path, record: bytes, what: str) -> Iterator[Step]:
    if (at := _held(run_dir, path).find(record)) >= 0:
        yield Step(what, "", str(path.relative_to(run_dir)), f"at byte {at}")


def _logged(run_dir: Path, sha: str, scenario: Scenario) -> Iterator[Step]:
    """What the log says of the payload: lost, corrupted, duplicated, delayed; and what nodes say
    of it: quarantined."""
    with (run_dir / "log.jsonl").open("rb") as log:
        for line in log:
            if sha.encode() in line:
                event = msgspec.json.decode(line)
                if "said" in event:
                    why = f"in its own words: {event['detail'].get('reason', '')}".rstrip(": ")
                    yield Step(event["said"], event["utc"], event["by"], why)
                else:
                    yield Step(event["what"], event["utc"], event["where"], _cause(event, scenario))


def _cause(event: dict[str, Any], scenario: Scenario) -> str:
    number = event.get("fault", -1)
    if number < 0:
        return str(event.get("cause", ""))
    timed = scenario.faults[number]
    return f"{event.get('cause', '')} (fault at {timed.when}: {describe(timed.fault)})".lstrip()


def _arrived(run_dir: Path, center: Path, record: bytes) -> Iterator[Step]:
    """Every time that the record came whole to the center, by the center's clock."""
    for file in trees.arrival_files(center):
        data = center / f"{file.path}.dat"
        index = center / f"{file.path}.idx"
        content = _held(run_dir, data)
        if record not in content:
            continue
        for entry in idx.parse(_held(run_dir, index)).entries:
            if content[entry.offset : entry.offset + entry.size] == record:
                where = f"{data.relative_to(run_dir)}"
                detail = f"at byte {entry.offset}, from {entry.source}"
                yield Step("arrived", _utc(entry.arrived_utc_ns), where, detail)


def _restored(run_dir: Path, center: Path, site: str, first_s: int) -> Iterator[Step]:
    """The repairs that brought the stretch of the day in which the record lies."""
    day_s, second = first_s // DAY_S * DAY_S, first_s % DAY_S
    path = center / f"provenance/{_utc(day_s * SECOND_NS)[:10].replace('-', '/')}/{site}.jsonl"
    for note in foreign.notes(_held(run_dir, path)).lines:
        after_s, before_s = (foreign.number(note.get(key)) for key in ("after_s", "before_s"))
        if note.get("what") != "restored" or after_s is None or before_s is None:
            continue
        if after_s < second < before_s:
            size, utc_ns = note.get("bytes"), note.get("utc_ns")
            detail = f"by a repair that brought {size if isinstance(size, int) else '?'} B"
            when = _utc(utc_ns) if isinstance(utc_ns, int) and 0 <= utc_ns < 2**63 else ""
            yield Step("restored", when, str(path.relative_to(run_dir)), detail)


def _judged(run_dir: Path, site: str, first_s: int, sha: str, scenario: Scenario) -> Iterator[Step]:
    """What the ledger says of the record, or of the run of samples that holds its first second.

    A record that was delivered has no line of its own."""
    path = run_dir / "ledger.jsonl"
    first = _utc(first_s * SECOND_NS)[:19]
    for line in path.read_bytes().splitlines() if path.exists() else ():
        unit = msgspec.json.decode(line)
        if unit["site"] != site or "fate" not in unit:
            continue
        if sha == unit.get("sha", "") and (sha or unit["first"][:19] <= first < unit["until"][:19]):
            how = unit.get("by") or _cause(unit, scenario)
            yield Step(
                "judged", unit.get("at", ""), unit.get("hop", site), f"{unit['fate']}: {how}"
            )


def _utc(utc_ns: int) -> str:
    second, fraction_ns = divmod(utc_ns, SECOND_NS)
    moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction_ns // 1000:06d}Z"
