"""The command line: what it trains, shows and leaves behind, and what it refuses."""

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
import warnings

import jax
import numpy as np
import pytest

from aejax import config, plan, report
from experiments import environment, options, presets, progress, sweep

ROOT = pathlib.Path(__file__).parents[1]
TINY = "--preset smoke --hidden 16 --epochs 2 --eval-every 1".split()
FILES = ["checkpoints", "figures", "report.html", "results.jsonl", "run.json"]


@pytest.fixture(autouse=True, scope="module")
def started():
    """The backend runs with conftest's devices; main() must not choose others."""
    jax.devices()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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


def _tree(folder):
    """Everything below a folder, with the time of its last change."""
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*"))}


def _refused(argv, capsys, box=False):
    """The one paragraph of a refusal, which must not have written anything."""
    before = _tree(pathlib.Path.cwd())
    assert sweep.main(argv) == 2
    assert _tree(pathlib.Path.cwd()) == before
    shown = capsys.readouterr()
    text = shown.err.strip()
    assert text and not shown.out.strip() and "Traceback" not in text
    if not box:  # tyro's own messages are in a box
        assert text.startswith("error: ") and text.count("\n") < 8
    return text


def test_a_sweep_leaves_its_files_and_prints_its_table(finished):
    out, printed = finished
    found = sorted(p.name for p in out.iterdir() if p.name != ".lock")
    assert found == [*FILES, "summary.csv"]
    info = json.loads((out / "run.json").read_text())
    assert (info["finished"], info["lanes"], info["programs"]) == (True, 8, 2)
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


def test_ctrl_c_saves_and_prints_the_command_that_resumes(
    tmp_path, monkeypatch, capsys, no_report
):
    tiny = [*TINY, "--objective", "ae", "--seed", "0", "--epochs", "6"]
    assert sweep.main([*tiny, "--out", "whole"]) == 0
    handler = signal.getsignal(signal.SIGINT)
    shown = progress.Progress.on_event

    def on_event(self, event):
        shown(self, event)
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


