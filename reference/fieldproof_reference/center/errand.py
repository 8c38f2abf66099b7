"""One closed hour on its way from an edge's archive: what to ask, and what the answers mean.

    pieces   ranges by cadence          where the center's file has gaps and is regular otherwise
    check    HEAD: length and digest    where it has none, or is irregular, or a range was refused
    tail     the last record again      where the server gives no digest and the length is the same
    whole    the file                   where the center has none, or nothing else led to the proof

    pieces -- they fit, and so does the digest or the length -------------------> proven
    pieces -- the digest is that of the center's file as it is -----------------> proven
    pieces -- the edge's file is shorter than any of them (416) ---------------> check
    check  -- the digest is the center's --------------------------------------> proven
    check  -- no digest, same length ------------------------------------------> tail
    tail   -- it is the center's ----------------------------------------------> proven
    whole  -- it came -----------------------------------------------------------> proven
    pieces, check, tail -- otherwise ------------------------------------------> whole
    any    -- the file is not there --------------------------------------------> absent
    any    -- the file is another than before the break (T10) -----------------> from the beginning

What comes is appended to `staging/daws/20060117_16.part` and becomes part of the archive only when
all of it is there and fits. After a break the rest is asked for with `If-Range`, where the server
gave a strong tag; without one, everything again. Proof by length and tail, where there is no
digest, is as good as a plain server lets it be, and the note of the proof says which one it was.
A whole file is mirrored as it is, corrupt or not (T13); without a digest it must have a record of
the hour in it, for anybody on the way can answer 200.
"""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256

from fieldproof_contract import Append, DiskView, Effects, Monotonic, Remove
from fieldproof_reference.center import SiteHour
from fieldproof_reference.center.pieces import Piece, filled, has_record, pieces
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import HOUR_S
from fieldproof_reference.protocols.httprange import (
    Ask,
    Body,
    Done,
    Head,
    Heard,
    Malformed,
    Part,
    Span,
)

MOST_BYTES = 1 << 20
"""The largest hour file that is fetched: 46 times a full one, for a clock that stepped back at the
edge may have filled the hour several times."""

NO_METHOD = (405, 501)
GONE = (404, 410)


class Changed(Malformed):
    """The file is not the one that it was before the connection broke."""


class Unserved(Malformed):
    """The server answers, and not what was asked for: it may do so later."""


class Level(StrEnum):
    """What is asked for."""

    PIECES = "pieces"
    CHECK = "check"
    TAIL = "tail"
    WHOLE = "whole"


class Proof(StrEnum):
    """What says that the hour is the edge's."""

    DIGEST = "digest"
    LENGTH = "length and records"
    WHOLE = "whole file"
    ABSENT = "no file"


class Found(StrEnum):
    """What an answer that is complete comes to."""

    PROVEN = "proven"
    ABSENT = "absent"
    MORE = "more"  # another request is needed


