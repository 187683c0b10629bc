"""run.json: what ran, on what, and how fast."""

import dataclasses
import datetime
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from aejax import config as configs
from aejax import data as datasets
from aejax import machine, registry
from aejax.registry import guard
from aejax.runs import directory, plan, record
from aejax.training import program

COMPUTE = ("jax", "jaxlib", "flax", "optax", "aejax")  # packages


@dataclasses.dataclass
class Spent:
    """Counters of a run, over all its resumptions."""

    compile_s: float = 0.0  # in which at least one program was in the compiler
    trace_s: float = 0.0  # of tracing and lowering, added over programs
    train_s: float = 0.0  # in dispatches, evaluation included
    member_steps: float = 0.0  # over all members
    images: float = 0.0
    compiled_until: float = 0.0

    def add_compilation(self, began: float, ended: float) -> None:
        """Counts a compilation; programs that compile side by side count once.

        Programs are added in the order in which they began.
        """
        self.compile_s += max(0.0, ended - max(began, self.compiled_until))
        self.compiled_until = max(ended, self.compiled_until)


def spent_before(dir: pathlib.Path) -> Spent:
    """The counters with which an earlier part of the run ended."""
    if not (dir / "run.json").is_file():
        return Spent()
    info = directory.read_info(dir)
    old = {n: info.get(n, 0.0) for n in ("compile_s", "trace_s", "train_s")}
    steps = info.get("steps_per_s", 0.0) * old["train_s"]
    images = info.get("images_per_s", 0.0) * old["train_s"]
    return Spent(**old, member_steps=steps, images=images)


def speeds(spent: Spent) -> dict[str, float]:
    """The counters as run.json has them."""
    times = {n: getattr(spent, n) for n in ("compile_s", "trace_s", "train_s")}
    counts = {"steps_per_s": spent.member_steps, "images_per_s": spent.images}
    seconds = max(spent.train_s, 1e-9)
    rates = {n: round(count / seconds, 1) for n, count in counts.items()}
    return {n: round(v, 3) for n, v in times.items()} | rates


def inputs(
    planned: plan.Plan, devices: Sequence[jax.Device], vmap: int | None = None
) -> dict[str, Any]:
    """What a run's digits depend on beside its configuration; a resume compares it.

    SHA-256 of the data as loaded and of the user's files, the number of blocks its
    data stream in, members and how many are vmapped together, the kind of device, the
    versions of what computes, and how that was told to.
    """
    populations = planned.populations
    known: dict[str, Any] = {"blocks": [p.spec.data.blocks for p in populations]}
    known["members of each program"] = [len(p.members) for p in populations]
    layouts = [program.layout(p, devices, vmap) for p in populations]
    known["vmap"] = [size for _, size in layouts]
    known |= machine_inputs(devices[0].device_kind)
    for population in populations:
        config = population.spec.config
        # As loaded: a folder, a TFDS set or one class of a file changes unseen else.
        if (name := f"data {config.dataset}") not in known:
            digests = planned.sources.digests
            if name not in digests:  # a worker asks for each of its shards
                source = planned.sources.source(population.spec)
                digests[name] = datasets.fingerprint(source.dataset)
            known[name] = digests[name]
        for name in (config.objective, config.network):
            if registry.is_path(name):
                known[f"file {name}"] = _of_file(name)
    return known


def machine_inputs(device_kind: str) -> dict[str, Any]:
    """Those that are the machine's and its settings'."""
    known: dict[str, Any] = {"kind of device": device_kind}
    known |= {f"version of {n}": machine.version(n) for n in COMPUTE}
    flags = os.environ.get("XLA_FLAGS", "").split()
    where = "--xla_force_host_platform_device_count"  # not part of any digit
    known["XLA_FLAGS"] = " ".join(sorted(f for f in flags if not f.startswith(where)))
    known["threads"] = os.environ.get("PJRT_NPROC") or str(machine.usable_cores())
    for name in ("jax_enable_x64", "jax_threefry_partitionable"):
        known[name] = getattr(jax.config, name)
    return known


def code() -> str:
    """SHA-256, its first 16 digits, of this package's own files."""
    digest, root = hashlib.sha256(), pathlib.Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _of_file(name: str) -> str:
    return hashlib.sha256(guard.path_of(name).read_bytes()).hexdigest()[:16]


def changed_files(info: Mapping[str, Any]) -> list[str]:
    """Sentences on files of the user's that are not those a run was made with."""
    files = {
        key.removeprefix("file "): digest
        for key, digest in info.get("inputs", {}).items()
        if key.startswith("file ")
    }
    return [
        f"'{name}' is not the file that this run was trained with: its models are read "
        "by another one"
        for name, digest in files.items()
        if guard.path_of(name).is_file() and _of_file(name) != digest
    ]


def describe(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    planned: plan.Plan,
    devices: Sequence[jax.Device],
    inputs: Mapping[str, Any] | None,
    command: str | None,
) -> dict[str, Any]:
    """Configuration, plan, versions, device and size of a run that starts."""
    packages = (*COMPUTE, "orbax-checkpoint")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    info = {"command": command} | ({"inputs": inputs} if inputs else {})
    return info | {
        "configuration": config.to_json(),
        "axes": axes,
        "versions": {n: machine.version(n) for n in packages},
        "device": f"{len(devices)} × {devices[0].device_kind}",
        "platform": devices[0].platform,
        "cores": os.cpu_count(),
        "members": planned.count,
        "programs": len(planned.populations),
        "started": now,
        "cache": None,
        "finished": False,
        **record.write(planned.populations),
    }


def cache_entries() -> set[str] | None:
    """Entries of the persistent compilation cache; None if there is no cache."""
    folder = jax.config.jax_compilation_cache_dir
    return {e.name for e in pathlib.Path(folder).glob("*-cache")} if folder else None


def cache_state(before: set[str] | None, compiled: bool) -> str:
    """off, unused, hit (nothing was added), miss (something was), or refused."""
    after = cache_entries()
    if after is None or before is None:
        return "off"
    if not compiled:
        return "unused"
    return "miss" if after - before else "hit" if after else "refused"
