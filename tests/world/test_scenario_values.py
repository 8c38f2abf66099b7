"""A scenario and its JSON are one, and what is not a scenario is refused in one sentence."""

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof import faults
from fieldproof.checks import (
    accounted,
    archive_bytes,
    identical,
    latency,
    lost_exactly,
    received_daily,
    wire_bytes,
)
from fieldproof.faults import (
    LASTING,
    SPOOF_KINDS,
    BurstLoss,
    ClockDrift,
    ClockStep,
    Corrupt,
    DropBytes,
    Duplicate,
    Garble,
    Kill,
    Lose,
    MoveAddress,
    Outage,
    PowerCut,
    Reorder,
    RotRecord,
    Spoof,
    Timed,
    at,
)
from fieldproof.scenario import (
    LEAD_S,
    RECONCILE,
    SCHEMA,
    Center,
    Link,
    Riometer,
    Scenario,
    Site,
    StatusMonitor,
    duration_s,
    from_json,
    to_json,
)
from fieldproof.wellformed import BOUNDS, MalformedScenario, validate

TEXT = st.text(max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**31)
BY_FIELD = {
    "link": TEXT,
    "host": TEXT,
    "site": TEXT,
    "to": TEXT,
    "source": TEXT,
    "kind": st.sampled_from(SPOOF_KINDS),
    "count": COUNTS,
    "bit": COUNTS,
    "by_s": NUMBERS,
    "ppm": NUMBERS,
    "percent": NUMBERS,
    "restart_after_s": NUMBERS,
    "mid_write": st.booleans(),
}
KINDS = faults.Fault.__args__
FAULTS = st.one_of(
    [st.builds(kind, **{name: BY_FIELD[name] for name in kind.__struct_fields__}) for kind in KINDS]
)
INSTRUMENTS = st.lists(
    st.one_of(st.builds(Riometer, noise=TEXT), st.just(StatusMonitor())), max_size=3
).map(tuple)
METHODS = st.sampled_from(RECONCILE)
SITES = st.builds(Site, TEXT, TEXT, TEXT, st.integers(0, 59), INSTRUMENTS, METHODS)
NODES = st.lists(st.one_of(SITES, st.builds(Center, TEXT, TEXT, st.booleans())), max_size=4)
CHECKS = st.sampled_from(
    [
        identical("center", to="daws"),
        accounted(),
        lost_exactly("vsat", 3),
        wire_bytes("v", "repair", at_most=7),
    ]
)
STORIES = st.builds(
    Scenario,
    name=TEXT,
    story=TEXT,
    starts=TEXT,
    lasts=TEXT,
    links=st.lists(st.builds(Link, TEXT, TEXT), max_size=3).map(tuple),
    nodes=NODES.map(tuple),
    faults=st.lists(st.builds(Timed, TEXT, FAULTS, st.none() | TEXT), max_size=5).map(tuple),
    checks=st.lists(CHECKS, max_size=3).map(tuple),
    tiers=st.lists(TEXT, max_size=2).map(tuple),
    needs=st.lists(TEXT, max_size=2).map(tuple),
    fidelity=TEXT,
    settles_within=TEXT,
    lead=TEXT,
)
SCENARIOS = st.one_of(
    STORIES,
    st.builds(lambda one, other: msgspec.structs.replace(one, continues=other), STORIES, STORIES),
)
QUIET = Scenario(
    name="quiet-hour",
    story="Nothing goes wrong.",
    starts="2006-01-17T22:30Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
    faults=(at("22:40", Lose("vsat")),),
    checks=(lost_exactly("vsat", 1),),
)


@given(SCENARIOS, st.integers(-(2**63), 2**64 - 1))
def test_json_loses_nothing(scenario, seed):
    """A scenario and its seed come back from JSON as equal values, and as the same JSON."""
    data = to_json(scenario, seed)
    capsule = from_json(data, "a test")
    assert (scenario, seed) == (capsule.scenario, capsule.seed)
    assert hash(scenario) == hash(capsule.scenario)
    assert data == to_json(capsule.scenario, capsule.seed)


