"""Several objectives, settings or runs on one page."""

import numpy as np

from aejax import config, evaluate, report
from aejax.report import compare
from aejax.report import table as tables
from tests.report.common import MSE, SWEEP, Model, Run, titles, words, write


def test_three_objectives_are_compared_at_equal_size(tmp_path):
    """Active units and the probe are those of the codes, from the models."""
    names = ["ae", "vae", "nested_dropout"]
    axes = {"objective": names, "latent_dim": [2, 8], "seed": [0, 1]}
    page = write(run := Run(tmp_path, axes))
    assert {"Objectives at 8 latent dimensions", "One model, every size"} <= set(
        titles(page)
    )
    svg = (tmp_path / "figures/settings.svg").read_text()
    assert all(svg.count(f">{name}<") == 3 for name in names)
    assert "linear probe" in svg
    measures = compare.measured(tables.read([run]).settings[1])
    x, y = run._data.test.x.reshape(40, -1)[:, :8], run._data.test.y
    assert measures["active units"][0] == (x.var(0) > 0.01).sum() == 8
    assert measures["probe"][0] == evaluate.disentanglement.probe_accuracy(x, y, x, y)
    cut = evaluate.truncate(Model(8, (8, 8, 1)), run._data.test.x)
    assert sorted(cut) == [1, 2, 3, 4, 6, 8]
    flat = run._data.test.x.reshape(40, -1)
    for j, error in cut.items():
        np.testing.assert_allclose(error, np.square(flat[:, j:]).sum(1).mean() / 64)


def test_an_axis_of_one_objective_alone(tmp_path):
    base = config.Config(dataset="toy", hparams={"beta": 4.0})
    axes = {"objective": ["ae", "vae"], "beta": [1.0, 4.0], "seed": [0, 1]}
    run = Run(tmp_path, axes, base=base)
    for row in [*run.rows, *run.summary]:
        row["beta"] = None if row["objective"] == "ae" else row["beta"]
    page = write(run)
    assert "Across beta" in titles(page)
    assert "`vae` with beta 1" in report.findings([run])[1]


def test_objectives_alone_are_ranked(tmp_path):
    run = Run(tmp_path, {"objective": ["ae", "vae"], "latent_dim": [8], "seed": [0, 1]})
    assert titles(write(run))[0] == "Settings at 8 latent dimensions"


def test_many_lines_keep_the_best_in_colour(tmp_path):
    rates = [1e-4 * 2**i for i in range(10)]
    run = Run(tmp_path, SWEEP | {"learning_rate": rates, "seed": [0]})
    table = tables.read([run])
    assert (len(table.lines), len(table.drawn)) == (20, len(tables.PALETTE))
    assert {line.label.split(" · ")[0] for line in table.leaders[:2]} == {"ae", "vae"}
    assert "12 further lines" in write(run)


def test_two_runs_are_compared(tmp_path):
    axes = {"latent_dim": [2, 8, 16], "seed": [0, 1]}
    other = config.Config(dataset="toy", learning_rate=0.01, epochs=9)
    one = Run(tmp_path / "one", axes)
    two = Run(tmp_path / "two", axes, {k: 2 * v for k, v in MSE.items()}, other)
    page = write([one, two])
    assert (tmp_path / "comparison" / "report.html").is_file()
    assert titles(page)[0] == "What differs"
    assert "learning rate 0.003 0.01 epochs 160 9" in words(page)
    drawn = (tmp_path / "comparison" / "figures" / "bottleneck.svg").read_text()
    assert "one · ae · lr 0.003" in drawn and "two · ae · lr 0.01" in drawn
    same = write([one, one], out=tmp_path / "same")
    assert "Nothing: the configurations are equal." in same
