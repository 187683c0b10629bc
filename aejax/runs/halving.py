"""Successive halving: at some epochs only the best of comparable members go on.

Jamieson & Talwalkar, AISTATS 2016. Members stay in their compiled program, which runs
fewer rounds: nothing is compiled again, and schedules keep the whole horizon, so that
the rows of those that go on are, bit for bit, the rows of the exhaustive sweep. Who is
stopped is a function of the rows alone: a resume decides again, and alike.
"""

import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config as configs
from aejax.runs import directory
from aejax.training import population as populations
from aejax.training import program

# What members must share to be compared: their errors are of the same data.
SHARED = ("objective", "dataset", "binarize", "likelihood")
Rows = Sequence[Mapping[str, Any]]


class Halving(NamedTuple):
    """The rule.

    Attributes:
      eta: of n comparable members the best n / eta, rounded up, go on.
      rungs: the epochs at which they are compared, by the validation split; by default
        epochs / eta, epochs / eta², … where there are evaluations.
      by: the metric, or a sum of several, "nll+kl", of which the lowest is best; by
        default that where an objective has both, else the error of reconstruction.
      across: whether members of several latent sizes are compared.
      audit: the share of those stopped that is trained all the same, drawn by their
        numbers, to measure what stopping them has cost.
      repeats: of a search, 0 else: so many members in a row are the seeds of a trial,
        which go on together, by their mean; those of one population are compared.
    """

    eta: float
    rungs: tuple[int, ...] = ()
    by: str = ""
    across: bool = False
    audit: float = 0.0
    repeats: int = 0

    def epochs(self, config: configs.Config) -> tuple[int, ...]:
        """Those of the rungs, ascending."""
        if self.rungs:
            return tuple(sorted(set(self.rungs)))
        epochs, interval, rungs = config.epochs / self.eta, config.eval_every, set()
        while epochs >= interval:
            rungs.add(round(epochs / interval) * interval)
            epochs /= self.eta
        return tuple(sorted(r for r in rungs if r < config.epochs))

    def to_json(self, config: configs.Config) -> dict[str, Any]:
        """As run.json has it, and a resume compares it."""
        known = self._asdict() | {"rungs": list(self.epochs(config))}
        return {n: v for n, v in known.items() if n != "repeats" or v}


def check(
    rule: Halving,
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    planned: Sequence[populations.Population],
) -> None:
    """Refuses a rule that cannot work on a sweep, or would choose what nobody wants.

    Raises:
      InputError: eta below 2, rungs without an evaluation, a metric that a population
        has not, the loss of members whose losses differ.
    """
    if not 2 <= rule.eta < math.inf:
        raise configs.InputError(f"--halving is {rule.eta:g}; it must be at least 2")
    if not 0 <= rule.audit <= 1:
        raise configs.InputError(f"--audit is {rule.audit:g}; it must lie in [0, 1]")
    interval, last = config.eval_every, config.epochs
    wrong = [r for r in rule.rungs if r % interval or not 0 < r < last]
    if wrong or not rule.epochs(config):
        raise configs.InputError(
            f"--rungs {configs.listed(wrong) if wrong else 'has none'}: a rung is an "
            f"epoch of an evaluation before the last, {last}; there is one each "
            f"{interval} (--eval-every)"
        )
    if any(not p.spec.data.sizes[1] for p in planned):
        raise configs.InputError("--halving needs a validation split")
    check_terms(f"--by {rule.by}", rule.by, axes, planned)


def check_terms(
    flag: str,
    by: str,
    axes: Iterable[str],
    planned: Sequence[populations.Population],
) -> None:
    """Refuses to compare members by what they lack, or what means another in each.

    Raises:
      InputError: a metric that a population has not, the loss of members whose losses
        differ; it begins with ``flag``, what the user gave.
    """
    for population in planned:
        names = _terms(by, population)
        for name in names:
            if name not in population.metrics:
                known = configs.listed(population.metrics)
                raise configs.InputError(
                    f"{flag}: objective '{population.spec.config.objective}' "
                    f"has no metric '{name}'; it has {known}"
                )
        # Beta weighs a loss, and so does every other hyperparameter of an objective.
        weighed = set(axes) & set(population.spec.objective.defaults)
        if weighed and "loss" in names:
            raise configs.InputError(
                f"{flag}: members differ in {configs.listed(sorted(weighed))}, "
                "which may weigh the loss: the smallest weight would win. Give a "
                "metric that means the same in all, nll+kl or mse"
            )


def batch(
    rule: Halving,
    planned: Sequence[populations.Population],
    devices: Sequence[Any],
) -> int | None:
    """Members vmapped together on an accelerator: no more than survive once, and fit.

    A batch costs the same however few of it are left.
    """
    if devices[0].platform == "cpu":
        return None
    largest = max(len(p.members) for p in planned)
    fits = min(program.layout(p, devices, None)[1] for p in planned)
    slots = program.slots(planned[0], devices)
    return min(fits, math.ceil(math.ceil(largest / slots) / rule.eta))