def test_an_older_capsule_is_read():
    """A capsule from before there were leads and ways to reconcile a site means the usual ones."""
    document = json.loads(to_json(QUIET, 1))
    del document["scenario"]["lead"]
    del document["scenario"]["nodes"][0]["reconcile"]
    assert QUIET == from_json(json.dumps(document).encode(), "old.json").scenario


def test_every_fault_can_be_told_from_its_json():
    """No two kinds of faults share a tag."""
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert len(KINDS) == len(set(tags))
    assert {"lose", "power_cut", "clock_step"} < set(tags)


# --- what is no capsule ---------------------------------------------------------------------------


@given(st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_any_bytes_that_are_no_capsule_are_a_value_error(data):
    """Whatever a file holds, the reader says in one sentence that it is no capsule, and whose."""
    with pytest.raises(ValueError, match=r"(?s)^runs/x is not a scenario capsule: .*\.$") as caught:
        from_json(data, "runs/x")
    assert ValueError is caught.type


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("schema",), "fieldproof-scenario/2", "has schema 'fieldproof-scenario/2'; this program"),
        (("seed",), "one", "Expected `int`, got `str` - at `$.seed`"),
        (("scenario", "lasts"), 24, "Expected `str`, got `int` - at `$.scenario.lasts`"),
        (("scenario", "last"), "1h", "unknown field `last` - at `$.scenario`"),
        (("scenario", "faults", 0, "until_"), "1h", "unknown field `until_`"),
        (("scenario", "faults", 0, "fault", "type"), "eat", "Invalid value 'eat'"),
        (("scenario", "faults", 0, "fault", "cuont"), 3, "unknown field `cuont`"),
        (("scenario", "checks", 0, "mroe"), 3, "unknown field `mroe`"),
        (("scenario", "nodes", 0, "vai"), "vsat", "unknown field `vai`"),
        (("more",), 1, "unknown field `more`"),
    ],
)
def test_a_capsule_with_a_mistake_is_refused(path, value, sentence):
    """A wrong or misspelt field is refused with its place, not replaced by a default."""
    document = json.loads(to_json(QUIET, 1))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=r"^a\.json .*\.$") as caught:
        from_json(json.dumps(document).encode(), "a.json")
    assert sentence in str(caught.value)


def test_a_capsule_that_lacks_something_is_refused():
    """A required field that is missing is named."""
    document = json.loads(to_json(QUIET, 1))
    del document["scenario"]["starts"]
    with pytest.raises(ValueError, match=r"missing required field `starts` - at `\$.scenario`"):
        from_json(json.dumps(document).encode(), "a.json")
    assert SCHEMA == document["schema"]


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        ("22:30", 0),
        ("22:30:05.25", 5.25),
        ("22:20", -LEAD_S),
        ("00:00", -81_000),
        ("+1d00:00", 5_400),
        ("+31d22:30:01", 31 * 86_400 + 1),
        ("2006-01-17T22:31", 60),
        ("2006-01-18T22:30:00Z", 86_400),
        ("2005-12-31T22:30", -17 * 86_400),
    ],
)
def test_an_instant_is_counted_from_the_start(when: str, seconds: float):
    """Times of the first day, of later days, and full dates are seconds since `starts`."""
    assert seconds == QUIET.instant_s(when)


@pytest.mark.parametrize(
    "when",
    [
        "",
        "noon",
        "24:00",
        "12:60",
        "9:30",
        "12:30:60",
        "12:30Z",
        "-1d12:30",
        "+d12:30",
        " 12:30",
        "12:30\n",
        "١٢:٣٠",
        "2006-01-17",
        "2006-02-30T00:00",
        "2006-01-17T12:30+05:00",
        "2006-01-17T12:30:00.5",
        "2006-W03-2T12:30",
    ],
)
def test_what_is_no_instant_is_refused(when: str):
    """An hour that no clock shows, another zone or a fraction that would be cut is an error."""
    with pytest.raises(ValueError, match=r"(?s)^Time '.*' in scenario quiet-hour is neither .*\.$"):
        QUIET.instant_s(when)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90m", 5400), ("24h", 86_400), ("31d", 2_678_400)]
)
def test_a_duration(text: str, seconds: int):
    """Seconds, minutes, hours and days."""
    assert seconds == duration_s(text)


