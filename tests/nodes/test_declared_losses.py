"""An edge says durably which samples are in no record: whatever ends a life, line or disk."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS, Append, Stop, Sync, Topic, Truncate
from fieldproof_reference.edge import LOST, RECORD, Lost
from fieldproof_reference.edge.filing import Filing
from fieldproof_reference.edge.lives import RETRY_NS, Lives
from fieldproof_reference.formats import trees

DECLARED, LIVES = "declared/daws.jsonl", "lives/daws.jsonl"
BEGINS_S = 10_000


@pytest.fixture(scope="session")
def edge(kit):
    """A host with the nodes that file and declare; seconds count from the day's midnight."""

    class Edge:
        def __init__(self, files=None, refuses=None):
            self.disk = kit.Disk(files)
            self.disk.refuses = refuses or self.disk.refuses
            self.world = kit.World(kit.DAY_S + BEGINS_S)
            nodes = ((lambda: Filing(kit.EDGE), {RECORD}), (lambda: Lives(kit.EDGE), {LOST}))
            self.host = self.world.host(kit.EDGE_ADDRESS, self.disk, *nodes)
            self.world.run(0.1)

        def record(self, second):
            self.host.tell(RECORD, Topic(RECORD, kit.record(second)))
            self.world.run(0.1)

        def lose(self, first, last, why="line down"):
            lost = Lost(kit.DAY_S + first, kit.DAY_S + last, why)
            self.host.tell(LOST, Topic(LOST, lost))

        def run_to(self, second):
            self.world.run_to(kit.DAY_S + second)

        def stop(self):
            for index, node in enumerate(self.host.nodes):
                self.host._call(index, node.receive(Stop(), self.host.now()))
            self.host.die()

        def restart(self, at_s, power_cut=None):
            if self.host.nodes:
                self.host.die(power_cut)
            self.run_to(at_s)
            self.host.boot()
            self.world.run(0.1)

        @property
        def declared(self):
            lines = map(json.loads, self.disk.files.get(DECLARED, b"").splitlines())
            day_s = kit.DAY_S
            return [(one["from_s"] - day_s, one["until_s"] - day_s, one["why"]) for one in lines]

    return Edge


# --- lives ----------------------------------------------------------------------------------------


def test_the_first_life_declares_nothing(edge):
    """Where nothing was ever measured, nothing is known to be lost; the life is noted."""
    first = edge()
    assert [] == first.declared
    assert {"began_s"} == set(json.loads(first.disk.files[LIVES]))
    assert [] == first.host.logs


def test_a_kill_costs_from_the_last_record_to_the_start(edge):
    """The open record and the time down are declared at once, to the second in which the next life
    starts, which is lost in part."""
    killed = edge()
    killed.record(10_000)
    killed.record(10_060)
    killed.restart(10_150.5)
    assert [(10_120, 10_151, "killed")] == killed.declared
    assert ["loss declared"] == [log.what for log in killed.host.logs]


def test_lives_without_a_record_follow_each_other(edge):
    """A life that filed nothing is declared by the next from where its own declaration ended; the
    very first from its start."""
    killed = edge()
    killed.restart(10_010)
    killed.restart(10_030)
    assert [(10_000, 10_011, "killed"), (10_011, 10_031, "killed")] == killed.declared


def test_an_end_in_good_order_declares_what_it_costs(edge):
    """At the stop the open record is declared; the next life declares the time down, with the same
    cause, and after a kill the cause is another."""
    stopped = edge()
    stopped.record(10_000)
    stopped.run_to(10_090.5)
    stopped.stop()
    assert [(10_060, 10_091, "stopped")] == stopped.declared
    stopped.restart(10_200)
    assert (10_091, 10_201, "stopped") == stopped.declared[-1]
    stopped.restart(10_210)
    assert (10_201, 10_211, "killed") == stopped.declared[-1]


