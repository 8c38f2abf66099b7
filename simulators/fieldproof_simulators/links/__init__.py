"""Links: what happens to a packet between an edge and the center.

`tausworthe` draws, `losses` and `delays` decide, `impairments` says what is asked of them, and
`netem` puts the decisions in the kernel's order; all of that counts frames. `outages` counts time,
and `profiles` names the links that stations really have. `fates` adds what faults do to a link, and
`virtual` carries packets by it in virtual time, as `live` does in real time. No file here reads a
clock; those in `live` do.
"""
