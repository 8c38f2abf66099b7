"""Serial lines of the live tier: real pseudo-terminals, and the process that plays into them."""
