"""What the forge is asked for and what it answers: JSON, a document a line, bytes as base64.

stdin     orders, one after the other; its end is the end of the forge
stdout    `Ready` first, or `Trouble` and the end; then, for each order: `Made`, or any number
          of `Dissected` and one `Done`; or `Trouble` in place of what is left of an answer
"""

from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["udp", "bad-checksum", "truncated-ip", "truncated-udp", "oversized"]


class Spoof(Struct, frozen=True, tag="spoof", forbid_unknown_fields=True):
    """A UDP datagram under any sender's name.

    Kinds: `udp` is well-formed; `bad-checksum` has a wrong UDP checksum (not the 0 that means
    none); `truncated-ip` lacks its last `cut` bytes, though the IP header counts them;
    `truncated-udp` lacks them too, and the IP header agrees with that, but the UDP header counts
    them; `oversized` comes in fragments that fit into `mtu`."""

    kind: Kind
    source: str  # IPv4, in text form
    source_port: int
    to: str
    to_port: int
    payload: bytes  # at most 65 507 of them
    cut: int = 1
    mtu: int = 1500


class Flip(Struct, frozen=True, tag="flip", forbid_unknown_fields=True):
    """A captured packet with some bits of its UDP payload flipped, and IP and UDP checksums that
    are right again. Bit n is bit n % 8, counted from the lowest, of byte n // 8."""

    packet: bytes
    bits: tuple[int, ...]


class Replay(Struct, frozen=True, tag="replay", forbid_unknown_fields=True):
    """Packet number `index` of a capture, from 0, as it was or under another sender's name."""

    capture: str  # path
    index: int
    source: str | None = None
    source_port: int | None = None


class Dissect(Struct, frozen=True, tag="dissect", forbid_unknown_fields=True):
    """Everything in a capture of raw IP packets."""

    capture: str  # path


Making: TypeAlias = Spoof | Flip | Replay
Order: TypeAlias = Making | Dissect


class Ready(Struct, frozen=True, tag="ready"):
    """Orders are taken from now on."""

    scapy: str  # version


class Made(Struct, frozen=True, tag="made"):
    """Raw IPv4 packets, in the order in which they are to be sent."""

    packets: tuple[bytes, ...]


class Dissected(Struct, frozen=True, tag="dissected"):
    """One packet of a capture."""

    ns: int  # UTC
    source: str  # empty where there is no IPv4 header
    source_port: int | None  # None where there is no UDP or TCP header
    to: str
    to_port: int | None
    protocol: int  # of IP, such as 17 for UDP; -1 without a header
    bytes: int  # IP bytes captured
    payload: str  # the first 16 hexadecimal digits of the SHA-256 of what the headers carry
    is_intact: bool  # lengths agree with each other, and checksums are right (UDP's may be none)


class Done(Struct, frozen=True, tag="done"):
    """The capture was read to its end."""


class Trouble(Struct, frozen=True, tag="trouble"):
    """An order cannot be carried out; one sentence."""

    why: str
    is_final: bool = False  # no other could be either


Answer: TypeAlias = Ready | Made | Dissected | Done | Trouble