class Errand:
    """The work on one hour: `prepare`, `ask`, `hear` until it is `complete`, `conclude`; after
    `Found.MORE`, `restart` at the `next` level."""

    def __init__(self, of: SiteHour, due: Monotonic) -> None:
        self.of = of
        self.due = due
        self.absences = 0
        self.path = trees.hour_path(of.site, of.hour * HOUR_S)
        stem = self.path.rpartition("/")[2][:11]
        self.staging = f"staging/{of.site}/{stem}.part"
        self.level: Level | None = None
        self.next = Level.WHOLE  # after `Found.MORE`
        self._forget()

    def _forget(self) -> None:
        self.complete = False  # the answer has come, and is to be looked at
        self.status = 0
        self.digest = b""
        self.proof = Proof.WHOLE
        self.wanted: tuple[Piece, ...] = ()
        self.contents: list[bytes] = []  # of the pieces, once all are there
        self._tag = ""
        self._total: int | None = None
        self._spans: tuple[Span, ...] = ()  # asked for, as far as the file is known to have them
        self._staged = 0  # bytes

    @property
    def unanswered(self) -> bool:
        """Whether not even the head of an answer has come."""
        return self.status == 0

    @property
    def absent(self) -> bool:
        """Whether the edge says that it has no such file."""
        return self.proof is Proof.ABSENT

    def restart(self, level: Level | None = None) -> None:
        """Begin anew, at a level or at the one that the center's file calls for."""
        self.level = None if level is Level.PIECES else level
        self._forget()

    def tidy(self, disk: DiskView) -> Effects:
        """Drop what is in staging, where there is anything."""
        return (Remove(self.staging),) if disk.size(self.staging) is not None else ()

    # --- asking ---

    def prepare(self, disk: DiskView) -> Effects:
        """Before `ask`: drop what cannot be continued. What came before a break can where the
        server gave it a strong tag."""
        if self._staged and not self._tag:
            self.restart(self.level)
        return () if self._staged else self.tidy(disk)

    def ask(self, disk: DiskView) -> Ask:
        """The next request."""
        local = held(disk, self.path)
        if self.level is None:
            self._choose(local)
        self.complete, self.status = False, 0
        if self.level is Level.CHECK:
            return Ask(self.path, method="HEAD")
        if self.level is Level.TAIL:
            last = len(local) - 1
            self._spans = (Span(max(0, last + 1 - xrio.RECORD_BYTES), last),)
        if self._staged:
            return Ask(self.path, self._missing(), self._tag, most_bytes=MOST_BYTES)
        self._total = None
        if self.level is Level.PIECES:
            self._spans = tuple(piece.span for piece in self.wanted)
        return Ask(self.path, self._spans, most_bytes=MOST_BYTES)

    def _choose(self, local: bytes) -> None:
        found = pieces(local, self.of.hour)
        self.wanted = found or ()
        if not local:
            self.level = Level.WHOLE
        else:
            self.level = Level.PIECES if found else Level.CHECK

    def cut_short(self) -> None:
        """The connection broke, perhaps behind the last byte that was wanted."""
        size = sum(span.size for span in self._spans) if self._spans else self._total
        self.complete = self.complete or 0 < self._staged == size

    def _missing(self) -> tuple[Span, ...]:
        """What a break has left over."""
        if self.level is Level.WHOLE:
            return (Span(self._staged, (self._total or MOST_BYTES) - 1),)
        left: list[Span] = []
        skip = self._staged
        for span in self._spans:
            if skip < span.size:
                left.append(Span(span.first + skip, span.last))
            skip = max(0, skip - span.size)
        return tuple(left)

    # --- hearing ---

    def hear(self, heard: Heard, disk: DiskView) -> Effects:
        """Some of the answer; `Changed` or `Unserved` where it is of no use."""
        match heard:
            case Head():
                return self._hear_head(heard, disk)
            case Part(_, total):
                if self._total is not None and total != self._total:
                    raise Changed(f"the file had {self._total} bytes and now has {total}")
                if self._total is None:
                    self._total = total
                    self._spans = tuple(
                        Span(span.first, min(span.last, total - 1))
                        for span in self._spans
                        if span.first < total
                    )
            case Body(data):
                self._staged += len(data)
                return (Append(self.staging, data),)
            case Done():
                self.complete = True
        return ()

    def _hear_head(self, head: Head, disk: DiskView) -> Effects:
        self.status = head.status
        resumes = self._staged > 0
        if head.status not in (200, 206, 416, *GONE, *NO_METHOD):
            raise Unserved(f"the status is {head.status}")
        if resumes and head.status == 206 and head.tag != self._tag:
            raise Changed(f"the tag was {self._tag} and now is {head.tag or 'none'}")
        effects: Effects = ()
        if resumes and head.status == 200:
            effects = self.tidy(disk)  # If-Range: another file, and all of it
            self.restart(Level.WHOLE)
            self.status = head.status
        if head.status in (200, 206):
            self._tag, self.digest = head.tag, head.digest
        if head.status == 200:
            self._total = head.total
        return effects

    # --- what it comes to ---

    def conclude(self, disk: DiskView) -> tuple[Found, bytes]:
        """What the complete answer comes to, and, where that is proof, what the hour file is.
        `Malformed` where a whole file came and is not what it should be, `Unserved` where it is
        somebody's page instead, as of a provider who wants to be paid."""
        self.complete = False
        local = held(disk, self.path)
        staged = held(disk, self.staging) if self._staged else b""
        if self.status in GONE:
            self.proof = Proof.ABSENT
            return (Found.ABSENT if local else Found.PROVEN), b""
        match self.level:
            case Level.WHOLE:
                return self._conclude_whole(local, staged)
            case Level.CHECK if self.status == 200:
                return self._conclude_check(local)
            case Level.TAIL if self.status == 206:
                same = local[-len(staged) :] == staged and len(local) == self._total
                self.proof = Proof.LENGTH
                return (Found.PROVEN, local) if same else self._more(Level.WHOLE)
            case Level.PIECES if self.status == 206:
                return self._conclude_pieces(local, staged)
            case Level.PIECES if self.status == 416:
                return self._more(Level.CHECK)
        return self._more(Level.WHOLE)

    def _conclude_whole(self, local: bytes, staged: bytes) -> tuple[Found, bytes]:
        if self.status not in (200, 206):
            raise Malformed(f"the status of a whole file is {self.status}")
        if self._total not in (None, len(staged)) or not self._is_digest(staged, True):
            raise Malformed("the file that came is not what its header says")
        if not self.digest and (local or staged) and not has_record(staged, self.of):
            raise Unserved("no record of the hour is in the file that came")
        self.proof = Proof.WHOLE
        return Found.PROVEN, staged

    def _conclude_check(self, local: bytes) -> tuple[Found, bytes]:
        if self._is_digest(local, False):
            self.proof = Proof.DIGEST
            return Found.PROVEN, local
        same_length = not self.digest and self._total == len(local) > 0
        return self._more(Level.TAIL if same_length else Level.WHOLE)

    def _conclude_pieces(self, local: bytes, staged: bytes) -> tuple[Found, bytes]:
        if self._is_digest(local, False):  # the gaps are the edge's own
            self.proof, self.wanted = Proof.DIGEST, ()
            return Found.PROVEN, local
        contents = _split(staged, self._spans)
        wanted = list(zip(self.wanted, contents, strict=False))
        after = filled(local, self.of.hour, wanted, self.of.site)
        # Where the edge's file has gaps of its own, its length alone is no proof.
        regular = after is not None and pieces(after, self.of.hour) == ()
        if after and len(after) == self._total and self._is_digest(after, regular):
            self.proof = Proof.DIGEST if self.digest else Proof.LENGTH
            self.contents = contents
            return Found.PROVEN, after
        return self._more(Level.WHOLE)

    def _is_digest(self, content: bytes, unknown: bool) -> bool:
        """Whether this is the edge's file by its digest; `unknown` where the server gave none."""
        return self.digest == sha256(content).digest() if self.digest else unknown

    def _more(self, level: Level) -> tuple[Found, bytes]:
        self.next = level
        return Found.MORE, b""


def held(disk: DiskView, path: str) -> bytes:
    """The content of a file; nothing where there is none."""
    return disk.read(path) if disk.size(path) is not None else b""


def _split(staged: bytes, spans: Sequence[Span]) -> list[bytes]:
    contents = []
    for span in spans:
        contents.append(staged[: span.size])
        staged = staged[span.size :]
    return contents
