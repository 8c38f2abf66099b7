"""The forge: what it makes is wrong where it was asked to be, and nowhere else; scapy stays out."""

import json
import os
import random
import select
import struct
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldproof_simulators.links.live import forge as facade
from fieldproof_simulators.links.live.forge import Forge, ForgeError, ForgeMissing, dissect
from fieldproof_simulators.links.live.forge_orders import Flip, Replay, Spoof

STRANGER, CENTER = "203.0.113.66", "192.0.2.1"
RECORD = bytes(range(256)) + bytes(124)  # as long as a record
BEGINS_NS = 1_137_517_145_123_456_789


@pytest.fixture(scope="module")
def forge(tmp_path_factory):
    """One forge for all tests that only ask it for packets."""
    with Forge(tmp_path_factory.mktemp("forge") / "forge.log") as made:
        yield made


def spoof(kind: str = "udp", payload: bytes = RECORD, **others: int) -> Spoof:
    """An order for a stranger's datagram to the center."""
    return Spoof(kind, STRANGER, 4000, CENTER, 24985, payload, **others)


# --- a second decoder -----------------------------------------------------------------------------


def ones_sum(data: bytes) -> int:
    """The Internet checksum's sum (RFC 1071): 0xFFFF over data that hold their own checksum."""
    even = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(even) // 2}H", even))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def header_is_right(packet: bytes) -> bool:
    """Whether the checksum of the IP header is right."""
    return ones_sum(packet[:20]) == 0xFFFF


def udp_is_right(datagram: bytes, addresses: bytes) -> bool:
    """Whether the UDP checksum is right; `addresses` are the eight bytes of source and target."""
    return ones_sum(addresses + struct.pack("!HH", 17, len(datagram)) + datagram) == 0xFFFF


def ip_bytes(packet: bytes) -> int:
    """Bytes by the IP header."""
    return int.from_bytes(packet[2:4], "big")


def lengths(packet: bytes) -> tuple[int, int, int]:
    """Bytes by the IP header, by the UDP header, and in truth."""
    return ip_bytes(packet), *struct.unpack_from("!H", packet, 24), len(packet)


