"""The flags of engines, shares and halving: what they mean, and which go together."""

import os
import pathlib
import subprocess
import sys

import pytest

from aejax import config
from experiments import options, sweep, workers

AREA = ["--preset", "smoke", "--out", "run"]


@pytest.mark.parametrize(
    "words, text",
    [
        ("--engine slurm", "known: local, processes, ray"),
        ("--workers 2", "--workers is of --engine"),
        ("--engine processes --workers 0", "must be at least 1"),
        ("--engine processes --devices 2", "say --workers"),
        ("--engine processes --address auto", "--address is of --engine ray"),
        ("--engine ray --worker-resources GPU", "is not of the form"),
        ("--engine ray --worker-resources {}", "is not of the form"),
        ('--engine ray --worker-resources {"GPU":-1}', "is not of the form"),
        ("--shard 2", "must be I/N"),
        ("--shard 4/4", "must be I/N"),
        ("--shard a/4", "must be I/N"),
        ("--shard auto", "SLURM_PROCID"),
        ("--shard 0/4 --engine processes", "--shard needs --out"),
        ("--shard 0/4 --out x --track tensorboard", "a share has its own alone"),
        ("--track tensorbord", "did you mean 'tensorboard'"),
        ("--by mse", "--by is of --halving"),
        ("--rungs 3", "--rungs is of --halving"),
        ("--halving 2 --shard 0/2 --out x", "shares have nobody"),
        ("--halving 1", "at least 2"),
        ("--halving 2 --by psnr+x", "no metric"),
    ],
)
def test_flags_that_do_not_go_together(words, text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PROCID", "NTASKS", "ARRAY_TASK_ID", "ARRAY_TASK_COUNT"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    assert sweep.main([*AREA, *words.split()]) == 2
    message = capsys.readouterr().err
    assert text in message and message.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_processes_train_what_one_process_does(tmp_path):
    """The pool that is spawned; kills of its workers are tests.campaigns.engines'."""
    flags = "--preset smoke --objective ae --hidden 8 --epochs 2 --eval-every 1".split()
    engine = ["--engine", "processes", "--workers", "2"]
    flag = "--xla_backend_optimization_level=0"
    for name, more in ("one", []), ("two", engine):
        out = ["--out", str(tmp_path / name)]
        subprocess.run(
            [sys.executable, "-m", "experiments.sweep", *flags, *more, *out],
            cwd=pathlib.Path(__file__).parents[2],
            env=os.environ | {"XLA_FLAGS": flag},  # the generator is the users'
            check=True,
            capture_output=True,
        )
    one, two = tmp_path / "one", tmp_path / "two"
    for name in ("results.jsonl", "summary.csv"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert len(list(two.glob("shards/*/run.json"))) > 1
    left = {".lock", "figures", "report.html", "results.jsonl", "run.json", "shards"}
    assert {p.name for p in two.iterdir()} == left | {"summary.csv"}


def share(words, **variables):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"SLURM_{name}", value)
        return workers.share(options.parse([*AREA, *words.split()]))


def test_a_share_is_said_or_slurms():
    assert share("") is None and share("--shard 2/4") == (2, 4)
    assert share("--shard auto", PROCID="3", NTASKS="8") == (3, 8)
    array = {"ARRAY_TASK_ID": "1", "ARRAY_TASK_COUNT": "4"}
    # Each task of a job array is a job of one process.
    assert share("--shard auto", PROCID="0", NTASKS="1", **array) == (1, 4)


def test_resources_are_numbers():
    flags = options.parse([*AREA, "--worker-resources", '{"GPU": 0.5, "big": 1}'])
    assert workers.resources(flags) == {"GPU": 0.5, "big": 1}
    assert workers.resources(options.parse(AREA)) is None


def test_a_driver_leaves_accelerators_to_its_workers(monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "7")
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    known = workers.variables("3")
    assert (known["PJRT_NPROC"], known["JAX_PLATFORMS"]) == ("7", "tpu")
    assert workers.os.environ["JAX_PLATFORMS"] == "cpu"
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.delenv("PJRT_NPROC")
    known = workers.variables("3")
    assert (known["PJRT_NPROC"], known["JAX_PLATFORMS"]) == ("3", "")
    monkeypatch.undo()


def test_ray_that_is_not_there_is_told(tmp_path, capsys, monkeypatch):
    from aejax.engines import engine

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(config.InputError, match=r"pip install 'aejax\[ray\]'"):
        engine.open_engine("ray", None)
    with pytest.raises(config.InputError, match="known: local, processes, ray"):
        engine.open_engine("rays", None)
