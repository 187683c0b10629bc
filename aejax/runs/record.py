"""A plan in JSON's types, as run.json has it: a run opens without planner and data.

A later planner may cut otherwise: what is written is how this run was cut.
"""

import json
import pathlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from aejax import config as configs
from aejax.runs import plan as plans
from aejax.training import population as populations
from aejax.training import source as sources
from aejax.training import spec as specs


def write(planned: Sequence[populations.Population]) -> dict[str, Any]:
    """Entries of run.json: the populations, and by what to know them again."""
    plan = to_json(planned)
    return {"plan": plan, "plan_crc32": _crc32(plan)}


def _crc32(entries: Any) -> int:
    return zlib.crc32(json.dumps(entries, sort_keys=True).encode())


def to_json(planned: Sequence[populations.Population]) -> list[dict[str, Any]]:
    """Populations in JSON's types."""
    return [
        {
            "config": population.spec.config.to_json(),
            "index": population.index,
            "data": population.spec.data._asdict(),
            "latent_dim": population.spec.model.network_spec.latent_dim,
            "clip": population.spec.clip,
            "decay": population.spec.decay,
            "first": population.numbers.start,
            "parameters": [m.parameters for m in population.members],
            "members": _varying([m.config for m in population.members]),
        }
        for population in planned
    ]


def _varying(members: Sequence[configs.Config]) -> dict[str, list[Any]]:
    """{field or hyperparameter: the value of each member}, of those that vary."""
    flat = [{n: getattr(c, n) for n in configs.TRACED} | c.hparams for c in members]
    values = {n: [one[n] for one in flat] for n in flat[0]}
    return {n: v for n, v in values.items() if any(one != v[0] for one in v)}


def from_json(
    entries: Sequence[Mapping[str, Any]],
) -> tuple[populations.Population, ...]:
    """The inverse of ``to_json``: it neither plans nor reads data.

    Raises:
      InputError: objective or network file of the user's that is not there any more.
    """
    firsts = [configs.Config.from_json(entry["config"]) for entry in entries]
    hparams = sorted({n for config in firsts for n in config.hparams})
    planned = []
    for position, (entry, first) in enumerate(zip(entries, firsts, strict=True)):
        shared = {n: entry[n] for n in ("latent_dim", "clip", "decay")}
        # What an objective has got since has its default.
        first = specs.complete(first, first.hparams)
        spec = specs.build(first, sources.facts(entry["data"]), **shared)
        members = []
        for place, parameters in enumerate(entry["parameters"]):
            values = {n: v[place] for n, v in entry["members"].items()}
            fields = {n: v for n, v in values.items() if n in configs.TRACED}
            rest = {n: v for n, v in values.items() if n not in fields}
            config = first.replace(**fields, hparams=first.hparams | rest)
            about = plans.columns(config, spec.model.likelihood, hparams)
            number = entry["first"] + place
            members.append(populations.MemberSpec(number, config, about, parameters))
        index = entry.get("index", position)  # a shard's run has one, of some number
        planned.append(populations.Population(index, tuple(members), spec))
    return tuple(planned)


def problems(info: Mapping[str, Any], dir: pathlib.Path | None) -> list[str]:
    """Whether the plan in run.json is not as it was written: a sentence, or none."""
    if _crc32(info.get("plan")) == info.get("plan_crc32"):
        return []
    return [
        f"the plan in '{dir}/run.json' is damaged, so that no model can be read; "
        "--resume with the run's own settings writes it anew"
    ]


def read(
    info: Mapping[str, Any], dir: pathlib.Path | None
) -> tuple[populations.Population, ...]:
    """The populations of a run, from its run.json.

    Raises:
      InputError: they are damaged, or need a file that is not there any more.
    """
    if sentences := problems(info, dir):
        raise configs.InputError(sentences[0])
    try:
        return from_json(info["plan"])
    except configs.InputError:
        raise
    except Exception as error:  # whatever stands there instead
        why = f"{type(error).__name__}: {error}"[:300]
        raise configs.InputError(
            f"the plan in '{dir}/run.json' is damaged ({why}); --resume with the "
            "run's own settings writes it anew"
        ) from error
