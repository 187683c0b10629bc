"""The page from rows alone: a fake run has the interface of ``aejax.open_run``'s."""

import html
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from aejax import config, data, evaluate, report, representation, results
from aejax import run as runs
from aejax.report import canvas, compare
from aejax.report import table as tables
from experiments import report as command

MSE = {2: 0.03, 8: 0.01, 16: 0.006}
PCA = {2: 0.05, 8: 0.02, 16: 0.004}


def dataset(shape):
    x = np.random.default_rng(0).random((40, *shape), np.float32)
    split = data.Split(x, np.arange(40) % 10)
    return data.Dataset("toy", split, split, split, "bernoulli", 1.0, 10)


class Model:
    """Forgets everything but the first ``latent_dim`` numbers of its input."""

    def __init__(self, latent_dim, shape):
        self.latent_dim, self.shape = latent_dim, shape
        kernel = np.random.default_rng(0).normal(size=(16, 1, np.prod(shape)))
        self.params = {"net": {"code": {"latent_kernel": kernel}}}

    def batch(self, x, y=None, length=None):
        return data.Split(x, y, length)

    def encode(self, x, y=None, length=None):
        return x.reshape(len(x), -1)[:, : self.latent_dim]

    def decode(self, z, y=None):
        pad = np.prod(self.shape) - z.shape[1]
        return np.pad(z, ((0, 0), (0, pad))).reshape(len(z), *self.shape)

    def reconstruct(self, x, y=None, length=None):
        return self.decode(self.encode(x))

    def sample(self, key, n, y=None):
        return self.decode(np.random.default_rng(0).random((n, self.latent_dim)))


class Run:
    """Rows as a sweep leaves them, every number made from ``mse``."""

    def __init__(
        self, dir, axes, mse=MSE, base=None, done=True, lost=(), shape=(8, 8, 1)
    ):
        self.config, self.axes = base or config.Config(dataset="toy"), axes
        self.dir, self.rows, self.summary = dir, [], []
        self.problems = []
        self.info = {"lanes": 0, "programs": 1, "train_s": 3.0, "finished": done}
        self._shape, self._data = shape, dataset(shape)
        fixed = {n: getattr(self.config, n) for n in config.AXES} | {"hidden": "128,64"}
        for lane, values in enumerate(config.product(axes)):
            row = fixed | values | {"lane": lane}
            self.info["lanes"] += 1
            for epoch in (10, 20) if done else (10,):
                for split in ("train", "valid", "test")[: 3 if epoch == 20 else 2]:
                    diverged = lane in lost
                    worse = (1 + 0.02 * row["seed"]) * (1 + (split == "test"))
                    error = mse[row["latent_dim"]] * worse * (3 - epoch / 10) / 2
                    kl = None if row["objective"] == "ae" else 3.0
                    found = dict(loss=9 * error, nll=9 * error, mse=error, kl=kl)
                    found |= dict.fromkeys(found) if diverged else {}
                    at = {"epoch": epoch, "step": epoch, "split": split}
                    self.rows.append(row | at | found | {"diverged": diverged})
        if done:
            self._summarise(mse, fixed)

    def _summarise(self, mse, fixed):
        seeds = len(self.axes.get("seed", [0]))
        swept = {n: v for n, v in self.axes.items() if n != "seed"}
        for values in config.product(swept):
            row = {n: v for n, v in (fixed | values).items() if n != "seed"}
            mean = mse[row["latent_dim"]]
            low, high = (0.9 * mean, 1.1 * mean) if seeds > 1 else (None, None)
            row |= {"n_seeds": seeds, "diverged": 0, "parameters": 1234}
            row |= {"mse_mean": mean, "mse_low": low, "mse_high": high}
            row["kl_mean"] = None if row["objective"] == "ae" else 3.0
            self.summary.append(row)
        for k in self.axes.get("latent_dim", [fixed["latent_dim"]]):
            row = dict.fromkeys(self.summary[0])
            row |= {"dataset": "toy", "binarize": "none", "objective": "pca"}
            row |= {"latent_dim": k, "n_seeds": 1, "mse_mean": PCA[k]}
            self.summary.append(row)

    def dataset(self, name=None):
        return self._data

    def model(self, *, objective, latent_dim, seed, **axes):
        assert axes.keys() <= self.axes.keys()
        return Model(latent_dim, self._shape)


