"""Whether no record of a whole file raises a flag by itself: all of them at once, with numpy.

It says what `xrio.flags` says record by record, for ten times less, and is for those who go through
months of files. Where it finds anything, or cannot tell, `xrio.flags` says what it is. It is given
files that are records of 60 points and nothing else, as nearly all files are.
"""

from fieldproof_reference.formats import xrio


def nothing_odd(records: bytes, site: str) -> bool:
    """Whether these records, all valid and of 60 points, raise no flag; `site` in lower case."""
    import numpy as np

    octets = np.frombuffer(records, np.uint8).reshape(-1, xrio.RECORD_BYTES)
    letters = np.frombuffer(site.encode("ascii"), np.uint8)
    if (
        ((octets[:, 4:8] | 0x20) != letters).any()
        or (octets[:, 9] != xrio.SAMPLE_RATE).any()
        or octets[:, 10:12].any()
        or octets[:, 18:20].any()
    ):
        return False
    words = np.frombuffer(records, "<u2").reshape(-1, xrio.RECORD_BYTES // 2)
    points = words[:, xrio.HEADER_BYTES // 2 :].astype(np.int32)
    averages, ranges, counts = points[:, 0::3], points[:, 1::3], points[:, 2::3]
    if max(averages.max(), ranges.max()) > xrio.LARGEST_CODE:
        return False
    if counts.min() < xrio.RECORD_POINTS - 1 or counts.max() > xrio.RECORD_POINTS + 1:
        return False
    low, high = xrio.NEAR_ZERO_CODES
    if ((low <= averages.min(axis=1)) & (averages.max(axis=1) <= high)).any():
        return False
    apart = np.abs(np.diff(averages, axis=1))
    return not (apart > ranges[:, 1:] + ranges[:, :-1] + xrio.CONTINUOUS_CODES).any()
