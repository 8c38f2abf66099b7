"""UDP repair in one round trip: the center names gaps, the edge returns what it holds in them.

    edge    -> center   manifest   what the day should be            (0 round trips)
    center  -> edge     request    open intervals between records that the center has
    edge    -> center   reply      digest of the day, and all that lies in those intervals

1. Datagrams carry a tag under the site's key. One that is not authentic is ignored in silence, so a
   spoofed sender gets no traffic reflected (T17).
2. The edge keeps no state and answers equal requests by equal replies: a lost datagram costs a
   retry, a doubled one nothing (T23).
3. The center puts the items into a copy, compares the digest of the day, and promotes all of it or
   nothing. Nothing in a reply is believed for any other reason.

Everything of the protocol can be imported from here; the layout of bytes is explained in `wire`
(header and tag), `request`, `bodies`, `deltas`, `reply` and `manifest`. The protocol is our own.
"""

from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols.bodies import codec_for, pack_body, seconds_of, unpack_body
from fieldproof_reference.protocols.manifest import (
    NO_FILE,
    Manifest,
    day_digest,
    hour_digest,
    pack_manifest,
    read_manifest,
)
from fieldproof_reference.protocols.reply import Assembly, Reply, reply_fragments
from fieldproof_reference.protocols.request import Gap, Request, pack_request, read_request
from fieldproof_reference.protocols.wire import Codec, Unauthentic, kind, site_of

__all__ = [
    "NO_FILE",
    "Assembly",
    "Codec",
    "Gap",
    "Malformed",
    "Manifest",
    "Reply",
    "Request",
    "Unauthentic",
    "codec_for",
    "day_digest",
    "hour_digest",
    "kind",
    "pack_body",
    "pack_manifest",
    "pack_request",
    "read_manifest",
    "read_request",
    "reply_fragments",
    "seconds_of",
    "site_of",
    "unpack_body",
]
