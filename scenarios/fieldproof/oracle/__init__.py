"""Second decoders and the instrument's truth, written from the published formats alone.

Nothing here shares a line with the system that is judged: a codec on both sides of a comparison
would cancel its own bugs.
"""
