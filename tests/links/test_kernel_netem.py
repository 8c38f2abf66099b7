"""How the kernel's netem is asked: tc's words, the seed read back, and what a machine may answer.

tc and ip are stand-ins here; the real ones, and the kernel's, are asked in `netem_guest/`.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.links.live import kernel_netem
from fieldproof_simulators.links.losses import threshold
from fieldproof_simulators.links.netem import FourState, GilbertElliott, Impairments, RandomLoss

MS = 1_000_000
TC = """#!/bin/sh
echo "tc $*" >>"$CALLS"
case "$*" in
*" show "*) cat "$SHOWN" ;;
*add*) test ! -e "$REFUSAL" || { cat "$REFUSAL" >&2; exit 2; } ;;
esac
"""
IP = """#!/bin/sh
echo "ip $*" >>"$CALLS"
"""


@pytest.mark.parametrize(
    ("impairments", "words"),
    [
        (Impairments(), ""),
        (Impairments(delay_ns=300 * MS), "delay 300000000ns"),
        (Impairments(jitter_ns=7), "delay 0ns 7ns"),
        (
            Impairments(delay_ns=50 * MS, jitter_ns=20 * MS, distribution="pareto"),
            "delay 50000000ns 20000000ns distribution pareto",
        ),
        (Impairments(loss=RandomLoss(0)), ""),
        (Impairments(loss=RandomLoss(0.28)), "loss 0.28%"),
        (Impairments(loss=GilbertElliott(1)), "loss gemodel 1% 99% 100% 0%"),
        (Impairments(loss=GilbertElliott(1, 20, 90, 0.1)), "loss gemodel 1% 20% 90% 0.1%"),
        (Impairments(loss=GilbertElliott(0)), "loss gemodel 0% 100% 100% 0%"),
        (Impairments(loss=FourState(1)), "loss state 1% 99% 0% 100% 0%"),
        (Impairments(loss=FourState(1, 20, 5, 70, 0.2)), "loss state 1% 20% 5% 70% 0.2%"),
        (Impairments(duplicate_percent=2, corrupt_percent=1e-05), "duplicate 2% corrupt 1e-05%"),
        (Impairments(delay_ns=MS, reorder_percent=25), "delay 1000000ns reorder 25% gap 1"),
        (
            Impairments(delay_ns=MS, reorder_percent=25, reorder_gap=5),
            "delay 1000000ns reorder 25% gap 5",
        ),
        (Impairments(rate_bit_s=64_000), "rate 64000bit 0 0 0"),
        (
            Impairments(rate_bit_s=8, overhead_bytes=26, cell_bytes=53, cell_overhead_bytes=5),
            "rate 8bit 26 53 5",
        ),
    ],
)
def test_each_impairment_has_its_words(impairments, words):
    """tc is told every parameter of the value, and nothing of what it leaves alone."""
    asked = kernel_netem.tc_arguments(impairments, 42)
    assert f"limit 1000 {words} seed 42".split() == asked


def test_all_impairments_together_keep_tcs_order():
    """The jitter's distribution follows the delay and the gap follows the reordering."""
    messy = Impairments(
        delay_ns=50 * MS,
        jitter_ns=20 * MS,
        distribution="normal",
        loss=RandomLoss(3),
        duplicate_percent=2,
        corrupt_percent=4,
        reorder_percent=10,
        reorder_gap=2,
        rate_bit_s=1_000_000,
        overhead_bytes=14,
        limit_frames=50,
    )
    assert (
        "limit 50 delay 50000000ns 20000000ns distribution normal loss 3% duplicate 2% "
        "corrupt 4% reorder 10% gap 2 rate 1000000bit 14 0 0 seed 7"
    ) == " ".join(kernel_netem.tc_arguments(messy, 7))


@given(st.floats(0, 100), st.integers(0, 2**65))
def test_numbers_reach_tc_unrounded(percent, seed):
    """The kernel gets the threshold of the very percentage, and the seed modulo 2^64."""
    words = kernel_netem.tc_arguments(Impairments(loss=RandomLoss(percent)), seed)
    asked = float(words[3].removesuffix("%")) if "loss" in words else 0
    assert (threshold(percent), str(seed % 2**64)) == (threshold(asked), words[-1])


