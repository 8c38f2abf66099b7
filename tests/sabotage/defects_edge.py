"""Defects of the edge: what it measures, files and sends."""

import dataclasses

from planted import (
    ACCOUNTED,
    CLAIMS,
    NOTHING_REFUSED,
    RAW,
    TO_TRUTH,
    Defect,
    all_but,
    half_hour,
    night,
)

from fieldproof.checks import latency, received_daily, strangers_ignored
from fieldproof.faults import ClockStep, DiskFull, Kill, Outage, PowerCut, Spoof, at
from fieldproof_contract import Append, Failed, Monotonic, Publish, SendDatagram, Sync
from fieldproof_reference import ports
from fieldproof_reference.edge import FILED
from fieldproof_reference.edge.acquire import Acquire
from fieldproof_reference.edge.answer import Answer
from fieldproof_reference.edge.filing import Filing
from fieldproof_reference.edge.transmit import Transmit
from fieldproof_reference.formats import xrio

MINUTE_NS = 60_000_000_000


class SixtySamplesAreASecond(Acquire):
    """A second ends with its sixtieth sample, wherever the clock is."""

    def _sample(self, code, monotonic_ns, utc_ns):
        if self._count == 60:
            self._second_ends_ns = min(self._second_ends_ns, monotonic_ns)
        elif self._count and monotonic_ns >= self._second_ends_ns:
            self._second_ends_ns = monotonic_ns + 1
        return super()._sample(code, monotonic_ns, utc_ns)


class AveragesFiftyNine(Acquire):
    """The lowest sample of a second is left out of its average, as a spike."""

    def _point(self):
        rest = self._count - 1
        average = (2 * (self._total - self._lowest) + rest) // (2 * rest)
        return xrio.pack_points((average,), (0,), (0,))[:2] + super()._point()[2:]


