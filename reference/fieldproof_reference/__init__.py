"""fieldproof_reference."""
