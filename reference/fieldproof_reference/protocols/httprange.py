"""HTTP with byte ranges, both sides, without a socket: how a center fetches what it lacks from an
archive that speaks no protocol of ours (RFC 9110; digests by RFC 9530).

    center -> edge   HEAD or GET of one hour file, for none, one or many ranges of it
    edge   -> center the bytes, with the length of the whole, a tag and, from our edge, a digest

The wire is h11's; what the two sides make of it is said in `httprange_client` (what an answer must
be), `httprange_parts` (multipart/byteranges), `httprange_server` (what is served) and
`httprange_fields` (the fields that both read). Everything can be imported from here.

Nothing here is signed: who answers at the edge's address is the edge. That is the price of a server
that everybody has; the repair protocol is for links on which it is too high.
"""

from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols.httprange_client import (
    Ask,
    Body,
    Client,
    Done,
    Head,
    Heard,
    Part,
)
from fieldproof_reference.protocols.httprange_fields import Span, strong_tag
from fieldproof_reference.protocols.httprange_server import Files, Server

__all__ = [
    "Ask",
    "Body",
    "Client",
    "Done",
    "Files",
    "Head",
    "Heard",
    "Malformed",
    "Part",
    "Server",
    "Span",
    "strong_tag",
]
