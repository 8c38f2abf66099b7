"""Histories that break one of the invariants I1 to I7 each, and centers that keep no notes."""

import json
import shutil
from hashlib import sha256

import pytest
from msgspec.structs import replace

from fieldproof.checks.invariants import INVARIANTS, NOTHING
from fieldproof.checks.raw import RawUntouched
from fieldproof.evidence import Evidence
from fieldproof.judge import implicit, judge
from fieldproof.oracle import notes, odd, refile, xrio
from fieldproof.oracle.refile import Owed
from fieldproof.scenario import from_json, to_json
from fieldproof.verdict import Verdict

DAY = "2006/01/17"
DAY_S = 86_400
BEATS = f"receiver/{DAY}.jsonl"
FLAGS = f"flags/{DAY}/daws.jsonl"
NOTED = f"provenance/{DAY}/daws.jsonl"
QUARANTINED = f"quarantine/{DAY}/provenance.jsonl"
KNOWN = refile.site_ids(("daws", "gill"))


@pytest.fixture
def ours(history):
    """The story with a center that keeps all our notes; the invariants are all that is claimed."""
    history.checks = ()
    history.more_at_center[BEATS] = b'{"began_s": 1137512400}\n'
    return history


def report(history):
    """The judge's report, in which no checker crashed."""
    found = judge(history.write())
    assert not any(claim.harness_fault for claim in found.claims), found.claims
    return found


def failing(history):
    """What fails, and why."""
    return {c.name: c.detail for c in report(history).claims if c.verdict is not Verdict.PASS}


def label(kit, text):
    """The bytes of the time of a record."""
    return kit.clock_s(text).to_bytes(4, "little")


def keep_out(history, data, reason="version", note=True, kept=True):
    """Put something into quarantine, or half of it."""
    sha = sha256(data).hexdigest()
    if note:
        line = json.dumps({"reason": reason, "sha256": sha}).encode() + b"\n"
        there = history.more_at_center.get(QUARANTINED, b"")
        history.more_at_center[QUARANTINED] = there + line
    if kept:
        history.more_at_center[f"quarantine/{DAY}/{reason}-{sha[:16]}.bin"] = data


def come(history, kit, data, text="16:12:30"):
    """A stranger sends a datagram from the site's own address."""
    came_ns = kit.clock_s(text) * kit.S
    history.raw["daws"].append((came_ns, data))
    history.raw["daws"].sort(key=lambda entry: entry[0])
    history.note(came_ns, "center", "spoofed", kind="forged", sha=kit.sha16(data))


def flag(offset, *flags, hour=16, size=380):
    """A line of the flags."""
    return json.dumps({"hour": hour, "offset": offset, "bytes": size, "flags": flags}).encode()


# --- the story as it is ---------------------------------------------------------------------------


def test_the_story_holds_all_invariants(ours):
    """Nothing spoiled: each invariant holds, and says what it looked at."""
    found = {claim.name: claim for claim in report(ours).claims}
    assert {} == failing(ours)
    for invariant in INVARIANTS:
        assert NOTHING != found[invariant.name].measured
    assert "129 = 129 + 0 + 0" == found["conserved"].measured


def test_every_run_with_an_archive_makes_them():
    """Both tiers, and stories that continue another; a run without an archive makes none."""
    every = (RawUntouched(), *INVARIANTS)
    for is_live in (False, True):
        assert set(every) <= set(implicit(is_live))
        assert set(every) <= set(implicit(is_live, ("daws",)))
        assert set(every).isdisjoint(implicit(is_live, archives=False))


def test_what_is_claimed_once_more_is_judged_once(ours):
    """A scenario may claim an invariant by name."""
    ours.checks = (RawUntouched(),)
    names = [claim.name for claim in report(ours).claims]
    assert 1 == names.count("raw_untouched")


# --- I1 -------------------------------------------------------------------------------------------


def test_a_byte_changed_in_the_raw_tree_fails_raw_untouched(ours):
    """One bit of a sample is another than what came; the record filed from it has no origin."""
    when, data = ours.raw["daws"][20]
    ours.raw["daws"][20] = (when, data[:100] + bytes([data[100] ^ 1]) + data[101:])
    assert {"raw_untouched", "nothing_vanished", "origins_noted"} == failing(ours).keys()


def flipped(data, index):
    """One bit of a sample is another."""
    return data[:100] + bytes([data[100] ^ 1]) + data[101:], index


def shortened(data, index):
    """The last datagram and its line are gone."""
    return data[:-380], b"".join(index.splitlines(keepends=True)[:-1])


