"""Programs that are not ours, working in virtual time; each runs for real, at one virtual instant.

Read in this order: `jobs` (what engines take and give), `talk` (what two programs said to each
other, and how it is said again over a virtual stream), `pull`, `serve`, `desk` (the engines of one
host), and below `live` what starts the programs.
"""