def test_what_waits_for_the_disk_at_a_stop_is_filed_and_not_declared(edge, kit):
    """The last records reach the disk before the losses are counted."""
    stopped = edge()
    for second in (10_000, 10_060, 10_120):
        stopped.host.tell(RECORD, Topic(RECORD, kit.record(second)))
    stopped.run_to(10_185)
    stopped.stop()
    assert [(10_180, 10_186, "stopped")] == stopped.declared


def test_an_archive_without_notes_of_lives_is_of_a_life_that_was_killed(edge, kit):
    """Files of an edge that declared nothing yet tell how far it came."""
    files = {kit.path(1): kit.record(3_600), kit.path(2): kit.record(7_200)}
    assert [(7_260, 10_001, "killed")] == edge(files).declared


def test_a_restart_that_lost_nothing_declares_nothing(edge, kit):
    """A record that ends with the second of the start leaves nothing between."""
    assert [] == edge({kit.path(2): kit.record(BEGINS_S - 59)}).declared


def test_what_is_no_record_counts_for_nothing(edge, kit):
    """Torn tails, junk, other sites and other files are not looked at for the end of a life."""
    files = {
        kit.path(1): kit.record(3_600) + b"rot",
        kit.path(2): kit.record(7_200)[:100],
        kit.path(2, site="gill"): kit.record(7_260, b"GILL"),
        kit.path(2) + ".torn": kit.record(7_300),
    }
    assert [(3_660, 10_001, "killed")] == edge(files).declared


# --- clocks ---------------------------------------------------------------------------------------


def test_records_of_the_future_are_passed_over(edge, kit):
    """A clock that was ahead left records with later times: they say nothing of the time before
    the start, and the newest of the others does."""
    files = {
        kit.path(1): kit.record(3_600) + kit.record(3_660),
        kit.path(2): kit.record(BEGINS_S - 300) + kit.record(BEGINS_S + 300),
        kit.path(9, kit.DAY + 3): kit.record(9 * 3_600),
    }
    assert [(BEGINS_S - 240, BEGINS_S + 1, "killed")] == edge(files).declared


def test_a_clock_that_went_back_behind_everything_leaves_one_second(edge, kit):
    """Where all that is known is later than the start, at least that something was lost is said."""
    files = {kit.path(9, kit.DAY + 3): kit.record(9 * 3_600)}
    assert [(BEGINS_S, BEGINS_S + 1, "killed")] == edge(files).declared


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["record", "kill", "cut", "stop", "step"]),
            st.integers(-90_000, 90_000),
            st.integers(1, 200),
        ),
        max_size=12,
    )
)
def test_no_clock_and_no_end_spoils_the_declaration(edge, kit, steps):
    """After any history every line is whole and half-open, and each new one reaches to its start:
    what clocks did to it does not grow with time."""
    host = edge()
    offset_s = 0
    for kind, step_s, seconds in steps:
        host.world.run(seconds)
        now_s = host.host.now().utc_ns // SECOND_NS
        match kind:
            case "record":
                host.record(now_s - kit.DAY_S - 60)
            case "kill" | "cut":
                host.restart(now_s - kit.DAY_S - offset_s, random.Random(step_s))
            case "stop":
                host.stop()
                host.restart(now_s - kit.DAY_S - offset_s)
            case "step":
                offset_s += step_s
                host.host.offset_ns = offset_s * SECOND_NS
    lines = host.declared
    assert all(first < last for first, last, _ in lines)
    assert {"killed", "stopped"} >= {why for _, _, why in lines}
    marks = [json.loads(line) for line in host.disk.files[LIVES].splitlines()]
    starts = [mark["began_s"] - kit.DAY_S for mark in marks if "began_s" in mark]
    assert {last for _, last, why in lines if why == "killed"} <= {start + 1 for start in starts}


# --- what others tell -----------------------------------------------------------------------------


