"""The JSON Schema that ships with the program describes the document that `--json` prints."""

import importlib.resources
import json

import msgspec

from fieldproof.verdict import Report

HOW = """The schema is out of date. Write it again with
python -c "import msgspec, fieldproof.verdict as v; from pathlib import Path; Path(
'scenarios/fieldproof/schemas/verdict.schema.json').write_bytes(msgspec.json.format(
msgspec.json.encode(msgspec.json.schema(v.Report)), indent=1) + b'\\n')" """


def test_the_schema_is_that_of_the_report():
    """verdict.schema.json, read as package data, is generated from the type Report."""
    shipped = importlib.resources.files("fieldproof") / "schemas" / "verdict.schema.json"
    generated = json.loads(msgspec.json.encode(msgspec.json.schema(Report)))
    assert generated == json.loads(shipped.read_text(encoding="utf-8")), HOW


def test_the_schema_demands_every_documented_member():
    """The members that the design documents for `--json` are all required."""
    report = msgspec.json.schema(Report)["$defs"]["Report"]
    documented = (
        "schema scenario tier system seed verdict exit command claims faults ledger wire "
        "log_sha256 generators_end run_dir seconds"
    )
    assert sorted(documented.split()) == sorted(report["required"])
