"""The stories that ship with the program, one per module, each a value named SCENARIO.

Module `three_lost_packets` holds the story `three-lost-packets`. Nothing is imported before it is
asked for. A story may also come from a capsule, a file that somebody else may have written:
whatever it says is checked here, before anything acts on it.
"""

import difflib
import importlib
import pkgutil
import shlex
from pathlib import Path

from fieldproof.scenario import Capsule, Scenario, from_json
from fieldproof.wellformed import MalformedScenario, validate


class UnknownScenario(ValueError):
    """No story has this name. The text is one sentence for the user."""


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
