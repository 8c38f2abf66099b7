"""Defects of the center while records come in: what it keeps, files and refuses."""

import dataclasses
from types import SimpleNamespace

from planted import (
    ACCOUNTED,
    CONSERVED,
    IN_ORDER,
    NOTHING_REFUSED,
    RAW,
    REPLAYS,
    TO_EDGE,
    VANISHED,
    Defect,
    all_but,
    night,
)

from fieldproof.checks import quarantined
from fieldproof.faults import CenterDown, Duplicate, Reorder, Spoof, at
from fieldproof_contract import Append, Datagram, Replace, Truncate
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.formats import trees, xrio


def is_kept(effect):
    """Whether the bytes of something refused are put into quarantine."""
    return isinstance(effect, Append | Replace) and effect.path.endswith(".bin")


class AppendsByArrival(Validate):
    """A record that comes late is appended, where it should be put in its place."""

    def _judge(self, entry, data):
        return tuple(
            Append(effect.path, data)
            if isinstance(effect, Replace) and effect.path.startswith("riometer/")
            else effect
            for effect in super()._judge(entry, data)
        )


class AcceptsDuplicates(Validate):
    """A record is filed as often as it comes."""

    def _judge(self, entry, data):
        self._shelf.forget_all()
        effects = super()._judge(entry, data)
        return effects or (Append(trees.hour_path("daws", xrio.timestamp_s(data)), data),)


