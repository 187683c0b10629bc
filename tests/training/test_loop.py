"""How evaluated splits are cut into batches: every example once, in few sizes."""

import math

import numpy as np
import pytest

from aejax.training import loop

RNG = np.random.default_rng(0)
TRIPLES = [
    (1, 1, 1),
    (129, 129, 360),
    (5000, 5000, 10000),
    (1000, 1000, 10000),
    (1, 0, 1),
    (0, 0, 7),
    (2, 2, 1009),
    (1023, 1023, 1025),
    (1024, 1024, 1024),
    (4099, 4099, 8191),
    *(tuple(int(n) for n in RNG.integers(1, 3000, 2)[[0, 0, 1]]) for _ in range(40)),
]


@pytest.mark.parametrize("largest", [1, 7, 100, 1024])
def test_batches_hold_every_example_once(largest):
    for lengths in TRIPLES:
        batches = loop.batches(lengths, largest)
        assert len(batches) <= 4 and max(batches) <= largest, lengths
        counts = np.zeros(sum(lengths), int)
        belongs = np.repeat(np.arange(3), lengths)
        for size, rows in batches.items():
            assert rows.dtype == np.int32 and rows.shape == (len(rows), 2)
            assert (np.diff(rows[:, 1]) >= 0).all(), "splits in order"
            for start, split in rows:
                counts[start : start + size] += 1
                assert (belongs[start : start + size] == split).all()
        assert (counts == 1).all(), lengths
        for split, n in enumerate(lengths):
            pieces = sum((rows[:, 1] == split).sum() for rows in batches.values())
            fewest = max(math.ceil(n / largest), 4 * n / max(min(largest, n), 1))
            assert pieces <= fewest, "batches are not tiny"


def test_a_common_divisor_makes_one_size():
    assert set(loop.batches((1000, 1000, 10000), 1024)) == {1000}
    assert set(loop.batches((5000, 5000, 10000), 1024)) == {1000}
    assert set(loop.batches((129, 129, 360), 1024)) == {129, 360}


def test_any_three_splits_make_two_sizes_each():
    for _ in range(50):
        lengths = tuple(int(n) for n in RNG.integers(1, 5000, 3))
        batches = loop.batches(lengths, 128)
        assert len(batches) <= 6
        assert sum(s * len(rows) for s, rows in batches.items()) == sum(lengths)