@pytest.mark.parametrize("spoil", [flipped, shortened])
def test_a_raw_tree_that_was_rewritten_fails_raw_untouched(ours, spoil):
    """In a story that continues another, what was there at the beginning may only grow."""
    root = ours.write()
    path = root / "scenario.json"
    story = from_json(path.read_bytes(), "").scenario
    path.write_bytes(to_json(replace(story, continues=story, faults=()), 1))
    world = json.loads((root / "world.json").read_bytes()) | {"faults": []}
    (root / "world.json").write_text(json.dumps(world))
    shutil.copytree(root / "disks", root / "before/disks")
    stem = root / f"disks/center/udp/{DAY}/198.51.100.1/ut16_24985"
    dat, idx = stem.with_suffix(".dat"), stem.with_suffix(".idx")
    for file, content in zip((dat, idx), spoil(dat.read_bytes(), idx.read_bytes()), strict=True):
        file.write_bytes(content)
    assert "has not only grown" in RawUntouched().judge(Evidence(root)).detail


# --- I2 -------------------------------------------------------------------------------------------


def test_another_byte_at_the_center_fails_mirrors_edges(ours):
    """A byte that is in no record is only at the center."""
    root = ours.write()
    path = next((root / "disks/center/riometer").rglob("*_16_gill_xrio.dat"))
    path.write_bytes(path.read_bytes() + b"\0")
    found = {c.name for c in judge(root).claims if c.verdict is not Verdict.PASS}
    assert {"mirrors_edges", "flags_derived"} == found


def proof(history, root, **other):
    """A note that the day is proven, by the digest that it has at the edge."""
    files = [(p.name, p.read_bytes()) for p in (root / "disks/daws/riometer").rglob("*.dat")]
    note = {"what": "confirmed", "digest": notes.day_digest(files), **other}
    return history.more_at_center.get(NOTED, b"") + json.dumps(note).encode() + b"\n"


def test_a_true_proof_holds(ours):
    """The day has the digest that its note says, at both ends."""
    restored = ours._provenance("daws")[NOTED]
    ours.more_at_center[NOTED] = restored + proof(ours, ours.write())
    assert {} == failing(ours)


@pytest.mark.parametrize("digest", ["0" * 64, "", 7])
def test_a_false_proof_fails_mirrors_edges(ours, digest):
    """A day that is called proven by another digest, or by none."""
    restored = ours._provenance("daws")[NOTED]
    ours.more_at_center[NOTED] = restored + proof(ours, ours.write(), digest=digest)
    assert {"mirrors_edges"} == failing(ours).keys()


def test_a_proof_that_was_taken_back_proves_nothing(ours):
    """A day that was opened again need not have the digest of before."""
    restored = ours._provenance("daws")[NOTED]
    line = proof(ours, ours.write(), digest="0" * 64) + b'{"what": "reopened"}\n'
    ours.more_at_center[NOTED] = restored + line
    assert {} == failing(ours)


@pytest.mark.parametrize(("sha", "fails"), [(None, set()), ("0" * 64, {"mirrors_edges"})])
def test_hours_that_are_proven_one_by_one_are_compared(ours, kit, sha, fails):
    """An hour that is called proven has the SHA-256 of its note."""
    content = ours.tree("daws", ours.edge["daws"])
    (data,) = [data for path, data in content.items() if "_16_" in path]
    hour = kit.clock_s("16:00:00") // 3600
    note = {"what": "hour proven", "hour": hour, "sha256": sha or sha256(data).hexdigest()}
    ours.more_at_center[NOTED] = ours._provenance("daws")[NOTED] + json.dumps(note).encode()
    assert fails == failing(ours).keys()


def test_a_world_that_never_settled_has_nothing_to_mirror(ours):
    """That edge and center differ is then the claim `settled`, alone."""
    ours.settled = False
    ours.center["daws"].pop(ours.number_of("daws", "16:32:05"))  # it never came
    assert {"settled"} == failing(ours).keys()


# --- I3 -------------------------------------------------------------------------------------------


def test_a_record_dropped_without_quarantine_fails_nothing_vanished(ours):
    """What was received and is not filed is kept aside, or lost without a trace."""
    ours.reconciles = False
    ours.center["daws"].pop(ours.number_of("daws", "16:10:05"))
    assert {"nothing_vanished"} == failing(ours).keys()