class DividesBySixty(Acquire):
    """The average of a second is its sum over sixty, though 59 or 61 samples may be in it."""

    def _point(self):
        points = super()._point()
        return xrio.pack_points(((2 * self._total + 60) // 120,), (0,), (0,))[:2] + points[2:]


class PointsInNetworkByteOrder(Acquire):
    """Points are written with their high bytes first."""

    def _take_record(self):
        record = super()._take_record()
        swapped = bytearray(record)
        swapped[20::2], swapped[21::2] = record[21::2], record[20::2]
        return bytes(swapped)


class StampedWhenComplete(Acquire):
    """A record bears the time at which it was complete, not that of its first sample."""

    def _take_record(self):
        self._label_s += 60
        record = super()._take_record()
        self._label_s -= 60
        return record


class JumpsTo2038(Acquire):
    """The clock chip's rollover is believed: one record is of the last second of 31 bits."""

    def _seconds(self, seconds):
        if seconds.utc_s % 3600 // 60 == 30:
            seconds = dataclasses.replace(seconds, utc_s=2**31 - 1)
        return super()._seconds(seconds)


class ClockReadOnlyOnce(Acquire):
    """After the first record the time is carried on by counting, whatever the clock says."""

    _next_s = None

    def _seconds(self, seconds):
        label_s = self._next_s or seconds.utc_s
        self._next_s = label_s + 60
        return super()._seconds(dataclasses.replace(seconds, utc_s=label_s))


class ClockFromRecordCount(Acquire):
    """A restart carries the time on from the last record filed, as if it had not been down."""

    def start(self, disk, now):
        files = disk.listing("riometer/")
        stamps = [xrio.timestamp_s(disk.read(path)[-xrio.RECORD_BYTES :]) for path in files[-1:]]
        self._off_s = stamps[0] + 60 - now.utc_ns // 10**9 if stamps else 0
        return super().start(disk, now)

    def _seconds(self, seconds):
        return super()._seconds(dataclasses.replace(seconds, utc_s=seconds.utc_s + self._off_s))


class WaitsForAMinuteAfterStart(Acquire):
    """The first minute after every start is thrown away, as if the line had to warm up."""

    _warm = False

    def _seconds(self, seconds):
        was_warm, self._warm = self._warm, True
        return super()._seconds(seconds) if was_warm else ()


class StaleBytesAfterRestart(Acquire):
    """What the serial driver still held from before the restart is read as if it were new."""

    def start(self, disk, now):
        self._stale = b"\xa9\x10" * 30 if disk.listing("riometer/") else b""
        return super().start(disk, now)

    def _words(self, data, now):
        stale, self._stale = self._stale, b""
        return super()._words(stale + data, now)


class OddSampleRate(Acquire):
    """The header of a record says that 77 points were made in a second."""

    def _take_record(self):
        record = super()._take_record()
        return record[:9] + b"\x4d" + record[10:]


class SparesInUse(Acquire):
    """The spare fields of a header hold whatever the memory held."""

    def _take_record(self):
        record = super()._take_record()
        return record[:10] + b"\xa9\x10" + record[12:18] + b"\x10\xa9" + record[20:]


class OldFileAtRollover(Filing):
    """The file of the hour is chosen before the record comes: its first goes to the old file."""

    _path = None

    def _file_next(self):
        effects = super()._file_next()
        if effects:
            path, self._path = self._path or effects[0].path, effects[0].path
            self._in_flight = self._in_flight._replace(path=path, offset=self._disk.size(path) or 0)
            effects = (Append(path, effects[0].data), Sync((path,)))
        return effects


class BuildsOnTornTail(Filing):
    """A start does not look at what a power cut left of the last record."""

    def _mend(self):
        return ()


class SentBeforeSynced(Filing):
    """A record is news as soon as it is written; nobody waits for the disk."""

    def _file_next(self):
        effects = super()._file_next()
        if not effects:
            return ()
        filed, self._in_flight = self._in_flight, None
        return (effects[0], Publish(FILED, filed), *self._file_next())


class WritesInBatches(Filing):
    """Records are collected in memory and written five at a time, to spare the SD card."""

    def _file_next(self):
        is_batch = self._in_flight is None and len(self._waiting) % 5
        return () if is_batch else super()._file_next()


class FailedWriteBlocks(Filing):
    """A write that the disk refused is never tried again, and all later ones wait behind it."""

    def receive(self, event, now):
        return () if isinstance(event, Failed) else super().receive(event, now)


class BufferTooSmall(Filing):
    """Memory keeps five records for a disk that takes no more, not a day of them."""

    def _drop_oldest(self):
        while len(self._waiting) > 5:
            self._waiting.popleft()
        return ()


class NewestFirst(Filing):
    """Of records that wait for the disk, the newest is written first."""

    def _file_next(self):
        self._waiting.reverse()
        effects = super()._file_next()
        self._waiting.reverse()
        return effects


class SkipsMinuteSeven(Transmit):
    """What is filed in the seventh minute of an hour is not sent; the repair will bring it."""

    def receive(self, event, now):
        is_seventh = now.utc_ns // MINUTE_NS % 60 == 7
        return () if is_seventh else super().receive(event, now)


class DamagesWhatItSends(Transmit):
    """The last byte of every datagram is lost on the way out, and another sent in its place."""

    def advance(self, now):
        return tuple(
            dataclasses.replace(effect, data=effect.data[:-1] + b"\xff")
            for effect in super().advance(now)
        )


class LooksOnceAMinute(Transmit):
    """The watcher looks for new records once a minute, not once a second."""

    def deadline(self):
        due = super().deadline()
        return due and Monotonic(due - due % MINUTE_NS + MINUTE_NS)


class AnswersWithoutPace(Answer):
    """A long answer leaves all at once and fills the modem's queue before live telemetry."""

    def advance(self, now):
        effects = super().advance(now)
        while self._queue:
            self._free_at = now.monotonic
            effects += super().advance(now)
        return effects


class AnswersStrangers(Answer):
    """A request that nobody signed is answered, if only with an error."""

    def receive(self, event, now):
        answered = super().receive(event, now)
        refusal = SendDatagram(ports.REPAIR, event.source, b"RE")
        return answered or (refusal,)


LATENCY = latency("daws", p50_s=1.5, p99_s=2.5)
SILENT = strangers_ignored()
KILL = at("22:10:20", Kill("daws", restart_after_s=10))

DEFECTS = (
    Defect("acquire", SixtySamplesAreASecond, TO_TRUTH, half_hour()),
    Defect("acquire", AveragesFiftyNine, TO_TRUTH, half_hour()),
    Defect("acquire", DividesBySixty, TO_TRUTH, half_hour()),
    Defect("acquire", PointsInNetworkByteOrder, TO_TRUTH, night(lasts="30m")),
    Defect("acquire", StampedWhenComplete, TO_TRUTH, night(claims=all_but(ACCOUNTED))),
    Defect("acquire", JumpsTo2038, TO_TRUTH, night(claims=all_but(ACCOUNTED, NOTHING_REFUSED))),
    Defect(
        "acquire",
        ClockReadOnlyOnce,
        TO_TRUTH,
        night(
            at("22:00:20", ClockStep("daws", by_s=-150)),
            claims=all_but(ACCOUNTED),
            reconciles=True,
        ),
    ),
    Defect(
        "acquire",
        ClockFromRecordCount,
        TO_TRUTH,
        night(at("22:10:20", Kill("daws", restart_after_s=130))),
    ),
    Defect("acquire", WaitsForAMinuteAfterStart, ACCOUNTED, night(KILL)),
    Defect(
        "acquire",
        StaleBytesAfterRestart,
        TO_TRUTH,
        half_hour(at("21:10:20", Kill("daws", restart_after_s=10))),
    ),
    Defect("acquire", OddSampleRate, TO_TRUTH, night()),
    Defect("acquire", SparesInUse, TO_TRUTH, night()),
    Defect("filing", OldFileAtRollover, TO_TRUTH, night(reconciles=True)),
    Defect(
        "filing",
        BuildsOnTornTail,
        TO_TRUTH,
        night(at("22:10:20", PowerCut("daws", mid_write=True)), reconciles=True),
    ),
    Defect(
        "filing",
        SentBeforeSynced,
        ACCOUNTED,
        night(at("22:30:20", PowerCut("daws")), claims=all_but(NOTHING_REFUSED), reconciles=True),
    ),
    Defect("filing", WritesInBatches, ACCOUNTED, night(KILL), besides=(RAW,)),
    Defect(
        "filing",
        FailedWriteBlocks,
        ACCOUNTED,
        night(at("22:10:00", DiskFull("daws"), until="22:20:00")),
    ),
    Defect(
        "filing",
        BufferTooSmall,
        received_daily("daws", (189,)),
        night(
            at("22:10:00", DiskFull("daws"), until="22:40:00"),
            claims=(*CLAIMS, received_daily("daws", (189,))),
        ),
    ),
    Defect(
        "filing",
        NewestFirst,
        TO_TRUTH,
        night(at("22:10:00", DiskFull("daws"), until="22:20:00"), reconciles=True),
    ),
    Defect("transmit", SkipsMinuteSeven, ACCOUNTED, night(reconciles=True)),
    Defect(
        "transmit",
        DamagesWhatItSends,
        ACCOUNTED,
        night(claims=all_but(NOTHING_REFUSED), reconciles=True),
        besides=(RAW,),
    ),
    Defect("transmit", LooksOnceAMinute, LATENCY, night(claims=(*CLAIMS, LATENCY))),
    Defect(
        "answer",
        AnswersWithoutPace,
        LATENCY,
        night(
            at("00:01:30", Outage("vsat"), until="23:30:00"),
            claims=(*CLAIMS, LATENCY),
            starts="2006-01-17T00:00Z",
            lasts="25h",
            reconciles=True,
            phase_s=15,  # records end while the answer is on its way, as the day is closed
        ),
    ),
    Defect(
        "answer",
        AnswersStrangers,
        SILENT,
        night(at("22:10:20", Spoof("repair", "daws")), claims=(*CLAIMS, SILENT)),
    ),
)
