"""The page from rows alone: sections, figures, escapes, the command."""

import html
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from aejax import config, data, report
from aejax.report import canvas
from aejax.runs import run as runs
from experiments import report as command
from tests.report.common import (
    PCA,
    SWEEP,
    Model,
    Run,
    findings_where,
    titles,
    words,
    write,
)


@pytest.fixture
def sweep(tmp_path):
    return Run(tmp_path / "one", SWEEP)


def test_a_sweep_has_every_section_and_figure(sweep):
    page = write(sweep)
    assert titles(page) == (
        "The bottleneck,Reconstructions,Samples,The latent plane,Encoder filters,"
        "Training: validation loss,Train and test,Every setting,How it was made"
    ).split(",")
    names = "bottleneck reconstructions-0 reconstructions-1 plane-0 plane-1 training "
    names += "gap samples-0 samples-1 filters-0 filters-1"
    assert {p.stem for p in (sweep.dir / "figures").iterdir()} == set(names.split())
    assert len(page) < 3e6


def test_the_page_loads_nothing_and_repeats(sweep):
    sweep.dir.mkdir()
    (sweep.dir / "task-denoise.png").write_bytes(b"png")
    task = {"title": "Denoising", "metrics": {"psnr": 20.51234, "noise": "low"}}
    (sweep.dir / "task-denoise.json").write_text(json.dumps(task))
    page = write(sweep)
    urls = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", page)
    assert all(url.startswith(("data:", "#")) for url in urls)
    assert not re.search(r"@import|url\((?!#)|<script|<link", page)
    assert "Denoising" in titles(page) and "20.5" in page
    once = {p: p.read_bytes() for p in sweep.dir.rglob("*.*")}
    assert write(sweep) == page
    assert {p: p.read_bytes() for p in sweep.dir.rglob("*.*")} == once


def test_the_bottleneck_has_a_panel_of_the_bound(tmp_path):
    run = Run(tmp_path, SWEEP)
    findings_where(run, neg_elbo=lambda row: None if row["objective"] == "ae" else 24.0)
    for bound in ("test −ELBO (nats)", ""):
        write(run)
        svg = (tmp_path / "figures/bottleneck.svg").read_text()
        assert "test KL (nats)" in svg and ("−ELBO" in svg) == bool(bound)
        assert bound in svg
        findings_where(run, neg_elbo=lambda row: None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_band_of_two_seeds_flattens_no_line(sign):
    with canvas.style():
        _, (ax, flat) = canvas.panels([2, 2])
        bars = [(2, 0.3, 1e-3, 2e3), (8, 0.6, 0.5, 0.7)]
        canvas.lines(ax, [("vae", "k", sign * np.array(bars) + 0.0)])
        low, high = ax.get_ylim()
        assert low < 0.3 * sign < high and low < 0.6 * sign < high
        assert high - low < 1.5
        canvas.lines(flat, [("vae", "k", [(2, 0.0, 0.0, 0.0), (8, 0.0, 0.0, 0.0)])])
        assert flat.get_ylim()[0] < 0 < flat.get_ylim()[1]


def test_what_a_user_named_is_escaped(tmp_path):
    run = Run(tmp_path / "a<b>&", {"latent_dim": [2, 8], "seed": [0]})
    for row in [*run.rows, *run.summary]:
        if row["objective"] == "ae":
            row["objective"] = "<script>alert('$1$ 字')</script>"
    run.model = Run(None, SWEEP).model
    page = write(run)
    assert "<script" not in page and "a<b>" not in page
    assert html.escape("<script>alert('$1$ 字')", quote=False).split("'")[0] in page
    assert "a<b>&" in words(page)


def test_one_setting_alone(tmp_path):
    page = write(Run(tmp_path, {"latent_dim": [8], "seed": [3]}))
    text = words(page)
    assert "1 autoencoder on toy" in text
    assert "ae with 8 latent dimensions reaches test mse 0.0100, 50 % below" in text
    assert "One seed per setting" in text
    assert "The bottleneck" not in titles(page)


def test_an_unfinished_run_says_so(tmp_path):
    run = Run(tmp_path / "early", SWEEP, done=False)

    def model(**choice):
        raise config.InputError("there is no checkpoint")

    run.model = model
    page = write(run)
    assert "Unfinished: early" in words(page)
    assert "the rows end at epoch 10" in page
    assert titles(page) == ["Training: validation loss", "How it was made"]
    run.rows = []
    assert titles(write(run)) == ["How it was made"]


def test_diverged_members_are_listed_and_not_drawn(tmp_path):
    run = Run(tmp_path, SWEEP, lost=(2, 3))  # both seeds of ae at 8
    page = write(run)
    assert "2 diverged: ae · 8 latent dimensions seed 0, ae · 8" in words(page)
    assert "A loss or gradient was not finite" in words(page)


def test_a_network_of_other_names_has_no_filters(sweep, monkeypatch):
    """One from outside need not call its first layer as ours do."""

    def restored(*, latent_dim, **choice):
        model = Model(latent_dim, (8, 8, 1))
        model.params = {"net": {"mine": {"kernel": np.zeros((64, 3))}}}
        return model

    monkeypatch.setattr(sweep, "model", restored)
    assert "Encoder filters" not in titles(write(sweep))


@pytest.mark.parametrize("shape", [(12,), (30, 2), (6, 9, 3)], ids=str)
def test_other_shapes_of_data(tmp_path, shape):
    run = Run(tmp_path, {"objective": ["vae"], "latent_dim": [2, 8]}, shape=shape)
    parts = [part._replace(y=None) for part in run._data[1:4]]
    run._data = data.Dataset("toy", *parts, "bernoulli", 1.0)
    assert {"Reconstructions", "Samples", "The latent plane"} <= set(titles(write(run)))
    drawn = (tmp_path / "figures" / "reconstructions-0.svg").read_text()
    assert ("<image" in drawn) == (len(shape) == 3)


def test_pca_without_error_has_no_place_on_a_log_axis(tmp_path, monkeypatch):
    monkeypatch.setitem(PCA, 16, 0.0)
    page = write(Run(tmp_path, SWEEP))
    assert "it ends where its error is 0" in page and "vae 16 2 1,234" in words(page)


def test_no_run_and_no_place_are_refused():
    with pytest.raises(config.InputError, match="at least one run"):
        report.write([])
    with pytest.raises(config.InputError, match="a directory"):
        report.write([Run(None, SWEEP)])


def test_the_command(tmp_path, sweep, capsys, monkeypatch):
    assert command.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere' holds no run" in capsys.readouterr().err
    assert command.main([]) == 2
    assert "no directory was given" in capsys.readouterr().err
    assert command.main(["--unknown"]) == 2
    sweep.dir.mkdir()
    (sweep.dir / "run.json").write_text("{}")
    monkeypatch.setattr(runs, "open_run", lambda dir: sweep)
    assert command.main([str(sweep.dir), "--out", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "report.html").is_file()
    (tmp_path / "file").write_text("")
    assert command.main([str(sweep.dir), "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_help_answers_without_jax_and_matplotlib():
    code = (
        "import sys; from experiments import report\n"
        "assert report.main(['--help']) == 0\n"
        "assert not {'jax', 'matplotlib', 'flax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
