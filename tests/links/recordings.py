"""Recordings of a real kernel's netem, and what they asked of it: see `vectors/README.md`."""

import json
from pathlib import Path

from fieldproof_simulators.links.netem import (
    FourState,
    GilbertElliott,
    Impairments,
    RandomLoss,
)

VECTORS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "vectors").glob("*.json"))
    if path.stem != "prng"
}
KEYWORDS = {
    *("limit", "delay", "distribution", "loss", "duplicate"),
    *("corrupt", "reorder", "gap", "rate", "seed"),
}


def options(tc_args):
    """The words of a tc command line, grouped by keyword."""
    groups = {}
    for word in tc_args.split():
        if word in KEYWORDS:
            values = groups[word] = []
        else:
            values.append(word)
    return groups


def percentages(words):
    """["1%", "20%"] as numbers."""
    return [float(word.removesuffix("%")) for word in words]


def loss_of(words):
    """The loss model that tc's words after `loss` mean."""
    models = {"gemodel": GilbertElliott, "state": FourState}
    if words and words[0] in models:
        return models[words[0]](*percentages(words[1:]))
    return RandomLoss(*percentages(words)) if words else None


def impairments_of(tc_args):
    """What tc's words ask for, as our value."""
    given = options(tc_args)
    delay_ms, jitter_ms = [*(int(word[:-2]) for word in given.get("delay", ())), 0, 0][:2]
    rate, overhead, cell, cell_overhead = [*given.get("rate", ()), 0, 0, 0, 0][:4]
    units = {"kbit": 1_000, "mbit": 1_000_000}
    percent = {
        f"{name}_percent": percentages(given.get(name, ["0%"]))[0]
        for name in ("duplicate", "corrupt", "reorder")
    }
    return Impairments(
        delay_ns=delay_ms * 1_000_000,
        jitter_ns=jitter_ms * 1_000_000,
        distribution=given.get("distribution", ["uniform"])[0],
        loss=loss_of(given.get("loss", [])),
        reorder_gap=int(given.get("gap", ["1"])[0]),
        rate_bit_s=int(rate[:-4]) * units[rate[-4:]] if rate else 0,
        overhead_bytes=int(overhead),
        cell_bytes=int(cell),
        cell_overhead_bytes=int(cell_overhead),
        limit_frames=int(given["limit"][0]),
        **percent,
    )