def of_info(info: Mapping[str, Any]) -> Halving | None:
    """The rule of a run, from its run.json."""
    return Halving(**info["halving"]) if "halving" in info else None


def _terms(by: str, population: populations.Population) -> list[str]:
    return [word.strip() for word in (by or default_by([population])).split("+")]


def default_by(planned: Sequence[populations.Population]) -> str:
    """What all of these are compared by if nothing is said."""
    if all({"nll", "kl"} <= p.metrics.keys() for p in planned):
        return "nll+kl"
    return "mse" if "mse" in planned[0].metrics else "error_rate"


def terms(
    rule: Halving, planned: Sequence[populations.Population]
) -> dict[int, list[str]]:
    """{member: the metrics whose sum it is compared by}."""
    return {m.index: _terms(rule.by, p) for p in planned for m in p.members}


def sets(
    rule: Halving, planned: Sequence[populations.Population]
) -> dict[tuple, list[int]]:
    """{what they share: members that are compared with each other}."""
    if rule.repeats:
        return {(p.index,): list(p.numbers) for p in planned}
    names = (*SHARED, *["latent_dim"] * (not rule.across))
    known: dict[tuple, list[int]] = {}
    for member in (m for p in planned for m in p.members):
        known.setdefault(tuple(member.columns[n] for n in names), []).append(
            member.index
        )
    return known


def score(terms: Sequence[str], row: Mapping[str, Any]) -> float | None:
    """The sum of these metrics in a row; None of a member that has diverged."""
    values = [row[n] for n in terms]
    return None if None in values else sum(values)


class Rung(NamedTuple):
    """What happened to the members of a set at an epoch."""

    key: tuple  # values of SHARED, and the latent size unless across
    epoch: int
    kept: list[int]
    stopped: list[int]


def rungs(
    rule: Halving,
    epochs: Sequence[int],
    planned: Sequence[populations.Population],
    rows: Rows,
) -> Iterator[Rung]:
    """All that has been decided, of these rows.

    Ties go by the member's number; members that have diverged come last.
    """
    of = terms(rule, planned)
    valid = {(r["member"], r["epoch"]): r for r in rows if r["split"] == "valid"}
    size = rule.repeats or 1
    for key, members in sets(rule, planned).items():
        alive = [members[i : i + size] for i in range(0, len(members), size)]
        for epoch in epochs:
            if not all((m, epoch) in valid for same in alive for m in same):
                break
            scores = {m: score(of[m], valid[m, epoch]) for same in alive for m in same}
            ranked = sorted(alive, key=lambda same: _rank(same, scores))
            count = math.ceil(len(alive) / rule.eta)
            yield Rung(key, epoch, sum(ranked[:count], []), sum(ranked[count:], []))
            alive = sorted(ranked[:count])


def _rank(same: Sequence[int], scores: Mapping[int, float | None]) -> tuple:
    """By what members that go on together are sorted."""
    values = [scores[m] for m in same]
    lost = None in values
    return lost, 0.0 if lost else statistics.fmean(values), same[0]


def audited(rule: Halving, member: int) -> bool:
    """Whether a member is trained to the end although it was stopped."""
    return random.Random(f"audit {member}").random() < rule.audit


class Race:
    """The decisions of a sweep in training.

    Attributes:
      epochs: of the rungs.
      ends: whether members are trained to the end after them.
    """

    ends = True

    def __init__(
        self,
        rule: Halving,
        planned: Sequence[populations.Population],
        rows: Callable[[], Rows],
    ):
        self.rule, self._planned, self._rows = rule, planned, rows
        self.epochs = rule.epochs(planned[0].spec.config)

    def stopped(self) -> dict[int, int]:
        """{member: the epoch at which it was stopped}, of the rows so far."""
        decided = rungs(self.rule, self.epochs, self._planned, self._rows())
        return {m: rung.epoch for rung in decided for m in rung.stopped}

    def alive(self, population: populations.Population) -> list[int]:
        """Places of the members that are to be trained on, audited ones among them."""
        gone = self.stopped()
        return [
            place
            for place, member in enumerate(population.members)
            if member.index not in gone or audited(self.rule, member.index)
        ]


class Leg(Race):
    """A shard's part of a race, decided by who has the rows of all shards.

    It ends at the rung ``epoch``, or after the last step if that is None.
    """

    def __init__(self, rule: Halving, epoch: int | None, stopped: Mapping[int, int]):
        self.rule, self._stopped = rule, dict(stopped)
        self.epochs, self.ends = (epoch,) * (epoch is not None), epoch is None

    def stopped(self) -> dict[int, int]:
        """As it was told."""
        return self._stopped

    def done(self, population: populations.Population, rows: Rows) -> bool:
        """Whether all that are left of a population were evaluated at the rung."""
        (epoch,) = self.epochs
        there = {r["member"] for r in rows if r["epoch"] == epoch}
        members = population.members
        return all(members[place].index in there for place in self.alive(population))


def mark(rows: Rows, stopped: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows with the column ``stopped_at``: the epoch, None of those that went on."""
    return [{**r, directory.STOPPED: stopped.get(r["member"])} for r in rows]
