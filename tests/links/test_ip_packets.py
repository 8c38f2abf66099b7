"""IPv4 packets as bytes: what is one, what it is for, and checksums that fit or do not."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.links.live.ip import (
    OTHER,
    RawPacket,
    checksum,
    damaged,
    fragments,
    is_sound,
    purpose_of,
    udp,
    whole,
)

PURPOSES = {24985: "telemetry", 80: "repair"}
SITE, CENTER = ("198.51.100.1", 32769), ("192.0.2.1", 24985)
FRAGMENTS = list(fragments(udp(SITE, CENTER, bytes(2000)), 1500))
PAYLOADS = st.binary(max_size=1472)


def tcp(source_port: int, to_port: int, payload: bytes = b"", options: bytes = b"") -> bytes:
    """A TCP segment of the site to the center, with right checksums."""
    words = 5 + len(options) // 4
    header = pack(">HHIIBBHHH", source_port, to_port, 1, 2, words << 4, 0x18, 8192, 0, 0)
    segment = header + options + payload
    ip = bytearray(udp(SITE, CENTER, b"")[:20])
    ip[2:4] = (20 + len(segment)).to_bytes(2, "big")
    ip[9], ip[10:12] = 6, b"\0\0"
    ip[10:12] = checksum(bytes(ip)).to_bytes(2, "big")
    pseudo = bytes(ip[12:20]) + pack(">HH", 6, len(segment))
    summed = checksum(pseudo + segment)
    return bytes(ip) + segment[:16] + summed.to_bytes(2, "big") + segment[18:]


def reassembled(pieces: list[bytes]) -> bytes:
    """The payload of fragments, by their offsets."""
    data = bytearray()
    for piece in pieces:
        offset = (piece[6] << 8 | piece[7]) & 0x1FFF
        assert offset * 8 == len(data)
        data += piece[(piece[0] & 15) * 4 :]
    return bytes(data)


@given(PAYLOADS)
def test_a_datagram_is_read_back_as_it_was_made(payload):
    """A built datagram is sound, and has the addresses, ports and payload that were given."""
    raw = udp(SITE, CENTER, payload)
    packet = RawPacket(raw)
    assert raw == whole(raw)
    assert is_sound(raw)
    assert (SITE[0], CENTER[0]) == (packet.from_host, packet.to_host)
    assert (SITE[1], CENTER[1]) == packet.ports
    assert (payload, len(payload) + 28) == (packet.payload, packet.ip_bytes)
    assert packet.is_datagram


def test_a_datagram_that_fits_no_packet_is_refused():
    """More than 65507 bytes of payload are refused."""
    assert 65_535 == len(udp(SITE, CENTER, bytes(65_507)))
    with pytest.raises(ValueError, match="65508 bytes does not fit into an IPv4 packet"):
        udp(SITE, CENTER, bytes(65_508))


@given(st.integers(5, 15), st.sampled_from([0, 1, 6, 17]), st.binary(max_size=60), st.data())
def test_whatever_is_taken_for_a_packet_can_be_worked_on(words, protocol, rest, data):
    """No whole packet makes any function fail, whatever is in its header and behind it."""
    header = data.draw(st.binary(min_size=words * 4, max_size=words * 4))
    total = len(header + rest).to_bytes(2, "big")
    raw = bytes([0x40 | words, 0]) + total + header[4:9] + bytes([protocol]) + header[10:] + rest
    assert raw == whole(raw + b"behind")
    packet = RawPacket(raw)
    assert raw.endswith(packet.payload)
    assert 2 == len(packet.ports)
    assert purpose_of(raw, PURPOSES) in {"telemetry", "repair", OTHER}
    assert is_sound(raw) in {True, False}
    assert len(raw) == len(damaged(raw, 12345))
    assert len(raw) == len(packet.bearing(packet.payload).raw)
    assert all(whole(piece) == piece for piece in fragments(raw, 68))


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 65_535), st.binary(max_size=60))
def test_lengths_that_cannot_be_are_no_packet(version, words, total, rest):
    """Version, header length and total length decide, each against the bytes that are there."""
    data = bytes([version << 4 | words, 0]) + total.to_bytes(2, "big") + rest
    is_packet = version == 4 and 20 <= words * 4 <= total <= len(data)
    assert (data[:total] if is_packet else None) == whole(data)


@pytest.mark.parametrize(
    ("raw", "purpose"),
    [
        (udp(SITE, CENTER, b"x"), "telemetry"),
        (udp(CENTER, SITE, b"x"), OTHER),
        (tcp(40_000, 80), "repair"),
        (tcp(80, 40_000), "repair"),
        (tcp(80, 24_985), "telemetry"),
        (tcp(1, 2), OTHER),
        (FRAGMENTS[0], "telemetry"),
        (FRAGMENTS[1], OTHER),
    ],
)
def test_a_packet_says_by_its_ports_what_it_is_for(raw, purpose):
    """A datagram by where it goes, a segment by either port, a later fragment by none."""
    assert purpose == purpose_of(raw, PURPOSES)


@pytest.mark.parametrize("options", [b"", bytes(12)])
def test_a_segments_payload_is_behind_its_options(options):
    """The data of TCP begin where its header says."""
    assert b"data" == RawPacket(tcp(1, 2, b"data", options)).payload


@given(st.binary(min_size=1, max_size=400), st.booleans(), st.data())
def test_another_payload_has_a_right_checksum(payload, is_tcp, data):
    """A packet that bears other bytes is as sound as the first, and has nothing else changed."""
    raw = tcp(1, 80, payload) if is_tcp else udp(SITE, CENTER, payload)
    assert is_sound(raw)
    other = data.draw(st.binary(min_size=len(payload), max_size=len(payload)))
    borne = RawPacket(raw).bearing(other)
    assert is_sound(borne.raw)
    assert other == borne.payload
    assert raw[:20] == borne.raw[:20]


def test_a_missing_checksum_stays_missing():
    """A datagram without a UDP checksum is given none with its new payload."""
    raw = bytearray(udp(SITE, CENTER, b"abcd"))
    raw[26:28] = b"\0\0"
    assert b"\0\0" == RawPacket(bytes(raw)).bearing(b"efgh").raw[26:28]


@given(st.binary(max_size=400), st.booleans(), st.integers(0, 2**64 - 1), st.booleans())
def test_a_damaged_packet_is_sound_no_more(payload, is_tcp, number, has_sum):
    """Whatever bit is chosen, one differs and a receiver sees it, with or without a checksum."""
    raw = tcp(1, 80, payload) if is_tcp else udp(SITE, CENTER, payload)
    if not has_sum and not is_tcp:
        raw = raw[:26] + b"\0\0" + raw[28:]
    hurt = damaged(raw, number)
    assert 1 == (int.from_bytes(raw) ^ int.from_bytes(hurt)).bit_count()
    assert not is_sound(hurt)
    assert whole(hurt) == hurt


@given(st.integers(0, 4000), st.integers(68, 1500))
def test_fragments_fit_and_make_the_whole_again(size, mtu_bytes):
    """Every piece is a packet no longer than the unit, and their data are the packet's."""
    raw = udp(SITE, CENTER, bytes(n % 251 for n in range(size)))
    pieces = list(fragments(raw, mtu_bytes))
    assert all(whole(piece) == piece and len(piece) <= mtu_bytes for piece in pieces)
    assert raw[20:] == reassembled(pieces)
    more = [bool(piece[6] & 0x20) for piece in pieces]
    assert [True] * (len(pieces) - 1) + [False] == more


def test_fragments_of_a_fragment_keep_its_place():
    """A router that cuts a fragment again keeps offset and flag."""
    first, second = fragments(udp(SITE, CENTER, bytes(range(256)) * 8), 1500)
    smaller = [*fragments(first, 600), *fragments(second, 600)]
    assert udp(SITE, CENTER, bytes(range(256)) * 8)[20:] == reassembled(smaller)
    assert [True] * (len(smaller) - 1) + [False] == [bool(piece[6] & 0x20) for piece in smaller]
