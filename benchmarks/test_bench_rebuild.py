"""A month of twelve sites filed once more from the raw tree: time, memory, and the same bytes."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from fieldproof.norstar import SITES
from fieldproof_contract import Address
from fieldproof_reference.center import rebuild as core
from fieldproof_reference.formats import idx, trees, xrio
from fieldproof_reference.live.fresh import Fresh, Glance
from fieldproof_reference.live.tree import Tree

FIRST_DAY, DAYS = 13_118, 31  # December 2005
MOST_MB = 150

MEMORY = """
import resource, sys
from pathlib import Path
from fieldproof_reference.rebuild import rebuild
raw, into, sites = sys.argv[1:]
rebuild([raw, "--into", into, "--sites", sites])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def arrivals(records, number, site):
    """What one site sends in the month: the day's records again and again, under its name."""
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        for record in records:
            first_s = day * 86_400 + xrio.timestamp_s(record) % 86_400
            stamp = first_s.to_bytes(4, "little")
            yield (
                first_s + 61,
                record[:4] + site.upper().encode() + record[8:12] + stamp + record[16:],
            )


def store(root, records):
    """The raw tree of the month below a folder."""
    for number, site in enumerate(SITES):
        source = Address(f"10.0.0.{number}", 32_769)
        files: dict[str, list[bytes]] = {}
        for arrived_s, record in arrivals(records, number, site):
            dat, index = (
                files.setdefault(trees.arrival_path(arrived_s, source.host, 24_985, suffix), [])
                for suffix in ("dat", "idx")
            )
            at = xrio.RECORD_BYTES * len(dat)
            entry = idx.Entry(arrived_s * 10**9, 24_985, source, len(record), at, record[:4])
            dat.append(record)
            index.append(idx.line(entry))
        for path, parts in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"".join(parts))


@pytest.fixture(scope="module")
def raw_month(hour_files, tmp_path_factory) -> Path:
    """The folder of a center that has received a month of twelve sites, and nothing else."""
    root = tmp_path_factory.mktemp("month")
    records = [
        data[span.offset : span.offset + span.size]
        for data in hour_files.values()
        for span in xrio.walk(data)
    ]
    store(root, records)
    return root


def filed_anew(raw: Path, into: Path) -> Fresh:
    """Everything that the raw tree gives."""
    tree = Tree(raw)
    try:
        archive, fresh = Glance(tree), Fresh(into)
        for effects in core.refiled(archive, fresh, SITES):
            fresh.perform(effects)
        for effects in core.derived(fresh):
            fresh.perform(effects)
        fresh.flush()
        return fresh
    finally:
        tree.close()


def counts(fresh: Fresh) -> dict[str, int]:
    """What was made."""
    paths = fresh.listing(core.CANONICAL)
    size = sum(fresh.size(path) or 0 for path in paths)
    return {"records": size // xrio.RECORD_BYTES, "bytes": size, "hour files": len(paths)}


def test_rebuild(measure, raw_month, tmp_path_factory):
    """Twelve sites and 31 days are validated, filed and flagged from raw; the target is 15 s."""
    fresh = measure(
        "rebuild, 12 sites x 31 days",
        filed_anew,
        setup=lambda: ((raw_month, tmp_path_factory.mktemp("rebuilt")), {}),
        counts=counts,
        rounds=2,
    )
    assert counts(fresh)["records"] == 12 * 31 * 1440
    assert fresh.logs == []
    digests = {sha256(fresh.read(path)).digest() for path in fresh.listing(core.CANONICAL)}
    assert len(digests) == 12 * 31 * 24


def test_memory(raw_month, tmp_path):
    """The command, in a process of its own, stays within 150 MB at its peak."""
    argv = [sys.executable, "-c", MEMORY, str(raw_month), str(tmp_path / "new"), ",".join(SITES)]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert int(said.splitlines()[-1]) <= MOST_MB
