"""A pull over a virtual stream: all of it or nothing, whatever happens to its ends or the link."""

import pytest
from pulling import (
    FOLDER,
    INTO,
    PORT,
    PULL,
    SERVE,
    SITE,
    TURNS,
    Asks,
    Scripted,
    ended,
    pulls,
)

from fieldproof_contract import (
    Address,
    EngineEnded,
    OpenStream,
    RunEngine,
    StopEngine,
    StreamClosed,
    StreamData,
    StreamOpened,
)
from fieldproof_simulators.engines.jobs import File, Pulled
from fieldproof_simulators.engines.talk import PATIENCE_NS
from fieldproof_simulators.links.profiles import PROFILES

FILES = {"a": b"new", "b": b"other"}
LONGEST_S = 2 * PATIENCE_NS / 1e9 + 1
MIDDLE_S = 2.0
"""The link is slow: a scripted pull takes 4 s, and its 30 kB are under way here."""


@pytest.fixture
def play(play):
    """The site has three files, the center another version of one."""
    play.give(play.site, {"a": b"new", "b": b"other", "c/d": b"deep"})
    play.give(play.center, {"a": b"old"}, 1)
    return play


def nothing_came(play, node, reason):
    """The one answer is a reason, and nothing is below `into`."""
    assert [EngineEnded("p", b"", reason)] == ended(node)
    assert {} == play.pulled()


def test_the_files_are_there_before_the_answer(play):
    """What was pulled is below `into`, and nothing that was there before; the node hears of it
    when the last byte has come."""
    play.center.files.store(f"{INTO}deep/old", File(b"left", 1))
    node = pulls()
    seen = []
    node.then = lambda event: seen.append(play.pulled()) or ()
    play.up(node).run(20)
    assert [EngineEnded("p")] == node.told
    assert [FILES] == seen
    assert 3.5e9 < node.times_ns[0] < 4.5e9


def test_the_programs_see_the_disks_as_they_are(play):
    """rsync is given the plain files of both folders with the times at which they were changed."""
    play.up(pulls()).run(20)
    ((job, served, like, seed),) = play.world.tools.asked
    assert job == PULL
    assert {"a": b"new", "b": b"other"} == {name: file.data for name, file in served.items()}
    assert 1_137_456_000_123_456_789 == served["a"].changed_utc_ns
    assert {"a": File(b"old", 1_123_456_789)} == like
    assert 1 <= seed < 10_000


def test_a_pulled_file_keeps_its_time(play):
    """A file that was pulled has the time of its original, also once it is renamed."""
    node = pulls()
    play.up(node).run(20)
    assert File(b"new", 5) == play.center.files.file(f"{INTO}a")