@pytest.mark.parametrize(
    ("lead", "lead_s", "tail_s", "booted_s"), [("10m", 600, 600, 60), ("5s", 5, 75, 5)]
)
def test_a_lead_has_a_tail(lead: str, lead_s: int, tail_s: int, booted_s: int):
    """A world runs as long after the span as before it, and until the open record has come."""
    scenario = msgspec.structs.replace(QUIET, lead=lead)
    assert (lead_s, tail_s, booted_s) == (scenario.lead_s, scenario.tail_s, scenario.booted_s)
    assert LEAD_S == QUIET.lead_s


@pytest.mark.parametrize("text", ["", "24", "h", "1.5h", "-1h", "1h30m", "1w", "24h\n", "٣h"])
def test_what_is_no_duration_is_refused(text: str):
    """A duration is a whole number with one letter."""
    with pytest.raises(ValueError, match=r"(?s)^Duration '.*' is not a number with s, m, h or d"):
        duration_s(text)


# --- faults ---------------------------------------------------------------------------------------


@given(FAULTS)
def test_lasting_faults_need_an_end_and_others_take_none(fault):
    """`at` refuses a lasting fault without `until`, and `until` for one that strikes once."""
    lasting = isinstance(fault, LASTING)
    ends = {True: "13:00", False: None}
    assert Timed("12:00", fault, ends[lasting]) == at("12:00", fault, until=ends[lasting])
    with pytest.raises(ValueError, match=r"^\w+ at 12:00 (lasts|strikes once): .*\.$"):
        at("12:00", fault, until=ends[not lasting])


def test_the_sentences_say_what_to_do():
    """Both mistakes are named with the fault and its time."""
    with pytest.raises(ValueError, match=r"^Outage at 12:00 lasts: say until when\.$"):
        at("12:00", Outage("vsat"))
    with pytest.raises(ValueError, match=r"^Kill at 12:00 strikes once: it takes no `until`\.$"):
        at("12:00", Kill("daws"), until="12:01")


def test_a_scenario_without_a_center():
    """Asking for a center that is not there says which scenario lacks it."""
    with pytest.raises(ValueError, match="Scenario x has no center among its nodes: add one"):
        _ = Scenario("x", "", "", "", (), ()).center


# --- what is sound --------------------------------------------------------------------------------


def refusal(**changes) -> str:
    """The sentence with which QUIET is refused after these changes; "" where it is not."""
    try:
        validate(msgspec.structs.replace(QUIET, **changes))
    except MalformedScenario as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("make", "good", "bad"),
    [
        (lambda n: Lose("vsat", n), (1, 1_000_000), (0, -1, 1_000_001)),
        (lambda n: Duplicate("vsat", n), (1, 1_000_000), (0, -1, 1_000_001)),
        (lambda n: Corrupt("vsat", n), (1, 1_000_000), (0, -1, 1_000_001)),
        (lambda n: Reorder("vsat", n), (1, 1_000_000), (0, -1, 1_000_001)),
        (lambda n: Reorder("vsat", 1, n), (0.0, 2_592_000.0), (-5.0, 2_592_001.0)),
        (lambda n: ClockStep("daws", n), (-2_592_000.0, 2_592_000.0), (-3e6, 3e6)),
        (lambda n: ClockDrift("daws", n), (-100_000.0, 100_000.0), (-1_000_000.0, 100_001.0)),
        (lambda n: Kill("daws", n), (0.001, 2_592_000.0), (0.0, -5.0, 2_592_001.0)),
        (lambda n: PowerCut("daws", n), (0.001, 2_592_000.0), (0.0, -5.0, 2_592_001.0)),
        (lambda n: RotRecord("daws", n), (0, 3039), (-3, 3040, 99_999)),
        (lambda n: DropBytes("daws", n), (1, 1_000_000), (0, 1_000_001)),
        (lambda n: BurstLoss("daws", n), (1, 1_000_000), (0, 1_000_001)),
        (lambda n: Garble("daws", n), (0.001, 100.0), (0.0, -1.0, 100.5)),
    ],
)
def test_a_number_of_a_fault_has_bounds(make, good, bad):
    """A fault takes the least and the greatest number of its field, and none beyond."""
    until = "23:00" if isinstance(make(good[0]), LASTING) else None
    for number in good:
        assert "" == refusal(faults=(Timed("22:40", make(number), until),), fidelity="words")
    for number in (*bad, float("nan"), float("inf")):
        sentence = refusal(faults=(Timed("22:40", make(number), until),))
        assert re.fullmatch(rf"{type(make(number)).__name__} at 22:40 [^\n]*\.", sentence), number