def pcap(path: Path, packets: list[bytes], magic: int = 0xA1B23C4D, link_type: int = 101) -> Path:
    """A capture with stamps 1 ns apart, little-endian."""
    parts = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)]
    for number, packet in enumerate(packets):
        second, nanosecond = divmod(BEGINS_NS + number, 10**9)
        parts.append(struct.pack("<IIII", second, nanosecond, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(parts))
    return path


# --- each kind ------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"\xff", RECORD, bytes(65_507)], ids=len)
def test_a_spoofed_datagram_is_well_formed(forge, payload):
    """Addresses, ports, lengths and both checksums of a spoofed datagram are right."""
    (packet,) = forge.make(spoof(payload=payload))
    assert (0x45, 64, 17) == (packet[0], packet[8], packet[9])
    assert (bytes([203, 0, 113, 66]), bytes([192, 0, 2, 1])) == (packet[12:16], packet[16:20])
    assert (4000, 24985) == struct.unpack_from("!HH", packet, 20)
    assert (len(payload) + 28, len(payload) + 8, len(payload) + 28) == lengths(packet)
    assert payload == packet[28:]
    assert header_is_right(packet)
    assert udp_is_right(packet[20:], packet[12:20])


def test_a_bad_checksum_is_all_that_is_bad(forge):
    """Only the UDP checksum is wrong, and it is not the zero that means none."""
    (packet,) = forge.make(spoof("bad-checksum"))
    assert header_is_right(packet)
    assert (408, 388, 408) == lengths(packet)
    assert not udp_is_right(packet[20:], packet[12:20])
    assert b"\0\0" != packet[26:28]


def test_a_packet_cut_on_its_way_counts_what_it_lacks(forge):
    """Of a packet cut at IP both headers are those of the whole."""
    (packet,) = forge.make(spoof("truncated-ip", cut=100))
    assert (408, 388, 308) == lengths(packet)
    assert RECORD[:280] == packet[28:]
    assert header_is_right(packet)


def test_a_datagram_cut_before_it_was_sent_is_short_for_udp_alone(forge):
    """Of a packet cut at UDP the IP header is right, and the UDP header counts what is gone."""
    (packet,) = forge.make(spoof("truncated-udp", cut=100))
    assert (308, 388, 308) == lengths(packet)
    assert RECORD[:280] == packet[28:]
    assert header_is_right(packet)


@pytest.mark.parametrize(("size", "mtu"), [(2000, 1500), (65_507, 1500), (100, 68), (1473, 1500)])
def test_oversized_datagrams_come_in_fragments(forge, size, mtu):
    """Fragments fit into the link, share an identification, and make up the datagram."""
    payload = random.Random(size).randbytes(size)
    packets = forge.make(spoof("oversized", payload, mtu=mtu))
    assert 1 < len(packets)
    assert max(map(len, packets)) <= mtu
    assert all(header_is_right(packet) and ip_bytes(packet) == len(packet) for packet in packets)
    assert 1 == len({packet[4:6] for packet in packets})
    words = [struct.unpack_from("!H", packet, 6)[0] for packet in packets]
    at = 0
    for packet, word in zip(packets, words, strict=True):
        assert at == (word & 0x1FFF) * 8
        at += len(packet) - 20
    assert [0x2000] * (len(words) - 1) + [0] == [word & 0xE000 for word in words]
    datagram = b"".join(packet[20:] for packet in packets)
    assert payload == datagram[8:]
    assert udp_is_right(datagram, packets[0][12:20])


def test_a_sender_numbers_its_datagrams(forge):
    """Two datagrams have two identifications, so that fragments of one never meet the other's."""
    first, second = (forge.make(spoof())[0][4:6] for _ in range(2))
    assert first != second


@given(bits=st.lists(st.integers(0, 8 * len(RECORD) - 1), max_size=9))
@settings(max_examples=40)
def test_flipped_bits_pass_every_checksum(forge, bits):
    """The named bits of the payload are flipped, no other byte but the checksum differs, and both
    checksums are right."""
    (packet,) = forge.make(spoof())
    (flipped,) = forge.make(Flip(packet, tuple(bits)))
    expected = bytearray(RECORD)
    for bit in bits:
        expected[bit // 8] ^= 1 << bit % 8
    assert bytes(expected) == flipped[28:]
    assert packet[:26] == flipped[:26]
    assert udp_is_right(flipped[20:], flipped[12:20])


def test_a_datagram_without_checksum_stays_without(forge):
    """A flip repairs no checksum that was none."""
    (packet,) = forge.make(spoof())
    (flipped,) = forge.make(Flip(packet[:26] + b"\0\0" + packet[28:], (0,)))
    assert b"\0\0" == flipped[26:28]


def test_a_replay_is_the_packet_again(forge, tmp_path):
    """A packet of a capture comes back byte for byte, whatever it is."""
    packets = [forge.make(spoof(payload=bytes([n])))[0] for n in range(3)] + [b"no packet"]
    capture = str(pcap(tmp_path / "c.pcap", packets))
    assert [[packet] for packet in packets] == [forge.make(Replay(capture, n)) for n in range(4)]


def test_a_replay_under_another_name_is_well_formed(forge, tmp_path):
    """With another source only that and the checksums differ, and they are right."""
    capture = str(pcap(tmp_path / "c.pcap", forge.make(spoof())))
    (packet,) = forge.make(Replay(capture, 0, "198.51.100.7", 1024))
    assert bytes([198, 51, 100, 7, 192, 0, 2, 1, 4, 0]) == packet[12:22]
    assert RECORD == packet[28:]
    assert header_is_right(packet)
    assert udp_is_right(packet[20:], packet[12:20])


# --- orders that make no sense --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (Spoof("udp", "203.0.113", 1, CENTER, 2, b""), "`source`"),
        (Spoof("udp", STRANGER, 1, "example", 2, b""), "`to`"),
        (Spoof("udp", STRANGER, -1, CENTER, 2, b""), "`source_port` of an order is -1"),
        (Spoof("udp", STRANGER, 1, CENTER, 65536, b""), "`to_port` of an order is 65536"),
        (spoof(payload=bytes(65_508)), "carries 65508 bytes, and a datagram 65507 at most"),
        (spoof("truncated-ip", cut=0), "is cut by 0 bytes: its payload allows 1 to 380"),
        (spoof("truncated-udp", cut=381), "is cut by 381 bytes"),
        (spoof("oversized", mtu=408), "does not come in fragments of 408"),
        (spoof("oversized", mtu=67), "give an `mtu` of 68 to 407"),
        (Flip(b"", ()), "A packet of 0 bytes is not one whole UDP datagram."),
        (Flip(b"\x45" + bytes(27), ()), "not one whole UDP datagram"),
        (Replay("/dev/null", 0), "is no capture in pcap form"),
        (Replay("/no/such/file", 0), "No such file"),
    ],
)
def test_a_wrong_order_gets_one_sentence(forge, order, says):
    """What cannot be made is refused with a sentence that says why, and the forge goes on."""
    with pytest.raises(ForgeError) as caught:
        forge.make(order)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert 1 == len(forge.make(spoof()))


