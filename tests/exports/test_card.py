"""What the model card says is so."""

import json
import pathlib

import pytest

import aejax
from aejax import exports, objectives
from aejax.exports import folder as folders

DIGITS = "c43c69ddba819a04"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run in a directory, of three seeds of two settings."""
    base = aejax.Config(objective="vae", hidden=(8,), epochs=1, eval_every=1)
    axes = {"latent_dim": [2, 3], "seed": [0, 1, 2]}
    out = tmp_path_factory.mktemp("runs") / "small"
    return aejax.sweep(base, axes, out=out, command="python -m experiments.sweep …")


def table(folder, width):
    """{first cell: the others} of the card's tables of so many columns."""
    lines = (folder / "README.md").read_text().splitlines()
    cells = [
        [c.strip() for c in line.strip("|").split(" | ")]
        for line in lines
        if line.startswith("|")
    ]
    return {c[0].strip(): c[1:] for c in cells if len(c) == width}


def test_a_card_says_what_the_run_says(written, tmp_path):
    for run in (written, aejax.open_run(written.dir)):
        folder = run.export(tmp_path / "out", latent_dim=3, seed=1)
        facts = {n: v[0] for n, v in table(folder, 2).items()}
        assert objectives.OBJECTIVES.title("vae").split(".")[1] in facts["objective"]
        assert DIGITS in facts["data set"]
        assert facts["command"] == "`python -m experiments.sweep …`"
        assert "seed 1" in facts["training"] and "step 10 of 10" in facts["training"]
        assert f"jax {run.info['versions']['jax']}" in facts["trained with"]
        (line,) = [s for s in run.summary if s["latent_dim"] == 3 and s["n_seeds"] == 3]
        assert f"{line['parameters']:,} parameters" in facts["network"]
        (row,) = [
            r
            for r in run.rows
            if (r["latent_dim"], r["seed"], r["split"]) == (3, 1, "test")
        ]
        metrics = table(folder, 3)
        for name in ("loss", "nll", "mse", "kl"):
            mean, low, high = (line[f"{name}_{e}"] for e in ("mean", "low", "high"))
            own, all_seeds = metrics[name]
            assert own == f"{row[name]:.4g}"
            assert all_seeds == f"{mean:.4g} [{low:.4g}, {high:.4g}]"
        assert "n = 3 seeds" in (folder / "README.md").read_text()


def test_a_run_in_memory_has_as_true_a_card(run, tmp_path):
    folder = run.export(tmp_path / "out", objective="ae", latent_dim=5)
    facts = {n: v[0] for n, v in table(folder, 2).items()}
    assert DIGITS in facts["data set"]
    assert facts["command"] == "none is known: it was trained from Python"
    (line,) = [s for s in run.summary if (s["objective"], s["latent_dim"]) == ("ae", 5)]
    own, all_seeds = table(folder, 3)["mse"]
    assert own == all_seeds == f"{line['mse_mean']:.4g}"  # of one seed: no interval
    assert "kl" not in table(folder, 3)  # which it has not


def test_an_export_of_an_export_has_the_same_card(written, tmp_path):
    first = written.export(tmp_path / "out", latent_dim=2, seed=0)
    again = aejax.load(first).export(tmp_path / "again")
    assert (first / "README.md").read_text() == (again / "README.md").read_text()


def test_a_model_without_its_origin_says_so(run, tmp_path):
    model = run.model(objective="vae", latent_dim=2)
    model.origin = dict
    folder = model.export(tmp_path / "out")
    text = (folder / "README.md").read_text()
    assert "SHA-256 not known" in text and "metrics are not known" in text
    assert "| command | none is known: it was exported from a model alone |" in text


def test_licence_and_files_are_those_of_the_package(run, tmp_path):
    folder = run.export(tmp_path / "out", objective="vae", latent_dim=2)
    root = pathlib.Path(exports.__file__).parents[2]
    assert 'license = "Apache-2.0"' in (root / "pyproject.toml").read_text()
    assert "aejax is under Apache-2.0" in (folder / "README.md").read_text()
    facts = json.loads((folder / folders.FACTS).read_text())
    assert set(facts["files"]) == {"params.npz", "config.json"}
    assert facts["kind"] == "npz" and str(tmp_path) not in json.dumps(facts)
