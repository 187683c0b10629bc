"""The README's code runs as it stands, and its numbers of files and fields exist."""

import pathlib
import re

import numpy as np
import pytest

import aejax

README = pathlib.Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_library_example_runs():
    (example,) = [b for b in BLOCKS if "aejax.sweep" in b]
    names = {}
    exec(compile(example, str(README), "exec"), names)
    assert names["z"].shape == (250, 8) and names["new"].shape == (16, 8, 8, 1)
    assert names["x_hat"].shape == names["x"].shape
    leaves = names["gradient"]["net"]
    assert all(np.isfinite(a).all() for a in leaves["code"].values())


def test_the_objective_example_is_a_whole_file(tmp_path):
    (example,) = [b for b in BLOCKS if "def loss" in b]
    path = tmp_path / "beta_vae.py"
    path.write_text(example)
    config = aejax.Config(
        objective=str(path), hidden=(16,), batch_size=64, epochs=4, eval_every=4
    )
    run = aejax.sweep(config, {"beta": [0.5, 1.0, 4.0], "latent_dim": [2]})
    assert run.info["programs"] == 1
    kl = [r["kl"] for r in run.rows if r["split"] == "test"]
    assert kl[0] > kl[1] > kl[2]
    with pytest.raises(aejax.InputError, match="beta"):
        aejax.sweep(config, {"beta": [-1.0]})
