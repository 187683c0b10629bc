"""Tokens are right or wrong: a page of runs that have an error rate, and no mse."""

from aejax import config, report
from aejax.report import table as tables
from tests.report.common import SWEEP, Run, titles, words, write


def of_tokens(dir, axes=SWEEP, **more):
    """A run whose rows and summary have an error_rate where others have an mse."""
    base = config.Config(dataset="toy", likelihood="tokens")
    run = Run(dir, axes, base=base, shape=(30, 2), **more)
    run.summary = [row for row in run.summary if row["objective"] != "pca"]
    for row in [*run.rows, *run.summary]:
        for name in [n for n in row if n.startswith("mse")]:
            row[name.replace("mse", "error_rate")] = row.pop(name)
    return run


def test_tokens_have_an_error_rate_and_no_pca(tmp_path):
    run = of_tokens(tmp_path)
    headers, rows = tables.final(tables.read([run]))
    assert headers == ["objective", "latent", "n", "params", "error rate [95 %]", "kl"]
    assert rows[2][4] == "0.0060 [0.0054, 0.0066]"
    sentences = report.findings([run])
    assert sentences[0] == (
        "`ae` with 16 latent dimensions reaches test error rate 0.00600 [0.00540, "
        "0.00660]."
    )
    assert any(s.startswith("error rate alone does not rank `vae`") for s in sentences)
    page = write(run)
    assert {"The bottleneck", "Reconstructions", "Train and test"} <= set(titles(page))
    assert "error rate is the share of tokens" in words(page)
    assert "mse" not in words(page) and "PCA" not in words(page)


def test_tokens_beside_others_keep_their_names(tmp_path):
    axes = {"latent_dim": [2, 8], "seed": [0, 1]}
    runs = [of_tokens(tmp_path / "one", axes), Run(tmp_path / "two", axes)]
    headers, rows = tables.final(tables.read(runs))
    errors = {"mse [95 %]", "PCA mse", "error rate [95 %]"} & set(headers)
    cells = [
        {n: c for n, c in zip(headers, row, strict=True) if c != "–"} for row in rows
    ]
    assert [errors & set(c) for c in cells] == [{"error rate [95 %]"}] * 2 + [
        {"mse [95 %]", "PCA mse"}
    ] * 2
    page = words(write(runs))
    assert "of mse, error rate and KL on a log scale" in page


def test_tokens_of_many_objectives_are_ranked(tmp_path):
    names = ["ae", "vae", "nested_dropout"]
    write(of_tokens(tmp_path, {"objective": names, "latent_dim": [2, 8]}))
    svg = (tmp_path / "figures/settings.svg").read_text()
    assert "test error rate" in svg and "mse" not in svg
    assert not (tmp_path / "figures/truncated.svg").exists()
