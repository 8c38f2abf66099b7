"""Facts of a run in plain words, for who watches: `23:59:02 daws is up again`.

Only what a person wants to know while it happens has words here; the log has everything.
"""

from collections.abc import Callable, Mapping
from string import Template

from fieldproof.live.merge import Entry
from fieldproof_simulators.machines.clock import TrueUtc, iso

WORDS: Mapping[str, str] = {
    "host up": "$where is up",
    "host down": "$where is down ($cause)",
    "host died": "$where $how",
    "host frozen": "$where is frozen",
    "host thawed": "$where goes on",
    "clock stepped": "the clock of $where steps",
    "clock drifting": "the clock of $where drifts",
    "clock disciplined": "the clock of $where is right again",
    "disk full": "the disk of $where is full",
    "no room": "the disk of $where has room for $bytes bytes",
    "survived": "processes of $where outlived their end ($pids)",
    "disk relieved": "the disk of $where has room again",
    "rotted": "a bit rots at $where",
    "spoofed": "a stranger sends $bytes bytes to $where ($kind)",
    "outage begins": "$where is dark",
    "outage ends": "$where is up again",
    "lost": "$where loses $bytes bytes of $purpose, $direction ($cause)",
    "duplicated": "$where doubles $bytes bytes of $purpose",
    "delayed": "$where holds back $bytes bytes of $purpose",
    "corrupted": "$where bends $bytes bytes of $purpose",
    "line unplugged": "the cable of $where is pulled",
    "line replugged": "the cable of $where is back",
    "line dropped": "the line of $where loses $bytes bytes ($cause)",
    "line garbled": "the line of $where bends $bytes bytes",
    "line overrun": "$where reads too slowly: $bytes bytes are lost",
    "line stalled": "the line of $where stands still",
    "line resumed": "the line of $where moves again",
    "line cooked": "the port of $where is set to cooked mode",
    "line set raw": "the port of $where is set raw again",
    "line with flow control": "the port of $where gets flow control",
    "line baud mismatch": "the port of $where has the wrong rate",
}


def in_words(entry: Entry, utc: TrueUtc) -> str:
    """The sentence on a fact; "" for what nobody wants to watch."""
    words = WORDS.get(entry.what)
    if words is None:
        return ""
    time_of_day = iso(utc.at(entry.ns))[11:19]
    return f"{time_of_day} " + Template(words).safe_substitute(entry.detail, where=entry.place)


Tell = Callable[[str], None]
"""Takes a sentence."""