class FilesByHourOfArrival(Validate):
    """A record goes to the file of the hour in which it came, not to that of its first sample."""

    def _judge(self, entry, data):
        path = trees.hour_path("daws", entry.arrived_utc_ns // 10**9)
        return tuple(
            dataclasses.replace(effect, path=path) if isinstance(effect, Append) else effect
            for effect in super()._judge(entry, data)
        )


class RejectsOddSeconds(Validate):
    """A record with a second of 59 or 61 samples is refused."""

    def _reason(self, data, arrived_s):
        odd = set(data[24 :: xrio.POINT_BYTES]) != {60}
        return super()._reason(data, arrived_s) or ("odd second" if odd else None)


class SiteCaseNotFolded(Validate):
    """The site of a record, in upper case, is looked up among sites in lower case."""

    def _reason(self, data, arrived_s):
        known = data[4:8].decode("latin-1") in self._sites
        return super()._reason(data, arrived_s) or (None if known else "unknown site")


class AcceptsTruncated(Validate):
    """A datagram is filed though it is shorter than its own header says."""

    def _reason(self, data, arrived_s):
        reason = super()._reason(data, arrived_s)
        return None if reason == "total length" else reason


class RefusedIsThrownAway(Validate):
    """What may not be filed is noted in the quarantine, but its bytes are not kept."""

    def _judge(self, entry, data):
        effects = super()._judge(entry, data)
        return tuple(effect for effect in effects if not is_kept(effect))


class RefusedIsEmptied(Validate):
    """What may not be filed has a file in the quarantine, of its name and of no bytes."""

    def _judge(self, entry, data):
        return tuple(
            dataclasses.replace(effect, data=b"") if is_kept(effect) else effect
            for effect in super()._judge(entry, data)
        )


class FilesTheRefused(Validate):
    """What may not be filed is also put into the canonical tree, in a folder of its own."""

    def _judge(self, entry, data):
        effects = super()._judge(entry, data)
        filed = Append("riometer/refused/data.dat", data)
        return (*effects, filed) if self._reason(data, entry.arrived_utc_ns // 10**9) else effects


class RestartEmptiesOpenHour(Validate):
    """A start opens the hour file for writing, which empties it, and goes on from there."""

    def start(self, disk, now):
        effects = super().start(disk, now)
        self._pointers = {path: disk.size(path) for path in self._news}
        return effects + tuple(Truncate(path, 0) for path in disk.listing("riometer/")[-1:])


class RestartForgetsUnread(Validate):
    """A start takes it that all that was received before has been filed."""

    def _read_again(self, now):
        super()._read_again(now)
        self._pointers = {path: self._disk.size(path) for path in self._news}


class OffsetFromZeroAfterRestart(Receive):
    """The offset in an index line counts the bytes of this life of the process."""

    def start(self, disk, now):
        effects = super().start(disk, now)
        before = {path: disk.size(path) for path in disk.listing("udp/")}
        self._disk = SimpleNamespace(size=lambda path: (disk.size(path) or 0) - before.get(path, 0))
        return effects


class RawFileRewritten(Receive):
    """After a restart the raw file of the hour is begun anew."""

    _begun = False

    def receive(self, event, now):
        effects = super().receive(event, now)
        if isinstance(event, Datagram) and not self._begun:
            self._begun = True
            effects = (Replace(effects[0].path, event.data), *effects[1:])
        return effects


class RawWithoutDuplicates(Receive):
    """A datagram that is the same as the one before is not kept in the raw tree."""

    _last = None

    def receive(self, event, now):
        if event == self._last:
            return ()
        self._last = event if isinstance(event, Datagram) else self._last
        return super().receive(event, now)


class KeepsNeighbourTwice(Receive):
    """The first datagram of an hour is kept once more, in the place of the second."""

    _first = None

    def receive(self, event, now):
        hour, first = now.utc_ns // (3600 * 10**9), self._first
        if first is None or first[0] != hour:
            self._first = (hour, event)
        elif first[1] is not None:
            self._first, event = (hour, None), first[1]
        return super().receive(event, now)


class StampedMinutesLate(Receive):
    """The arrival time in an index line, and so the name of its file, is three minutes late."""

    def receive(self, event, now):
        return super().receive(event, now._replace(utc_ns=now.utc_ns + 180 * 10**9))


class PortMisspelt(Receive):
    """The port in an index line is that of the slip of the pen in the text of 2006."""

    def receive(self, event, now):
        return tuple(
            Append(effect.path, effect.data.replace(b"  24985  ", b"  24895  "))
            if isinstance(effect, Append) and effect.path.endswith("idx")
            else effect
            for effect in super().receive(event, now)
        )


class StrangersNotKept(Receive):
    """What does not come from a site's own port is not kept in the raw tree."""

    def receive(self, event, now):
        is_strange = isinstance(event, Datagram) and event.source.port != 32769
        return () if is_strange else super().receive(event, now)


SHORT, VERSION = quarantined("total length", 1), quarantined("version", 1)
RESTART = at("22:30:10", CenterDown(), until="22:30:40")
"""Between two datagrams, and before the first of them was looked at."""

DEFECTS = (
    Defect(
        "validate",
        AppendsByArrival,
        IN_ORDER,
        night(at("22:10:30", Reorder("vsat")), claims=all_but(TO_EDGE)),
        besides=(REPLAYS,),
    ),
    Defect(
        "validate",
        AcceptsDuplicates,
        CONSERVED,
        night(at("22:10:30", Duplicate("vsat")), claims=all_but(TO_EDGE, IN_ORDER, ACCOUNTED)),
    ),
    Defect("validate", FilesByHourOfArrival, REPLAYS, night(claims=all_but(TO_EDGE))),
    Defect(
        "validate",
        RejectsOddSeconds,
        NOTHING_REFUSED,
        night(reconciles=True),
        besides=(REPLAYS,),
    ),
    Defect(
        "validate",
        SiteCaseNotFolded,
        TO_EDGE,
        night(claims=all_but(IN_ORDER, NOTHING_REFUSED)),
        besides=(REPLAYS,),
    ),
    Defect(
        "validate",
        AcceptsTruncated,
        SHORT,
        night(
            at("22:10:40", Spoof("short", "daws")),
            claims=(*all_but(TO_EDGE, ACCOUNTED, NOTHING_REFUSED), SHORT),
        ),
        besides=(CONSERVED,),
    ),
    Defect(
        "validate",
        RefusedIsThrownAway,
        CONSERVED,
        night(at("22:10:40", Spoof("version", "daws")), claims=all_but(NOTHING_REFUSED)),
    ),
    Defect(
        "validate",
        RefusedIsEmptied,
        VERSION,
        night(
            at("22:10:40", Spoof("version", "daws")),
            claims=(*all_but(NOTHING_REFUSED), VERSION),
        ),
        besides=(CONSERVED,),
    ),
    Defect(
        "validate",
        FilesTheRefused,
        TO_EDGE,
        night(
            at("22:10:40", Spoof("version", "daws")),
            claims=(*all_but(NOTHING_REFUSED), VERSION),
        ),
        besides=(REPLAYS,),
    ),
    Defect("validate", RestartEmptiesOpenHour, VANISHED, night(RESTART, claims=all_but(TO_EDGE))),
    Defect("validate", RestartForgetsUnread, VANISHED, night(RESTART, claims=all_but(TO_EDGE))),
    Defect(
        "receive",
        OffsetFromZeroAfterRestart,
        RAW,
        night(RESTART, claims=all_but(TO_EDGE, ACCOUNTED)),
    ),
    Defect(
        "receive",
        RawFileRewritten,
        RAW,
        night(RESTART, claims=all_but(TO_EDGE, ACCOUNTED, NOTHING_REFUSED)),
    ),
    Defect("receive", RawWithoutDuplicates, RAW, night(at("22:10:30", Duplicate("vsat")))),
    Defect("receive", KeepsNeighbourTwice, RAW, night(claims=all_but(ACCOUNTED), reconciles=True)),
    Defect("receive", StampedMinutesLate, RAW, night()),
    Defect("receive", PortMisspelt, RAW, night()),
    Defect(
        "receive",
        StrangersNotKept,
        RAW,
        night(
            at("22:10:40", Spoof("version", "daws", source="198.51.100.1")),  # the site's own (T17)
            claims=all_but(NOTHING_REFUSED),
        ),
    ),
)