def test_bits_and_packets_that_are_not_there_are_refused(forge, tmp_path):
    """A bit beyond the payload, a packet beyond the capture, a fragment: each is refused."""
    (packet,) = forge.make(spoof())
    fragment, *_ = forge.make(spoof("oversized", bytes(2000)))
    (cut,) = forge.make(spoof("truncated-ip"))
    capture = str(pcap(tmp_path / "c.pcap", [fragment]))
    for order in (
        Flip(packet, (8 * 380,)),
        Flip(packet, (-1,)),
        Flip(fragment, (0,)),
        Flip(cut, (0,)),
        Replay(capture, 1),
        Replay(capture, -1),
        Replay(capture, 0, "198.51.100.7"),
        Replay(str(pcap(tmp_path / "ether.pcap", [packet], link_type=1)), 0),
    ):
        with pytest.raises(ForgeError):
            forge.make(order)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"spoof"}',
        b'{"type":"rob"}',
        b"\xff",
        b'{"type":"flip","packet":1}',
    ],
)
def test_what_is_no_order_is_answered_all_the_same(line):
    """Bytes that are no order get one sentence, and the next order is carried out."""
    order = b'{"type":"dissect","capture":"/dev/null"}'
    done = subprocess.run(
        [sys.executable, "-m", facade.PROGRAM],
        input=line + b"\n" + order + b"\n",
        capture_output=True,
        check=True,
    )
    ready, first, second = map(json.loads, done.stdout.splitlines())
    assert ["ready", "trouble", "trouble"] == [a["type"] for a in (ready, first, second)]
    assert first["why"].startswith("Order 1 is none: ")
    assert "/dev/null" in second["why"]


# --- dissection -----------------------------------------------------------------------------------


def test_a_capture_is_dissected_packet_by_packet(forge, tmp_path):
    """Stamps to the nanosecond, addresses, ports, payloads, and whether all of it is in order."""
    kinds = ("udp", "bad-checksum", "truncated-ip", "truncated-udp")
    packets = [forge.make(spoof(kind))[0] for kind in kinds]
    found = list(dissect(pcap(tmp_path / "c.pcap", packets)))
    assert [BEGINS_NS + n for n in range(4)] == [packet.ns for packet in found]
    assert {(STRANGER, 4000, CENTER, 24985, 17)} == {
        (p.source, p.source_port, p.to, p.to_port, p.protocol) for p in found
    }
    assert [408, 408, 407, 407] == [packet.bytes for packet in found]
    assert [True, False, False, False] == [packet.is_intact for packet in found]
    whole, short = (sha256(data).hexdigest()[:16] for data in (RECORD, RECORD[:-1]))
    assert [whole, whole, short, short] == [packet.payload for packet in found]


def test_fragments_and_strangers_are_dissected_as_far_as_they_go(forge, tmp_path):
    """A later fragment has no ports, what is no IPv4 has no addresses, and a datagram without
    checksum is in order."""
    first, second = forge.make(spoof("oversized", bytes(2000)))
    (packet,) = forge.make(spoof())
    bare = packet[:26] + b"\0\0" + packet[28:]
    found = list(
        dissect(pcap(tmp_path / "c.pcap", [first, second, b"", b"\x60" + bytes(50), bare]))
    )
    assert [4000, None, None, None, 4000] == [packet.source_port for packet in found]
    assert [STRANGER, STRANGER, "", "", STRANGER] == [packet.source for packet in found]
    assert [True, True, False, False, True] == [packet.is_intact for packet in found]


def test_stamps_in_microseconds_are_read_as_such(forge, tmp_path):
    """A capture of the older form gives its stamps in nanoseconds, too."""
    capture = tmp_path / "c.pcap"
    pcap(capture, forge.make(spoof()))
    data = bytearray(capture.read_bytes())
    data[:4] = struct.pack("<I", 0xA1B2C3D4)
    data[28:32] = struct.pack("<I", 7)
    capture.write_bytes(data)
    assert BEGINS_NS // 10**9 * 10**9 + 7000 == next(dissect(capture)).ns


