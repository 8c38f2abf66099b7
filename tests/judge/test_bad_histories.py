"""Histories spoiled by hand: each fails the claim that is there for it, and no other."""

import struct
from itertools import pairwise

import pytest

from fieldproof.checks import (
    accounted,
    archive_bytes,
    identical,
    quarantined,
    raw_untouched,
    received_daily,
)
from fieldproof.evidence import Evidence
from fieldproof.faults import Lose, at
from fieldproof.judge import judge
from fieldproof.verdict import Verdict

EDGES = "identical(center:*, edges)"
ORACLE = "identical(*, oracle)"
UNLIKE = "mirrors_edges", "conserved"
"""What always fails where edge and center have not the same records."""


def failing(history):
    """The names of the claims that do not hold."""
    report = judge(history.write())
    assert not any(claim.harness_fault for claim in report.claims), report.claims
    return {claim.name for claim in report.claims if claim.verdict is not Verdict.PASS}


def edited(data, point, **fields):
    """The record with one point changed by (average, range, npoints) deltas."""
    changed = bytearray(data)
    for place, name in enumerate(("average", "range", "npoints")):
        at = 20 + 6 * point + 2 * place
        value = int.from_bytes(changed[at : at + 2], "little") + fields.get(name, 0)
        changed[at : at + 2] = value.to_bytes(2, "little")
    return bytes(changed)


def bounds_of(history, kit, site, text):
    """The 61 samples between the seconds of the record labelled HH:MM:SS."""
    since_s = kit.clock_s(text) - kit.BEGINS_S
    first_at = history.riometers[site].first_at
    return [first_at((since_s + second) * kit.S) for second in range(61)]


def test_the_story_as_it_happened_passes(history):
    """Nothing spoiled: every claim holds."""
    assert set() == failing(history)


@pytest.mark.parametrize("change", [{"average": 1}, {"average": -1}, {"range": 1}])
def test_a_wrong_value_fails_the_oracle(history, change):
    """One average or range that the samples do not give, the same on both sides."""
    number = history.number_of("daws", "16:10:05")
    history.replace("daws", number, edited(history.edge["daws"][number], 7, **change))
    assert {ORACLE} == failing(history)


def test_averages_over_59_samples_fail_the_oracle(history, kit):
    """Every average leaves out the last sample of its second, though npoints says 60."""
    codes = history.riometers["gill"].codes
    for number in range(len(history.edge["gill"])):
        data = history.edge["gill"][number]
        label_s = int.from_bytes(data[12:16], "little")
        first_at = history.riometers["gill"].first_at
        bounds = [first_at((label_s + second - kit.BEGINS_S) * kit.S) for second in range(61)]
        points = [
            (kit.measure(codes(a, b - 1))[0], *kit.measure(codes(a, b))[1:])
            for a, b in pairwise(bounds)
        ]
        was_lost = data not in [payload for _, payload in history.raw["gill"]]
        if not was_lost:  # the log names lost payloads by their hash
            history.replace("gill", number, kit.pack("gill", label_s, points))
    assert {ORACLE} == failing(history)


@pytest.mark.parametrize("off_s", [1, -1, 65])
def test_a_label_off_fails_the_oracle(history, off_s):
    """One record is stamped seconds late or early; its samples are right."""
    number = history.number_of("gill", "16:10:35")
    data = history.edge["gill"][number]
    label_s = int.from_bytes(data[12:16], "little") + off_s
    history.replace("gill", number, data[:12] + label_s.to_bytes(4, "little") + data[16:])
    assert ORACLE in failing(history)
    if abs(off_s) == 1:
        assert {ORACLE} == failing(history)


def test_a_sample_used_twice_fails_the_oracle(history, kit):
    """The last sample of a second is in the next one as well."""
    bounds = bounds_of(history, kit, "daws", "16:10:05")
    codes = history.riometers["daws"].codes
    points = [kit.measure(codes(a, b)) for a, b in pairwise(bounds)]
    points[20] = kit.measure(codes(bounds[20], bounds[21] + 1))
    record = kit.pack("daws", kit.clock_s("16:10:05"), points)
    history.replace("daws", history.number_of("daws", "16:10:05"), record)
    assert {ORACLE} == failing(history)