def write(run, **options):
    runs = run if isinstance(run, list) else [run]
    return report.write(runs, **options).read_text("utf-8")


def titles(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


def words(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


SWEEP = {"objective": ["ae", "vae"], "latent_dim": [2, 8, 16], "seed": [0, 1]}


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


def test_the_page_loads_nothing_and_is_the_same_when_written_again(sweep):
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


def test_the_finding_is_computed_from_the_rows(tmp_path):
    found = report.findings([Run(tmp_path, axes := SWEEP | {"objective": ["ae"]})])
    assert found[0] == (
        "`ae` with 8 latent dimensions reaches test mse 0.0100 [0.00900, 0.0110], "
        "50 % below PCA (0.0200); PCA wins at 16."
    )
    assert found[1] == "Brackets are 95 % intervals over seeds."
    found = report.findings([Run(tmp_path, axes, {2: 0.049, 8: 0.03, 16: 0.05})])
    assert found[0] == (
        "`ae` with 2 latent dimensions reaches test mse 0.0490 [0.0441, 0.0539], 2 % "
        "below PCA (0.0500); below PCA in each of 2 seeds, too few to settle it, at 2; "
        "PCA wins at 8, 16."
    )
    found = report.findings([Run(tmp_path, axes, {2: 0.02, 8: 0.01, 16: 0.001})])
    assert found[0].endswith("75 % below PCA (0.00400).")
    page = words(write(Run(tmp_path, axes)))
    assert "ae with 8 latent dimensions reaches test mse 0.0100 [0.00900" in page


def told(run, **metrics):
    """The findings where rows have these metrics, each a function of the row."""
    for row in run.rows:
        row |= {name: value(row) for name, value in metrics.items()}
    columns = [n for n in run.rows[0] if n in (*config.AXES, *run.axes)]
    names = ("mse", "nll", "kl", "kl_2", "loss", "mmd", "neg_elbo")
    pca = [row for row in run.summary if row["objective"] == "pca"]
    counts = dict.fromkeys(range(99), 1)
    run.summary = results.summary(run.rows, columns, names, counts) + pca
    return report.findings([run])


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ((8, 108), "58 × PCA's (0.0200); above PCA in each of 2 seeds, too few to set"),
        ((57, 59), "58 × PCA's (0.0200); PCA wins."),
        ((2.3, 2.5), "2.4 × PCA's (0.0200); PCA wins."),
        ((0.5, 1.7), "10 % above PCA (0.0200); no difference from PCA can be seen."),
        ((0.5, 0.51), "50 % below PCA (0.0200)."),
        ((0.2, 0.9), "45 % below PCA (0.0200); below PCA in each of 2 seeds, too few"),
        ((1.5,), "50 % above PCA (0.0200); PCA's is lower (one seed)."),
    ],
)
def test_the_verdict_on_pca_is_of_the_ratio_in_each_seed(tmp_path, ratios, words):
    """mse 58 [−259, 374] includes PCA's 1; a ratio of 58 does not."""
    seeds = list(range(len(ratios)))
    run = Run(tmp_path, {"objective": ["ae"], "latent_dim": [8], "seed": seeds})
    found = told(run, mse=lambda row: 0.02 * ratios[row["seed"]])
    assert words in found[0]
    assert "[-" not in found[0]


def test_pca_without_error_wins_and_a_model_without_error_does_not_lose(tmp_path):
    run = Run(tmp_path, SWEEP | {"objective": ["ae"]})
    for row in run.summary:
        row["mse_mean"] = 0.0 if row["objective"] == "pca" else row["mse_mean"]
    assert "PCA wins at 2, 8, 16." in report.findings([run])[0]
    found = told(run, mse=lambda row: float(row["latent_dim"] != 8))
    assert "PCA wins at 2, 16; no difference from PCA can be seen at 8." in found[0]


def test_a_model_that_is_shown_the_label_says_so(tmp_path):
    names = {"conditional_vae": True, "vae": False, "mine.py": False}
    run = Run(tmp_path, SWEEP | {"objective": list(names)})
    for line in report.findings([run])[:3]:
        said = "it is shown the label, PCA is not" in line
        assert said == names[line.split("`")[1]]