def test_a_torn_capture_is_read_up_to_the_tear(forge, tmp_path):
    """A capture cut anywhere in its last packet gives the packets before it."""
    capture = pcap(tmp_path / "c.pcap", forge.make(spoof()) * 3)
    capture.write_bytes(capture.read_bytes()[:-200])
    assert 2 == len(list(dissect(capture)))


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_hostile_capture_is_read_or_refused(data, forge, tmp_path):
    """A capture with anything in it ends in packets or in one sentence, never in a dead forge."""
    path = tmp_path / "hostile.pcap"
    packets = data.draw(st.lists(st.binary(max_size=90), max_size=4))
    packets += [bytes([0x45]) + data.draw(st.binary(max_size=90)) for _ in range(2)]
    content = bytearray(pcap(path, packets).read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        forge.make(Replay(str(path), 0, "198.51.100.7"))
        read = list(forge.dissect(path))
        assert all(packet.bytes >= 0 for packet in read)
    except ForgeError as error:
        assert "ended" not in str(error)
        assert "\n" not in str(error)
    assert 1 == len(forge.make(spoof()))


@pytest.mark.needs("tshark")
def test_another_reader_agrees(forge, tmp_path):
    """tshark sees the same stamps, addresses, ports and checksums as the forge."""
    kinds = ("udp", "bad-checksum", "udp")
    packets = [forge.make(spoof(kind))[0] for kind in kinds]
    packets += forge.make(Flip(packets[0], (7, 77, 777)))
    capture = pcap(tmp_path / "c.pcap", packets)
    fields = ("frame.time_epoch", "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "frame.len")
    statuses = ("ip.checksum.status", "udp.checksum.status")
    command = ["tshark", "-r", str(capture), "-n", "-T", "fields"]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    command += [word for field in (*fields, *statuses) for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen = [line.split("\t") for line in done.stdout.splitlines()]
    for row, packet in zip(seen, dissect(capture), strict=True):
        stamp = f"{packet.ns // 10**9}.{packet.ns % 10**9:09d}"
        ends = [packet.source, str(packet.source_port), packet.to, str(packet.to_port)]
        assert [stamp, *ends, str(packet.bytes)] == row[:6]
        assert ["1", "1"] == row[6:] or not packet.is_intact
    assert ["1", "0", "1", "1"] == [row[7] for row in seen]


# --- the process ----------------------------------------------------------------------------------


def test_scapy_never_enters_its_users_process():
    """A process that forges and dissects imports nothing of scapy."""
    program = (
        "import sys\n"
        "from fieldproof_simulators.links.live.forge import Forge\n"
        "from fieldproof_simulators.links.live.forge_orders import Spoof\n"
        "with Forge() as forge:\n"
        "    made = forge.make(Spoof('udp', '203.0.113.66', 1, '192.0.2.1', 2, b''))\n"
        "print(len(made), sorted(name for name in sys.modules if 'scapy' in name))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ("1 []\n", "") == (done.stdout, done.stderr)


def test_without_scapy_one_sentence_says_so(tmp_path, monkeypatch):
    """Where scapy is not installed, an order ends in ForgeMissing with the way to get it."""
    (tmp_path / "scapy.py").write_text("raise ModuleNotFoundError('No module named scapy')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Forge() as forge, pytest.raises(ForgeMissing, match="with its extra `forge`"):
        forge.make(spoof())


def test_a_forge_that_dies_is_an_error_and_can_be_started_again(tmp_path):
    """A forge whose process is killed is noticed at the next order; after that it starts anew."""
    with Forge(tmp_path / "forge.log") as forge:
        forge.await_ready()
        forge._process.kill()
        with pytest.raises(ForgeError):
            forge.make(spoof())
        assert 1 == len(forge.make(spoof()))


def test_a_forge_ends_with_its_owner():
    """When the owner is killed, the forge reads the end of its orders and exits."""
    program = (
        "from fieldproof_simulators.links.live.forge import Forge\n"
        "forge = Forge()\n"
        "forge.await_ready()\n"
        "print(forge._process.pid, flush=True)\n"
        "import signal; signal.pause()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    ended = os.pidfd_open(pid)
    try:
        owner.kill()
        owner.wait()
        assert select.select([ended], [], [], 10)[0]
    finally:
        os.close(ended)
        owner.stdout.close()


def test_nothing_is_made_in_the_users_home(tmp_path, monkeypatch):
    """A forge leaves the home of its user as it was."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with Forge() as forge:
        forge.await_ready()
    assert [] == list(tmp_path.iterdir())