def test_a_sample_skipped_fails_the_oracle(history, kit):
    """The last sample of a second is in no point; a sample is less than the ledger counts."""
    bounds = bounds_of(history, kit, "daws", "16:10:05")
    codes = history.riometers["daws"].codes
    points = [kit.measure(codes(a, b)) for a, b in pairwise(bounds)]
    points[20] = kit.measure(codes(bounds[20], bounds[21] - 1))
    record = kit.pack("daws", kit.clock_s("16:10:05"), points)
    history.replace("daws", history.number_of("daws", "16:10:05"), record)
    assert {ORACLE} == failing(history)


def test_a_record_archived_twice_fails_the_oracle(history):
    """The edge and, faithfully, the center hold a record twice."""
    number = history.number_of("daws", "16:10:05")
    data = history.edge["daws"][number]
    history.edge["daws"].insert(number, data)
    history.center["daws"].insert(number, data)
    history.checks = tuple(c for c in history.checks if not isinstance(c, archive_bytes))
    assert {ORACLE, "accounted"} == failing(history)  # the second was never delivered


def test_mixed_rounding_fails_the_oracle(history, kit):
    """One site rounds, the other cuts off: a run may do either, but only one of them."""
    for number, data in enumerate(list(history.edge["gill"])):
        label_s = int.from_bytes(data[12:16], "little")
        if data in [payload for _, payload in history.raw["gill"]]:
            floor = kit.record(history.riometers["gill"], "gill", label_s, floor=True)
            history.replace("gill", number, floor)
    assert {ORACLE} == failing(history)


def test_downtime_beyond_the_fault_fails_accounted(history, kit):
    """Killed for ten seconds, the site was away for thirteen."""
    before = history.number_of("daws", "16:39:05") + 1
    for number in range(before, len(history.edge["daws"])):
        label_s = int.from_bytes(history.edge["daws"][number][12:16], "little") + 3
        late = kit.record(history.riometers["daws"], "daws", label_s)
        old = history.edge["daws"][number]
        history.raw["daws"] = [
            (when + 3 * kit.S if payload == old else when, payload)
            for when, payload in history.raw["daws"]
        ]
        history.replace("daws", number, late)
    assert {"accounted"} == failing(history)


def test_a_gap_that_nobody_declared_fails_accounted(history):
    """A record was never made, and no fault says why; whoever counts arrivals notices as well."""
    history.remove("daws", history.number_of("daws", "16:10:05"))
    expected = {"accounted", "received_daily(daws, 1 days)", "split_recovered(daws)"}
    assert expected == failing(history)


def test_a_missing_canonical_record_fails_identity(history):
    """The center's hour file lacks a record that the center received."""
    history.center["daws"].pop(history.number_of("daws", "16:10:05"))
    assert {EDGES, *UNLIKE} == failing(history)


def test_an_invented_record_fails_accounted(history, kit):
    """The center's hour file has a record that no edge made."""
    number = history.number_of("daws", "16:10:05")
    history.center["daws"].insert(
        number, kit.pack("daws", kit.clock_s("16:10:04"), [(1, 1, 60)] * 60)
    )
    assert {EDGES, *UNLIKE, "origins_noted", "accounted"} == failing(history)


def test_records_out_of_order_fail_in_order(history):
    """Two records of the center's hour file have changed places."""
    number = history.number_of("gill", "16:10:35")
    center = history.center["gill"]
    center[number], center[number + 1] = center[number + 1], center[number]
    assert {EDGES, "mirrors_edges", "in_order"} == failing(history)


def test_a_canonical_duplicate_fails_in_order(history):
    """A duplicated datagram was filed twice; nobody made the second one."""
    number = history.number_of("gill", "16:10:35")
    history.center["gill"].insert(number, history.center["gill"][number])
    assert {EDGES, *UNLIKE, "in_order", "accounted"} == failing(history)


def test_a_wrong_index_offset_fails_raw_untouched(history):
    """One index line points a byte too far."""
    history.index_shift["daws", 9] = 1
    assert {"raw_untouched", "accounted"} == failing(history)


def test_a_datagram_that_vanished_fails_raw_untouched(history):
    """The link delivered it before the judged hour, no fault was on, and the raw tree lacks it."""
    history.raw["daws"].pop(0)
    assert {"raw_untouched", "received_daily(daws, 1 days)", "origins_noted"} == failing(history)