def test_a_second_ctrl_c_ends_the_process_at_once(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with environment.interruptible() as requested:
        assert not requested()
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
            assert requested()
            assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert capsys.readouterr().out.count("saving") == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_report_that_fails_keeps_the_run(finished, monkeypatch, capsys):
    def write(runs):
        raise RuntimeError("no font")

    monkeypatch.setattr(report, "write", write)
    assert sweep.main([*TINY, "--out", str(finished[0]), "--resume"]) == 1
    text = capsys.readouterr().err
    assert "no font" in text and f"experiments.report {finished[0]}" in text


def test_dry_run_shows_the_plan_and_writes_nothing(tmp_path, capsys):
    assert sweep.main(["--dry-run", "--network", "mlp", "conv", "--hidden", "8,8"]) == 0
    text = capsys.readouterr().out
    assert "4/4 vae conv on digits: 35 lanes, latent 1 2 4 8 16 32 64" in text
    assert "140 lanes in 4 programs" in text and "memory at most" in text
    assert "effective parameters, 1,600 steps of 128 examples" in text
    assert not list(tmp_path.iterdir())


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


def test_a_wrong_name_from_the_shell():
    command = [sys.executable, "-m", "experiments.sweep", "--objective", "vea"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert "did you mean 'vae'?" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ("--dataset digts", "data set 'digts' is unknown; did you mean 'digits'?"),
        ("--dataset fashion_mnist", "prepare fashion_mnist --from DIR"),
        ("--dataset absent.npz", "there is no file 'absent.npz'"),
        ("--objective vea", "did you mean 'vae'?"),
        ("--objective ./absent.py", "objective file './absent.py' does not exist"),
        ("--network mpl", "did you mean 'mlp'?"),
        ("--preset smok", "did you mean 'smoke'?"),
        ("--activation rleu", "did you mean 'relu'?"),
        ("--axis learning_rat=1,2", "did you mean 'learning_rate'?"),
        (
            "--axis gamma=0.5,1",
            "field of Config or hyperparameter of ae, vae, mlp 'gamma' is unknown",
        ),
        ("--axis beta1=0.9,1.5", "beta1 is 1.5; it must lie in [0, 1)"),
        ("--axis eps", "is not of the form NAME=V1,V2"),
        ("--axis eps=log:0:1:3", "a logarithmic axis starts above 0"),
        ("--axis hidden=8;x", "--axis 'hidden=8;x'"),
        ("--axis epochs=1,2", "'epochs' cannot be swept"),
        ("--latent-dim 2 0", "latent_dim is 0; it must lie in [1, 65536]"),
        ("--latent-dim", "--latent-dim has no value"),
        ("--seed -1", "seed is -1; it must lie in [0, 4294967295]"),
        ("--hidden 8,0", "every width must be a whole number from 1 to"),
        ("--epochs 0", "epochs is 0; it must lie in [1, "),
        ("--eval-every 0", "eval_every is 0"),
        ("--learning-rate 0", "learning_rate is 0; it must lie in (0, inf]"),
        ("--learning-rate 1e-3 nan", "learning_rate is nan"),
        ("--batch-size 1298", "use --batch-size 1297 or less"),
        ("--weight-decay 0.1", "use --optimizer adamw"),
        ("--lane-batch 0", "--lane-batch is 0; it must be at least 1"),
        ("--devices 0", "--devices is 0; it must be at least 1"),
        ("--resume", "--resume needs --out DIR"),
        (f"--eps {'9' * 5000}", "a word of this command has 5,000 characters; 4,096"),
    ],
)
def test_bad_input(argv, told, capsys):
    assert told in _refused(argv.split(), capsys)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ("--latent-dmi 2", "Perhaps you meant: --latent-dim"),
        ("--epochs", "Missing value for argument '--epochs'"),
        ("--preset", "Missing value for argument '--preset'"),
        ("--latent-dim 2.5", "Error parsing --latent-dim"),
        ("--hidden 8,x", "Error parsing --hidden"),
        ("digits", "Unrecognized options: digits"),
    ],
)
def test_bad_flags(argv, told, capsys):
    text = _refused(argv.split(), capsys, box=True)
    assert told in " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("x", "argv", "told"),
    [
        (np.where(np.eye(40) > 0, np.nan, 0), "", "the first at index (0, 0)"),
        (np.full((40, 3), np.inf), "", "not finite"),
        (np.array([[None, 1]] * 40), "", "pickled objects"),
        (np.zeros((0, 3)), "", "has shape (0, 3)"),
        (np.zeros(40), "", "has shape (40,)"),
        (np.linspace(0, 3, 120).reshape(40, 3), "--likelihood bernoulli", "[0, 1]"),
        (np.zeros((40, 3)), "--network conv", "needs images (H, W, C)"),
    ],
)
def test_bad_data(x, argv, told, capsys):
    np.save("own.npy", x, allow_pickle=True)
    words = ["--dataset", "own.npy", "--batch-size", "4", *argv.split()]
    assert told in _refused(words, capsys)


def test_a_file_that_is_no_npz(capsys):
    pathlib.Path("own.npz").write_text("words")
    assert "is no readable" in _refused(["--dataset", "own.npz"], capsys)


