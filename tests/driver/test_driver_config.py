"""What a process is told is right, or is refused in one sentence that says what to do."""

import json
import os
import socket
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import Address
from fieldproof_reference import __main__ as programs
from fieldproof_reference import config, ports
from fieldproof_reference.config import BadConfiguration

EXAMPLES = Path(__file__).parents[2] / "reference"
KEY = "00" * 32
EDGE = {
    "site": "daws",
    "serial": "/dev/ttyUSB0",
    "archive": "/data",
    "center": "192.0.2.1",
    "key": KEY,
}
SITES = {"daws": {"address": "198.51.100.1", "key": KEY}}
CENTER = {"archive": "/data", "sites": SITES}


@pytest.fixture
def written(tmp_path):
    """Writes a configuration; its path."""

    def write(content, name="config.yml"):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else yaml.safe_dump(content).encode()
        path.write_bytes(data)
        return path

    return write


def variables(values):
    """The same as an environment."""
    texts = {True: "1", False: "0"}
    return {f"FIELDPROOF_{key.upper()}": texts.get(value, value) for key, value in values.items()}


def sentence(act):
    """The sentence of a refusal."""
    with pytest.raises(BadConfiguration) as refused:
        act()
    said = str(refused.value)
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) < 400
    return said


# --- the two ways are one -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"center": "192.0.2.1:24985", "address": "198.51.100.1", "status": True},
        {"center": "[2001:db8::1]:24985", "address": "2001:db8::2", "status": False},
        {"center": "center.example:24985", "clock": "/c", "events": "/e", "log": "/l"},
    ],
)
def test_an_edge_is_the_same_from_file_and_environment(written, more):
    """Whatever keys are given, both ways give equal values."""
    told = EDGE | more
    edge = config.edge_from_file(written(told))
    assert edge == config.edge_from_environment(variables(told))
    assert ("daws", bytes(32), Path("/data")) == (edge.site, edge.key, edge.common.archive)
    assert more.get("center", "192.0.2.1").removesuffix(":24985").strip("[]") == edge.center
    assert more.get("address", "") == edge.address
    assert more.get("status", False) == edge.status


@pytest.mark.parametrize("listen", [None, "192.0.2.1", "192.0.2.1:24985"])
@pytest.mark.parametrize("method", [None, "repair", "http-range", "none"])
def test_a_center_is_the_same_from_file_and_environment(written, listen, method):
    """Sites in YAML and in a JSON file give equal values; a site without a method is repaired."""
    site = SITES["daws"] | ({"reconcile": method} if method else {})
    told = {"archive": "/data", "sites": {"daws": site}} | ({"listen": listen} if listen else {})
    center = config.center_from_file(written(told))
    sites = written(json.dumps({"daws": site}).encode(), "sites.json")
    assert center == config.center_from_environment(variables(told | {"sites": str(sites)}))
    known = center.settings.sites["daws"]
    assert (bytes(32), Address("198.51.100.1", ports.REPAIR)) == (known.key, known.repair)
    assert (method or "repair") == known.reconcile
    assert ("192.0.2.1" if listen else "") == center.address


def test_other_variables_and_empty_ones_are_no_keys():
    """The harness's own variables are nobody's keys, and an empty variable is none."""
    more = {"scenario": "riometer-live", "role": "edge", "address": "", "status": ""}
    edge = config.edge_from_environment(variables(EDGE | more))
    assert config.edge_from_environment(variables(EDGE)) == edge


@pytest.mark.parametrize(("text", "ns"), [("-3.5", -3_500_000_000), ("1e-9", 1), ("", 0)])
def test_the_systems_clock_can_be_moved(text, ns):
    """By decimal seconds, exactly."""
    edge = config.edge_from_environment(variables(EDGE | {"utc_offset_s": text}))
    assert ns == edge.common.utc_offset_ns


def test_the_examples_are_in_order():
    """The two files that come with the reference are accepted as they are."""
    edge = config.edge_from_file(EXAMPLES / "config-edge.yml")
    center = config.center_from_file(EXAMPLES / "config-center.yml")
    assert edge.key == center.settings.sites[edge.site].key
    assert {"repair", "http-range"} == {s.reconcile for s in center.settings.sites.values()}
    assert 0 == programs.edge(["--check", str(EXAMPLES / "config-edge.yml")])
    assert 0 == programs.main(["center", "--check", str(EXAMPLES / "config-center.yml")])


