"""Flags and presets: the settings that a command trains with."""

import numpy as np
import pytest

from aejax import config
from aejax.runs import plan
from experiments import options, presets, sweep


def test_flags_override_the_preset():
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
    assert options.members(axes) == 2 * 2  # seed and eps; the others are programs


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_are_valid(name, monkeypatch):
    monkeypatch.setattr(options.data, "load", pytest.fail)
    base, axes = options.settings(options.parse(["--preset", name]))
    assert base.epochs and options.members(axes)


def test_a_preset_s_hyperparameters_go_where_known():
    base, axes = options.settings(options.parse(["--preset", "kernels"]))
    values = {"activate_code": True, "level": 0.5, "rescale": True}
    assert base.hparams == values
    (plain, noisy) = plan.plan(base.replace(dataset="digits"), axes).populations
    for population in (plain, noisy):
        for member in population.members:
            assert {
                n: values[n] for n in member.config.hparams if n in values
            }.items() <= (member.config.hparams.items())
    assert noisy.members[0].config.hparams["level"] == 0.5
    # Another objective has none of them; a name that nothing has is still refused.
    words = ["--preset", "kernels", "--objective", "ae", "--network", "mlp"]
    base, axes = options.settings(options.parse(words))
    assert plan.without_unused(base, axes).hparams == {"activate_code": True}
    words = ["--objective", "topk", "--dry-run"]
    assert sweep.main(words) == 0, "k is at most the latent size unless it is given"
    assert sweep.main([*words, "--axis", "k=4"]) == 2
    assert sweep.main([*words, "--axis", "kk=1"]) == 2


def test_an_optimizer_axis_may_have_a_weight_decay():
    words = ["--optimizer", "adamw", "sgd", "--weight-decay", "0.1"]
    base, axes = options.settings(options.parse(words))
    assert axes["optimizer"] == ["adamw", "sgd"] and base.weight_decay == 0.1


def test_the_resume_command_names_the_directory_once():
    given = ["--out=x", "--seed", "1", "--no-resume", "--out", "y", "--epochs", "3"]
    words = "python -m experiments.sweep --seed 1 --epochs 3"
    typed = options.resume_command(given, "my runs")
    assert typed == f"{words} --out 'my runs' --resume"
    assert options.command(given) == words
    words = "python -m experiments.sweep --dataset faces.npz"
    assert options.command(["--dataset", "/home/me/faces.npz"]) == words


def test_the_bare_command_is_the_default_sweep():
    """What the README tells a newcomer to type: no flag at all."""
    base, axes = options.settings(options.parse([]))
    assert base == config.Config(hparams={"kl_warmup": 0.25})
    wanted = presets.PRESETS["default"].axes
    assert axes == {n: list(v) for n, v in wanted.items()}
    assert options.members(axes) == 35


def test_how_data_were_understood_is_said_once(tmp_path, capsys):
    np.savez(tmp_path / "own.npz", images=np.eye(20, dtype=np.int32))
    options.settings(options.parse(["--dataset", str(tmp_path / "own.npz")]))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out and all(n.startswith(f"note: '{tmp_path}/own.npz': ") for n in lines)
    assert [n.split("': ")[1] for n in lines] == [
        "images is taken as x",
        "x is int32 from 0 to 1: taken as bool",
    ]


def test_no_tracker_is_lost_to_a_second_flag():
    words = ["--track", "mlflow", "wandb"]
    assert options.parse(words).track == ("mlflow", "wandb")
    with pytest.raises(config.InputError, match="--track stands twice"):
        options.parse([*words, "--track", "tensorboard"])