def test_a_silent_line_and_a_dropped_record_are_declared_when_told(edge):
    """Each becomes a durable line."""
    told = edge()
    told.lose(10_010, 10_200)
    told.lose(9_000, 9_060, "dropped")
    told.world.run(1)
    assert [(10_010, 10_200, "line down"), (9_000, 9_060, "dropped")] == told.declared
    assert len(told.disk.files[DECLARED]) == told.disk.synced[DECLARED]
    assert {"losses declared": 2} == told.host.nodes[1].figures()


def test_records_dropped_for_a_full_disk_become_one_line(edge, kit):
    """Losses that follow each other with one cause are one line when the disk takes it at last."""
    full = edge()
    full.disk.refuses = lambda effect: isinstance(effect, Append)
    for n in range(60):
        full.lose(60 * n, 60 * n + 60, "dropped")
        full.world.run(60)
    assert [] == full.declared
    full.disk.refuses = lambda effect: False
    full.world.run(2 * RETRY_NS / SECOND_NS)
    assert [(0, 3_600, "dropped")] == full.declared


# --- disks and crashes ----------------------------------------------------------------------------


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_nothing_is_written_behind_half_a_line(edge, kit, kept):
    """What a crash left of a line in either file is cut off before the next line is written."""
    whole = b'{"from_s": 1, "until_s": 2, "why": "killed"}\n'
    half = b'{"from_s": 1137465600, "until_s": 1137465660, "why": "killed"}\n'[:kept]
    mark = b'{"began_s": 1137465000}\n'
    torn = edge({DECLARED: whole + half, LIVES: mark + half[:20], kit.path(2): kit.record(7_200)})
    assert [(7_260, 10_001, "killed")] == torn.declared[1:]
    assert torn.disk.files[DECLARED].startswith(whole)
    assert 2 == len([json.loads(line) for line in torn.disk.files[LIVES].splitlines()])


@pytest.mark.parametrize("kind", [Truncate, Append, Sync])
def test_a_disk_that_refuses_is_tried_again(edge, kit, kind):
    """Whatever fails, each line is there once when the disk takes it."""
    files = {DECLARED: b"half", kit.path(2): kit.record(7_200)}
    failing = edge(files, lambda effect: isinstance(effect, kind))
    failing.world.run(35)
    failing.disk.refuses = lambda effect: False
    failing.world.run(3 * RETRY_NS / SECOND_NS)
    assert [(7_260, 10_001, "killed")] == failing.declared
    assert {DECLARED, LIVES} <= set(failing.disk.files)


def test_a_power_cut_at_any_moment_hides_no_loss(edge, kit):
    """Whatever a cut took of the lines that were on their way, the losses of all lives together
    cover what no record covers."""
    for seed in range(60):
        source = random.Random(seed)
        cut = edge({kit.path(2): kit.record(7_200)})
        cut.host.die()
        at_s = 11_000
        for _ in range(4):
            cut.run_to(at_s)
            cut.host.boot()
            cut.world.run(source.choice((0, 0.001, 0.006, 0.011, 1)))
            cut.host.die(source)
            at_s += 1_000
        cut.restart(at_s)
        end = 7_260
        for first, last, _ in sorted(cut.declared):
            assert first <= end
            end = max(end, last)
        assert at_s + 1 == end


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_in_the_files_are_survived(edge, declared, lives):
    """What is no line is passed over; the life is noted all the same."""
    strange = edge({DECLARED: declared, LIVES: lives})
    assert strange.host.nodes
    assert json.loads(strange.disk.files[LIVES].splitlines()[-1])["began_s"] > 0


@pytest.mark.parametrize(
    "line", [b"[" * 9_999, b"7", b"null", b'{"until_s": "x"}', b'{"until_s": 1e400}', b"\xff"]
)
def test_strange_lines_are_no_declarations(edge, kit, line):
    """Values that are not whole numbers, and JSON that is no object, count for nothing."""
    files = {DECLARED: line + b"\n", kit.path(2): kit.record(7_200)}
    strange = edge(files)
    last = strange.disk.files[DECLARED].splitlines()[-1]
    assert trees.hour_path("daws", json.loads(last)["from_s"]) == kit.path(2)