def test_the_examples_have_every_key():
    """No key is left to be found out."""
    for name, kind in (("edge", config.EdgeKeys), ("center", config.CenterKeys)):
        text = (EXAMPLES / f"config-{name}.yml").read_text()
        assert [] == [key for key in kind.__struct_fields__ if f"{key}: " not in text + "sites: "]


# --- refusals -------------------------------------------------------------------------------------

WRONG = (
    ("site", "DAWS", "four lower-case letters, not 'DAWS'"),
    ("site", "daw", "four lower-case letters, not 'daw'"),
    ("site", "daws\n", "four lower-case letters, not 'daws\\n'"),
    ("serial", 7, "the path of a serial port, not 7"),
    ("serial", "", "the path of a serial port, not ''"),
    ("serial", "/dev/\0", "the path of a serial port, not '/dev/\\x00'"),
    ("archive", None, "the path of a folder, not nothing"),
    ("archive", ["/data"], "the path of a folder, not a list"),
    ("center", "192.0.2.1:80", "with port 24985 or none, not '192.0.2.1:80'"),
    ("center", "a b", "an address or name, with port 24985 or none, not 'a b'"),
    ("center", "999.1.1.1", "an address or name, with port 24985 or none, not '999.1.1.1'"),
    ("key", 10**40, "at least 32 hexadecimal digits, in quotes, not a large number"),
    (
        "key",
        "00" * 15,
        "at least 32 hexadecimal digits, in quotes, not 30 characters",
    ),
    ("key", "0" * 33, "at least 32 hexadecimal digits, in quotes, not 33 characters"),
    ("key", "x" * 64, "at least 32 hexadecimal digits, in quotes, not 64 characters"),
    ("address", "localhost", "an IP address, not 'localhost'"),
    ("status", "yes", "true or false, not 'yes'"),
    ("status", 1, "true or false, not 1"),
    ("clock", 1.5, "the path of a clock file, not 1.5"),
    ("events", {}, "the path of a file, not a dict"),
    ("log", False, "the path of a file, not False"),
)


@pytest.mark.parametrize(("key", "value", "expected"), WRONG)
def test_a_wrong_value_is_named_with_its_key(written, key, value, expected):
    """The sentence has the file, the key, what must be there, and what is there instead."""
    path = written(EDGE | {key: value})
    said = sentence(lambda: config.edge_from_file(path))
    assert said.startswith(f"{path}: the key '{key}' must be ")
    assert expected in said


@pytest.mark.parametrize(("key", "value", "expected"), WRONG)
def test_a_wrong_variable_is_named(key, value, expected):
    """The same for a variable of the environment, where it is text."""
    if isinstance(value, str) and value:
        said = sentence(lambda: config.edge_from_environment(variables(EDGE | {key: value})))
        assert said.startswith(f"FIELDPROOF_{key.upper()} must be ")
        assert expected in said


@pytest.mark.parametrize("key", EDGE)
def test_a_missing_key_is_named(written, key):
    """The sentence says which key is missing, and what it must be."""
    rest = {name: value for name, value in EDGE.items() if name != key}
    path = written(rest)
    said = sentence(lambda: config.edge_from_file(path))
    assert said.startswith(f"{path}: the key '{key}' is missing: it must be ")
    said = sentence(lambda: config.edge_from_environment(variables(rest)))
    assert said.startswith(f"FIELDPROOF_{key.upper()} is missing: it must be ")


