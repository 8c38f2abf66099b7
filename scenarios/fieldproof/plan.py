"""A scenario's faults on the world's clock, refused where they could not be carried out.

The rules:

1. A fault begins when every host was told to boot (`booted_s` of the scenario), and is over before
   the run looks for convergence.
2. What takes a host away (kill, power cut, center down, freeze) needs a host that is there: of one
   host such faults may neither overlap nor touch. Nor may two drifts of a clock, two fillings of a
   disk, two deaths of a preamplifier, or two faults of one kind of a serial line: the end of one
   would end both. A port that is pulled and put back has forgotten how it was set.
3. Outages of a link may overlap: it is dark as long as one lasts.
4. Every address belongs to one host, moves included.
5. A site is frozen in fidelity `words` only: else nobody can tell what its line buffer keeps. (In
   the live tier every word crosses the line, whatever the scenario says.)
6. Nothing is planned in a tier that lacks it (`tiers.py`).

`check` asks everything that can be refused before a world, and with it any file, begins.
"""

from itertools import combinations

from fieldproof.faults import (
    MID_WRITE_WITHIN_S,
    SERIAL,
    BurstLoss,
    CenterDown,
    ClockDrift,
    Cooked,
    DeadPreamplifier,
    DiskFull,
    DropBytes,
    Fault,
    Freeze,
    Garble,
    Kill,
    MoveAddress,
    PowerCut,
    Reorder,
    RotRecord,
    Stall,
    Timed,
    Unplug,
    XonXoff,
)
from fieldproof.inflict import Inflicted
from fieldproof.options import LIVE, VIRTUAL
from fieldproof.oracle import excuses
from fieldproof.scenario import Riometer, Scenario, Site
from fieldproof.tiers import misplaced
from fieldproof.wellformed import MalformedScenario, validate
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.instruments.riometer import Riometer as Instrument
from fieldproof_simulators.links.profiles import profile
from fieldproof_simulators.machines.clock import TrueUtc

_EXCLUSIVE = (
    (Kill, PowerCut, CenterDown, Freeze),
    (ClockDrift,),
    (DiskFull,),
    (DeadPreamplifier,),
    (Unplug, Cooked, XonXoff),
    (DropBytes, BurstLoss),
    (Garble,),
    (Stall,),
)
"""Kinds of faults of which a host can have one at a time."""

_OF_A_SITE = (DeadPreamplifier, RotRecord, *SERIAL)

SEND_S = 60
"""How long a link waits for the next telemetry datagram, where nothing else keeps it away."""


def check(scenario: Scenario, tier: str = VIRTUAL) -> None:
    """Raise MalformedScenario where no world can be built of a scenario in a tier. Makes
    nothing."""
    validate(scenario)
    if scenario.continues is not None:
        check(scenario.continues)
    if sentence := misplaced(scenario, tier):
        raise MalformedScenario(sentence)
    begins_utc_ns = (scenario.starts_utc_s - scenario.lead_s) * SECOND_NS
    try:
        for link in scenario.links:
            profile(link.profile)
        for site in scenario.sites:
            _check_riometers(scenario, site, begins_utc_ns)
        plan(scenario, TrueUtc(begins_utc_ns), tier)
    except ValueError as error:
        raise MalformedScenario(str(error)) from None


def _check_riometers(scenario: Scenario, site: Site, begins_utc_ns: int) -> None:
    for part in site.instruments:
        try:
            if isinstance(part, Riometer):
                Instrument(site.name, 0, begins_utc_ns, noise=part.noise)
        except ValueError as error:
            raise MalformedScenario(f"In scenario {scenario.name}, {error}.") from None


def plan(scenario: Scenario, utc: TrueUtc, tier: str = VIRTUAL) -> list[Inflicted]:
    """The faults, in the scenario's order. Raises ValueError, one sentence, for the rules above."""
    _check_addresses(scenario)
    first_ns = scenario.booted_s * SECOND_NS
    planned = []
    for index, timed in enumerate(scenario.faults):
        at_ns = _true_ns(scenario, utc, timed.when)
        until_ns = None if timed.until is None else _true_ns(scenario, utc, timed.until)
        item = Inflicted(index, timed, at_ns, until_ns)
        _check_host(scenario, timed, tier)
        if at_ns < first_ns or over_ns(item) > _last_ns(scenario, utc):
            raise ValueError(
                f"{_named(timed)} in scenario {scenario.name} is not over in the scenario's time: "
                f"let it happen between {scenario.starts} and {scenario.lasts} later."
            )
        planned.append(item)
    for one, other in combinations(planned, 2):
        _check_apart(scenario, one, other)
    return planned


