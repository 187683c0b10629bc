"""What is refused before anything compiles, and what becomes a member or a program."""

import numpy as np
import pytest

import aejax
from aejax import config as configs
from aejax.runs import plan

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Series (N, T) without labels, flat grey levels, and sequences with lengths."""
    folder = tmp_path_factory.mktemp("data")
    x = RNG.normal(size=(60, 12)).astype(np.float32)
    np.savez(folder / "series.npz", x=x)
    np.savez(folder / "flat.npz", x=RNG.integers(0, 255, (60, 12)).astype(np.uint8))
    length = RNG.integers(1, 13, 60)
    np.savez(folder / "sequences.npz", x=x[..., None], length=length)
    return folder


def planned(axes=None, **fields):
    config = aejax.Config(**{"batch_size": 8} | fields)
    return plan.plan(config, axes or {}).populations


def test_network_options_are_programs(files):
    data = str(files / "series.npz")
    axes = {"cell": ["gru", "lstm"], "weight": [0.1, 0.2, 0.3], "latent_dim": [2, 4]}
    several = planned(axes, dataset=data, network="recurrent", objective="sparse_l1")
    assert [len(p.members) for p in several] == [6, 6]
    for population, cell in zip(several, ("gru", "lstm"), strict=True):
        assert population.spec.model.options["cell"] == cell
        hparams = population.spec.hparams(population.members[0].config)
        assert set(hparams) == {*configs.TRACED, "weight"}
        assert {m.columns["cell"] for m in population.members} == {cell}


def test_latent_sizes_far_apart_are_programs(monkeypatch):
    sizes, seeds = [64, 1, 2, 8, 512, 16], [0, 1]
    axes = {"latent_dim": sizes, "seed": seeds}
    (one,) = planned(axes)
    assert [m.config.latent_dim for m in one.members[::2]] == sizes
    parameters = {m.config.latent_dim: m.parameters for m in one.members}
    ordered = sorted(sizes)

    def cost(ranges):
        waste = sum(parameters[max(r)] - parameters[k] for r in ranges for k in r)
        waste = len(seeds) * waste + sum(parameters[max(r)] for r in ranges)
        examples = one.spec.config.epochs * one.spec.data.sizes[0]
        return len(ranges) * plan.PROGRAM + 6.0 * examples * waste

    def cuts(sizes):
        yield [sizes]
        for i in range(1, len(sizes)):
            yield from ([sizes[:i], *rest] for rest in cuts(sizes[i:]))

    counts = []
    for saving in (1e13, 1e11, 2e10, 1e9, 1.0):
        monkeypatch.setattr(plan, "PROGRAM", saving)
        several = planned(axes)
        ranges = [sorted({m.config.latent_dim for m in p.members}) for p in several]
        assert cost(ranges) == min(cost(r) for r in cuts(ordered))
        assert sum(ranges, []) == ordered
        assert [m.index for p in several for m in p.members] == list(range(12))
        for population, some in zip(several, ranges, strict=True):
            assert population.spec.model.network_spec.latent_dim == max(some)
            assert [m.parameters for m in population.members] == [
                parameters[m.config.latent_dim] for m in population.members
            ]
        counts.append(len(ranges))
    assert counts[0] == 1 and counts == sorted(counts) and len(set(counts)) > 2


def test_series_become_sequences_of_one_feature(files):
    data = str(files / "series.npz")
    for network, shape in ("recurrent", (12, 1)), ("mlp", (12,)):
        config = aejax.Config(dataset=data, network=network, batch_size=8)
        both = plan.plan(config, {})
        spec = both.populations[0].spec
        source = both.sources.source(spec)
        assert spec.data.shape == source.block(0).x.shape[1:] == shape
        assert source.dataset.test.x.shape[1:] == source.evaluated.x.shape[1:] == shape


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"objective": "beta_vae", "hparams": {"beta": -1}}, r"beta is -1; .*\[0, inf"),
        (
            {"objective": "topk", "hparams": {"k": 9}},
            r"k is 9; .* \[1, latent_dim\], latent_dim being 8",
        ),
        (
            {"objective": "iwae", "hparams": {"num_samples": 0}},
            r"num_samples is 0; it must lie in \[1, inf\]",
        ),
        (
            {"objective": "denoising", "hparams": {"level": 1.5}},
            r"level is 1.5; it must lie in \[0, 1\]",
        ),
        (
            {
                "objective": "denoising",
                "hparams": {"corruption": "downsample", "level": 0.5},
            },
            r"level is 0.5; it must lie in \[1, inf\]",
        ),
        (
            {"objective": "denoising", "hparams": {"corruption": "gausian"}},
            "corruption 'gausian' is unknown; did you mean 'gaussian'",
        ),
        ({"objective": "wae_mmd", "hparams": {"kernel": "rfb"}}, "did you mean 'rbf'"),
        ({"network": "recurrent"}, r"needs sequences \(T, F\)"),
        ({"network": "recurrent", "dataset": "flat"}, r"needs sequences \(T, F\)"),
        (
            {
                "network": "recurrent",
                "dataset": "sequences",
                "hparams": {"cell": "rnn"},
            },
            "cell",
        ),
        ({"network": "conv", "objective": "stacked"}, "it needs a network with stages"),
        ({"objective": "conditional_vae", "dataset": "series"}, "needs labels; "),
        ({"network": "linear_tied", "objective": "vq_vae"}, "transpose"),
        (
            {"objective": "vae", "hparams": {"activate_code": True}},
            "activate_code is for deterministic codes",
        ),
        ({"hparams": {"activate_code": 1}}, "activate_code is 1; it must be a bool"),
        ({"hparams": {"cell": "gru"}}, "hyperparameter of ae, mlp 'cell' is unknown"),
    ],
)
def test_nonsense_is_refused_with_the_reason(files, fields, reason):
    if (data := fields.get("dataset")) is not None:
        fields = fields | {"dataset": str(files / f"{data}.npz")}
    with pytest.raises(configs.InputError, match=reason):
        planned(**fields)


def test_a_level_that_is_no_share_may_be_above_one():
    for corruption, level in (("gaussian", 1.5), ("downsample", 4.0)):
        hparams = {"corruption": corruption, "level": level}
        (population,) = planned(objective="denoising", hparams=hparams)
        assert population.members[0].config.hparams["level"] == level
