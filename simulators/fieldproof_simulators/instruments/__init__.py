"""Simulated instruments; each owns the truth of what it emitted."""
