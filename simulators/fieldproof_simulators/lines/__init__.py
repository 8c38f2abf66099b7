"""Serial lines between instrument and edge, and the words that travel on them."""
