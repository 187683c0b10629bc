"""The README's code runs as it stands, and its numbers of files and fields exist."""

import pathlib
import re

import numpy as np
import pytest

import aejax

ROOT = pathlib.Path(__file__).parents[2]
README = ROOT / "README.md"


def blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


BLOCKS = blocks(README)


def test_it_is_read_in_two_minutes():
    lines = README.read_text().splitlines()
    assert len(lines) <= 130 and max(map(len, lines)) <= 120
    linked = re.findall(r"\]\(([^)h]\S*?)\)", README.read_text())
    assert linked and all((ROOT / name).exists() for name in linked)


def test_the_tree_of_the_house_is_true():
    """All rooms, all files of five of them stand in it; no others."""
    tree = (ROOT / "aejax/README.md").read_text().split("```")[1]
    names = set(re.findall(r"^ *(\w+)(?:\.py|/) ", tree, re.M))
    names |= set(re.findall(r" (\w+)\.py", tree))
    there = [*(ROOT / "aejax").iterdir(), *ROOT.glob("aejax/training/*.py")]
    for room in ("runs", "engines", "search", "report"):
        there += ROOT.glob(f"aejax/{room}/*.py")
    stems = {
        p.stem for p in there if p.suffix in ("", ".py") and p.name[:1] not in "_."
    }
    assert stems <= names
    extra = names - stems - {"experiments", "aejax", "__init__"}
    assert extra <= {"panels", "inputs", "annealing", "guard"}


def test_one_model_is_trained_by_hand():
    (example,) = blocks(ROOT / "aejax/README.md")
    losses, names = [], {}
    example += "    losses.append(float(loss))\n"
    exec(compile(example, "aejax/README.md", "exec"), names | {"losses": losses})
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


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