def displaced(history):
    """Reconciliation took a record that the edge has not."""
    number = history.number_of("daws", "16:19:05")  # of an hour in which anything was restored
    came = history.edge["daws"][number - 4]
    for records in (history.edge["daws"], history.center["daws"]):
        records[number - 4] = came[:100] + bytes([came[100] ^ 1]) + came[101:]
    history.restored.append(
        tuple(int.from_bytes(came[12:16], "little") % DAY_S + s for s in (0, 1))
    )
    return came


@pytest.mark.parametrize(
    ("how", "fails"),
    [
        ({}, set()),
        ({"note": False}, {"nothing_vanished"}),
        ({"kept": False}, {"nothing_vanished"}),
        ({"reason": 7}, {"nothing_vanished"}),
    ],
)
def test_what_reconciliation_took_is_in_quarantine(ours, how, fails):
    """With a reason and with its bytes; half of that is not enough."""
    keep_out(ours, displaced(ours), **how)
    assert fails == failing(ours).keys() - {"identical(*, oracle)", "raw_untouched"}


def test_what_just_came_need_not_be_filed_yet(ours, kit):
    """A center looks for what is new now and then."""
    data = kit.pack("daws", kit.clock_s("17:39:00"), [(1, 1, 60)] * 60)
    come(ours, kit, data, "17:39:30")
    assert {} == failing(ours)


# --- I4 -------------------------------------------------------------------------------------------


def test_an_unexplained_record_fails_origins_noted(ours, kit):
    """It is in the canonical tree, and neither did it come nor did a repair bring it."""
    ours.reconciles = False
    data = kit.pack("daws", kit.clock_s("16:10:04"), [(1, 1, 60)] * 60)
    ours.center["daws"].insert(ours.number_of("daws", "16:10:05"), data)
    assert {"origins_noted"} == failing(ours).keys()


def test_a_repair_without_a_note_fails_origins_noted(ours):
    """The record is right, and nobody says that it came by repair."""
    ours.restored.pop()
    assert {"origins_noted"} == failing(ours).keys()


# --- I5 -------------------------------------------------------------------------------------------


def test_a_record_that_is_there_twice_fails_conserved(ours):
    """A duplicate that was filed is one record too many."""
    ours.reconciles = False
    number = ours.number_of("gill", "16:10:35")
    ours.center["gill"].insert(number, ours.center["gill"][number])
    assert {"conserved"} == failing(ours).keys()


def test_a_datagram_that_came_twice_is_a_duplicate(ours, kit):
    """Received = filed + duplicate + quarantined."""
    ours.raw["daws"].insert(9, ours.raw["daws"][9])
    ours.wire["telemetry"][0] += 1
    sha = kit.sha16(ours.raw["daws"][9][1])
    ours.note(ours.raw["daws"][9][0], "vsat", "duplicated", sha=sha, purpose="status")
    (said,) = [c.measured for c in report(ours).claims if c.name == "conserved"]
    assert "130 = 129 + 1 + 0" == said


@pytest.mark.parametrize("source", ["own", "strange"])
@pytest.mark.parametrize(("kept", "fails"), [(True, set()), (False, {"conserved"})])
def test_what_is_to_be_kept_out_is_in_quarantine(ours, kit, source, kept, fails):
    """A record of version 1, be it from the site or from nobody's."""
    first = kit.pack("daws" if source == "own" else "xxxx", kit.clock_s("16:11:00"), [(1, 1, 60)])
    bad = first[:8] + b"1" + first[9:]
    come(ours, kit, bad)
    if kept:
        keep_out(ours, bad)
    assert fails == failing(ours).keys()


def test_a_refused_datagram_that_was_filed_fails_conserved(ours, kit):
    """Quarantine is the only place for it."""
    ours.reconciles = False
    ours.checks = ()
    first = kit.pack("daws", kit.clock_s("16:10:35"), [(2000, 1, 60)] * 60)
    bad = first[:8] + b"1" + first[9:]
    come(ours, kit, bad, "16:12:30")
    keep_out(ours, bad)
    ours.center["daws"].insert(ours.number_of("daws", "16:10:05") + 1, bad)
    ours.more_at_center[FLAGS] = flag(
        380 * (ours.number_of("daws", "16:10:05") - ours.number_of("daws", "16:00:05") + 1),
        "corrupt",
    )
    assert {"conserved"} == failing(ours).keys()


# --- I6 -------------------------------------------------------------------------------------------