def test_a_byte_outside_the_index_fails_raw_untouched(history):
    """A .dat file is longer than its index."""
    root = history.write()
    path = next((root / "disks/center/udp").rglob("ut16_24985.dat"))
    path.write_bytes(path.read_bytes() + b"\0")
    report = judge(root)
    failed = {claim.name for claim in report.claims if claim.verdict is not Verdict.PASS}
    assert {"raw_untouched"} == failed


def spoiled_index(root, old, new):
    """The history, with a text in an index of the judged hour replaced."""
    for path in (root / "disks/center/udp").rglob("ut16_24985.idx"):
        path.write_text(path.read_text().replace(old, new))
    report = judge(root)
    return {claim.name for claim in report.claims if claim.verdict is not Verdict.PASS}


@pytest.mark.parametrize(
    ("old", "new"), [("24985", "24895"), ("198.51.100.1:", "203.0.113.1:"), (" 16:5", " 15:5")]
)
def test_an_index_line_that_contradicts_its_name_fails_raw_untouched(history, old, new):
    """Another port, source or hour than the file's name says."""
    history.checks = (raw_untouched(),)
    assert {"raw_untouched"} == spoiled_index(history.write(), old, new)


@pytest.mark.parametrize("minutes", [-2, 3])
def test_a_wrong_arrival_time_fails_raw_untouched(history, kit, minutes):
    """One line says that its datagram came before it could have, or minutes after."""
    history.checks = (raw_untouched(),)
    when, data = history.raw["daws"][20]
    history.raw["daws"][20] = (when + minutes * 60 * kit.S, data)
    assert {"raw_untouched"} == failing(history)


def test_a_stretch_without_provenance_fails_accounted(history):
    """A record was restored, and the center does not say that a repair brought it."""
    history.restored.pop()
    assert {"accounted", "origins_noted"} == failing(history)


def test_a_repair_of_what_nobody_lost_fails_accounted(history):
    """A record came by repair only, and nothing says why it did not come live."""
    history.log = [line for line in history.log if line.get("cause") != "lose"]
    history.wire["telemetry"][0] -= 1
    history.checks = (accounted(), raw_untouched())
    assert {"accounted"} == failing(history)


def test_a_neighbour_stored_twice_fails_raw_untouched(history):
    """One datagram is not kept, and the one before it is there twice: their number is right."""
    when, _ = history.raw["daws"][20]
    history.raw["daws"][20] = (when, history.raw["daws"][19][1])
    history.checks = (raw_untouched(),)
    assert {"raw_untouched", "origins_noted"} == failing(history)


@pytest.mark.parametrize("at", [9, 10, 18])
def test_a_wrong_header_fails_the_oracle(history, at):
    """The sample rate or a spare of one record is not what it has to be."""
    number = history.number_of("daws", "16:10:05")
    data = history.edge["daws"][number]
    history.replace("daws", number, data[:at] + b"\x4d" + data[at + 1 :])
    assert {ORACLE} == failing(history)


def test_short_records_fail_the_oracle(history, kit):
    """A minute is in two records of thirty points; all that they say is right."""
    number = history.number_of("daws", "16:10:05")
    data = history.edge["daws"][number]
    points = [struct.unpack_from("<3H", data, 20 + 6 * place) for place in range(60)]
    halves = [
        kit.pack("daws", kit.clock_s("16:10:05") + at, points[at : at + 30]) for at in (0, 30)
    ]
    history.replace("daws", number, halves[0])
    history.edge["daws"].insert(number + 1, halves[1])
    history.center["daws"].insert(number + 1, halves[1])
    came = [payload for _, payload in history.raw["daws"]].index(halves[0])
    history.raw["daws"].insert(came + 1, (history.raw["daws"][came][0], halves[1]))
    history.wire["telemetry"][0] += 1
    history.checks = tuple(
        check for check in history.checks if not isinstance(check, received_daily | archive_bytes)
    )
    assert ORACLE in failing(history)
    history.checks = (identical("*", to="oracle"), accounted())
    assert {ORACLE} == failing(history)


