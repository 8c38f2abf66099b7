"""What an edge and a center are told: by a file, `config.yml`, or by the environment.

Both give the same values. What is unknown, missing or of the wrong kind is refused in one sentence
that names the file or variable, the key, and what is expected there. Values are checked as far as
that can be done without touching the machine; whether a port or a folder can be had is seen later.

An edge has the keys of `EdgeKeys`, a center those of `CenterKeys`, and each of a center's sites
those of `SiteKeys`; config-edge.yml and config-center.yml say what each is for. The environment has
FIELDPROOF_SITE for `site` and so on. Two things are different there: FIELDPROOF_SITES names a file
with the sites in JSON, and FIELDPROOF_UTC_OFFSET_S moves the system's clock.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
import yaml

from fieldproof_contract import SECOND_NS, Address
from fieldproof_reference import ports
from fieldproof_reference.center import CenterSettings, EdgeAtCenter, Method

MOST_BYTES = 1 << 20
"""Of a configuration file."""

MOST_OFFSET_S = 10**10
"""Three centuries."""

PREFIX = "FIELDPROOF_"

Role: TypeAlias = Literal["edge", "center"]
_Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]+\Z")]
_SiteName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z]{4}\Z")]
_Hex = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-fA-F]{2}){16,}\Z")]


class BadConfiguration(Exception):
    """One sentence: where, which key, what is expected."""


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both have."""

    archive: _Text
    clock: _Text | None = None
    events: _Text | None = None
    log: _Text | None = None