def _true_ns(scenario: Scenario, utc: TrueUtc, when: str) -> int:
    since_start_ns = round(scenario.instant_s(when) * SECOND_NS)
    return utc.when(scenario.starts_utc_s * SECOND_NS + since_start_ns)


def _last_ns(scenario: Scenario, utc: TrueUtc) -> int:
    return utc.when((scenario.starts_utc_s + scenario.lasts_s + scenario.tail_s) * SECOND_NS)


def over_ns(item: Inflicted) -> int:
    """True time from which on nothing comes of a fault, but for datagrams that it waits for."""
    match item.timed.fault:
        case PowerCut(_, restart_after_s, True):
            lasts_s = MID_WRITE_WITHIN_S + restart_after_s
        case Kill(_, restart_after_s) | PowerCut(_, restart_after_s):
            lasts_s = restart_after_s
        case Reorder(_, count, by_s):
            lasts_s = count * SEND_S + by_s
        case DropBytes() | BurstLoss():
            return item.at_ns + excuses.lasts_ns(item.timed.fault)
        case _:
            return item.at_ns if item.until_ns is None else item.until_ns
    return item.at_ns + round(lasts_s * SECOND_NS)


def _named(timed: Timed) -> str:
    return f"{type(timed.fault).__name__} at {timed.when}"


def _check_host(scenario: Scenario, timed: Timed, tier: str) -> None:
    """Whether the host is one to which such a fault can happen."""
    host, center = getattr(timed.fault, "host", None), scenario.center.name
    lines = [site.name for site in scenario.sites if any(map(_is_riometer, site.instruments))]
    skips_line = scenario.fidelity != "words" and tier != LIVE
    wrong = None
    if isinstance(timed.fault, _OF_A_SITE) and host == center:
        wrong = f"names the center {host}: only a site has a riometer and an archive of its own"
    elif isinstance(timed.fault, CenterDown) and host != center:
        wrong = f"names {host}: the center is {center}, and a site that goes down is a Kill"
    elif isinstance(timed.fault, SERIAL) and host not in lines:
        wrong = f"names {host}, which has no riometer and so no serial line"
    elif isinstance(timed.fault, Freeze) and host != center and skips_line:
        wrong = (
            f"freezes the site {host}: what its line buffer keeps can be told in fidelity `words` "
            "only"
        )
    if wrong is not None:
        raise ValueError(f"{_named(timed)} in scenario {scenario.name} {wrong}.")


def _is_riometer(part: object) -> bool:
    return isinstance(part, Riometer)


def _check_apart(scenario: Scenario, one: Inflicted, other: Inflicted) -> None:
    """Whether two faults can both happen to their host."""
    host = _claimed(one.timed.fault)
    if host is None or host != _claimed(other.timed.fault):
        return
    first, second = sorted((one, other), key=lambda item: item.at_ns)
    if second.at_ns <= over_ns(first):
        raise ValueError(
            f"{_named(second.timed)} in scenario {scenario.name} strikes {host[1]} before "
            f"{_named(first.timed)} is over there: keep them apart."
        )


def _claimed(fault: Fault) -> tuple[int, str] | None:
    """What a fault has for itself while it lasts: a group of `_EXCLUSIVE` and a host."""
    for group, kinds in enumerate(_EXCLUSIVE):
        if isinstance(fault, kinds):
            return group, fault.host
    return None


def _check_addresses(scenario: Scenario) -> None:
    moves = [timed.fault for timed in scenario.faults if isinstance(timed.fault, MoveAddress)]
    used = [(node.address, node.name) for node in scenario.nodes]
    used += [(move.to, move.host) for move in moves]
    owners: dict[str, str] = {}
    for address, host in used:
        owner = owners.setdefault(address, host)
        if owner != host:
            raise ValueError(
                f"Hosts {owner} and {host} of scenario {scenario.name} share the address "
                f"{address}: give each its own."
            )
