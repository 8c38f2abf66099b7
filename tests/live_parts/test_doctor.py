"""`fieldproof doctor`: it tries, leaves nothing behind, says what is missing and how to get it."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from fieldproof.live import doctor, doctor_probes
from fieldproof.live.capabilities import CAPABILITIES, NAMES, Capability, Probe
from fieldproof.live.doctor import Diagnosis, Finding
from fieldproof.verdict import Exit

DEPENDS = Path(__file__).parents[2] / "ci" / "depends.txt"
NOT_TO_BE_FOUND = "-"  # in place of a tool that only ci/run can look for

ALL_THERE = {name: Probe(True, "1.0") for name in NAMES}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """What this machine can do, and what files and mounts that left behind."""
    folder = tmp_path_factory.mktemp("doctor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        found = doctor_probes.examine()
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return found, [*folder.iterdir(), *(mount for mount in mounts if str(folder) in mount)]


def run(*words: str, monkeypatch: pytest.MonkeyPatch, probes=ALL_THERE) -> int:
    """The exit code of the command on a machine with these probes."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--json", action="store_true")
    doctor.add_arguments(parser)
    monkeypatch.setattr(doctor_probes, "examine", lambda: probes)
    return doctor.main(parser.parse_args(words))


# --- the table ------------------------------------------------------------------------------------


def test_required_tools_are_those_of_the_depends_file():
    """The table requires exactly the tools that ci/depends.txt names, by the same packages."""
    rows = [line.split()[:2] for line in DEPENDS.read_text().splitlines()]
    named = {
        (package, tool) for package, tool in rows if package != "#" and tool != NOT_TO_BE_FOUND
    }
    required = {(row.package, row.tool) for row in CAPABILITIES if row.is_required and row.tool}
    assert named == required


def test_names_are_names():
    """No name stands twice, and each can be said in a list with commas."""
    assert len(NAMES) == len(set(NAMES))
    assert [] == [name for name in NAMES if not name.replace("-", "").isalnum()]


# --- this machine ---------------------------------------------------------------------------------


def test_everything_is_tried(tried):
    """On any machine each capability is found or not, with a version, a figure or a reason."""
    found, _ = tried
    assert list(NAMES) == list(found)
    assert [] == [name for name, probe in found.items() if not probe.found]


def test_nothing_is_left_behind(tried):
    """No temporary file and no mount stays."""
    assert [] == tried[1]


def test_what_runs_the_tests_is_found(tried):
    """The interpreter and the user that run this test are seen as they are."""
    found, _ = tried
    assert found["python"].is_there
    assert found["python"].found.startswith(sys.version.split()[0])
    assert found["user"].found.startswith(f"uid {os.geteuid()}, ")


@pytest.mark.needs("socat")
@pytest.mark.needs("tshark")
def test_tools_are_found_with_their_versions(tried):
    """A tool that works is there, with the figures that it calls its version."""
    found, _ = tried
    for name in ("socat", "tshark"):
        assert (True, True) == (found[name].is_there, found[name].found[0].isdigit())


# --- single probes --------------------------------------------------------------------------------


def test_a_missing_tool_comes_with_its_apt_line(monkeypatch):
    """A program that is not on the path is missing, and the fix names its package."""
    monkeypatch.setattr(doctor_probes, "found_at", lambda program: None)
    row = Capability("reader", "", "", True, "reader-utils", "reader")
    expected = Probe(False, "not on the path", "As root: apt-get install reader-utils.")
    assert expected == doctor_probes.tool(row)
    assert "As root: apt-get install socat." == doctor_probes.socat().fix


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo tool version 3.5.0 protocol 32", "3.5.0"),
        ("[ $1 = -V ] && echo 1.7.4.4 >&2 || exit 1", "1.7.4.4"),
        ("echo no figures", "there, of an unknown version"),
    ],
)
def test_versions_are_read_from_what_a_tool_says(tmp_path, script, version):
    """Either output counts, and so does either of the two usual options."""
    program = tmp_path / "tool"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert version == doctor_probes.version_of(str(program))


def test_without_namespaces_what_lives_in_them_is_not_tried(monkeypatch):
    """The ways out of missing namespaces are the ways to all that needs them."""
    denied = Probe(False, "AppArmor.", "One of three.")
    assert {"tun", "packet", "netem", "small-disk"} == set(doctor_probes.inside(denied))
    assert {"One of three."} == {probe.fix for probe in doctor_probes.inside(denied).values()}


def test_a_trial_that_crashes_is_a_finding(monkeypatch):
    """When the process inside of namespaces fails, its last words are the reason."""
    crash = ["sh", "-c", "echo one; echo boom >&2; exit 1"]
    monkeypatch.setattr(doctor_probes, "isolated_command", lambda argv: crash)
    probes = doctor_probes.inside(Probe(True, "all"))
    assert {Probe(False, "the trial failed: boom")} == set(probes.values())


def test_a_machine_that_wakes_late_is_found_out(monkeypatch):
    """Where wake-ups are later than the limit, the timer is no good, and the figures say so."""
    monkeypatch.setattr(doctor_probes, "LATE_P99_MS", -1.0)
    monkeypatch.setattr(doctor_probes, "TIMER_S", 0.05)
    probe = doctor_probes.timer()
    assert (False, True) == (probe.is_there, "processors busy" in probe.fix)
    assert probe.found.startswith("late by ")


