"""What the command line refuses, and in which words."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.experiments.common import refused

ROOT = pathlib.Path(__file__).parents[2]


def test_a_wrong_name_from_the_shell():
    command = [sys.executable, "-m", "experiments.sweep", "--objective", "vea"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert "did you mean 'vae'?" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
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
        ("--vmap 0", "--vmap is 0; it must be at least 1"),
        ("--devices 0", "--devices is 0; it must be at least 1"),
        ("--resume", "--resume needs --out DIR"),
        (f"--eps {'9' * 5000}", "a word of this command has 5,000 characters; 4,096"),
    ],
)
def test_bad_input(argv, message, capsys):
    assert message in refused(argv.split(), capsys)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--latent-dmi 2", "Perhaps you meant: --latent-dim"),
        ("--epochs", "Missing value for argument '--epochs'"),
        ("--preset", "Missing value for argument '--preset'"),
        ("--latent-dim 2.5", "Error parsing --latent-dim"),
        ("--hidden 8,x", "Error parsing --hidden"),
        ("digits", "Unrecognized options: digits"),
    ],
)
def test_bad_flags(argv, message, capsys):
    text = refused(argv.split(), capsys, box=True)
    assert message in " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("x", "argv", "message"),
    [
        (np.where(np.eye(40) > 0, np.inf, 0), "", "the first at index (0, 0)"),
        (np.full((40, 3), np.inf), "", "not finite"),
        (np.array([[None, 1]] * 40), "", "pickled objects"),
        (np.zeros((0, 3)), "", "has shape (0, 3)"),
        (np.zeros(40), "", "has shape (40,)"),
        (np.linspace(0, 3, 120).reshape(40, 3), "--likelihood bernoulli", "[0, 1]"),
        (np.zeros((40, 3)), "--network conv", "needs images (H, W, C)"),
    ],
)
def test_bad_data(x, argv, message, capsys):
    np.save("own.npy", x, allow_pickle=True)
    words = ["--dataset", "own.npy", "--batch-size", "4", *argv.split()]
    assert message in refused(words, capsys)


def test_a_file_that_is_no_npz(capsys):
    pathlib.Path("own.npz").write_text("words")
    assert "is no readable" in refused(["--dataset", "own.npz"], capsys)
