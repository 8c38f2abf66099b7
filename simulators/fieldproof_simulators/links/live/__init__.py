"""Links of the live tier: what touches the real machine.

`process` is what the stage uses: it runs the `pump`, one process for all links, and speaks with it
by `messages`. In the pump `engine` carries packets between `ports`, by `ways`, which have the rules
of `links.fates`; `evidence` and `figures` say what came of it. Hosts are attached by `tun`,
`packet` or `proxy` (with `relay` for TCP), a link may lead through the kernel (`netem`), and
`probe` says what works here.
"""
