"""A table of methods as a picture: IP bytes by case and method, on a logarithmic scale."""

from pathlib import Path
from typing import Any

from fieldproof.tables.reconcile import METHODS, Row, Table

COLOURS = {"repair": "#1b6e53", "xdelta": "#4c78a8", "http-range": "#c2841a", "rsync": "#a0433d"}
INK, FAINT = "#1b1b1f", "#8a8a94"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
}


def draw(table: Table, path: Path) -> None:
    """Write a PNG. Raises ImportError where matplotlib is not installed (extra `plots`)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(9.6, 4.8), dpi=125, layout="constrained")
        width = 0.8 / len(METHODS)
        for number, method in enumerate(METHODS):
            rows = [_cell(table, case.case, method) for case in table.cases]
            places = [at + (number - (len(METHODS) - 1) / 2) * width for at in range(len(rows))]
            sizes = [row.all_bytes for row in rows]
            bars = axes.bar(places, sizes, 0.92 * width, color=COLOURS[method], label=method)
            labels = [f"{size:,}".replace(",", " ") for size in sizes]
            axes.bar_label(bars, labels=labels, fontsize=7, padding=2)
        for at, case in enumerate(table.cases):
            ends = at - 0.42, at + 0.42
            # A name that begins with `_` is not in the legend.
            name = "_again" if at else "entropy of what is new"
            axes.hlines(case.least_bytes, *ends, color=INK, linestyle="dotted", label=name)
        axes.set_yscale("log")
        names = [f"{case.case}\n{case.records} records" for case in table.cases]
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("IP bytes, both ways")
        axes.set_title("What it takes to make days whole", loc="left", fontweight="bold")
        axes.legend(frameon=False, ncols=len(METHODS) + 1, loc="upper left", fontsize=8)
        axes.set_ylim(50, 4 * max(row.all_bytes for row in table.rows))
        figure.savefig(path, metadata={"Software": None})
        pyplot.close(figure)


def _cell(table: Table, case: str, method: str) -> Row:
    return next(row for row in table.rows if (row.case, row.method) == (case, method))
