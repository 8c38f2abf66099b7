"""Draws the plot of a riometer's day, as Figure 2 of the 2006 text has it, from its document.

    python -m fieldproof_reference.engines.plots < daws.json > daws.png

A process of its own for each plot: matplotlib takes 60 MB and a second to begin, and the center
waits for no plot. The same document gives the same bytes with the same matplotlib: nothing in the
picture tells when or where it was drawn.
"""

import io
import json
import sys
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

HOURS = (np.arange(1440) + 0.5) / 60
"""The middle of each minute, UT."""

INK, FAINT, BAND, QUIET, DEPTH, GAP, FLAG = (
    "#1b1b1f", "#8a8a94", "#9db4d6", "#c2571a", "#7a1f3d", "#d9d9de", "#e8b93c",
)  # fmt: skip
SIZE_INCHES, DOTS_PER_INCH = (9.6, 5.4), 125
STYLE: dict[Any, Any] = {  # its keys are a closed type, newer than some releases
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 12,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "svg.hashsalt": "fieldproof",
}


def draw(document: bytes) -> bytes:
    """The plot, as PNG. Raises ValueError, KeyError or TypeError where this is no document."""
    told = json.loads(document)
    has_depth = told["absorption"] is not None
    with matplotlib.rc_context(STYLE):
        figure, rows = pyplot.subplots(
            2 if has_depth else 1,
            sharex=True,
            squeeze=False,
            figsize=SIZE_INCHES,
            dpi=DOTS_PER_INCH,
            height_ratios=[3, 2] if has_depth else None,
            layout="constrained",
        )
        axes = rows[:, 0]
        _draw_volts(axes[0], told)
        if has_depth:
            _draw_depth(axes[1], told)
        for one in axes:
            _mark(one, told)
        axes[-1].set_xlabel("UT, hours")
        axes[-1].set_xlim(0, 24)
        axes[-1].set_xticks(range(0, 25, 2))
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
        pyplot.close(figure)
    return picture.getvalue()


def _draw_volts(axes: Axes, told: dict[str, Any]) -> None:
    volts, low, high = (_curve(told["minutes"][name]) for name in ("volts", "low", "high"))
    axes.fill_between(HOURS, low, high, color=BAND, linewidth=0, label="lowest to highest second")
    if told["quiet"] is not None:
        axes.plot(HOURS, _curve(told["quiet"]), color=QUIET, linewidth=1.2, label="quiet day")
    axes.plot(HOURS, volts, color=INK, linewidth=0.8, label="mean of the minute")
    axes.set_ylabel("receiver output, V")
    axes.set_title(
        f"{told['site']}   {told['day']}", loc="left", fontsize=17, fontweight="bold", color=INK
    )
    axes.set_title(_counts(volts, told), loc="right", fontsize=12, color=FAINT)
    top = np.nanmax(high) if np.isfinite(high).any() else 1.0
    axes.set_ylim(min(0.0, float(np.nanmin(low)) if np.isfinite(low).any() else 0.0), top * 1.15)


def _draw_depth(axes: Axes, told: dict[str, Any]) -> None:
    depth = _curve(told["absorption"])
    axes.fill_between(HOURS, 0, depth, color=DEPTH, alpha=0.25, linewidth=0)
    axes.plot(HOURS, depth, color=DEPTH, linewidth=0.8)
    axes.set_ylabel("absorption, dB")
    deepest = float(np.nanmax(depth)) if np.isfinite(depth).any() else 0.0
    axes.set_ylim(0, max(1.0, 1.1 * deepest))


def _mark(axes: Axes, told: dict[str, Any]) -> None:
    """Where there is nothing, and what was flagged; the first of each names it in the legend."""
    volts = _curve(told["minutes"]["volts"])
    for number, (first, last) in enumerate(_stretches(~np.isfinite(volts))):
        label = None if number else "no data"
        axes.axvspan(first / 60, last / 60, color=GAP, linewidth=0, zorder=0, label=label)
    for number, (from_s, until_s, _) in enumerate(told["flagged"]):
        label = None if number else "flagged"
        hours = from_s / 3600, until_s / 3600
        axes.axvspan(*hours, ymax=0.02, color=FLAG, linewidth=0, zorder=3, label=label)
    for number, (from_s, until_s) in enumerate(told["as received"]):
        label = None if number else "as received, bad at the edge"
        hours = from_s / 3600, until_s / 3600
        axes.axvspan(*hours, ymax=0.04, color=QUIET, linewidth=0, zorder=3, label=label)
    axes.grid(axis="y", color=GAP, linewidth=0.5)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", ncols=5, frameon=False, fontsize=10.5)


def _counts(volts: NDArray[np.float64], told: dict[str, Any]) -> str:
    here, flagged = int(np.isfinite(volts).sum()), len(told["flagged"])
    flags = f", {flagged} records flagged" if flagged else ""
    return f"{here} of 1440 minutes{flags}"


def _curve(values: list[float | None]) -> NDArray[np.float64]:
    if len(values) != len(HOURS):
        raise ValueError(f"A curve has {len(HOURS)} values, not {len(values)}.")
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _stretches(here: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where a mask is true: first place, and the one behind the last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], here, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def main() -> int:
    """From standard input to standard output; 1 and one sentence where there is no document."""
    try:
        picture = draw(sys.stdin.buffer.read())
    except (ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"This is no document of a day: {type(error).__name__}: {error}.\n")
        return 1
    sys.stdout.buffer.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
