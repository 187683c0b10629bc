"""The command line: flags made from Config's fields, and what they mean.

Imports no jax: ``--help`` and most mistakes are answered before it is loaded.
"""

import argparse
import dataclasses
import math
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import tyro
from tyro import constructors

from aejax import axes as axes_lib
from aejax import config, data, networks, objectives, registry
from aejax.runs import directory
from experiments import presets

PROGRAM = "python -m experiments.sweep"

_ABOUT = "Trains every combination of the values as a few compiled programs."
_EXAMPLES = f"""\
A flag with '...' takes values separated by spaces; several make an axis of the sweep.
The defaults shown are the preset's.

examples:
  {PROGRAM}
  {PROGRAM} --dataset faces.npz --latent-dim 2 8 32 --hidden 512,256 128 --dry-run
  {PROGRAM} --dataset photos@size=64,fit=pad,skip_bad=3  # a folder of images
  {PROGRAM} --preset smoke --axis eps=log:1e-8:1e-4:5 --out runs/eps
"""
_AXIS = (
    "sweep any field or hyperparameter: NAME=V1,V2, NAME=log:LOW:HIGH:COUNT, or with "
    "linear: or random:; the later of two for one NAME wins"
)
_TRACK = "log to these as well [tensorboard, wandb, mlflow, trackio]"


_Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
# Without UseAppendAction a second --axis would silently replace the first.
_Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]

# The flags that are no field of Config: type, default, metavar, default shown, help.
FLAGS = {
    "preset": (str, "default", "NAME", None, "settings to start from, see --list"),
    "axis": (_Repeated, (), "NAME=VALUES", None, _AXIS),
    "out": (str, "", "DIR", "runs/PRESET-TIME", "directory for the results"),
    "resume": (bool, False, None, "", "go on with the run in --out"),
    "vmap": (int | None, None, "N", "what fits", "members vmapped together"),
    "devices": (int | None, None, "N", "all", "number of devices to lay members over"),
    "halving": (float | None, None, "ETA", "off", "at rungs the best 1/ETA go on"),
    "rungs": (tuple[int, ...], (), "N ...", "epochs/ETA^i", "halving: at these epochs"),
    "by": (str, "", "METRIC", "nll+kl or mse", "halving: what is compared, on valid"),
    "across": (_Switch, False, None, "", "halving: compare latent sizes, too"),
    "audit": (
        float,
        0.0,
        "SHARE",
        None,
        "halving: of the stopped, trained on to check",
    ),
    "engine": (str, "local", "NAME", None, "of workers [local, processes, ray]"),
    "workers": (int | None, None, "N", "all", "of an engine, at a time"),
    "address": (str, "", "HOST:PORT", "none", "ray: of a cluster, or auto"),
    "worker_resources": (str, "", "JSON", "1 CPU", """ray: as '{"GPU": 1}'"""),
    "allow_mixed": (_Switch, False, None, "", "workers of several kinds: other bits"),
    "track": (tuple[str, ...], (), "NAME ...", "none", _TRACK),
    "shard": (str, "", "I/N", "all", "train a share, from 0; or auto: SLURM's"),
    "dry_run": (_Switch, False, None, "", "show plan and memory; train nothing"),
    "list": (_Switch, False, None, "", "show what there is to choose from"),
    "markdown": (_Switch, False, None, "", "--list as Markdown"),
}


class Command(NamedTuple):
    """One of the commands that take the fields of Config as flags."""

    program: str
    about: str
    examples: str
    flags: Mapping[str, tuple]  # beside those fields, as of ``FLAGS``


SWEEP = Command(PROGRAM, _ABOUT, _EXAMPLES, FLAGS)
ENGINES = ("local", "processes", "ray")

# A comma joins the widths of one network, a space parts two networks.
_LAYERS = constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="N,N",
    instance_from_str=lambda words: tuple(map(int, words[0].split(","))),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: [",".join(map(str, value))],
)


def parse(argv: Sequence[str], command: Command = SWEEP) -> Any:
    """The flags as attributes; those not given are the preset's.

    Raises:
      InputError: an unknown preset.
      SystemExit: 0 after --help; 2 after tyro's message about a wrong flag.
    """
    # The preset first: it gives the defaults of all other flags.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    preset = command.flags["preset"][1]
    first.add_argument("--preset", nargs="?", default=preset, const=preset)
    name = first.parse_known_args(argv)[0].preset
    if name not in presets.PRESETS:
        raise config.unknown("preset", name, presets.PRESETS)
    if sum(word.partition("=")[0] == "--track" for word in argv) > 1:
        raise config.InputError("--track stands twice; name all of them after one")
    flags = _flags(presets.PRESETS[name], command.flags)
    try:
        return tyro.cli(
            flags, prog=command.program, description=command.about, args=argv
        )
    except SystemExit as end:
        if not end.code:
            print(command.examples)
        raise


def _flags(preset: presets.Preset, command: Mapping[str, tuple]) -> type:
    """The command line as a dataclass: its fields are the flags, with their help."""
    flags = []

    def add(name, kind, default, metavar, value, text):
        hint = value and f"(default: {value})"
        about = tyro.conf.arg(help=text, metavar=metavar, help_behavior_hint=hint)
        field = dataclasses.field(default=default)
        flags.append((name, Annotated[kind, about], field))

    add("preset", *command["preset"])
    for name, field in config.FIELDS.items():
        if name == "hparams":
            continue
        default = preset.values.get(name, field.default)
        kind: Any = type(field.default)
        metavar = {str: "NAME", int: "N", float: "X", tuple: "N,N"}[kind]
        if kind is tuple:
            kind = Annotated[tuple[int, ...], _LAYERS]
        if name in config.AXES:
            kind, metavar = tuple[kind, ...], f"{metavar} ..."
            default = tuple(preset.axes.get(name, (default,)))
        text = field.metadata["help"]
        if name in config.CHOICES:
            text = f"{text} [{', '.join(config.CHOICES[name])}]"
        add(name, kind, default, metavar, None, text)
    for name in list(command)[1:]:
        add(name, *command[name])
    return dataclasses.make_dataclass("Sweep", flags, frozen=True)


