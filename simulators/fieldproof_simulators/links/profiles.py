"""Links that stations really have, as one representative value each.

A range in `source` is what was reported; the value here is one point inside it. What is called our
assumption there is an engineering starting point, and `unverified` marks a profile whose delay or
outages rest on nothing better: use its results as an example, not as a forecast. No
Gilbert-Elliott parameters are published for these services, so none are invented here. Left out is
what carries messages instead of IP (Iridium SBD) or does so badly (HF and VHF packet radio).

Layers: a driver hands over IP total lengths. "ethernet" adds the 14-byte header that netem on a
veth pair counts too, so that one seed gives the same arrival times there; "ppp" adds 8 bytes of
framing (our assumption: 2 flags, address, control, protocol, checksum); "ip" adds nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.losses import LossModel, RandomLoss
from fieldproof_simulators.links.outages import DECEMBER_2005, Outages

Layer: TypeAlias = Literal["ip", "ethernet", "ppp"]

OVERHEAD_BYTES: Mapping[Layer, int] = MappingProxyType({"ip": 0, "ethernet": 14, "ppp": 8})
"""What a layer adds to the IP total length before the rate is applied."""

_MS = 1_000_000
_MINUTE_S = 60
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named link: `up` runs from edge to center, `down` back.

    Raises ValueError where a rate does not count the overhead of its `layer`.
    """

    name: str
    up: Impairments
    down: Impairments
    mtu_bytes: int
    layer: Layer  # what the rates and frame lengths include
    outages: Outages | None
    source: str
    unverified: bool

    def __post_init__(self) -> None:
        for direction in (self.up, self.down):
            if direction.rate_bit_s and direction.overhead_bytes != OVERHEAD_BYTES[self.layer]:
                raise ValueError(
                    f"Profile {self.name} gives its rate at layer {self.layer}: "
                    f"set overhead_bytes to {OVERHEAD_BYTES[self.layer]}."
                )


def profile(name: str) -> Profile:
    """The profile of that name; ValueError, with the known names, where there is none."""
    if name not in PROFILES:
        raise ValueError(f"No link profile is named {name!r}: choose from {', '.join(PROFILES)}.")
    return PROFILES[name]


def _symmetric_delay(
    name: str,
    source: str,
    *,
    delay_ms: int,
    jitter_ms: int,
    up_bit_s: int,
    down_bit_s: int,
    grant_ms: int = 0,
    loss: LossModel | None = None,
    outages: Outages | None = None,
    mtu_bytes: int = 1500,
    layer: Layer = "ethernet",
    unverified: bool = False,
) -> Profile:
    """Both directions alike but for the rate, and for `grant_ms` that a modem waits to send."""

    def direction(rate_bit_s: int, wait_ms: int) -> Impairments:
        return Impairments(
            delay_ns=(delay_ms + wait_ms) * _MS,
            jitter_ns=jitter_ms * _MS,
            loss=loss,
            rate_bit_s=rate_bit_s,
            overhead_bytes=OVERHEAD_BYTES[layer],
        )

    return Profile(
        name=name,
        up=direction(up_bit_s, grant_ms),
        down=direction(down_bit_s, 0),
        mtu_bytes=mtu_bytes,
        layer=layer,
        outages=outages,
        source=source,
        unverified=unverified,
    )


_DAWSON = "128 / 700 kbit/s: user sites of the time; 300 ms and 20 ms: our assumption"

