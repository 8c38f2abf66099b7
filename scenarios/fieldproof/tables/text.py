"""A table of methods as Markdown."""

from fieldproof.tables.reconcile import Lacking, Row, Table


def markdown(table: Table) -> str:
    """One section for each case, the cheapest method first."""
    head = (
        "# Reconciliation, side by side",
        "",
        f"IP bytes on an emulated link of {2 * table.one_way_ms:.0f} ms there and back (profile "
        f"{table.profile}, seed {table.seed}), summed from the captures of the runs named below: "
        "handshakes, acknowledgements and headers are in them. A round trip is "
        f"{2 * table.one_way_ms:.0f} ms of the time that all of it took. The data are synthetic, "
        "calibrated to the sizes that the 2006 text gives; sizes grow with noise.",
    )
    sections = [_section(case, table) for case in table.cases]
    return "\n".join((*head, *(line for section in sections for line in section), ""))


def _section(case: Lacking, table: Table) -> list[str]:
    rows = sorted((row for row in table.rows if row.case == case.case), key=lambda r: r.all_bytes)
    lines = [
        "",
        f"## {case.case}: {_number(case.records)} records lacking",
        "",
        "| method | up | down | IP bytes | packets | round trips | s | verdict |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
        *(_line(row) for row in rows),
        "",
        f"* the records themselves: {_number(case.record_bytes)} B; entropy of what is new: "
        f"{_number(case.least_bytes)} B",
        f"* the proof, whatever the method: {_number(case.proof_bytes)} IP bytes of manifests",
    ]
    if case.of_2006:
        told = "; ".join(f"{name} {_number(size)}" for name, size in case.of_2006)
        lines.append(f"* the 2006 text: {told} (bytes of payload, counted by the programs)")
    runs = ", ".join(f"`{row.run_dir}`" for row in rows)
    return [*lines, f"* evidence: {runs}"]


def _line(row: Row) -> str:
    numbers = (row.up_bytes, row.down_bytes, row.all_bytes, row.packets)
    shown = " | ".join(map(_number, numbers))
    return f"| {row.method} | {shown} | {row.round_trips} | {row.seconds} | {row.verdict} |"


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")
