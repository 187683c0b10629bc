"""What a search may choose: ranges and values of fields and hyperparameters.

Names that change the program (objective, network, widths, …) have values, and a program
for each combination; a range is of a number that differs from member to member.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import axes as axes_lib
from aejax import config as configs
from aejax import objectives, registry
from aejax.runs import plan as plans
from aejax.runs import sources
from aejax.training import population as populations


class Range(NamedTuple):
    """Numbers from low to high, both included; whole ones where the name takes those.

    ``log``: drawn evenly by their logarithm.
    """

    low: float
    high: float
    log: bool = False

    @property
    def works(self) -> bool:
        """Whether it is one."""
        try:
            ordered = -math.inf < self.low < self.high < math.inf
        except TypeError:
            return False
        return ordered and (self.low > 0 or not self.log)


Entry = Range | Sequence[Any]


def parse(text: str) -> tuple[str, Entry]:
    """One ``NAME=VALUES`` of the command line as a name and what it may be.

    VALUES is ``log:LOW:HIGH`` or ``linear:LOW:HIGH``, a range; or values in one of the
    forms of ``axes.parse``.

    Raises:
      InputError: the text is not of one of these forms.
    """
    name, _, values = text.partition("=")
    rule, *ends = values.strip().split(":")
    if rule not in ("log", "linear") or len(ends) == 3:
        return axes_lib.parse(text)
    try:
        entry = Range(*map(float, ends), rule == "log")
    except (ValueError, TypeError):
        entry = Range(math.nan, math.nan)
    if not entry.works:
        raise configs.InputError(
            f"--axis '{text}': a range is NAME=log:LOW:HIGH or NAME=linear:LOW:HIGH, "
            "with LOW < HIGH, and above 0 if it is logarithmic"
        )
    return name.strip().replace("-", "_"), entry


class Space:
    """The settings that a search draws from, all checked.

    Args:
      base: values of everything that is not searched.
      entries: {field of Config or hyperparameter: a Range, or values}.
      seeds: each setting is trained with every one of them.

    Raises:
      InputError: an unknown name, a value that cannot be, a range of what has none.
    """

    def __init__(
        self, base: configs.Config, entries: Mapping[str, Entry], seeds: Sequence[int]
    ):
        self.base, self.seeds = base, list(dict.fromkeys(seeds))
        # What decides which hyperparameters there are comes first.
        order = sorted(entries, key=lambda n: n not in configs.STATIC)
        self.entries = {n: _values(n, entries[n]) for n in order}
        if not entries:
            raise configs.InputError(
                "a search needs something to choose: --axis NAME=log:LOW:HIGH, or "
                "several values of a flag"
            )
        if "seed" in entries:
            raise configs.InputError(
                "seed is no axis of a search: several --seed repeat each trial"
            )
        kinds = "objective", "network"
        names = {n: self.entries.get(n, [getattr(base, n)]) for n in kinds}
        if ranges := [n for n in kinds if isinstance(names[n], Range)]:
            raise configs.InputError(f"{ranges[0]} has no range; give several names")
        self._defaults = plans.hyperparameters(names["objective"], names["network"])
        # Part of the program, with one objective at least.
        self._static = [n for n in self.entries if self._is_static(n, names)]
        for name, entry in self.entries.items():
            if isinstance(entry, Range):
                self.entries[name] = self._range(name, entry)

    def _is_static(self, name: str, names: Mapping[str, Sequence[str]]) -> bool:
        if name in configs.FIELDS:
            return name not in configs.TRACED
        papers = [objectives.OBJECTIVES[n] for n in names["objective"]]
        owners = [p for p in papers if name in p.defaults]
        return not owners or not all(p.is_traced(name) for p in owners)

    def _range(self, name: str, entry: Range) -> Range:
        """With whole ends where the name takes whole numbers."""
        if name in configs.FIELDS and name not in configs.AXES:
            raise configs.InputError(f"'{name}' cannot be searched: one value per run")
        if name not in configs.AXES and name not in self._defaults:
            known = (*configs.AXES, *self._defaults)
            raise configs.unknown("field of Config or hyperparameter", name, known)
        if name in self._static:
            raise configs.InputError(
                f"--axis {name}: each value of it is a program of its own; give some, "
                f"--axis {name}=V1,V2"
            )
        if not entry.works:
            raise configs.InputError(
                f"the range of '{name}' is {entry.low!r} to {entry.high!r}; its ends "
                "must be numbers, the lower one first, above 0 if it is logarithmic"
            )
        if type(self._default(name)) is float:
            return entry._replace(low=float(entry.low), high=float(entry.high))
        if entry.low % 1 or entry.high % 1:
            raise configs.InputError(f"--axis {name}: its range must be whole numbers")
        return entry._replace(low=int(entry.low), high=int(entry.high))

    def _default(self, name: str) -> Any:
        field = configs.FIELDS.get(name)
        return field.default if field else self._defaults[name]

    def to_json(self) -> dict[str, Any]:
        """As run.json and a study have it."""
        return {
            n: e._asdict() if isinstance(e, Range) else [registry.joined(v) for v in e]
            for n, e in self.entries.items()
        }

    def frames(self, members: int, data: sources.Sources) -> plans.Plan:
        """A population of so many members for each program that trials can need.

        Of the largest latent size, clipping and decaying if any member does: a program
        holds whatever is drawn from the space.

        Raises:
          InputError: a corner of the space that cannot be trained.
        """
        self._check_corners()
        high = {n: max(_ends(e)) for n, e in self._traced().items()}
        seeds = {"seed": list(range(members))}
        return plans.plan(_with(self.base, high), self._choices() | seeds, data)

    def _traced(self) -> dict[str, Entry]:
        return {n: e for n, e in self.entries.items() if n not in self._static}

    def _choices(self) -> dict[str, list[Any]]:
        return {n: list(self.entries[n]) for n in self._static}

    def _check_corners(self) -> None:
        """Each name at its ends, where the smallest latent size bounds it most."""
        traced = self._traced()
        low = _with(self.base, {n: min(_ends(e)) for n, e in traced.items()})
        for name, entry in traced.items():
            ends = {name: [min(_ends(entry)), max(_ends(entry))]}
            hparams = {n: v for n, v in low.hparams.items() if n != name}
            base = low.replace(hparams=hparams)
            list(plans.resolve(base, self._choices() | ends))  # which checks each

    def draw(self, suggest: Callable[[str, Entry], Any]) -> dict[str, Any]:
        """A setting: ``suggest`` is asked for each name that it has, in order.

        Hyperparameters that the objective and network before them lack are left out.
        """
        values: dict[str, Any] = {}
        for name, entry in self.entries.items():
            if name not in configs.FIELDS:
                chosen = self.base.objective, self.base.network
                both = zip(("objective", "network"), chosen, strict=True)
                names = [[values.get(n, v)] for n, v in both]
                if name not in plans.hyperparameters(*names):
                    continue
            values[name] = suggest(name, entry)
        return values

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether all values lie in the space; somebody may have put in others."""
        return all(
            entry.low <= values[name] <= entry.high
            for name, entry in self.entries.items()
            if isinstance(entry, Range) and name in values
        )

    def configs(self, values: Mapping[str, Any]) -> list[configs.Config]:
        """The members of a setting, one for each seed."""
        lists = {n: [v] for n, v in values.items()}
        (members,) = plans.resolve(self.base, lists | {"seed": self.seeds})
        return members


def program(population: populations.Population, config: configs.Config) -> tuple:
    """What of a Config the program of a population like this depends on."""
    traced = population.spec.hparams(config)
    flat = config.to_json()
    flat |= flat.pop("hparams")
    return tuple((n, str(v)) for n, v in sorted(flat.items()) if n not in traced)


def _values(name: str, entry: Entry) -> Entry:
    if isinstance(entry, Range):
        return entry
    if isinstance(entry, str) or not isinstance(entry, Iterable):
        raise configs.InputError(
            f"'{name}' is searched over {entry!r}; give a Range, or values: [1.0, 2.0]"
        )
    values = list(dict.fromkeys(configs.plain(v) for v in entry))
    if not values:
        raise configs.InputError(f"axis '{name}' has no value; give at least one")
    return values


def _ends(entry: Entry) -> tuple:
    return (entry.low, entry.high) if isinstance(entry, Range) else tuple(entry)


def _with(base: configs.Config, values: Mapping[str, Any]) -> configs.Config:
    """``base`` with fields and hyperparameters of these values."""
    fields = {n: v for n, v in values.items() if n in configs.FIELDS}
    rest = {n: v for n, v in values.items() if n not in fields}
    return base.replace(**fields, hparams=base.hparams | rest)