def test_an_edge_that_files_out_of_order_fails_the_oracle(history):
    """Two records have changed places at the edge, and faithfully at the center."""
    number = history.number_of("gill", "16:10:35")
    for records in (history.edge["gill"], history.center["gill"]):
        records[number], records[number + 1] = records[number + 1], records[number]
    assert {ORACLE} == failing(history)


@pytest.mark.parametrize("point", [(0, 0, 0), (1234, 99, 0)])
@pytest.mark.parametrize("label", ["16:10:05", "16:10:20", "16:11:05"])
def test_empty_points_of_seconds_that_were_heard_fail_the_oracle(history, kit, point, label):
    """A record of sixty points without a sample, in a minute whose samples others hold."""
    number = history.number_of("daws", "16:10:05")
    empty = kit.pack("daws", kit.clock_s(label), [point] * 60)
    for records in (history.edge["daws"], history.center["daws"]):
        records.insert(number + 1, empty)
    history.checks = (identical("*", to="oracle"), identical("center:*", to="edges"))
    assert {ORACLE, "origins_noted"} == failing(history)


@pytest.mark.parametrize(
    "path", ["riometer/2026/01/17/daws_xrio/20260117_16_daws_xrio.dat", "riometer/x/etc.dat"]
)
def test_a_file_that_no_edge_has_fails_identity(history, path):
    """Something else is filed in the center's canonical tree."""
    root = history.write()
    target = root / "disks/center" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(history.edge["daws"][0])
    report = judge(root)
    failed = {claim.name for claim in report.claims if claim.verdict is not Verdict.PASS}
    assert {EDGES, "raw_replays"} == failed


def test_a_record_that_the_edge_lost_again_fails_accounted(history):
    """The raw tree has it, so it was sent before it was durable, whatever a fault excuses."""
    number = history.number_of("daws", "16:39:05")
    for records in (history.edge["daws"], history.center["daws"]):
        records.pop(number)
    history.checks = (accounted(),)
    report = judge(history.write())
    (claim,) = [each for each in report.claims if each.name == "accounted"]
    assert Verdict.FAIL == claim.verdict
    invented = [unit for unit in Evidence(history.root).ledger.units if unit.fate == "invented"]
    assert [("daws", 380)] == [(unit.hop, unit.bytes) for unit in invented]


def test_a_quarantine_without_the_bytes_fails_quarantined(history, kit):
    """The provenance, the log and a file say that something was kept; the file is empty."""
    history.checks = (quarantined("length", 1),)
    history.quarantine.append(("length", b"abc"))
    history.say(kit.clock_s("16:10:00") * kit.S, "center/validate", "quarantined", reason="length")
    assert set() == failing(history)
    next((history.root / "disks/center/quarantine").rglob("*.bin")).write_bytes(b"")
    report = judge(history.root)
    failed = {claim.name for claim in report.claims if claim.verdict is not Verdict.PASS}
    assert {"quarantined(length, 1)"} == failed


def test_an_expensive_repair_fails_wire_bytes(history):
    """The repair took one byte more than the budget."""
    history.wire["repair"][1] = 401
    assert {"wire_bytes(vsat, repair)"} == failing(history)


def test_late_arrivals_fail_latency(history, kit):
    """Every datagram of a site came half a minute late."""
    history.raw["daws"] = [(when + 30 * kit.S, data) for when, data in history.raw["daws"]]
    assert {"latency(daws)"} == failing(history)


def test_an_unexpected_quarantine_fails_quarantined(history, kit):
    """Something was kept out, where the scenario expects nothing to be."""
    history.quarantine.append(("length", b"abc"))
    history.say(kit.clock_s("16:10:00") * kit.S, "center/validate", "quarantined", reason="length")
    assert {"quarantined(*, 0)"} == failing(history)


def test_an_event_that_never_was_fails_sometimes(history):
    """No line says that anything was repaired."""
    history.log = [line for line in history.log if line.get("said") != "repaired"]
    assert {"sometimes(repaired, center/reconcile)"} == failing(history)


def test_a_loss_before_the_span_fails_received_daily(history):
    """One datagram less came that day, by a loss that only the count of the day sees."""
    when, data = history.raw["daws"].pop(0)
    history.lose(data, when, "loss", -1)
    assert {"received_daily(daws, 1 days)", "origins_noted"} == failing(history)