@pytest.mark.parametrize(
    ("controllers", "is_there"),
    [("cpu io memory pids", True), ("cpu io pids", False), (None, False)],
)
def test_a_missing_memory_controller_is_noticed(tmp_path, monkeypatch, controllers, is_there):
    """Control groups without memory, as on a Raspberry Pi, come with the words for its command
    line."""
    if controllers is not None:
        (tmp_path / "cgroup.controllers").write_text(controllers)
    monkeypatch.setattr(doctor_probes, "CGROUPS", tmp_path)
    probe = doctor_probes.memory_limits()
    assert is_there == probe.is_there
    assert is_there != ("cgroup_enable=memory" in probe.fix)


def test_memory_limits_of_the_first_kind_are_seen(tmp_path, monkeypatch):
    """The first version of control groups has a folder for memory."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr(doctor_probes, "CGROUPS", tmp_path)
    assert "cgroup v1 with its memory controller" == doctor_probes.memory_limits().found


@pytest.mark.parametrize(
    ("governor", "throttled", "is_there"),
    [
        ("performance", "", True),
        ("performance", "throttled=0x0", True),
        ("ondemand", "throttled=0x0", False),
        ("performance", "throttled=0x50005", False),
        (None, "", False),
    ],
)
def test_a_processor_that_changes_its_speed_is_noticed(
    tmp_path, monkeypatch, governor, throttled, is_there
):
    """Only the governor `performance`, and no throttling, make figures that compare."""
    if governor is not None:
        (tmp_path / "cpu0" / "cpufreq").mkdir(parents=True)
        (tmp_path / "cpu0" / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    monkeypatch.setattr(doctor_probes, "CPUS", tmp_path)
    monkeypatch.setattr(doctor_probes, "said", lambda *command: throttled)
    assert is_there == doctor_probes.processor().is_there


def test_an_interpreter_under_a_closed_folder_is_noticed(monkeypatch):
    """The folder that keeps others out is named."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        closed = Path(top, "closed")
        closed.mkdir(0o700)
        monkeypatch.setattr(doctor_probes.sys, "executable", str(closed / "python"))
        monkeypatch.setattr(doctor_probes.os, "geteuid", lambda: 1000)
        probe = doctor_probes.interpreter()
    assert (False, f"others cannot enter {closed}") == (probe.is_there, probe.found)


# --- what is said ---------------------------------------------------------------------------------


TEXT = """\
fieldproof 9.9   1 of 3 capabilities   missing although required: socat
           capability            found                     used for
  ok       python      required  3.11.7                    everything
  MISSING  socat       required  not on the path           serial lines
  no       netem       optional  no sch_netem in [kernel]  links by the kernel
  without socat: no live scenario runs.
    As root: apt-get install socat.
  without netem: it is refused.
"""


def test_the_text_says_what_is_missing_and_how_to_get_it(capsys):
    """Off a terminal the table is plain text, and what is missing follows with its fix."""
    diagnosis = Diagnosis(
        doctor.SCHEMA,
        "9.9",
        (
            Finding("python", True, True, "3.11.7", "everything", "nothing runs", ""),
            Finding(
                "socat",
                False,
                True,
                "not on the path",
                "serial lines",
                "no live scenario runs",
                "As root: apt-get install socat.",
            ),
            Finding(
                "netem",
                False,
                False,
                "no sch_netem in [kernel]",
                "links by the kernel",
                "it is refused",
                "",
            ),
        ),
        ("socat",),
    )
    doctor.show(diagnosis, sys.stdout)
    assert TEXT == capsys.readouterr().out


def test_the_document_says_the_same(monkeypatch, capsys):
    """With --json standard output holds one document, with a finding for each capability."""
    probes = ALL_THERE | {"tshark": Probe(False, "not on the path", "As root: apt-get ...")}
    assert Exit.PASS == run("--json", monkeypatch=monkeypatch, probes=probes)
    document = msgspec.json.decode(capsys.readouterr().out, type=Diagnosis)
    assert list(NAMES) == [finding.name for finding in document.capabilities]
    assert ("tshark",) == document.missing_required


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--require", "socat,tun"), 69)])
def test_what_is_required_decides_the_exit(monkeypatch, capsys, words, code):
    """Exit 0 whatever is missing, and 69 where one of the named things is."""
    probes = ALL_THERE | {"tun": Probe(False, "closed", "Open it.")}
    assert code == run(*words, monkeypatch=monkeypatch, probes=probes)
    assert ("This machine lacks tun." in capsys.readouterr().err) == (code == 69)


def test_what_is_there_satisfies(monkeypatch):
    """Required things that are there end in exit 0."""
    assert 0 == run("--require", ",".join(NAMES), monkeypatch=monkeypatch)


@pytest.mark.parametrize("names", ["sockat", "", ",", "socat,,nothing"])
def test_unknown_names_are_refused(monkeypatch, names):
    """A name that is in no table is an error of the user's, and the known ones are listed."""
    with pytest.raises(argparse.ArgumentError, match="known are python, "):
        run("--require", names, monkeypatch=monkeypatch)
