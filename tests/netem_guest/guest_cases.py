"""What the guest's netem is asked: each impairment alone, several, and all of them.

RECORDED repeats recordings of tests/links/vectors under their names, so that those are seen to be
true of another boot. OTHERS have seeds and parameters that nobody recorded. The limit is met 5 ms
away from any departure: at the same instant either answer would be right.
"""

from guest_readings import Case

from fieldproof_simulators.links.netem import FourState, GilbertElliott, Impairments, RandomLoss

MS = 1_000_000
KBIT_S = 1_000
ENDLESS = 50_000  # frames: no limit that these cases meet
HASHED = 0x9E3779B97F4A7C15  # as large as the seeds that runs have


def spread(distribution: str) -> Impairments:
    """50 ms and 20 ms of jitter."""
    return Impairments(
        delay_ns=50 * MS, jitter_ns=20 * MS, distribution=distribution, limit_frames=ENDLESS
    )


RECORDED = (
    Case("loss5_seed42", Impairments(loss=RandomLoss(5)), 42, 4000, 200),
    Case("loss5_seed64bit", Impairments(loss=RandomLoss(5)), 12345678901234567, 4000, 200),
    Case("gemodel_full_seed7", Impairments(loss=GilbertElliott(1, 20, 90, 0.1)), 7, 4000, 200),
    Case("gemodel_defaults_seed7", Impairments(loss=GilbertElliott(1, 20)), 7, 4000, 200),
    Case("state_full_seed9", Impairments(loss=FourState(1, 20, 5, 70, 0.2)), 9, 4000, 200),
    Case("state_p13only_seed9", Impairments(loss=FourState(1)), 9, 4000, 200),
    Case("dup2_seed11", Impairments(duplicate_percent=2), 11, 4000, 200),
    Case("corrupt10_seed13", Impairments(corrupt_percent=10), 13, 2000, 200),
    Case(
        "loss5_corrupt10_dup3_seed14",
        Impairments(loss=RandomLoss(5), corrupt_percent=10, duplicate_percent=3),
        14,
        3000,
        200,
    ),
    Case(
        "reorder25_gap1_seed15",
        Impairments(delay_ns=50 * MS, reorder_percent=25, limit_frames=ENDLESS),
        15,
        1500,
        1000,
    ),
    Case(
        "reorder25_gap5_seed16",
        Impairments(delay_ns=50 * MS, reorder_percent=25, reorder_gap=5, limit_frames=ENDLESS),
        16,
        1500,
        1000,
    ),
    Case("jitter_uniform_seed17", spread("uniform"), 17, 1000, 1000),
    Case("jitter_normal_seed18", spread("normal"), 18, 1000, 1000),
    Case("jitter_pareto_seed19", spread("pareto"), 19, 1000, 1000),
    Case("jitter_paretonormal_seed20", spread("paretonormal"), 20, 1000, 1000),
    Case(
        "combined_seed21",
        Impairments(
            delay_ns=50 * MS,
            jitter_ns=20 * MS,
            loss=RandomLoss(3),
            duplicate_percent=2,
            corrupt_percent=4,
            reorder_percent=10,
            limit_frames=ENDLESS,
        ),
        21,
        2000,
        1000,
    ),
    Case(
        "rate1m_delay50_jitter20_seed23",
        Impairments(
            delay_ns=50 * MS, jitter_ns=20 * MS, rate_bit_s=1000 * KBIT_S, limit_frames=ENDLESS
        ),
        23,
        300,
        4000,
    ),
    Case(
        "rate100k_overhead26_cell53_5",
        Impairments(
            rate_bit_s=100 * KBIT_S,
            overhead_bytes=26,
            cell_bytes=53,
            cell_overhead_bytes=5,
            limit_frames=ENDLESS,
        ),
        1,
        60,
        50_000,
    ),
)

OTHERS = (
    Case("loss1-hashed", Impairments(loss=RandomLoss(1)), HASHED, 4000, 200),
    Case(
        "gemodel-dup-jitter",
        Impairments(
            delay_ns=20 * MS,
            jitter_ns=15 * MS,
            distribution="normal",
            loss=GilbertElliott(2, 15, 80, 0.5),
            duplicate_percent=10,
            limit_frames=ENDLESS,
        ),
        HASHED + 1,
        2000,
        1000,
    ),
    Case(
        "state-corrupt",
        Impairments(loss=FourState(2, 15, 10, 60, 1), corrupt_percent=5),
        HASHED + 2,
        3000,
        200,
    ),
    Case("jitter-without-delay", Impairments(jitter_ns=5 * MS), HASHED + 3, 500, 1000),
    Case(
        "rate64k-limit20",
        Impairments(delay_ns=5 * MS, rate_bit_s=64 * KBIT_S, limit_frames=20),
        1,
        150,
        10_000,
    ),
    Case(
        "loss-corrupt-limit20",
        Impairments(delay_ns=1005 * MS, loss=RandomLoss(10), corrupt_percent=10, limit_frames=20),
        HASHED + 4,
        300,
        10_000,
    ),
    Case(
        "dawson-uplink-2005",
        Impairments(
            delay_ns=300 * MS,
            jitter_ns=20 * MS,
            loss=GilbertElliott(0.011, 6, 100, 0.11),
            rate_bit_s=128 * KBIT_S,
        ),
        HASHED + 5,
        1000,
        60_000,
        422,
    ),
    Case(
        "all-but-rate",
        Impairments(
            delay_ns=40 * MS,
            jitter_ns=15 * MS,
            distribution="paretonormal",
            loss=GilbertElliott(3, 25, 90, 1),
            duplicate_percent=8,
            corrupt_percent=6,
            reorder_percent=30,
            reorder_gap=3,
            limit_frames=ENDLESS,
        ),
        HASHED + 6,
        2000,
        1000,
    ),
    Case(
        "all-together",
        Impairments(
            delay_ns=40 * MS,
            jitter_ns=15 * MS,
            distribution="pareto",
            loss=FourState(2, 20, 5, 70, 0.5),
            duplicate_percent=8,
            corrupt_percent=6,
            reorder_percent=20,
            reorder_gap=2,
            rate_bit_s=4_000 * KBIT_S,
            overhead_bytes=14,
            cell_bytes=53,
            cell_overhead_bytes=5,
            limit_frames=ENDLESS,
        ),
        HASHED + 7,
        2000,
        1000,
    ),
)

ALL = (*RECORDED, *OTHERS)