def test_a_cause_that_the_index_cannot_tell_fails_split_recovered(history):
    """The log calls a loss the server's that looks like the network's."""
    for line in history.log:
        if line.get("cause") == "lose":
            line["cause"] = "host down"
    assert {"split_recovered(daws)", "accounted"} == failing(history)


def test_an_extra_loss_fails_lost_exactly(history, kit):
    """Something else was lost on the link."""
    history.lose(b"unknown", kit.clock_s("16:10:00") * kit.S, "loss", -1)
    history.wire["telemetry"][0] += 1
    assert {"lost_exactly(vsat, 11)"} == failing(history)


def test_a_lost_datagram_that_arrived_fails_lost_exactly(history, kit):
    """The log calls lost what the raw tree holds; the number of losses alone would do."""
    number = history.number_of("daws", "16:19:05")
    data = history.edge["daws"][number]
    history.raw["daws"].append((kit.clock_s("17:10:00") * kit.S, data))
    history.wire["telemetry"][0] += 1
    assert "lost_exactly(vsat, 11)" in failing(history)


def test_other_content_fails_archive_bytes(history):
    """The archive compresses to another size than the calibration says."""
    claim = history.checks[-1]
    history.checks = (archive_bytes("daws", zlib6_bytes=claim.zlib6_bytes * 11 // 10),)
    assert {"archive_bytes(daws)"} == failing(history)


def test_a_world_that_never_settled_fails_settled(history):
    """Edge and center did not converge in time."""
    history.settled = False
    assert {"settled"} == failing(history)


def test_a_fault_that_never_fired_fails_faults_fired(history):
    """Nothing went wrong that should have."""
    history.fired[1] = 0
    assert {"faults_fired"} == failing(history)


def test_a_fault_that_fired_too_seldom_fails_faults_fired(history):
    """It was to act on two datagrams, and did on one."""
    history.faults = (at("16:20", Lose("vsat", count=2)), *history.faults[1:])
    assert {"faults_fired"} == failing(history)


def lost_for_good(history, text):
    """The record is not restored either."""
    history.checks = (accounted(),)
    history.reconciles = False
    history.center["daws"].pop(history.number_of("daws", text))


def test_a_declared_loss_is_accounted(history):
    """The datagram that fault 0 took is excused even where nothing restores it."""
    lost_for_good(history, "16:19:05")
    assert set() == failing(history)


def test_a_loss_without_a_log_line_fails_accounted(history):
    """A record is nowhere at the center, and nothing says why."""
    lost_for_good(history, "16:19:05")
    history.log = [line for line in history.log if line.get("cause") != "lose"]
    assert {"accounted", "raw_untouched"} == failing(history)


def test_a_loss_before_its_fault_fails_accounted(history, kit):
    """The log blames a fault that had not begun."""
    lost_for_good(history, "16:19:05")
    for line in history.log:
        if line.get("cause") == "lose":
            line["ns"] = (kit.clock_s("16:19:59") - kit.BEGINS_S) * kit.S
    assert {"accounted"} == failing(history)


def test_a_loss_after_its_fault_fails_accounted(history, kit):
    """The center was up again when this one is said to have met a host that was down."""
    lost_for_good(history, "16:33:05")
    sha = kit.sha16(history.edge["daws"][history.number_of("daws", "16:33:05")])
    for line in history.log:
        if line.get("sha") == sha:
            line["ns"] = (kit.clock_s("16:35:01") - kit.BEGINS_S) * kit.S
    assert {"accounted"} == failing(history)


def test_more_losses_than_declared_fail_accounted(history, kit):
    """A fault that takes one datagram is blamed for two."""
    lost_for_good(history, "16:33:05")
    data = history.edge["daws"][history.number_of("daws", "16:33:05")]
    for line in history.log:
        if line.get("sha") == kit.sha16(data):
            line |= {"cause": "lose", "fault": 0}
    assert {"accounted"} == failing(history)


def test_a_node_that_died_by_itself_fails_nodes_lived(history):
    """An exception in a node is a defect of the system, whatever else still holds."""
    died = {"ns": 5, "where": "daws/filing", "what": "node died", "error": "KeyError()"}
    history.log.append(died)
    assert {"nodes_lived"} == failing(history)
