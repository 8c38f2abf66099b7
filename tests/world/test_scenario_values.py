"""A scenario and its JSON are one, and what is not a scenario is refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof import faults
from fieldproof.checks import accounted, identical, lost_exactly, wire_bytes
from fieldproof.faults import (
    LASTING,
    SPOOF_KINDS,
    Kill,
    Lose,
    Outage,
    Timed,
    at,
)
from fieldproof.scenario import (
    LEAD_S,
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
SITES = st.builds(Site, TEXT, TEXT, TEXT, st.integers(0, 59), INSTRUMENTS)
NODES = st.lists(st.one_of(SITES, st.builds(Center, TEXT, TEXT, st.booleans())), max_size=4)
CHECKS = st.sampled_from(
    [
        identical("center", to="daws"),
        accounted(),
        lost_exactly("vsat", 3),
        wire_bytes("v", "repair", at_most=7),
    ]
)
SCENARIOS = st.builds(
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