@pytest.mark.parametrize(
    ("shown", "seed"),
    [
        ("qdisc netem 8001: root refcnt 2 limit 1000 loss 5% seed 42 \n", 42),
        ("qdisc netem 8001: root refcnt 2 limit 9 seed 18446744073709551615\n Sent 0", 2**64 - 1),
        ("qdisc fq 0: root\nqdisc netem 1: root limit 9 reorder 25% seed 15 gap 1\n", 15),
        ("qdisc netem 8001: root refcnt 2 limit 1000 loss 5%\n", None),
        ("qdisc noqueue 0: root refcnt 2\n", None),
        ("qdisc netem 1: root limit 9\nqdisc other 2: seed 3\n", None),
        ("", None),
    ],
)
def test_the_seed_is_read_from_what_tc_shows(shown, seed):
    """Only netem's own line says a seed, and where it says none there is none."""
    assert seed == kernel_netem.read_back(shown)


@given(st.one_of(st.text(), st.from_regex(r"qdisc netem .* seed \d*.*")))
def test_any_text_can_be_read(shown):
    """Whatever tc prints, there is a number or nothing, and no error."""
    assert kernel_netem.read_back(shown) is None or kernel_netem.read_back(shown) >= 0


class Machine:
    """Stand-ins for tc and ip, first on the path."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.calls, self.shown, self.refusal = (folder / n for n in ("calls", "shown", "refusal"))
        for program, text in (("tc", TC), ("ip", IP)):
            (folder / program).write_text(text)
            (folder / program).chmod(0o755)
        for name in ("calls", "shown", "refusal"):
            patch.setenv(name.upper(), str(folder / name))
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def shows(self, seed: int | None) -> None:
        """What `tc qdisc show` is to print."""
        words = "" if seed is None else f" seed {seed}"
        self.shown.write_text(f"qdisc netem 8001: root limit 1000{words}\n")

    def called(self) -> list[str]:
        """The words of each call but those for reading."""
        return [call for call in self.calls.read_text().splitlines() if " show " not in call]


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    """A machine whose tc does what it is asked."""
    made = Machine(tmp_path, monkeypatch)
    made.shows(5)
    return made


def test_a_device_gets_a_fresh_qdisc(machine):
    """A netem that is there is removed first, for a changed one would keep its state."""
    kernel_netem.apply("va", Impairments(), 5)
    assert [
        "tc qdisc del dev va root",
        "tc qdisc add dev va root netem limit 1000 seed 5",
    ] == machine.called()


@pytest.mark.parametrize(("has", "says"), [(None, "has none"), (6, "has 6")])
def test_an_ignored_seed_is_noticed(machine, has, says):
    """A kernel or a tc that knows no seeds says nothing, and reading back finds it out."""
    machine.shows(has)
    with pytest.raises(
        kernel_netem.NetemError, match=f"given the seed 5 and {says}, so its losses"
    ):
        kernel_netem.apply("va", Impairments(), 5)


def test_a_refusal_is_told_in_tcs_words(machine):
    """The command and the first line of what it said are in the error."""
    machine.refusal.write_text("Error: Specified qdisc kind is unknown.\nWe have an error\n")
    with pytest.raises(
        kernel_netem.NetemError,
        match=r"netem limit .* said: Error: Spec.*unknown\. \(netem with a",
    ):
        kernel_netem.apply("va", Impairments(), 5)


def test_the_probe_leaves_nothing_behind(machine):
    """A machine with a netem that keeps its seed passes, and the pair of devices is removed."""
    machine.shows(2**64 - 1)
    assert kernel_netem.probe() is None
    first, *_, last = machine.called()
    assert first.split()[:3] == ["ip", "link", "add"] and last == f"ip link del {first.split()[3]}"


def test_the_probe_removes_what_a_refusal_leaves(machine):
    """Where netem is refused, the reason is given and the devices are gone all the same."""
    machine.refusal.write_text("Error: Specified qdisc kind is unknown.\n")
    machine.shown.write_text("")
    assert "Specified qdisc kind is unknown." in kernel_netem.probe()
    assert machine.called()[-1].startswith("ip link del np")


def test_a_machine_without_tc_is_told_how_to_get_it(monkeypatch):
    """The reason names the package."""
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    assert "ip is missing; as root: apt-get install iproute2" == kernel_netem.probe()