def test_the_turns_are_charged_as_packets(play):
    """Every turn crosses the link: its bytes, both ways, with the headers and acknowledgements of
    a stream."""
    play.up(pulls()).run(200)
    size, packets = play.wire()
    payload = sum(len(turn.data) for turn in TURNS)
    assert payload == 30_387
    full, handshake, ends = -(-30_000 // 1448), 3 + 1, 4
    assert full + handshake + ends <= packets <= 2 * full + handshake + ends + 8
    assert size == payload + 52 * packets + 2 * 8
    assert 0 == play.link.tallies["up", "rsync"].lost_packets


def test_small_pieces_wait_for_each_other(stage):
    """The second small piece of a turn goes when the first is acknowledged (Nagle): 40 ms and a
    round trip later than in one piece, and two packets more."""
    spent = []
    for pieces in ((b"ab" * 50,), (b"ab", b"ab" * 49)):
        turns = (TURNS[0], TURNS[1]._replace(after_bytes=41, pieces=pieces))
        play = stage(tools=Scripted(Pulled(turns, {})))
        node = pulls()
        play.up(node).run(200)
        spent.append((node.times_ns[0], *play.wire()))
    (one_ns, one_bytes, one_packets), (two_ns, two_bytes, two_packets) = spent
    assert 0.6e9 < two_ns - one_ns < 0.72e9
    assert (2 * 52, 2) == (two_bytes - one_bytes, two_packets - one_packets)


# --- nobody there ---------------------------------------------------------------------------------


def test_a_port_without_a_daemon_refuses(play):
    """A pull from a host that shows nothing ends after one round trip."""
    node = pulls()
    play.up(node, Asks()).run(5)
    nothing_came(play, node, "rsync: connection refused.")


def test_a_host_that_is_away_is_waited_for(play):
    """A pull from a host without power ends by rsync's own patience, not by that of TCP."""
    node = pulls()
    play.up(node)
    play.world.cut_power(play.site, -1)
    play.run(LONGEST_S)
    nothing_came(play, node, "rsync: no answer.")


def test_a_stranger_is_hung_up_on(play):
    """A node that opens a stream to a daemon of ours, and is no rsync, is not spoken to."""
    node = Asks(OpenStream("out", Address(SITE, PORT)))
    play.up(node).run(5)
    opened, closed = node.told
    assert isinstance(opened, StreamOpened)
    assert StreamClosed("out", "") == closed
    assert not any(isinstance(event, StreamData) for event in node.told)


# --- what breaks in the middle --------------------------------------------------------------------


def test_a_daemon_that_is_stopped_breaks_its_streams(play):
    """The center hears of it at once."""
    server = Asks(RunEngine("s", SERVE), then=lambda event: (StopEngine("s"),))
    node = pulls()
    play.up(node, server).run(MIDDLE_S)
    play.site.engines.stop("server", "s")
    play.run(3)
    nothing_came(play, node, "rsync: connection reset.")


@pytest.mark.parametrize("way", ["kill", "power cut"])
def test_an_edge_that_dies_in_the_middle(play, way):
    """A kill is a reset; a host without power is silence, and rsync loses its patience; in its next
    life the edge serves again."""
    node = pulls()
    play.up(node).run(MIDDLE_S)
    if way == "kill":
        play.world.kill(play.site, way, -1)
        play.run(3)
        nothing_came(play, node, "rsync: connection reset.")
    else:
        play.world.cut_power(play.site, -1)
        play.run(LONGEST_S + PATIENCE_NS / 1e9)
        nothing_came(play, node, "rsync: no answer.")
    play.world.boot(play.site)
    play.center.engines.run("client", node.told.append, "p", PULL)
    play.run(20)
    assert FILES == play.pulled()


@pytest.mark.parametrize("powered", [True, False])
def test_a_center_that_dies_in_the_middle(play, powered):
    """Nothing is left below `into`, and nobody hears of it; the next life pulls anew."""
    node = pulls()
    play.up(node).run(MIDDLE_S)
    play.world.kill(play.center, "kill", -1, powered)
    play.run(60)
    assert ([], {}) == (node.told, play.pulled())
    play.world.boot(play.center)
    play.run(20)
    assert [EngineEnded("p")] == node.told
    assert FILES == play.pulled()


def test_a_pull_that_is_stopped_leaves_nothing(play):
    """The node that stops it is told so, and the daemon hears a reset."""
    node = pulls()
    play.up(node).run(MIDDLE_S)
    play.center.engines.stop("client", "p")
    play.run(30)
    nothing_came(play, node, "stopped")


def test_a_dark_link_is_waited_out(play):
    """An outage of a minute delays a pull; one that does not end breaks it."""
    node = pulls()
    play.up(node).run(MIDDLE_S)
    play.link.go_dark(0)
    play.run(50)
    play.link.recover(0)
    play.run(60)
    assert [EngineEnded("p")] == node.told
    assert FILES == play.pulled()
    play.center.engines.run("client", node.told.append, "p", PULL)
    play.run(MIDDLE_S)
    play.link.go_dark(0)
    play.run(LONGEST_S + PATIENCE_NS / 1e9)
    nothing_came_of_the_second = [EngineEnded("p"), EngineEnded("p", b"", "rsync: no answer.")]
    assert (nothing_came_of_the_second, {}) == (node.told, play.pulled())


@pytest.mark.parametrize("who", ["site", "center"])
def test_a_frozen_end_goes_on_where_it_was(play, who):
    """A freeze of twenty seconds delays a pull and breaks nothing."""
    node = pulls()
    play.up(node).run(MIDDLE_S)
    host = getattr(play, who)
    host.freeze(-1)
    play.run(20)
    assert [] == node.told
    host.thaw()
    play.run(100)
    assert [EngineEnded("p")] == node.told
    assert FILES == play.pulled()


def test_a_frozen_client_does_not_lose_its_patience(play):
    """Who stands still does not look at the clock: the server, which does, gives up on it."""
    node = pulls()
    play.up(node).run(MIDDLE_S)
    play.center.freeze(-1)
    play.run(600)
    assert [] == node.told
    play.center.thaw()
    play.run(200)
    (event,) = node.told
    assert event.reason in ("rsync: connection reset.", "rsync: no answer.")
    assert {} == play.pulled()


def test_a_full_disk_is_a_reason(play):
    """Where there is no room for what came, nothing of it is kept."""
    play.center.disk.full = True
    node = pulls()
    play.up(node).run(20)
    nothing_came(play, node, "rsync: No space left on device.")


def test_what_rsync_itself_says_is_told(stage):
    """A conversation that ends in an error is played to its end, and then is a reason."""
    play = stage(tools=Scripted(Pulled(TURNS, {}, "rsync ended with exit code 23.")))
    node = pulls()
    play.up(node).run(20)
    nothing_came(play, node, "rsync ended with exit code 23.")
    assert node.times_ns[0] > 3.5e9


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_link_is_good_enough_in_the_end(stage, name):
    """Lost, late and reordered packets cost time and bytes, and change nothing that arrives."""
    play = stage(name, tools=Scripted())
    node = pulls()
    play.up(node).run(3600)
    (event,) = node.told
    assert "" == event.reason or name == "iridium-dialup", event
    assert FILES == play.pulled() or event.reason


def test_the_folder_of_the_job_is_the_one_that_is_read(play):
    """The daemon's root and the job's folder together name what is served."""
    assert {"a", "b"} == set(play.site.files.tree(SERVE.root + FOLDER))