def test_an_unknown_key_is_named_with_those_there_are(written):
    """A slip of the pen is shown beside the right names."""
    path = written(EDGE | {"sight": "daws"})
    said = sentence(lambda: config.edge_from_file(path))
    assert said.startswith(f"{path}: There is no key 'sight'; there are archive, clock, ")


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        (7, "the key 'sites' must be the sites, by names of four lower-case letters, not 7"),
        ({"DAWS": SITES["daws"]}, "the key 'sites' must be the sites, by names of four"),
        ({"daws": 7}, "site daws: There must be keys and values, not 7"),
        ({"daws": {"key": KEY}}, "site daws: the key 'address' is missing: it must be an IP"),
        ({"daws": SITES["daws"] | {"address": "x"}}, "site daws: the key 'address' must be an IP"),
        ({"daws": SITES["daws"] | {"port": 1}}, "site daws: There is no key 'port'"),
        (
            {"daws": SITES["daws"] | {"reconcile": "pigeon"}},
            f"site daws: the key 'reconcile' must be {config.EXPECTED['reconcile']}, not 'pigeon'",
        ),
    ],
)
def test_a_wrong_site_is_named(written, sites, expected):
    """Both in YAML and in a file of its own, the sentence says which site and which of its keys."""
    path = written({"archive": "/data", "sites": sites})
    assert f"{path}: {expected}" in sentence(lambda: config.center_from_file(path))
    if sites != 7:
        apart = written(json.dumps(sites).encode(), "sites.json")
        told = variables({"archive": "/data", "sites": str(apart)})
        said = sentence(lambda: config.center_from_environment(told))
        assert f"{apart}: {expected}" in said


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "There must be keys and values, not nothing"),
        (b"- site", "There must be keys and values, not a list"),
        (b"site: [daws", "This is no YAML in line "),
        (b"site: \xff", "This is no text in UTF-8"),
        (b"site: 2001-99-99", "A value there is none that YAML can have"),
        (b"site: !!timestamp x", "A value there is none that YAML can have"),
        (b"[" * 2_000, "A value there is none that YAML can have"),
        (b"#" * (1 << 21), "A configuration has at most 1048576 bytes"),
        (b"? [a]\n: b", "This is no YAML"),
        (b"site: &a [x]\nserial: [*a, *a]", "the key 'site' must be four lower-case letters"),
    ],
)
def test_what_is_no_configuration_is_refused(written, content, expected):
    """Broken files are told from each other."""
    path = written(content)
    assert f"{path}: {expected}" in sentence(lambda: config.edge_from_file(path))


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    """And so is one that is a folder, and sites that are no JSON."""
    missing = tmp_path / "none.yml"
    said = sentence(lambda: config.edge_from_file(missing))
    assert f"{missing}: It cannot be read: No such file or directory." == said
    assert "Is a directory" in sentence(lambda: config.center_from_file(tmp_path))
    broken = tmp_path / "sites.json"
    broken.write_text("{")
    told = variables({"archive": "/data", "sites": str(broken)})
    said = sentence(lambda: config.center_from_environment(told))
    assert f"{broken}: This is no JSON." == said


@pytest.mark.parametrize(("name", "value"), [("ROLE", "center"), ("UTC_OFFSET_S", "nan")])
def test_wrong_surroundings_are_refused(name, value):
    """Another program's role, and an offset that is no number of seconds."""
    told = variables(EDGE) | {f"FIELDPROOF_{name}": value}
    assert f"FIELDPROOF_{name}" in sentence(lambda: config.edge_from_environment(told))


def test_programs_end_with_a_sentence_and_a_code(written, monkeypatch, capsys, tmp_path):
    """4 for a bad configuration or call, 69 for what the machine lacks, each with one line."""

    def nobody(*asked):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    for key in config.EXPECTED:
        monkeypatch.delenv(f"FIELDPROOF_{key.upper()}", raising=False)
    path = written(EDGE | {"site": 7})
    assert 4 == programs.edge([str(path)])
    assert 4 == programs.edge([])
    assert 4 == programs.main(["router"])
    assert 4 == programs.main([])
    with pytest.raises(SystemExit) as ended:
        programs.edge(["--chek"])
    assert 4 == ended.value.code
    (tmp_path / "file").write_text("")
    archive = str(tmp_path / "file" / "folder")
    assert 69 == programs.edge([str(written(EDGE | {"archive": archive}))])
    nameless = EDGE | {"center": "center.invalid"}
    assert 69 == programs.edge([str(written(nameless))])
    said = capsys.readouterr().err.splitlines()
    assert said.pop(1).startswith("usage: fieldproof-edge ")
    assert 7 == len(said)
    assert (
        "fieldproof-edge: There is no configuration: name a file with one, or set "
        "FIELDPROOF_ARCHIVE, FIELDPROOF_SITE, FIELDPROOF_SERIAL, FIELDPROOF_CENTER, FIELDPROOF_KEY."
        == said[1]
    )
    assert (
        f"fieldproof-edge: {path}: the key 'site' must be four lower-case letters, not 7."
        == (said[0])
    )
    assert f"fieldproof-edge: This needs the folder {archive}: Not a directory." == said[5]
    assert (
        "fieldproof-edge: The key 'center' names the host center.invalid, which has no address "
        "here (Name or service not known): correct the name, or give an address." == said[6]
    )


def test_a_name_that_no_host_can_have_is_a_sentence(written, capsys):
    """A label of more than 63 letters is no error of Python's to see."""
    assert 69 == programs.edge([str(written(EDGE | {"center": "a" * 64}))])
    said = capsys.readouterr().err
    assert "names the host aaaa" in said
    assert 1 == said.count("\n")


