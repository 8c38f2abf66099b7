"""requirements.lock answers pyproject.toml, for every Python and processor that we name.

Read without a network: a lock is stale when something that we, or a package in it, ask for is
missing from it or pinned outside the range. `ci/run lock` writes it anew.
"""

import tomllib
from importlib.metadata import requires, version
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
MACHINES = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for python, machine in product(("3.11", "3.12", "3.13"), ("x86_64", "aarch64"))
]
THIS_MACHINE = {"extra": ""}  # and the interpreter's own values


def entries() -> list[tuple[Requirement, int]]:
    """Each pinned requirement of the lock, with the number of its hashes."""
    logical_lines = LOCK.replace("\\\n", " ").splitlines()
    words = [line.split("--hash=sha256:") for line in logical_lines if line and line[0] not in "# "]
    return [(Requirement(first), len(hashes)) for first, *hashes in words]


def pins(machine: dict[str, str]) -> dict[str, str]:
    """What the lock installs on a machine: exactly one version for each name."""
    held = [r for r, _ in entries() if r.marker is None or r.marker.evaluate(machine)]
    found = {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in held}
    assert len(found) == len(held), f"two versions of one package on {machine}"
    return found


def unmet(wishes: list[str], machine: dict[str, str]) -> list[str]:
    """Those of the wishes that the lock does not fulfil on a machine."""
    held = pins(machine)

    def is_met(wish: Requirement) -> bool:
        version = held.get(canonicalize_name(wish.name))
        return version is not None and wish.specifier.contains(version)

    wanted = [Requirement(wish) for wish in wishes]
    applying = [wish for wish in wanted if wish.marker is None or wish.marker.evaluate(machine)]
    return [str(wish) for wish in applying if not is_met(wish)]


def direct_wishes() -> list[str]:
    """All that pyproject.toml asks for: to run, to develop and to build."""
    project = PROJECT["project"]
    return [
        *project["dependencies"],
        *(wish for extra in project["optional-dependencies"].values() for wish in extra),
        *PROJECT["build-system"]["requires"],
    ]


@pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda m: f"{m['python_version']}-{m['platform_machine']}"
)
def test_the_lock_fulfils_every_wish_of_the_project(machine):
    """Each requirement of pyproject.toml is pinned within its range, once."""
    assert [] == unmet(direct_wishes(), machine)


def test_the_lock_fulfils_every_wish_of_its_packages():
    """What is installed is what is locked, and requires nothing that the lock lacks."""
    held = pins(THIS_MACHINE)
    assert held == {name: version(name) for name in held}
    assert [] == unmet([wish for name in held for wish in requires(name) or []], THIS_MACHINE)


def test_a_stale_lock_is_noticed():
    """A new dependency and a raised floor are both reported."""
    assert ["no-such-thing", "simpy>=99"] == unmet(["no-such-thing", "simpy>=99"], MACHINES[0])


def test_every_entry_of_the_lock_is_pinned_and_hashed():
    """Nothing can be installed that is not the very file that was locked."""
    loose = [str(r) for r, hashes in entries() if hashes == 0 or not str(r.specifier)[2:]]
    assert (True, []) == (len(entries()) > 20, loose)


def test_the_lock_names_no_index():
    """The lock holds no address, so that every machine uses its own index."""
    assert [] == [line for line in LOCK.splitlines() if "://" in line or "index" in line]