def odd_record(history, kit):
    """A record of daws that says 62 samples for a second, at both ends and in the raw tree; its
    place in the file."""
    number = history.number_of("daws", "16:10:05")
    data = bytearray(history.edge["daws"][number])
    data[24:26] = (62).to_bytes(2, "little")
    history.replace("daws", number, bytes(data))
    return 380 * (number - history.number_of("daws", "16:00:05"))


CASES = {
    "as it is": (lambda at: [flag(at, "npoints")], set()),
    "with what is not judged": (lambda at: [flag(0, "cadence"), flag(at, "npoints")], set()),
    "missing": (lambda at: [], {"flags_derived"}),
    "another": (lambda at: [flag(at, "spares in use")], {"flags_derived"}),
    "one too many": (lambda at: [flag(at, "npoints", "datapoints")], {"flags_derived"}),
    "of another record": (lambda at: [flag(at + 380, "npoints")], {"flags_derived"}),
    "of another hour": (lambda at: [flag(at, "npoints", hour=15)], {"flags_derived"}),
    "of no hour": (
        lambda at: [flag(at, "npoints"), flag(0, "npoints", hour=3)],
        {"flags_derived"},
    ),
    "twice": (lambda at: [flag(at, "npoints"), flag(at, "npoints")], {"flags_derived"}),
    "corrupt": (lambda at: [flag(at, "npoints"), flag(0, "corrupt")], {"flags_derived"}),
    "half a line": (lambda at: [flag(at, "npoints"), b'{"hour": 1'], {"flags_derived"}),
    "of no sense": (lambda at: [flag(at, "npoints"), b'{"hour": "x"}'], {"flags_derived"}),
}


@pytest.mark.parametrize("case", CASES)
def test_flags_are_what_the_files_give(ours, kit, case):
    """Neither more lines nor less, nor others."""
    lines, fails = CASES[case]
    said = lines(odd_record(ours, kit))
    if said:
        ours.more_at_center[FLAGS] = b"\n".join(said) + b"\n"
    assert fails == failing(ours).keys()


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ({}, set()),
        ({9: b"\x31"}, {"sample rate as text"}),
        ({9: b"\x4d"}, {"sample rate"}),
        ({10: b"\1"}, {"spares in use"}),
        ({19: b"\1"}, {"spares in use"}),
        ({20: b"\0\x10"}, {"code above 4095"}),
        ({22: b"\0\x10"}, {"code above 4095"}),
        ({24: b"\x3a\0"}, {"npoints"}),
        ({24: b"\x3b\0"}, set()),
        ({24: b"\x3d\0"}, set()),
        ({24: b"\x3e\0"}, {"npoints"}),
        ({12: b"\0\0\0\0"}, {"another hour"}),
    ],
)
def test_each_flag_that_is_judged_is_seen(kit, change, flags):
    """One field of a record is changed; the record beside it raises nothing."""
    sound = kit.pack("daws", kit.clock_s("16:10:05"), [(2600, 4, 60)] * 60)
    data = bytearray(sound)
    for at, value in change.items():
        data[at : at + len(value)] = value
    content = bytes(data) + sound
    raised = odd.odd(content, xrio.decode(content, "daws"), kit.clock_s("16:00:00"))
    assert ({0: frozenset(flags)} if flags else {}) == raised


@pytest.mark.parametrize(("codes", "is_dead"), [((2038, 2058), True), ((2037, 2058), False)])
def test_a_dead_preamplifier_is_within_50_mv_of_zero(kit, codes, is_dead):
    """All averages of the record are; one code further and it is not dead."""
    points = [(codes[0], 1, 60)] * 30 + [(codes[1], 1, 60)] * 30
    data = kit.pack("daws", kit.clock_s("16:10:05"), points)
    raised = odd.odd(data, xrio.decode(data, "daws"), kit.clock_s("16:00:00"))
    assert ({0: frozenset({"dead preamplifier"})} if is_dead else {}) == raised


# --- I7 -------------------------------------------------------------------------------------------


def test_records_in_another_order_fail_raw_replays(ours):
    """No repair was in the hour, so a replay has it in the order of first samples."""
    ours.reconciles = False
    ours.restored = []
    ours.center["gill"] = [data for data in ours.center["gill"] if data in received(ours, "gill")]
    ours.center["daws"] = [data for data in ours.center["daws"] if data in received(ours, "daws")]
    assert {} == failing(ours)
    center = ours.center["gill"]
    center[20], center[21] = center[21], center[20]
    assert {"raw_replays"} == failing(ours).keys()


def received(history, site):
    """The payloads that came from a site."""
    return {payload for _, payload in history.raw[site]}