def test_a_center_that_is_told_nothing_shows_what_it_needs(monkeypatch, capsys):
    """Without a file and variables there is a usage, and what may be set instead."""
    for key in config.EXPECTED:
        monkeypatch.delenv(f"FIELDPROOF_{key.upper()}", raising=False)
    assert 4 == programs.center([])
    usage, said = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: fieldproof-center ")
    assert said.endswith("or set FIELDPROOF_ARCHIVE, FIELDPROOF_SITES.")
    monkeypatch.setenv("FIELDPROOF_ARCHIVE", "/data")
    assert 4 == programs.center([])
    assert "FIELDPROOF_SITES is missing" in capsys.readouterr().err


# --- looking without opening ----------------------------------------------------------------------


def checked(written, capsys, **values):
    """The exit code of a check of an edge, and what it says."""
    code = programs.edge(["--check", str(written(EDGE | values))])
    out, err = capsys.readouterr()
    assert out.startswith("fieldproof-edge: The configuration is sound, ")
    return code, err.splitlines()


@pytest.fixture
def port():
    """A terminal that stands for a serial port; its path."""
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_what_is_there_is_sound(written, capsys, tmp_path, port):
    """Folders that can be made and a port that is there are all that an edge needs."""
    values = {"archive": str(tmp_path / "a" / "b"), "serial": port, "log": str(tmp_path / "log")}
    assert (0, []) == checked(written, capsys, **values)
    assert not (tmp_path / "a").exists()


def test_a_port_that_is_not_there_is_said(written, capsys, tmp_path):
    """It keeps nobody from starting, for it may be plugged in later."""
    values = {"archive": str(tmp_path), "serial": "/dev/no-such-port"}
    code, (said,) = checked(written, capsys, **values)
    assert 0 == code
    assert (
        "fieldproof-edge: What the key 'serial' names, /dev/no-such-port, is not there: No such "
        "file or directory." == said
    )
    values["serial"] = str(tmp_path)
    code, (said,) = checked(written, capsys, **values)
    assert said.endswith(f"{tmp_path}, is no serial device.")


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("archive", "file/below", "cannot be had: {0}/file is no folder."),
        ("log", "folder", "{0}/folder, is no file that this user can write."),
        ("events", "file/events", "cannot be had: {0}/file is no folder."),
        ("clock", "none", "{0}/none, is no file that this user can read."),
    ],
)
def test_what_cannot_be_used_is_said(written, capsys, tmp_path, port, key, name, expected):
    """Each folder and file without which there is no start has its sentence, and the code is 69."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    values = {"archive": str(tmp_path), "serial": port, key: str(tmp_path / name)}
    code, (said,) = checked(written, capsys, **values)
    assert 69 == code
    assert said.startswith(f"fieldproof-edge: What the key '{key}' names, ")
    assert said.endswith(expected.format(tmp_path))


def test_rights_are_looked_at(written, capsys, tmp_path, port, monkeypatch):
    """A folder that this user cannot write, and a port that it cannot read, are said."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, said = checked(written, capsys, archive=str(tmp_path), serial=port)
    assert 69 == code
    assert f"{tmp_path} cannot be written by this user." in said[0]
    assert f"{port}, cannot be read and written by this user" in said[1]


# --- anything else --------------------------------------------------------------------------------


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_a_configuration_or_a_sentence(tmp_path_factory, content):
    """No file makes the reader raise anything but its own refusal."""
    path = tmp_path_factory.mktemp("config") / "config.yml"
    path.write_bytes(content)
    for read in (config.edge_from_file, config.center_from_file):
        sentence(lambda read=read: read(path))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=80), st.dates()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(st.dictionaries(st.sampled_from([*EDGE, "address", "status", "clock"]), VALUES))
def test_any_values_are_accepted_or_named(tmp_path_factory, values):
    """Whatever stands at known keys, the edge is told or one of these keys is named."""
    path = tmp_path_factory.mktemp("config") / "config.yml"
    path.write_text(yaml.safe_dump(EDGE | values))
    try:
        config.edge_from_file(path)
    except BadConfiguration as refused:
        assert any(f"the key '{key}'" in str(refused) for key in values)


@given(st.dictionaries(st.sampled_from(list(EDGE)), st.text(max_size=60).filter(bool)))
def test_any_variables_are_accepted_or_named(values):
    """The same for the environment."""
    try:
        config.edge_from_environment(variables(EDGE | values))
    except BadConfiguration as refused:
        assert any(f"FIELDPROOF_{key.upper()}" in str(refused) for key in values)