def test_every_number_of_a_fault_is_bounded():
    """No fault has a field for a number that BOUNDS does not name."""
    numbers = {
        (kind, field.name)
        for kind in KINDS
        for field in msgspec.structs.fields(kind)
        if field.type in (int, float)
    }
    assert set() == numbers - {(kind, name) for kinds, name, *_ in BOUNDS for kind in kinds}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lasts": "401d"}, "has lasts '401d': it must be at least 1 s and at most 400 days."),
        ({"lasts": "99999999999999d"}, "has lasts '99999999999999d': it must be"),
        (
            {"settles_within": "61d"},
            "has settles_within '61d': it must be at least 1 s and at most 60 days.",
        ),
        ({"settles_within": "0s"}, "has settles_within '0s': it must be at least 1 s"),
        ({"lead": "4s"}, "has lead '4s': it must be at least 5 s and at most 1 days."),
        ({"lead": "25h"}, "has lead '25h': it must be at least 5 s"),
        ({"lead": "soon"}, "Duration 'soon' is not a number with s, m, h or d"),
        ({"starts": "0001-01-01T00:00Z"}, "starts at 0001-01-01T00:00Z: all that its hosts date"),
        ({"starts": "1960-01-01T00:00Z"}, "starts at 1960-01-01T00:00Z: all that its hosts date"),
        ({"starts": "1970-01-01T00:09Z"}, "must lie between 1970 and February 2106"),
        ({"starts": "2106-01-01T00:00Z"}, "must lie between 1970 and February 2106"),
        ({"starts": "2107-01-01T00:00Z"}, "must lie between 1970 and February 2106"),
        ({"starts": "9999-12-31T00:00Z"}, "must lie between 1970 and February 2106"),
        ({"starts": "2105-12-31T00:00Z", "lasts": "39d"}, "must lie between 1970 and February"),
        ({"faults": (Timed("+" + "9" * 400 + "d00:00", Lose("vsat")),)}, "is too far."),
        ({"tiers": ()}, "Scenario quiet-hour has no tier to run in: name virtual or live."),
        ({"tiers": ("lab",)}, "quiet-hour names the tier 'lab'; known are: virtual, live."),
    ],
)
def test_spans_that_no_world_can_have(changes: dict, sentence: str):
    """A span without a bound, or outside the years of a four-byte timestamp, is refused."""
    assert sentence in refusal(**changes)


