"""rsync: a daemon that shows a folder to anybody, read-only, and the pull of one folder of it.

The daemon writes nothing, takes no other options than a pull has, and shows no hidden files. It has
no chroot, which would need rights that an edge has not; whoever can put a link into the archive can
show what it leads to. Begun by root it would become nobody, who may not read, unless `uid` and
`gid` say otherwise; begun by anybody else it fails where they are said. It looks up no names: that
would be traffic, and a wait.

The pull is the 2006 text's `rsync -az` of the day's files by name, in its old compression, so that
its cost can be held against 2006; but for owners, groups and modes, which a copy in staging has no
use for. A daemon's list of files is not trusted: no folders, no links, no file above the bound.
"""

from fieldproof_contract import PullTree, ServeTree
from fieldproof_reference.engines.recipe import Command, Place

MODULE = "archive"
MOST_CONNECTIONS = 8
CALL_S = 60
"""How long the pull waits for a connection: some of the slowest link's round trips. No other time
is said, for it would cross the link: a pull ends after `LONGEST_S`, the daemon's side of a dead
connection when the kernel gives it up."""

LONGEST_S = 3600

CODES = {
    5: "the other end does not offer the folder",
    10: "the other end cannot be reached",
    11: "a file could not be read or written",
    12: "the connection broke",
    23: "the folder could not be read",
    24: "a file vanished",
    30: "the other end was silent",
    35: "the other end did not answer",
}
"""Exit codes of rsync, from its manual."""

ACCEPTED = "t z old-compress new-compress compress-choice max-size"
"""Options that the daemon takes: those that a pull has, as rsync 3.2 to 3.5 say them."""


def serve(job: ServeTree, place: Place) -> Command:
    """The daemon."""
    owner = [f"uid = {place.owner[0]}", f"gid = {place.owner[1]}"] if place.owner else []
    lines = [
        "use chroot = no",
        *owner,
        "reverse lookup = no",
        "forward lookup = no",
        f"max connections = {MOST_CONNECTIONS}",
        f"lock file = {place.private}/lock",
        f"log file = {place.private}/log",
        f"refuse options = *{''.join(f' !{option}' for option in ACCEPTED.split())}",
        f"[{MODULE}]",
        f"path = {place.folders[job.root]}",
        "read only = yes",
        "list = no",
        "exclude = .*",
    ]
    files = {"rsyncd.conf": "".join(f"{line}\n" for line in lines).encode()}
    words = ["rsync", "--daemon", "--no-detach", f"--config={place.private}/rsyncd.conf"]
    words.append(f"--port={job.port}")
    words += [f"--address={place.address}"] if place.address else []
    return Command(tuple(words), "rsync", files, codes=CODES)


def pull(job: PullTree, place: Place) -> Command:
    """The files of one folder."""
    host = f"[{job.peer.host}]" if ":" in job.peer.host else job.peer.host
    words = (
        "rsync",
        "-t",
        "-z",
        "--compress-choice=zlib",
        f"--contimeout={CALL_S}",
        f"--compare-dest={place.folders[job.like]}",
        f"--max-size={job.most_bytes}",
        f"rsync://{host}:{job.peer.port}/{MODULE}/{job.folder}*",
        f"{place.folders[job.into]}/",
    )
    return Command(words, "rsync", most_file=job.most_bytes, longest_s=LONGEST_S, codes=CODES)
