"""What may not be in the canonical tree is kept here, with the reason and where it came from (I3).

    quarantine/2006/01/17/length-4f1d0c2a9b3e5d67.bin     the bytes, named by reason and SHA-256
    quarantine/2006/01/17/provenance.jsonl                one line for each: why, from where, when

The day is the day of arrival or of the decision, never one that the bytes themselves claim (T4).
Bytes that are already here are not written again, so a replay of the raw tree adds nothing.
"""

from collections.abc import Mapping
from hashlib import sha256

from fieldproof_contract import Append, DiskView, Effects, Log, Replace, Sync
from fieldproof_reference.center.notes import note
from fieldproof_reference.formats.days import DAY_S, day_text


def quarantine(
    disk: DiskView,
    reason: str,
    data: bytes,
    utc_s: int,
    origin: Mapping[str, str | int],
    *,
    is_raw: bool = False,
) -> Effects:
    """Keep `data`, which `reason` (a few words) keeps out; `origin` says where it came from. What
    the raw tree has, too (`is_raw`), is not worth waiting for the disk."""
    digest = sha256(data).hexdigest()
    folder = f"quarantine/{day_text(utc_s // DAY_S, '%Y/%m/%d')}"
    path = f"{folder}/{reason.replace(' ', '-')}-{digest[:16]}.bin"
    notes = f"{folder}/provenance.jsonl"
    if disk.size(path) == len(data) and digest.encode() in disk.read(notes):
        return ()
    line = {"reason": reason, "utc_s": utc_s, "bytes": len(data), "sha256": digest, **origin}
    said = Log("quarantined", {"reason": reason, "bytes": len(data), "sha": digest[:16], **origin})
    if is_raw and disk.size(path) is None:
        return (note(notes, line), Append(path, data), said)
    return (note(notes, line), Sync((notes,)), Replace(path, data), said)