def test_a_record_in_the_file_of_another_hour_fails_raw_replays(ours):
    """It is there, and not where a replay puts it; the flags say so, too."""
    ours.reconciles = False
    ours.restored = []
    for site in ("daws", "gill"):
        ours.center[site] = [data for data in ours.center[site] if data in received(ours, site)]
    root = ours.write()
    paths = sorted((root / "disks/center/riometer").rglob("*gill_xrio.dat"))
    last, rest = paths[0].read_bytes()[-380:], paths[0].read_bytes()[:-380]
    paths[0].write_bytes(rest)
    paths[1].write_bytes(last + paths[1].read_bytes())
    (root / "disks/center/flags" / DAY).mkdir(parents=True)
    (root / "disks/center/flags" / DAY / "gill.jsonl").write_bytes(flag(0, "another hour"))
    found = {c.name for c in judge(root).claims if c.verdict is not Verdict.PASS}
    assert {"raw_replays"} == found


def test_a_good_record_in_quarantine_fails_raw_replays(ours):
    """Nobody reconciled the hour, and a replay files it."""
    ours.reconciles = False
    ours.restored = []
    for site in ("daws", "gill"):
        ours.center[site] = [data for data in ours.center[site] if data in received(ours, site)]
    keep_out(ours, ours.center["daws"].pop(3))
    assert {"raw_replays"} == failing(ours).keys()


# --- somebody else's center -----------------------------------------------------------------------


def test_a_center_without_our_notes_has_nothing_to_be_judged(history):
    """It keeps two trees, mirrors the edges, and the claims that rest on notes say so."""
    history.checks = ()
    root = history.write()
    (root / "disks/center/provenance").rename(root / "provenance")
    found = judge(root)
    assert Verdict.PASS is found.verdict
    idle = {claim.name: claim.detail for claim in found.claims if claim.measured == NOTHING}
    names = {"nothing_vanished", "origins_noted", "flags_derived", "raw_replays"}
    assert names == idle.keys()
    assert all(said.startswith("The center keeps no ") for said in idle.values())


@pytest.mark.parametrize(
    ("path", "content", "fails"),
    [
        (FLAGS, flag(0, "npoints") + b"\n", {"flags_derived"}),
        (NOTED, b'{"what": "confirmed", "digest": "x"}\n', {"mirrors_edges", "origins_noted"}),
    ],
)
def test_a_center_with_wrong_notes_fails(history, path, content, fails):
    """Whoever keeps a tree of notes is held to it, whatever other trees there are."""
    history.checks = ()
    history.more_at_center[path] = content
    assert fails == failing(history).keys()


# --- what a datagram is owed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "off_s", "owed"),
    [
        (lambda data: data, 60, Owed.FILED),
        (lambda data: data[:4] + b"dAwS" + data[8:], 60, Owed.FILED),
        (lambda data: b"YRIO" + data[4:], 60, Owed.KEPT_OUT),
        (lambda data: data[:4] + b"../x" + data[8:], 60, Owed.KEPT_OUT),
        (lambda data: data[:4] + b"CHUR" + data[8:], 60, Owed.KEPT_OUT),
        (lambda data: data[:8] + b"1" + data[9:], 60, Owed.KEPT_OUT),
        (lambda data: data[:16] + b"\0\0" + data[18:20], 60, Owed.KEPT_OUT),
        (lambda data: data[:-1], 60, Owed.KEPT_OUT),
        (lambda data: data + b"\0", 60, Owed.KEPT_OUT),
        (lambda data: b"", 60, Owed.KEPT_OUT),
        (lambda data: data[:19], 60, Owed.KEPT_OUT),
        (lambda data: data[:16] + b"\1\0" + data[18:26], 60, Owed.EITHER),
        (lambda data: data[:40] + b"XRIO" + data[44:], 60, Owed.EITHER),
        (lambda data: data, 30 * 3600, Owed.EITHER),
        (lambda data: data, -30 * 3600, Owed.EITHER),
        (lambda data: data, 50 * 3600, Owed.KEPT_OUT),
        (lambda data: data, -50 * 3600, Owed.KEPT_OUT),
    ],
)
def test_what_a_datagram_is_owed(kit, change, off_s, owed):
    """The five checks of 2006, the list of sites, the time; what the text leaves open is free."""
    first_s = kit.clock_s("16:10:05")
    data = change(kit.pack("daws", first_s, [(2600, 4, 60)] * 60))
    assert owed is refile.owed(data, KNOWN, first_s + off_s)[0]
