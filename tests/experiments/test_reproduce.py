"""experiments.reproduce: what it trains, and that a miss is a miss."""

import numpy as np
import pytest

from aejax import config, evaluate, objectives
from aejax.runs import plan, sweep
from experiments import reproduce


def summary(**metrics):
    return type("Run", (), {"summary": [{f"{n}_mean": v for n, v in metrics.items()}]})


@pytest.mark.parametrize(
    ("got", "status"), [(0.0121, 0), (0.0185, 1), (0.006, 1), (None, 1)]
)
def test_digits_compares_with_the_entry_of_the_file(monkeypatch, capsys, got, status):
    asked = []
    monkeypatch.setattr(
        sweep, "sweep", lambda c, axes: asked.append((c, axes)) or summary(mse=got)
    )
    assert reproduce.main(["digits", "--only", "ae"]) == status
    ((asked_config, axes),) = asked
    assert asked_config == config.Config(objective="ae", latent_dim=8)
    assert axes == {"seed": reproduce.SEEDS}
    out = capsys.readouterr().out
    assert ("MISS" in out) == ("NOT all as expected" in out) == bool(status)


def test_every_row_of_mnist_is_a_valid_configuration():
    flags = reproduce.Flags("mnist")
    for name, study in reproduce.STUDIES.items():
        if name == "flax_vae":
            continue
        made = reproduce._burda(study, flags)
        entry = objectives.OBJECTIVES[made.objective]
        assert set(made.hparams) <= set(entry.defaults) and entry.log_weight
        assert (made.epochs, made.batch_size, made.hidden) == (8, 20, (200, 200))
    full = reproduce._burda(study, reproduce.Flags("mnist", full=True))
    assert (full.epochs, full.schedule) == (3280, "piecewise")


def test_an_ordering_needs_two_standard_errors(monkeypatch, capsys):
    """iwae-5 is better than vae by as many standard errors as the fake says."""
    rng = np.random.default_rng(0)
    base, noise = rng.normal(90, 20, 400), rng.normal(0, 1, 400)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    planned = plan.plan(config.Config(binarize="threshold"), {})

    def log_likelihood(values, x):
        assert x.shape == (250, 8, 8, 1) and set(np.unique(x)) == {0, 1}  # test's
        return evaluate.Likelihood(next(values), None, None)

    def run(better):
        values = iter([base, base - noise - better])
        fake = summary(loss=90.0)
        fake.model, fake.populations = lambda: None, planned.populations
        fake.sources = planned.sources
        monkeypatch.setattr(sweep, "sweep", lambda *a, **k: fake)
        monkeypatch.setattr(
            evaluate,
            "log_likelihood",
            lambda model, x, *more, **options: log_likelihood(values, x),
        )
        return reproduce.main(["mnist", "--only", "vae", "iwae-5"])

    assert run(better=0.2) == 0  # four standard errors of 1 / sqrt(400)
    assert "< vae by 0.20 (4 s.e.)" in capsys.readouterr().out
    assert run(better=0.08) == 1
    assert "NOT < vae" in capsys.readouterr().out


def test_an_unknown_row_is_refused(capsys):
    assert reproduce.main(["digits", "--only", "vea"]) == 2
    assert "did you mean 'vae'" in capsys.readouterr().err