def test_a_directory_that_holds_something_else(finished, capsys, monkeypatch):
    out = str(finished[0])
    monkeypatch.chdir(finished[0].parent)
    text = _refused([*TINY, "--out", out], capsys)
    assert "holds a run already; add --resume" in text
    text = _refused([*TINY, "--latent-dim", "2", "--out", out, "--resume"], capsys)
    assert "axis latent_dim: [2, 8] there, None here" in text
    with open(finished[0] / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = _refused([*TINY, "--out", out, "--resume"], capsys)
    assert "another process is writing" in text
    assert "is a file" in _refused([*TINY, "--out", f"{out}/run.json"], capsys)
    text = _refused([*TINY, "--out", f"{out}/figures"], capsys)
    assert "is not empty and holds no run" in text


def test_flags_override_the_preset_and_one_value_is_no_axis():
    words = (
        "--preset=smoke --latent_dim 4 --hidden 32,16 8 --seed 1 1 0 --axis eps=1e-3"
    )
    flags = options.parse([*words.split(), "--axis", "eps=1,2", "--axis", "gamma=1"])
    base, axes = options.settings(flags)
    assert (base.epochs, base.latent_dim, base.batch_size) == (8, 4, 128)
    assert axes == {
        "objective": ["ae", "vae"],
        "seed": [1, 0],
        "hidden": [(32, 16), (8,)],
        "eps": [1.0, 2.0],
        "gamma": [1],
    }
    assert options.lanes(axes) == 2 * 2  # seed and eps; the others are programs


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_are_valid(name, monkeypatch):
    monkeypatch.setattr(options.data, "load", pytest.fail)
    base, axes = options.settings(options.parse(["--preset", name]))
    assert base.epochs and options.lanes(axes)


def test_a_preset_s_hyperparameters_are_used_where_there_are_such():
    base, axes = options.settings(options.parse(["--preset", "kernels"]))
    own = {"activate_code": True, "level": 0.5, "rescale": True}
    assert base.hparams == own
    (plain, noisy) = plan.plan(base.replace(dataset="digits"), axes)
    for group in (plain, noisy):
        for lane in group.lanes:
            assert {n: own[n] for n in lane.config.hparams if n in own}.items() <= (
                lane.config.hparams.items()
            )
    assert noisy.lanes[0].config.hparams["level"] == 0.5
    # Another objective has none of them; a name that nothing has is still refused.
    words = ["--preset", "kernels", "--objective", "ae", "--network", "mlp"]
    base, axes = options.settings(options.parse(words))
    assert plan.without_unused(base, axes).hparams == {"activate_code": True}
    words = ["--objective", "topk", "--dry-run"]
    assert sweep.main(words) == 0, "k is at most the latent size unless it is given"
    assert sweep.main([*words, "--axis", "k=4"]) == 2
    assert sweep.main([*words, "--axis", "kk=1"]) == 2


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


def test_an_optimizer_axis_may_have_a_weight_decay():
    words = ["--optimizer", "adamw", "sgd", "--weight-decay", "0.1"]
    base, axes = options.settings(options.parse(words))
    assert axes["optimizer"] == ["adamw", "sgd"] and base.weight_decay == 0.1


def test_the_command_that_resumes_names_the_directory_once():
    given = ["--out=x", "--seed", "1", "--no-resume", "--out", "y", "--epochs", "3"]
    words = "python -m experiments.sweep --seed 1 --epochs 3"
    typed = options.resume_command(given, "my runs")
    assert typed == f"{words} --out 'my runs' --resume"
    assert options.command(given) == words
    words = "python -m experiments.sweep --dataset faces.npz"
    assert options.command(["--dataset", "/home/me/faces.npz"]) == words


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("0.10.2", "", "{}="),
        ("0.10.2", "--xla_a=1", "--xla_a=1 {}="),
        ("0.10.2", "{}=-reduce", "{}=-reduce"),
        ("0.10.1", "--xla_a=1", "--xla_a=1"),
        ("0.12.0.1", "", ""),
    ],
)
def test_xla_flags_are_appended_where_they_are_needed(
    version, before, after, monkeypatch
):
    flag = "--xla_cpu_experimental_ynn_fusion_type"
    monkeypatch.setattr(environment.importlib.metadata, "version", lambda _: version)
    monkeypatch.setenv("XLA_FLAGS", before.format(flag))
    environment.prepare_xla_flags()
    assert os.environ["XLA_FLAGS"] == after.format(flag)


@pytest.mark.filterwarnings("always")
def test_warnings_are_lines_and_those_of_the_compilation_cache_none(capsys):
    def command(argv):
        text = "persistent compilation cache entry for 'jit_run': full"
        warnings.warn(f"Error writing {text}", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        return 0

    assert environment.run(command, []) == 0
    assert capsys.readouterr().err == "warning: something else\n"


def test_the_bare_command_is_the_default_sweep():
    """What the README tells a newcomer to type: no flag at all."""
    base, axes = options.settings(options.parse([]))
    assert base == config.Config(hparams={"kl_warmup": 0.25})
    wanted = presets.PRESETS["default"].axes
    assert axes == {n: list(v) for n, v in wanted.items()}
    assert options.lanes(axes) == 35