def test_a_collapsed_posterior_is_named_with_its_remedy(tmp_path):
    axes = {"objective": ["beta_vae", "vae"], "latent_dim": [2, 8], "seed": [0, 1]}
    run = Run(tmp_path, axes)
    blind = type("Blind", (Model,), {"encode": lambda m, x, *_: 0 * Model.encode(m, x)})
    run.model = lambda **choice: blind(choice["latent_dim"], (8, 8, 1))
    kl = {"beta_vae": 1e-4, "vae": 3.0}
    found = told(run, kl=lambda row: kl[row["objective"]] * row["latent_dim"] / 8)
    want = (
        "`beta_vae` with 2, 8 latent dimensions has collapsed onto its prior: KL at "
        "most 0.0001 nats, 0 of 8 dimensions active; to try: kl_warmup, free_bits, a "
        "lower beta."
    )
    assert [s for s in found if "collapsed" in s] == [want]
    assert want.replace("`", "").replace("  ", " ") in words(write(run))
    kl["beta_vae"] = 0.011 * 4
    assert not any("collapsed" in s for s in told(run, kl=lambda r: kl[r["objective"]]))


@pytest.mark.parametrize("missing", ["model", "dataset"])
def test_a_collapse_is_told_without_checkpoints_and_without_data(tmp_path, missing):
    axes = {"objective": ["vae"], "latent_dim": [8], "seed": [0]}
    run = Run(tmp_path, axes, base=config.Config(dataset="toy", likelihood="gaussian"))

    def gone(*args, **choice):
        raise config.InputError("there is none")

    setattr(run, missing, gone)
    assert (
        "`vae` with 8 latent dimensions has collapsed onto its prior: KL 0.0001 nats; "
        "to try: kl_warmup, free_bits, a learned variance (likelihood "
        "gaussian_learned)."
    ) in told(run, kl=lambda row: 1e-4)


def test_the_second_layer_collapses_alone(tmp_path):
    axes = {"objective": ["hierarchical_vae"], "latent_dim": [8], "seed": [0]}
    found = told(Run(tmp_path, axes), kl_2=lambda row: 0.002, kl=lambda row: 7.0)
    (said,) = [s for s in found if "collapsed" in s]
    assert said.startswith(
        "The second layer of `hierarchical_vae` with 8 latent dimensions has collapsed "
        "onto its prior: KL 0.002 nats"
    )
    assert "active" not in said and "beta_vae" not in said


def test_many_collapsed_lines_have_few_sentences(tmp_path):
    rates = [1e-4 * 2**i for i in range(10)]
    axes = {"objective": ["vae"], "learning_rate": rates, "latent_dim": [2, 8]}
    found = told(Run(tmp_path, axes), kl=lambda row: 1e-4)
    assert sum("collapsed" in s for s in found) == 3
    assert "The same is true of 7 more lines." in found


def wider(tmp_path, test, train, *, seeds=(0, 1, 2), kl=None, **more):
    """Findings where the loss at 2, 8 and 16 is 20 plus these, and noise per seed."""
    axes = {"objective": ["vae"], "latent_dim": [2, 8, 16], "seed": list(seeds)}

    def loss(row):
        found, k = test if row["split"] == "test" else train, row["latent_dim"]
        noise = 0.1 * row["seed"] * k / 16
        return 20 + 5 * row["seed"] + found[(2, 8, 16).index(k)] + noise

    kls = kl or {2: 3.0, 8: 3.0, 16: 3.0}
    run = Run(tmp_path, axes)
    found = told(run, loss=loss, kl=lambda row: kls[row["latent_dim"]], **more)
    return [s for s in found if "ignore" in s]


def test_a_wider_code_that_is_worse_is_optimisation_or_overfitting(tmp_path):
    """Seeds differ by 5 nats and pairs by 0.1: only paired differences can tell."""
    kl = {2: 3.0, 8: 4.0, 16: 1.0}
    (said,) = wider(tmp_path, (3, 1, 2), (3, 1, 3), kl=kl)
    assert said.startswith(
        "`vae` with 16 latent dimensions has a test loss 1.05 [0.926, 1.17] nats above "
        "that with 8, though it could ignore the rest; its training loss is "
        "2.05 [1.93, 2.17] above as well: optimisation, by early posterior collapse: "
        "KL 1.00 nats against 4.00, 16 of 16 dimensions active."
    )
    (said,) = wider(tmp_path, (0, 1, 2), (2, 1, 0))
    assert "2.09 [1.87, 2.30] nats above that with 2, " in said
    assert said.endswith("(worse too: 8); its training loss is not: overfitting.")
    assert "collapse" not in wider(tmp_path, (0, 1, 2), (0, 1, 2))[0]


