"""What the model card says is so."""

import dataclasses
import json
import pathlib
import re

import numpy as np
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


def text_of(model, folder):
    return (model.export(folder) / "README.md").read_text()


def test_what_was_not_tested_says_why(written, tmp_path):
    """A member that halving stopped, or of a run that is not finished."""
    choice = dict(latent_dim=2, seed=0)
    last = [r for r in written.rows if r["split"] == "valid" and r["member"] == 0][-1]
    for stopped, finished, why in (
        ({0: 1}, True, "Successive halving stopped its training after epoch 1, so"),
        ({}, None, "Its run was not finished, so that it has no test metrics"),
    ):
        run = dataclasses.replace(
            written,
            rows=[r for r in written.rows if r["split"] != "test"],
            summary=[],
            info={**written.info, "finished": finished},
        )
        run.__dict__["stopped"] = stopped
        text = text_of(run.model(**choice), tmp_path / "out")
        assert why in text and "not exported from a run" not in text
        assert "| validation metric | this model |" in text
        assert f"| mse | {last['mse']:.4g} | – |" in text and "Of epoch 1;" in text


def test_a_model_that_diverged_says_so(small, tmp_path):
    run = small("ae", learning_rate=1e18, epochs=1, eval_every=1, hidden=(8,))
    text = text_of(run.model(), tmp_path / "out")
    assert "**It diverged**" in text
    assert "n = 0" not in text and "metric | this model" not in text


def test_one_seed_is_one(run, tmp_path):
    text = text_of(run.model(objective="vae", latent_dim=2), tmp_path / "out")
    assert "n = 1 seed of its setting" in text


def test_bits_and_precision_are_said(untrained, tmp_path):
    plain = text_of(untrained(objective="vae"), tmp_path / "out")
    assert "| binarised |" not in plain and "| precision |" not in plain
    assert "in data units, which are x_stored / 16" in plain
    model = untrained(objective="vae", binarize="dynamic", precision="bf16")
    text = text_of(model, tmp_path / "bits")
    assert "drawn anew each time: x are 0 and 1 |" in text
    assert "float32, 0 and 1 |" in text and "| precision | `bf16` products |" in text


def test_what_cannot_sample_says_so_once(untrained, tmp_path):
    with pytest.warns(UserWarning, match="the export cannot sample") as caught:
        text = text_of(untrained(objective="ae"), tmp_path / "out")
    assert len(caught) == 1
    assert "# this folder; encode, decode, reconstruct\n" in text
    text = text_of(untrained(objective="vae"), tmp_path / "vae")
    assert "# this folder; encode, decode, reconstruct, sample\n" in text


def test_arrays_that_are_not_finite_are_warned_of(untrained, tmp_path):
    model = untrained(objective="vae")
    model.params["net"]["output_bias"] *= np.nan
    with pytest.warns(UserWarning, match="arrays are not finite: net/output_bias"):
        model.export(tmp_path / "out")


def test_data_that_are_gone_are_no_reason(run, tmp_path):
    """Not to leave a density out, as if codes had none."""
    model = run.model(objective="ae", latent_dim=5)
    model._densities = {}

    def gone():
        raise aejax.InputError("digits are gone")

    model._source = gone
    with pytest.raises(aejax.InputError, match="digits are gone"):
        model.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_is_described(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["size,colour,mark"]
    for i, (a, b) in enumerate(
        zip(rng.normal(5, 2, 300), rng.integers(3, size=300), strict=True)
    ):
        size = "" if i % 50 == 7 else f"{a:.3f}"
        rows.append(f"{size},{['red', 'green', 'blue'][b]},{i % 2}")
    (tmp_path / "things.csv").write_text("\n".join(rows))
    base = aejax.Config(dataset=str(tmp_path / "things.csv"), objective="vae")
    base = base.replace(hidden=(8,), epochs=1, eval_every=1, batch_size=32)
    model = aejax.sweep(base, {}).model()
    text = text_of(model, tmp_path / "out")
    lines = table(tmp_path / "out", 4)
    assert lines["size"][:2] == ["number", "0"]
    assert re.search(
        r"standardised: mean [45]\.\d+, deviation [12]\.\d+", lines["size"][2]
    )
    assert "red" in lines["colour"][2] and "…" in lines["colour"][1]
    assert "NaN in x is a value that was not observed" in text
    assert "in data units, which are standardised." in text
    for note in model.spec.data.notes:
        assert note.replace(str(tmp_path) + "/", "")[:40] in text
    assert str(tmp_path) not in text
