"""The sentences of a report, computed from its rows."""

import pytest

from aejax import config, report
from tests.report.common import SWEEP, Model, Run, findings_where, words, write


def test_the_finding_is_computed_from_the_rows(tmp_path):
    sentences = report.findings([Run(tmp_path, axes := SWEEP | {"objective": ["ae"]})])
    assert sentences[0] == (
        "`ae` with 8 latent dimensions reaches test mse 0.0100 [0.00900, 0.0110], "
        "50 % below PCA (0.0200); PCA wins at 16."
    )
    assert sentences[1] == "Brackets are 95 % intervals over seeds."
    sentences = report.findings([Run(tmp_path, axes, {2: 0.049, 8: 0.03, 16: 0.05})])
    assert sentences[0] == (
        "`ae` with 2 latent dimensions reaches test mse 0.0490 [0.0441, 0.0539], 2 % "
        "below PCA (0.0500); below PCA in each of 2 seeds, too few to settle it, at 2; "
        "PCA wins at 8, 16."
    )
    sentences = report.findings([Run(tmp_path, axes, {2: 0.02, 8: 0.01, 16: 0.001})])
    assert sentences[0].endswith("75 % below PCA (0.00400).")
    page = words(write(Run(tmp_path, axes)))
    assert "ae with 8 latent dimensions reaches test mse 0.0100 [0.00900" in page


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
def test_the_verdict_on_pca_is_of_ratios_per_seed(tmp_path, ratios, words):
    """mse 58 [−259, 374] includes PCA's 1; a ratio of 58 does not."""
    seeds = list(range(len(ratios)))
    run = Run(tmp_path, {"objective": ["ae"], "latent_dim": [8], "seed": seeds})
    sentences = findings_where(run, mse=lambda row: 0.02 * ratios[row["seed"]])
    assert words in sentences[0]
    assert "[-" not in sentences[0]


def test_pca_without_error_wins(tmp_path):
    run = Run(tmp_path, SWEEP | {"objective": ["ae"]})
    for row in run.summary:
        row["mse_mean"] = 0.0 if row["objective"] == "pca" else row["mse_mean"]
    assert "PCA wins at 2, 8, 16." in report.findings([run])[0]
    sentences = findings_where(run, mse=lambda row: float(row["latent_dim"] != 8))
    assert "PCA wins at 2, 16; no difference from PCA can be seen at 8." in sentences[0]


def test_a_model_that_is_shown_the_label_says_so(tmp_path):
    names = {"conditional_vae": True, "vae": False, "mine.py": False}
    run = Run(tmp_path, SWEEP | {"objective": list(names)})
    for line in report.findings([run])[:3]:
        said = "it is shown the label, PCA is not" in line
        assert said == names[line.split("`")[1]]


def test_a_collapse_is_named_with_its_remedy(tmp_path):
    axes = {"objective": ["beta_vae", "vae"], "latent_dim": [2, 8], "seed": [0, 1]}
    run = Run(tmp_path, axes)
    blind = type("Blind", (Model,), {"encode": lambda m, x, *_: 0 * Model.encode(m, x)})
    run.model = lambda **choice: blind(choice["latent_dim"], (8, 8, 1))
    kl = {"beta_vae": 1e-4, "vae": 3.0}
    sentences = findings_where(
        run, kl=lambda row: kl[row["objective"]] * row["latent_dim"] / 8
    )
    want = (
        "`beta_vae` with 2, 8 latent dimensions has collapsed onto its prior: KL at "
        "most 0.0001 nats, 0 of 8 dimensions active; to try: kl_warmup, free_bits, a "
        "lower beta."
    )
    assert [s for s in sentences if "collapsed" in s] == [want]
    assert want.replace("`", "").replace("  ", " ") in words(write(run))
    kl["beta_vae"] = 0.011 * 4
    assert not any(
        "collapsed" in s for s in findings_where(run, kl=lambda r: kl[r["objective"]])
    )


@pytest.mark.parametrize("missing", ["model", "dataset"])
def test_a_collapse_is_named_without_model_or_data(tmp_path, missing):
    axes = {"objective": ["vae"], "latent_dim": [8], "seed": [0]}
    run = Run(tmp_path, axes, base=config.Config(dataset="toy", likelihood="gaussian"))

    def gone(*args, **choice):
        raise config.InputError("there is none")

    setattr(run, missing, gone)
    assert (
        "`vae` with 8 latent dimensions has collapsed onto its prior: KL 0.0001 nats; "
        "to try: kl_warmup, free_bits, a learned variance (likelihood "
        "gaussian_learned)."
    ) in findings_where(run, kl=lambda row: 1e-4)


def test_the_second_layer_collapses_alone(tmp_path):
    axes = {"objective": ["hierarchical_vae"], "latent_dim": [8], "seed": [0]}
    sentences = findings_where(
        Run(tmp_path, axes), kl_2=lambda row: 0.002, kl=lambda row: 7.0
    )
    (said,) = [s for s in sentences if "collapsed" in s]
    assert said.startswith(
        "The second layer of `hierarchical_vae` with 8 latent dimensions has collapsed "
        "onto its prior: KL 0.002 nats"
    )
    assert "active" not in said and "beta_vae" not in said


def test_many_collapsed_lines_have_few_sentences(tmp_path):
    rates = [1e-4 * 2**i for i in range(10)]
    axes = {"objective": ["vae"], "learning_rate": rates, "latent_dim": [2, 8]}
    sentences = findings_where(Run(tmp_path, axes), kl=lambda row: 1e-4)
    assert sum("collapsed" in s for s in sentences) == 3
    assert "The same is true of 7 more lines." in sentences


def wider(tmp_path, test, train, *, seeds=(0, 1, 2), kl=None, **more):
    """Findings where the loss at 2, 8 and 16 is 20 plus these, and noise per seed."""
    axes = {"objective": ["vae"], "latent_dim": [2, 8, 16], "seed": list(seeds)}

    def loss(row):
        offsets, k = test if row["split"] == "test" else train, row["latent_dim"]
        noise = 0.1 * row["seed"] * k / 16
        return 20 + 5 * row["seed"] + offsets[(2, 8, 16).index(k)] + noise

    kls = kl or {2: 3.0, 8: 3.0, 16: 3.0}
    run = Run(tmp_path, axes)
    sentences = findings_where(
        run, loss=loss, kl=lambda row: kls[row["latent_dim"]], **more
    )
    return [s for s in sentences if "ignore" in s]


def test_a_wider_code_that_is_worse_is_explained(tmp_path):
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


def test_a_wider_code_not_surely_worse_is_not_blamed(tmp_path):
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