def test_a_wider_code_that_is_not_surely_worse_is_not_blamed(tmp_path):
    assert wider(tmp_path, (3, 2, 1), (3, 2, 1)) == []
    assert wider(tmp_path, (3, 1, 1.01), (3, 1, 1), seeds=(0, 9)) == []
    assert wider(tmp_path, (0, 1, 2), (0, 1, 2), seeds=(0,)) == []
    assert wider(tmp_path, (0, 1, 2), (0, 1, 2), mmd=lambda row: 0.1) == []


@pytest.mark.parametrize(
    ("likelihood", "binarize", "x", "grey"),
    [
        ("bernoulli", "none", 0.5, True),
        ("bernoulli", "none", 1.0, False),
        ("bernoulli", "dynamic", 0.5, False),
        ("gaussian", "none", 0.5, False),
    ],
)
def test_bernoulli_of_grey_data_is_a_cross_entropy(
    tmp_path, likelihood, binarize, x, grey
):
    base = config.Config(dataset="toy", likelihood=likelihood, binarize=binarize)
    run = Run(tmp_path, SWEEP, base=base)
    test = run._data.test._replace(x=x * (run._data.test.x > 0.5))
    run._data = run._data._replace(test=test)
    said = [s for s in report.findings([run]) if "cross-entropy" in s]
    assert len(said) == grey
    assert not grey or said[0].startswith("`toy`: ") and "−log p(x)" in said[0]
    run.dataset = lambda name=None: open(tmp_path / "no" / "such")
    assert not any("cross-entropy" in s for s in report.findings([run]))


def test_the_bottleneck_has_a_panel_of_the_bound(tmp_path):
    run = Run(tmp_path, SWEEP)
    told(run, neg_elbo=lambda row: None if row["objective"] == "ae" else 24.0)
    for bound in ("test −ELBO (nats)", ""):
        write(run)
        svg = (tmp_path / "figures/bottleneck.svg").read_text()
        assert "test KL (nats)" in svg and ("−ELBO" in svg) == bool(bound)
        assert bound in svg
        told(run, neg_elbo=lambda row: None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_band_of_two_seeds_does_not_flatten_the_lines(sign):
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


def test_diverged_lanes_are_listed_and_not_shown(tmp_path):
    run = Run(tmp_path, SWEEP, lost=(2, 3))  # both seeds of ae at 8
    page = write(run)
    assert "2 diverged: ae · 8 latent dimensions seed 0, ae · 8" in words(page)
    assert "A loss or gradient was not finite" in words(page)


def test_three_objectives_are_compared_at_equal_size_and_cut(tmp_path):
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
    found = compare.measured(tables.read([run]).settings[1])
    x, y = run._data.test.x.reshape(40, -1)[:, :8], run._data.test.y
    assert found["active units"][0] == (x.var(0) > 0.01).sum() == 8
    assert found["probe"][0] == representation.probe_accuracy(x, y, x, y)
    cut = evaluate.truncate(Model(8, (8, 8, 1)), run._data.test.x)
    assert sorted(cut) == [1, 2, 3, 4, 6, 8]
    flat = run._data.test.x.reshape(40, -1)
    for j, error in cut.items():
        np.testing.assert_allclose(error, np.square(flat[:, j:]).sum(1).mean() / 64)


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


def test_another_axis_and_one_that_not_every_objective_has(tmp_path):
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


def test_pca_without_error_has_no_place_on_a_log_axis(tmp_path, monkeypatch):
    monkeypatch.setitem(PCA, 16, 0.0)
    page = write(Run(tmp_path, SWEEP))
    assert "it ends where its error is 0" in page and "vae 16 2 1,234" in words(page)


def test_many_lines_keep_the_best_of_each_objective_in_colour(tmp_path):
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