_ALL = (
    Profile(
        name="perfect",
        up=Impairments(),
        down=Impairments(),
        mtu_bytes=1500,
        layer="ip",
        outages=None,
        source="the control: changes nothing",
        unverified=False,
    ),
    # Loses nothing by itself: a scenario says which packets are lost, and knows what to expect.
    _symmetric_delay(
        "dawson-2005",
        _DAWSON,
        delay_ms=300,
        jitter_ms=20,
        up_bit_s=128_000,
        down_bit_s=700_000,
    ),
    # Most of the month's loss was downtime of the server: a scenario with several sites gives the
    # center one set of outages (cause "center") for all of them instead of these, one set a link.
    _symmetric_delay(
        "dawson-2005-lossy",
        f"{_DAWSON}; loss and outages: our fit to the loss record of December 2005",
        delay_ms=300,
        jitter_ms=20,
        up_bit_s=128_000,
        down_bit_s=700_000,
        loss=RandomLoss(0.11),
        outages=DECEMBER_2005,
    ),
    # Not modelled: the proxy in the modem, and the fair-access throttle after 200 MB in a day.
    _symmetric_delay(
        "hughesnet-2005",
        "DW6000, Ku band: 270-350 ms, jitter 50-200 ms, 128 / 700 kbit/s: user sites of the time",
        delay_ms=310,
        jitter_ms=100,
        up_bit_s=128_000,
        down_bit_s=700_000,
    ),
    # Clean or dead: error correction hides fading until it fails, for as long as a rain cell takes.
    _symmetric_delay(
        "geo-vsat",
        "240-270 ms, jitter 5-50 ms, 256 kbit/s to 10 Mbit/s, outages of minutes: TCP over "
        "satellite mailing list; one outage in 2 days: our assumption",
        delay_ms=255,
        jitter_ms=20,
        up_bit_s=512_000,
        down_bit_s=2_000_000,
        outages=Outages(up_mean_s=2 * _DAY_S, down_mean_s=5 * _MINUTE_S),
        unverified=True,
    ),
    _symmetric_delay(
        "iridium-dialup",
        "2.4 kbit/s: mailasail.com; 0.5-1 s, jitter 0.2-1 s, PPP unit 576-1500, redial after a "
        "dropped call 20-60 s: general knowledge; one drop in 30 min: our assumption",
        delay_ms=750,
        jitter_ms=400,
        up_bit_s=2_400,
        down_bit_s=2_400,
        outages=Outages(up_mean_s=30 * _MINUTE_S, down_mean_s=40),
        mtu_bytes=576,
        layer="ppp",
        unverified=True,
    ),
    # A mean gap of 15 s puts one gap in a hundred beyond the 70 s that were seen.
    *(
        _symmetric_delay(
            name,
            f"{rates}; gaps up to 70 s, high loss: FFI report 20/01338 (Arctic, 2019); 0.3-0.5 s: "
            "general knowledge; jitter 200 ms, loss 1 %, one gap in 10 min: our assumption",
            delay_ms=400,
            jitter_ms=200,
            up_bit_s=up_bit_s,
            down_bit_s=down_bit_s,
            loss=RandomLoss(1),
            outages=Outages(up_mean_s=10 * _MINUTE_S, down_mean_s=15),
            unverified=True,
        )
        for name, up_bit_s, down_bit_s, rates in (
            (
                "certus-100",
                22_000,
                88_000,
                "88 kbit/s down: decodesystems; 22 kbit/s up: general knowledge",
            ),
            (
                "certus-350",
                352_000,
                352_000,
                "352 kbit/s nominal, reached in 45 % of runs: the same report as the gaps",
            ),
            ("certus-700", 352_000, 704_000, "352 / 704 kbit/s: general knowledge"),
        )
    ),
    # A frame after idle time waits for its grant. One record per minute pays that every time; for
    # a bulk transfer, which would pay it once, this profile is too slow.
    _symmetric_delay(
        "bgan",
        "400-600 ms, jitter 100-500 ms, at most 400-492 kbit/s shared, 500 ms request and grant "
        "after idle: satmagazine and an article on the I-4 satellites",
        delay_ms=500,
        jitter_ms=200,
        up_bit_s=400_000,
        down_bit_s=400_000,
        grant_ms=500,
    ),
    # One frame in 90 lost in one second of every 15 s period is 0.07 %. Even jitter of 7 ms each
    # way gives the reported mean difference between successive round trips. Not modelled: the
    # spikes of 75-140 ms and the 30-50 ms steps at handover.
    _symmetric_delay(
        "starlink",
        "20-30 ms, 6.7 ms between successive round trips, 10-40 / 50-200 Mbit/s, one loss in 90 "
        "in affected seconds: arXiv 2601.08439, Huston 2024, wirelessmoves 2024, WWW'24 artefacts; "
        "one affected second per period: our assumption",
        delay_ms=25,
        jitter_ms=7,
        up_bit_s=20_000_000,
        down_bit_s=100_000_000,
        loss=RandomLoss(0.07),
    ),
    _symmetric_delay(
        "lte-remote",
        "25-60 ms, jitter 10-30 ms, 1-10 / 5-50 Mbit/s, unit 1428-1500, 0.0025-0.025 % lost: "
        "thesis, 282,000 pings, 2 operators; outages of 20 min every 3 days: our assumption",
        delay_ms=40,
        jitter_ms=20,
        up_bit_s=5_000_000,
        down_bit_s=20_000_000,
        loss=RandomLoss(0.01),
        outages=Outages(up_mean_s=3 * _DAY_S, down_mean_s=20 * _MINUTE_S),
        mtu_bytes=1428,
        unverified=True,
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({each.name: each for each in _ALL})
