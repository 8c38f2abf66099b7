"""The cases and the comparison are modules beside the tests, found by this path; and the table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_terminal_summary(terminalreporter):
    """Prints the line that each case left."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = [line for report in reports for key, line in report.user_properties if key == "case"]
    if lines:
        terminalreporter.write_sep("=", "netem of the guest's kernel, and the link model")
        terminalreporter.write_line("\n".join(lines))
