"""The command of a sweep: what it trains, shows and leaves behind."""

import contextlib
import fcntl
import io
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys

import pytest

from aejax import config, progress, report
from experiments import environment, options, presets, sweep
from tests.experiments.common import TINY, refused

ROOT = pathlib.Path(__file__).parents[2]
FILES = ["checkpoints", "figures", "report.html", "results.jsonl", "run.json"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(directory, what was printed) of a whole tiny sweep, its report included."""
    out, printed = tmp_path_factory.mktemp("run") / "whole", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert sweep.main([*TINY, "--out", str(out)]) == 0
    return out, printed.getvalue()


@pytest.fixture
def no_report(monkeypatch):
    monkeypatch.setattr(report, "write", lambda runs: runs[0].dir / "report.html")


def test_a_sweep_leaves_its_files_and_prints_its_table(finished):
    out, printed = finished
    files = sorted(p.name for p in out.iterdir() if p.name != ".lock")
    assert files == [*FILES, "summary.csv"]
    info = json.loads((out / "run.json").read_text())
    assert (info["finished"], info["members"], info["programs"]) == (True, 8, 2)
    assert info["command"] == f"python -m experiments.sweep {' '.join(TINY)}"
    lines = [json.loads(s) for s in (out / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 8 * (2 * 2 + 1)  # train and valid twice, test once
    table = [line.split() for line in printed.splitlines()]
    assert "objective latent n params mse [95 %] PCA mse nll kl loss".split() in table
    settings = [row[:3] for row in table if row[:1] in (["ae"], ["vae"])]
    assert settings == [[o, k, "2"] for o in ("ae", "vae") for k in ("2", "8")]
    assert "8 autoencoders in 2 programs" in printed and "step 20 of 20" in printed
    assert f"results: {out}" in printed and "report.html" in printed


def test_resuming_a_finished_run_changes_no_row(finished, capsys, no_report):
    out, _ = finished
    before = (out / "results.jsonl").read_bytes(), (out / "summary.csv").read_bytes()
    assert sweep.main([*TINY, "--out", str(out), "--resume"]) == 0
    assert "compiling" not in capsys.readouterr().out
    after = (out / "results.jsonl").read_bytes(), (out / "summary.csv").read_bytes()
    assert after == before


def test_ctrl_c_saves_and_prints_how_to_resume(
    tmp_path, monkeypatch, capsys, no_report
):
    tiny = [*TINY, "--objective", "ae", "--seed", "0", "--epochs", "6"]
    assert sweep.main([*tiny, "--out", "whole"]) == 0
    handler = signal.getsignal(signal.SIGINT)
    original = progress.Progress.on_event

    def on_event(self, event):
        original(self, event)
        if (
            event["kind"] == "train"
            and signal.getsignal(signal.SIGINT) != signal.SIG_DFL
        ):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(progress.Progress, "on_event", on_event)
    assert sweep.main([*tiny, "--out", "a part"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    printed = capsys.readouterr().out
    assert "saving… (Ctrl-C again: stop at once)" in printed
    assert signal.getsignal(signal.SIGINT) is handler
    assert not json.loads(pathlib.Path("a part/run.json").read_text())["finished"]
    words = shlex.split(printed.splitlines()[-1])
    assert words[:3] == ["python", "-m", "experiments.sweep"]
    monkeypatch.setattr(report, "write", lambda runs: runs[0].dir / "report.html")
    assert sweep.main(words[3:]) == 0
    rows = [pathlib.Path(d, "results.jsonl").read_text() for d in ("whole", "a part")]
    assert rows[0] == rows[1]


@pytest.mark.any_jax
def test_a_report_that_fails_keeps_the_run(finished, monkeypatch, capsys):
    def write(runs):
        raise RuntimeError("no font")

    monkeypatch.setattr(report, "write", write)
    assert sweep.main([*TINY, "--out", str(finished[0]), "--resume"]) == 1
    text = capsys.readouterr().err
    assert "no font" in text and f"experiments.report {finished[0]}" in text


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys):
    assert sweep.main(["--dry-run", "--network", "mlp", "conv", "--hidden", "8,8"]) == 0
    text = capsys.readouterr().out
    assert "4/4 vae conv on digits: 35 members, latent 1 2 4 8 16 32 64" in text
    assert "140 members in 4 programs" in text and "memory at most" in text
    assert "effective parameters, 1,600 steps of 128 examples" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.any_jax
def test_list_shows_everything_there_is(capsys):
    for flags in (["--list"], ["--list", "--markdown"]):
        assert sweep.main(flags) == 0
        text = capsys.readouterr().out
        names = ["digits", "celeb_a", "Kingma & Welling", "conv", *presets.PRESETS]
        assert all(name in text for name in names)
    assert "| ae | – | Autoencoder." in text and r"log p(x\|z)" in text


def test_help_does_not_import_jax():
    command = [sys.executable, "-X", "importtime", "-m", "experiments.sweep", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "examples:" in done.stdout
    for name in config.FIELDS:
        flag = f"--{name.replace('_', '-')} "
        assert (flag in done.stdout) == (name != "hparams")
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "tyro" in imported
    assert not imported & {"jax", "flax", "optax", "orbax", "tensorflow_datasets"}


@pytest.mark.any_jax
def test_a_directory_that_holds_something_else(finished, capsys, monkeypatch):
    out = str(finished[0])
    monkeypatch.chdir(finished[0].parent)
    text = refused([*TINY, "--out", out], capsys)
    assert "holds a run already; add --resume" in text
    text = refused([*TINY, "--latent-dim", "2", "--out", out, "--resume"], capsys)
    assert "axis latent_dim: [2, 8] there, None here" in text
    with open(finished[0] / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = refused([*TINY, "--out", out, "--resume"], capsys)
    assert "another process is writing" in text
    assert "is a file" in refused([*TINY, "--out", f"{out}/run.json"], capsys)
    text = refused([*TINY, "--out", f"{out}/figures"], capsys)
    assert "is not empty and holds no run" in text


def test_a_resumed_run_keeps_its_number_of_threads(finished, monkeypatch, no_report):
    info = json.loads((finished[0] / "run.json").read_text())
    assert info["inputs"]["threads"] == os.environ["PJRT_NPROC"]
    asked = []
    real = environment.start
    spy = lambda *a: asked.append(a[2]) or real(*a)  # noqa: E731
    monkeypatch.setattr(environment, "start", spy)
    flags = options.parse(["--out", str(finished[0]), "--resume"])
    assert options.threads(flags) == info["inputs"]["threads"]
    assert options.threads(options.parse(["--out", str(finished[0])])) is None