class EdgeKeys(_Keys, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An edge, as it is written."""

    site: _SiteName
    serial: _Text
    center: _Text
    key: _Hex
    address: _Text | None = None
    status: bool = False
    shares: bool = False


class CenterKeys(_Keys, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A center, as it is written."""

    listen: _Text | None = None
    sites: dict[str, object]
    products: bool = False
    page: _Text | int | None = None


class SiteKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A site of a center, as it is written."""

    address: _Text
    key: _Hex
    reconcile: Method = "repair"
    fetch_from: _Text | None = None


EXPECTED = {
    "site": "four lower-case letters",
    "serial": "the path of a serial port",
    "archive": "the path of a folder",
    "center": f"an address or name, with port {ports.TELEMETRY} or none",
    "key": "at least 32 hexadecimal digits, in quotes",
    "address": "an IP address",
    "status": "true or false",
    "shares": "true or false",
    "products": "true or false",
    "page": "a TCP port, such as 24980",
    "clock": "the path of a clock file",
    "events": "the path of a file",
    "log": "the path of a file",
    "listen": f"an IP address, with port {ports.TELEMETRY} or none",
    "sites": "the sites, by names of four lower-case letters",
    "reconcile": " or ".join((", ".join(get_args(Method)[:-1]), get_args(Method)[-1])),
    "fetch_from": "an IP address with a port, such as 192.0.2.7:80",
    "role": "the role of this program, edge or center",
    "utc_offset_s": "a number of seconds",
}
"""What each key must be."""


@dataclass(frozen=True, slots=True)
class Common:
    """What every process is told."""

    archive: Path
    clock: Path | None
    utc_offset_ns: int
    events: Path | None
    log: Path | None


@dataclass(frozen=True, slots=True)
class Edge:
    """What an edge is told."""

    common: Common
    site: str
    serial: Path
    center: str  # address or name
    key: bytes
    address: str  # the host's own; empty for all of the machine
    status: bool
    shares: bool


@dataclass(frozen=True, slots=True)
class Center:
    """What a center is told."""

    common: Common
    settings: CenterSettings
    address: str  # the host's own; empty for all of the machine


_WITH_PORT = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::(\d+))?")

Value = TypeVar("Value")
Struct = TypeVar("Struct", EdgeKeys, CenterKeys, SiteKeys)


class _Source(NamedTuple):
    """Where values come from, and how a key is named there."""

    where: str
    names: str  # with the key's name in place of {}, upper case where that is so

    def name(self, key: str) -> str:
        """Names a key to a person."""
        is_variable = self.names.startswith(PREFIX)
        return self.where + self.names.format(key.upper() if is_variable else key)

    def wrong(self, key: str, value: object) -> BadConfiguration:
        """What is to be said of this value; a secret is not shown, not even half of it."""
        shown = _shown(value)
        if key == "key" and isinstance(value, str):
            shown = f"{len(value)} characters"
        return BadConfiguration(f"{self.name(key)} must be {EXPECTED[key]}, not {shown}.")

    def read(self, key: str, parse: Callable[[str], Value], text: str) -> Value:
        """What a text means. Raises BadConfiguration where `parse` raises ValueError."""
        try:
            return parse(text)
        except ValueError:
            raise self.wrong(key, text) from None


# --- the two ways to be told ----------------------------------------------------------------------


def edge_from_file(path: Path) -> Edge:
    """The edge of a file. Raises BadConfiguration."""
    return _edge(_yaml(path), _Source(f"{path}: ", "the key '{}'"), 0)


def center_from_file(path: Path) -> Center:
    """The center of a file. Raises BadConfiguration."""
    source = _Source(f"{path}: ", "the key '{}'")
    keys = _converted(CenterKeys, _yaml(path), source)
    return _center(keys, _sites(keys.sites, source), source, 0)


def edge_from_environment(environment: Mapping[str, str]) -> Edge:
    """The edge of these variables. Raises BadConfiguration."""
    source = _Source("", PREFIX + "{}")
    return _edge(_variables(environment, "edge", EdgeKeys), source, _offset_ns(environment, source))


def center_from_environment(environment: Mapping[str, str]) -> Center:
    """The center of these variables. Raises BadConfiguration."""
    source = _Source("", PREFIX + "{}")
    raw = _variables(environment, "center", CenterKeys)
    sites = raw.get("sites")
    if isinstance(sites, str):
        raw["sites"] = _json(Path(sites))
    keys = _converted(CenterKeys, raw, source)
    in_file = _Source(f"{sites}: ", "the key '{}'")
    return _center(keys, _sites(keys.sites, in_file), source, _offset_ns(environment, source))


def is_told(environment: Mapping[str, str]) -> bool:
    """Whether any variable of ours says anything."""
    return any(environment.get(PREFIX + key.upper()) for key in EXPECTED)


def needed(role: Role) -> tuple[str, ...]:
    """The variables without which this program knows nothing."""
    fields = msgspec.structs.fields(EdgeKeys if role == "edge" else CenterKeys)
    return tuple(PREFIX + field.name.upper() for field in fields if field.required)


# --- from raw values to those that are used -------------------------------------------------------


def _edge(raw: object, source: _Source, offset_ns: int) -> Edge:
    keys = _converted(EdgeKeys, raw, source)
    return Edge(
        _common(keys, offset_ns),
        keys.site,
        Path(keys.serial),
        source.read("center", _host, keys.center),
        bytes.fromhex(keys.key),
        source.read("address", _address, keys.address) if keys.address else "",
        keys.status,
        keys.shares,
    )


def _center(
    keys: CenterKeys, sites: dict[str, EdgeAtCenter], source: _Source, offset_ns: int
) -> Center:
    listen = source.read("listen", _listen, keys.listen) if keys.listen else ""
    page = None if keys.page is None else source.read("page", _port, str(keys.page))
    settings = CenterSettings(sites, keys.products, page)
    return Center(_common(keys, offset_ns), settings, listen)


def _common(keys: EdgeKeys | CenterKeys, offset_ns: int) -> Common:
    clock, events, log = (
        Path(text) if text else None for text in (keys.clock, keys.events, keys.log)
    )
    return Common(Path(keys.archive), clock, offset_ns, events, log)


def _sites(raw: Mapping[str, object], source: _Source) -> dict[str, EdgeAtCenter]:
    sites = {}
    for name, values in raw.items():
        if re.fullmatch("[a-z]{4}", name) is None:
            raise source.wrong("sites", name)
        at_site = source._replace(where=f"{source.where}site {name}: ")
        keys = _converted(SiteKeys, values, at_site)
        address = at_site.read("address", _address, keys.address)
        repair = Address(address, ports.REPAIR)
        served = at_site.read("fetch_from", _server, keys.fetch_from) if keys.fetch_from else None
        sites[name] = EdgeAtCenter(bytes.fromhex(keys.key), repair, keys.reconcile, served)
    return sites


def _converted(kind: type[Struct], raw: object, source: _Source) -> Struct:
    """Raw values as those keys; each is looked at on its own, so that it can be named."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(raw, dict):
        raise BadConfiguration(f"{source.where}There must be keys and values, not {_shown(raw)}.")
    for key, value in raw.items():
        if key not in fields:
            known = ", ".join(fields)
            raise BadConfiguration(
                f"{source.where}There is no key {_shown(key)}; there are {known}."
            )
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError:
            raise source.wrong(key, value) from None
    for key, field in fields.items():
        if field.required and key not in raw:
            raise BadConfiguration(f"{source.name(key)} is missing: it must be {EXPECTED[key]}.")
    return msgspec.convert(raw, kind)


def _variables(environment: Mapping[str, str], role: Role, kind: type[Struct]) -> dict[str, object]:
    """The variables that are keys; one that is empty is none."""
    asked = environment.get(PREFIX + "ROLE") or role
    if asked != role:
        raise BadConfiguration(f"{PREFIX}ROLE is {_shown(asked)}, but this program is the {role}.")
    raw: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        text = environment.get(PREFIX + field.name.upper())
        if text:
            raw[field.name] = (
                {"1": True, "0": False}.get(text, text) if field.type is bool else text
            )
    return raw


def _offset_ns(environment: Mapping[str, str], source: _Source) -> int:
    return source.read("utc_offset_s", _seconds_ns, environment.get(PREFIX + "UTC_OFFSET_S") or "0")


# --- files ----------------------------------------------------------------------------------------


def _yaml(path: Path) -> object:
    text = _text(path)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        raise BadConfiguration(f"{path}: This is no YAML{line}.") from None
    # What its constructors raise for values that look like numbers, dates and other types.
    except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, RecursionError):
        raise BadConfiguration(f"{path}: A value there is none that YAML can have.") from None