def settings(flags: Any) -> tuple[config.Config, dict[str, list[Any]]]:
    """What is the same for all members, and the axes, checked as far as is possible
    without jax.

    Raises:
      InputError: a flag without a value, a value out of range, an unknown name.
    """
    preset = presets.PRESETS[flags.preset]
    values = {n: getattr(flags, n) for n in config.FIELDS if n != "hparams"}
    axes = {n: list(values.pop(n)) for n in config.AXES}
    values["hparams"] = preset.values.get("hparams", {})
    axes |= {n: list(v) for n, v in preset.axes.items() if n not in config.FIELDS}
    axes |= map(axes_lib.parse, flags.axis)
    for name in config.AXES:
        if not axes[name]:
            raise config.InputError(
                f"--{name.replace('_', '-')} has no value; give one or more, separated "
                "by spaces"
            )
        # As Config takes them; with sgd, because adam refuses a weight decay.
        sgd = [config.Config(**{"optimizer": "sgd", name: v}) for v in axes[name]]
        axes[name] = list(dict.fromkeys(getattr(one, name) for one in sgd))
        if len(axes[name]) == 1:
            values[name] = axes.pop(name)[0]
    # The one rule between two fields must hold for the configuration itself, too.
    first = {n: axes[n][0] for n in ("optimizer", "weight_decay") if n in axes}
    base = config.Config(**values | first)
    for name in axes.get("objective", [base.objective]):
        objectives.OBJECTIVES.check(name)
    for name in axes.get("network", [base.network]):
        networks.NETWORKS.check(name)
    for name in axes.get("dataset", [base.dataset]):
        if name not in data.names():  # a file is read twice: its faults are told early
            show_notes(data.load(name))
    return base, axes


def show_notes(loaded: data.Dataset) -> None:
    """Prints how data were understood, where that was not said."""
    for note in loaded.notes:
        print(f"note: '{config.listed([loaded.name])}': {note}", file=sys.stderr)


def check(flags: Any) -> None:
    """Refuses flags that say how, not what, and do not go together."""
    check_numbers(flags)
    if flags.engine not in ENGINES:
        raise config.unknown("engine", flags.engine, ENGINES)
    if flags.halving is not None and flags.shard:
        raise config.InputError(
            "--halving compares all members at every rung, and shares have nobody who "
            "does: leave out --shard, or use --engine"
        )
    for name in ("address", "worker_resources"):
        if getattr(flags, name) and flags.engine != "ray":
            flag = name.replace("_", "-")
            raise config.InputError(f"--{flag} is of --engine ray")
    if flags.allow_mixed and flags.engine == "local":
        raise config.InputError("--allow-mixed is of --engine processes or ray")
    if flags.workers is not None and flags.engine == "local":
        raise config.InputError("--workers is of --engine processes or ray")
    if flags.devices is not None and flags.engine != "local":
        raise config.InputError(
            "--devices is of --engine local; say --workers N, and of ray what each "
            "takes: --worker-resources"
        )
    if flags.shard and (flags.engine != "local" or not flags.out):
        raise config.InputError(
            "--shard needs --out DIR, the same for all shares, and no --engine"
        )


def check_numbers(flags: Any) -> None:
    """Refuses what no command that trains can take."""
    for flag in ("vmap", "devices", "workers"):
        given = getattr(flags, flag, None)
        if given is not None and given < 1:
            raise config.InputError(f"--{flag} is {given}; it must be at least 1")
    for name in ("rungs", "by", "across", "audit"):
        if getattr(flags, name, None) and flags.halving is None:
            raise config.InputError(f"--{name} is of --halving ETA")
    if flags.resume and not flags.out:
        raise config.InputError("--resume needs --out DIR, the directory of the run")


def members(axes: Mapping[str, list[Any]]) -> int:
    """Members of the largest population, at most."""
    return math.prod(len(v) for n, v in axes.items() if n not in config.STATIC)


def threads(flags: Any) -> str | None:
    """Size of XLA's thread pool in the run to be gone on with, which must be ours."""
    path = pathlib.Path(flags.out).expanduser() / "run.json"
    if not flags.resume or not path.is_file():
        return None
    return directory.read_info(path.parent).get("inputs", {}).get("threads")


def command(argv: Sequence[str], program: str = PROGRAM) -> str:
    """What was typed, for run.json: no place of results, no absolute paths."""
    words = _settings(argv, "--storage")  # its URL may hold a password
    words = [pathlib.Path(w).name if w.startswith("/") else w for w in words]
    return " ".join([program, shlex.join(words)]).strip()


def resume_command(argv: Sequence[str], out: str, program: str = PROGRAM) -> str:
    """What to type to go on with a run that was begun with these words."""
    words = [*_settings(argv), "--out", out, "--resume"]
    return f"{program} {shlex.join(map(registry.masked, words))}"


def _settings(argv: Sequence[str], *more: str) -> list[str]:
    """The words that say what is trained, not where."""
    where = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--out", *more):
        where.add_argument(flag, nargs="?")
    where.add_argument("--resume", "--no-resume", action="store_true")
    return where.parse_known_args(argv)[1]
