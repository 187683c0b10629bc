"""A run shows itself: in a notebook, as figures, as a DataFrame."""

import dataclasses
import re

import matplotlib.figure
import pytest

import aejax
from aejax import config
from aejax.report import curves, notebook
from tests.report import common

AXES = {"objective": ["ae", "vae"], "latent_dim": [2, 4], "seed": [0, 1]}
CONFIG = aejax.Config(hidden=(16,), epochs=2, eval_every=1)


@pytest.fixture(scope="module")
def run():
    return aejax.sweep(CONFIG, AXES)


def few(count, **options):
    """A fake run with so many settings."""
    axes = {"latent_dim": [2], "eps": [float(i) for i in range(count)], "seed": [0]}
    return common.Run(None, axes, **options)


DRAWN = ["bottleneck", "reconstructions", "samples", "plane", "filters", "training"]


@pytest.mark.parametrize("name", [*DRAWN, "gap"])
def test_a_figure_is_matplotlib_s_and_draws_itself(name, run, tmp_path):
    fig = run.plot(name)
    assert isinstance(fig, matplotlib.figure.Figure)
    texts = [text.get_text() for text in fig.findobj(matplotlib.text.Text)]
    assert {"ae", "vae"} <= set(texts)  # both lines in one figure
    svg = fig._repr_svg_()
    assert svg.startswith("<svg") and "<text" in svg and len(svg) < 300_000
    fig.savefig(tmp_path / "figure.png")


def test_an_unknown_figure_is_refused_with_the_list(run):
    with pytest.raises(aejax.InputError, match="did you mean 'plane'") as error:
        run.plot("plan")
    assert all(name in str(error.value) for name in notebook.FIGURES)


@pytest.mark.parametrize(
    "name, why",
    [("truncated", "nested_dropout"), ("search", "no search"), ("settings", "three")],
)
def test_a_figure_that_has_nothing_says_why(name, why, run):
    with pytest.raises(aejax.InputError, match=f"nothing to draw of '{name}'.*{why}"):
        run.plot(name)


def test_a_run_of_nothing_yet_and_of_nothing_good(run):
    begun = aejax.sweep(CONFIG, should_stop=lambda: True)
    begun = dataclasses.replace(begun, rows=[], summary=[])
    assert "none" not in begun._repr_html_()
    lost = [row | {"diverged": True} for row in run.rows]
    with pytest.raises(aejax.InputError, match="all members diverged"):
        dataclasses.replace(run, rows=lost).plot("truncated")
    with pytest.raises(aejax.InputError, match="figure '..gap..' is unknown"):
        run.plot(["gap"])


def test_an_unfinished_run_says_what_is_to_come():
    started = few(1, done=False)
    started.finals = {}
    for name in ("bottleneck", "gap"):
        with pytest.raises(aejax.InputError, match="tested yet; --resume goes on"):
            notebook.plot(started, name)
    started.rows.clear()
    with pytest.raises(aejax.InputError, match="no model is saved yet"):
        notebook.plot(started, "samples")


def test_every_reason_has_its_figure(run):
    from aejax.report import sections, table

    names = dict(sections.makers([run], table.read([run])))
    assert set(notebook.FIGURES) - {"drawn"} <= set(names)
    assert {*notebook.TESTED, *notebook.TRAINED} <= set(notebook.FIGURES)


def test_a_notebook_shows_table_and_curve(run):
    html = run._repr_html_()
    assert html.count("<tr>") == 1 + 4 and html.count("<svg") == 1
    text = common.words(html)
    assert text.startswith("8 autoencoders: ae, vae on digits. Test metrics are means")
    assert "test mse" in text and "PCA" in text and "test nll" not in text
    assert 'text-align: right">33' not in html and "<script" not in html


def test_an_unfinished_run_shows_its_training():
    html = notebook.html(common.Run(None, common.SWEEP, done=False))
    text = common.words(html)
    assert "not finished, 0 of them trained to their end" in text
    assert html.count("<svg") == 1 and "epoch" in text and "<table" not in html
    empty = common.Run(None, common.SWEEP, done=False)
    empty.rows.clear()
    assert "not finished" in notebook.html(empty)


def test_a_run_without_sizes_shows_its_table():
    html = notebook.html(common.Run(None, {"seed": [0, 1]}, base=eight()))
    assert html.count("<tr>") == 2 and "<svg" not in html


def eight():
    return config.Config(dataset="toy", latent_dim=8)


def test_many_settings_are_cut(monkeypatch):
    html = notebook.html(few(300))
    assert html.count("<tr>") == 1 + notebook.ROWS
    assert f"and {300 - notebook.ROWS} more settings" in html
    assert len(html) < 100_000


def test_names_are_escaped():
    run = common.Run(None, {"objective": ["<b>x"], "latent_dim": [2, 8], "seed": [0]})
    assert "<b>x" not in notebook.html(run) and "&lt;b&gt;x" in notebook.html(run)


def test_a_figure_that_fails_keeps_the_table(run, monkeypatch):
    def fail(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr(curves, "bottleneck", fail)
    with pytest.warns(UserWarning, match="no font"):
        html = run._repr_html_()
    assert "<table" in html and "<svg" not in html


def test_rows_as_a_frame(run):
    frame = run.frame()
    assert len(frame) == len(run.rows) and list(frame) == list(run.rows[0])
    assert frame["mse"].dtype == float and frame["latent_dim"].dtype == int
    assert frame.loc[frame["objective"] == "ae", "kl"].isna().all()
    mean = frame[frame["split"] == "test"].groupby("objective")["mse"].mean()
    assert mean.between(0, 1).all() and not re.search("None", str(mean))
