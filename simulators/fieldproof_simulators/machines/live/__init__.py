"""Hosts of the live tier: what touches the real machine."""
