"""The stories that ship with the program, one per module, each a value named SCENARIO.

Module `three_lost_packets` holds the story `three-lost-packets`. Nothing is imported before it is
asked for. A story may also come from a capsule, a file that somebody else may have written:
whatever it says is checked here, before anything acts on it.
"""

import difflib
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

from fieldproof.faults import LASTING, SPOOF_KINDS, Timed
from fieldproof.scenario import Capsule, Center, Scenario, duration_s, from_json


class UnknownScenario(ValueError):
    """No story has this name. The text is one sentence for the user."""


class MalformedScenario(ValueError):
    """A scenario cannot be run as it is written. The text is one sentence for the user."""


def names() -> tuple[str, ...]:
    """The names of all stories, sorted."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Scenario:
    """The story of this name. Raises UnknownScenario, which suggests near ones."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`fieldproof list` shows all."
        raise UnknownScenario(f"There is no scenario {name!r}: {hint}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    scenario: Scenario = module.SCENARIO
    return scenario


def read(path: Path) -> Capsule:
    """The capsule in a file, such as a run's `scenario.json`. Raises MalformedScenario."""
    try:
        capsule = from_json(path.read_bytes(), str(path))
        validate(capsule.scenario)
    except OSError as error:
        raise MalformedScenario(f"{path} cannot be read: {error.strerror}.") from None
    except MalformedScenario as error:
        raise MalformedScenario(f"{path}: {error}") from None
    except ValueError as error:
        raise MalformedScenario(str(error)) from None
    return capsule


def command(scenario: Scenario, seed: int, run_dir: Path) -> str:
    """The command that repeats a run exactly: by name if the catalog has this very scenario, else
    by the capsule in the run directory."""
    if scenario.name in names() and load(scenario.name) == scenario:
        return f"fieldproof run {scenario.name} --seed {seed}"
    return f"fieldproof run {shlex.quote(str(run_dir / 'scenario.json'))}"


def validate(scenario: Scenario) -> None:
    """Raise MalformedScenario, saying what is wrong, where a scenario cannot be run as written."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scenario.name):  # it names a directory
        raise MalformedScenario(
            f"Scenario name {scenario.name!r} is not made of lower-case words joined by hyphens."
        )
    try:
        if min(scenario.lasts_s, duration_s(scenario.settles_within)) == 0:
            raise MalformedScenario(
                f"Scenario {scenario.name} lasts or settles for no time at all."
            )
        _ = scenario.starts_utc_s
        for timed in scenario.faults:
            _validate_times(scenario, timed)
    except MalformedScenario:
        raise
    except ValueError as error:
        raise MalformedScenario(str(error)) from None
    _validate_nodes(scenario)
    for timed in scenario.faults:
        _validate_targets(scenario, timed)


def _validate_nodes(scenario: Scenario) -> None:
    name = scenario.name
    if sum(isinstance(node, Center) for node in scenario.nodes) != 1:
        raise MalformedScenario(f"Scenario {name} must have exactly one center among its nodes.")
    hosts = [node.name for node in scenario.nodes]
    if len(set(hosts)) != len(hosts):
        raise MalformedScenario(f"Scenario {name} gives two of its nodes the same name.")
    for site in scenario.sites:
        if not re.fullmatch(r"[a-z]{4}", site.name):
            raise MalformedScenario(f"Site {site.name!r} of {name} is not four lower-case letters.")
        if site.via not in [link.name for link in scenario.links]:
            raise MalformedScenario(f"Site {site.name} of {name} has no link {site.via!r} to use.")
    if not re.fullmatch(r"[a-z]+", scenario.center.name):
        raise MalformedScenario(f"Center {scenario.center.name!r} of {name} is not a word.")
    if scenario.fidelity not in ("seconds", "words"):
        raise MalformedScenario(
            f"Fidelity {scenario.fidelity!r} of {name} is neither seconds nor words."
        )


def _validate_times(scenario: Scenario, timed: Timed) -> None:
    from_s = scenario.instant_s(timed.when)
    if isinstance(timed.fault, LASTING) is (timed.until is None):
        kind = type(timed.fault).__name__
        wrong = (
            "lasts but has no `until`" if timed.until is None else "strikes once but has `until`"
        )
        raise MalformedScenario(f"{kind} at {timed.when} in {scenario.name} {wrong}.")
    if timed.until is not None and scenario.instant_s(timed.until) <= from_s:
        raise MalformedScenario(
            f"A fault of {scenario.name} ends at {timed.until}, before it begins at {timed.when}."
        )


def _validate_targets(scenario: Scenario, timed: Timed) -> None:
    known = {
        "link": tuple(link.name for link in scenario.links),
        "host": tuple(node.name for node in scenario.nodes),
        "site": tuple(site.name for site in scenario.sites),
        "kind": SPOOF_KINDS,
    }
    for field, choices in known.items():
        value = getattr(timed.fault, field, choices[0] if choices else None)
        if value not in choices:
            raise MalformedScenario(
                f"{type(timed.fault).__name__} at {timed.when} in {scenario.name} has {field} "
                f"{value!r}; known are: {', '.join(choices)}."
            )