def test_the_first_and_the_last_year():
    """The years 1970 and 2105 themselves will do, unless a fault dates something beyond."""
    assert "" == refusal(starts="1970-01-01T00:10Z", faults=())
    assert "" == refusal(starts="2105-12-31T00:00Z", faults=())
    ahead = (at("00:10", Spoof("forged-future", "daws")),)
    back = (at("00:20", ClockStep("daws", -3600.0)),)
    assert "four bytes" in refusal(starts="2095-12-31T00:00Z", faults=ahead)
    assert "four bytes" in refusal(starts="1970-01-01T00:10Z", faults=back)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "dawson",
        "*",
        "../../x",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.04",
        "1.2.3.256",
        "::1",
        "1.2.3.4 ",
    ],
)
def test_an_address_has_one_form(address: str):
    """Whatever is not four plain numbers is refused wherever an address stands."""
    center = Center()
    for changes in (
        {"nodes": (Site("daws", via="vsat", address=address), center)},
        {"nodes": (QUIET.nodes[0], Center(address=address))},
        {"faults": (at("22:40", MoveAddress("daws", address)),)},
        {"faults": (at("22:40", Spoof("short", "daws", source=address)),)},
    ):
        assert f"has the address {address!r}: give four numbers" in refusal(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"links": (Link("vsat"), Link("vsat", "lte"))}, "gives two of its links the name 'vsat'."),
        ({"links": (Link("vsat"), Link("daws"))}, "gives a link and a host the name 'daws'"),
        ({"links": (Link("vsat"), Link("center"))}, "gives a link and a host the name 'center'"),
        ({"links": (Link("vsat"), Link("daws/filing"))}, "Link 'daws/filing' of quiet-hour is not"),
    ],
)
def test_names_of_links(changes: dict, sentence: str):
    """In the log a name is one link's or one host's."""
    assert sentence in refusal(**changes)


@pytest.mark.parametrize("twice", [Riometer(), StatusMonitor()])
def test_a_site_has_one_instrument_of_a_kind(twice):
    """A site has one serial line and one port for each kind of instrument."""
    site = Site("daws", via="vsat", instruments=(twice, Riometer("quiet"), StatusMonitor()))
    sentence = refusal(nodes=(site, Center()))
    assert "Site daws of quiet-hour has two instruments of one kind: it has ports for one." == (
        sentence
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"phase_s": 60}, "Site daws of quiet-hour has phase_s 60: it must be from 0 to 59."),
        (
            {"instruments": (Riometer(drift_ppb=-(10**9)),)},
            "An instrument of daws in quiet-hour h",
        ),
    ],
)
def test_a_number_of_a_site_has_bounds(changes: dict, sentence: str):
    """A phase is a second of a minute, and an instrument's clock goes forward."""
    site = msgspec.structs.replace(QUIET.sites[0], **changes)
    assert sentence in refusal(nodes=(site, Center()))


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        (identical("center", to="nope"), "identical(center, nope) of quiet-hour has site 'nope'"),
        (identical("nope", to="oracle"), "identical(nope, oracle) of quiet-hour has site 'nope'"),
        (identical("center", to="gill"), "has site 'gill'; known are: daws."),
        (received_daily("nope", (1,)), "has site 'nope'; known are: daws."),
        (latency("gill", 1.0, 2.0), "has site 'gill'; known are: daws."),
        (lost_exactly("nolink", 0), "has link 'nolink'; known are: vsat."),
        (wire_bytes("zz", "repair", 1), "has link 'zz'; known are: vsat."),
        (archive_bytes("gill", 7), "archive_bytes(gill) of quiet-hour has site 'gill'; known are"),
    ],
)
def test_what_a_claim_names_is_there(claim, sentence: str):
    """A claim on a site without a riometer, or on a link that is not there, is refused."""
    gill = Site("gill", via="vsat", address="198.51.100.2", instruments=(StatusMonitor(),))
    assert sentence in refusal(nodes=(*QUIET.nodes, gill), checks=(claim,))


def test_every_claim_that_may_be_made_is_sound():
    """Claims on what the scenario has are accepted."""
    claims = (
        identical("center", to="daws"),
        identical("center:*", to="edges"),
        identical("*", to="oracle"),
        identical("daws", to="oracle"),
        archive_bytes("daws", 1),
        lost_exactly("vsat", 1),
    )
    assert "" == refusal(checks=claims)
