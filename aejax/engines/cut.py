"""How members are cut into shards, and which of these a worker without driver takes."""

import math
from collections.abc import Sequence
from typing import Any

from aejax.runs import directory

LEAST = 8  # of a worker's part of a population the smallest shard is this part


def cut(planned: Sequence[Any], workers: int, each: int = 1) -> list[directory.Shard]:
    """Shards of populations for so many workers.

    Each takes half of what is left for each worker, so that they grow smaller and all
    workers end together (guided self-scheduling, Polychronopoulos & Kuck 1987); none
    is so small that to begin it takes as long as it does. Sizes are multiples of
    ``each``, what a worker's devices compute with at once. A population's first shard
    is its largest: what a worker compiles for it serves all.
    """
    work = [len(p.members) * _work(p) for p in planned]
    cut = []
    for population, part_of_work in zip(planned, work, strict=True):
        count, low = len(population.members), 0
        ways = max(1, round(2 * workers * part_of_work / sum(work)))
        least = math.ceil(count / (LEAST * ways))
        while low < count:
            size = max(math.ceil((count - low) / ways), least)
            high = min(count, low + -(-size // each) * each)
            cut.append(directory.Shard(population.index, low, high))
            low = high
    return cut


def _work(population: Any) -> int:
    """Of one member, in multiplications or so."""
    spec, parameters = population.spec, population.members[-1].parameters
    return spec.steps * spec.config.batch_size * parameters


def share(
    planned: Sequence[Any], shards: Sequence[directory.Shard], number: int, count: int
) -> list[int]:
    """The shards of one of ``count`` workers that no driver gives any.

    The largest first, each to the one that has least to do so far.
    """
    work = [(s.high - s.low) * _work(planned[s.population]) for s in shards]
    loads, shares = [0] * count, [[] for _ in range(count)]
    for one in sorted(range(len(shards)), key=lambda i: (-work[i], i)):
        least = loads.index(min(loads))
        loads[least] += work[one]
        shares[least].append(one)
    return sorted(shares[number])