def _json(path: Path) -> object:
    text = _text(path)
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise BadConfiguration(f"{path}: This is no JSON.") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadConfiguration(f"{path}: A configuration has at most {MOST_BYTES} bytes.")
        return data.decode()
    except OSError as error:
        raise BadConfiguration(f"{path}: It cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadConfiguration(f"{path}: This is no text in UTF-8.") from None


# --- values; all raise ValueError -----------------------------------------------------------------


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _server(text: str) -> Address:
    match = _WITH_PORT.fullmatch(text)
    if match is None or not match[3] or not 0 < int(match[3]) < 65_536:
        raise ValueError
    return Address(_address(match[1] or match[2]), int(match[3]))


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65_536:
        raise ValueError(text)
    return port


def _listen(text: str) -> str:
    return _address(_without_port(text))


def _host(text: str) -> str:
    host = _without_port(text)
    with suppress(ValueError):
        return _address(host)
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*\.?", host) is None:
        raise ValueError(host)
    return host


def _without_port(text: str) -> str:
    """`host`, `host:24985`, `[2001:db8::1]:24985` or `2001:db8::1` without the port."""
    match = re.fullmatch(
        r"\[(?P<v6>[^\[\]]+)\](?::(?P<v6port>\d+))?|(?P<v4>[^:]+):(?P<v4port>\d+)", text
    )
    if match is None:
        return text
    port = match["v6port"] or match["v4port"]
    if port not in (None, str(ports.TELEMETRY)):
        raise ValueError(port)
    return match["v6"] or match["v4"]


def _seconds_ns(text: str) -> int:
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not seconds.is_finite() or abs(seconds) > MOST_OFFSET_S:
        raise ValueError(text)
    return int(seconds * SECOND_NS)


def _shown(value: object) -> str:
    """A value, as far as it is short; aliases can make a few lines of YAML endless."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:40]}...")
    if value is None:
        return "nothing"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a large number"
    return str(value) if isinstance(value, int | float) else f"a {type(value).__name__}"
