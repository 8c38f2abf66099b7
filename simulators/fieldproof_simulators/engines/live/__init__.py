"""Runs xdelta3 and rsync on this machine: the only part of the virtual world that starts others."""
