"""fieldproof_simulators."""
