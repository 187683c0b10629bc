"""What is refused before anything compiles, and what becomes a lane or a program."""

import numpy as np
import pytest

import aejax
from aejax import config as configs
from aejax import plan

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
    return plan.plan(aejax.Config(**{"batch_size": 8} | fields), axes or {})


def test_network_options_are_programs_and_hyperparameters_are_lanes(files):
    data = str(files / "series.npz")
    axes = {"cell": ["gru", "lstm"], "weight": [0.1, 0.2, 0.3], "latent_dim": [2, 4]}
    groups = planned(axes, dataset=data, network="recurrent", objective="sparse_l1")
    assert [len(g.lanes) for g in groups] == [6, 6]
    for group, cell in zip(groups, ("gru", "lstm"), strict=True):
        assert group.recipe.blueprint.options["cell"] == cell
        assert set(group.traced(group.lanes[0].config)) == {*configs.TRACED, "weight"}
        assert {m.columns["cell"] for m in group.lanes} == {cell}


def test_latent_sizes_far_apart_are_programs_where_that_saves_more(monkeypatch):
    sizes, seeds = [64, 1, 2, 8, 512, 16], [0, 1]
    axes = {"latent_dim": sizes, "seed": seeds}
    (one,) = planned(axes)
    assert [m.config.latent_dim for m in one.lanes[::2]] == sizes
    parameters = {m.config.latent_dim: m.parameters for m in one.lanes}
    ordered = sorted(sizes)

    def cost(ranges):
        waste = sum(parameters[max(r)] - parameters[k] for r in ranges for k in r)
        waste = len(seeds) * waste + sum(parameters[max(r)] for r in ranges)
        examples = one.recipe.config.epochs * len(one.dataset.train.x)
        return len(ranges) * plan.PROGRAM + 6.0 * examples * waste

    def cuts(sizes):
        yield [sizes]
        for i in range(1, len(sizes)):
            yield from ([sizes[:i], *rest] for rest in cuts(sizes[i:]))

    found = []
    for saving in (1e13, 1e11, 2e10, 1e9, 1.0):
        monkeypatch.setattr(plan, "PROGRAM", saving)
        several = planned(axes)
        ranges = [sorted({m.config.latent_dim for m in g.lanes}) for g in several]
        assert cost(ranges) == min(cost(r) for r in cuts(ordered))
        assert sum(ranges, []) == ordered
        assert [m.index for g in several for m in g.lanes] == list(range(12))
        for group, some in zip(several, ranges, strict=True):
            assert group.recipe.blueprint.spec.latent_dim == max(some)
            assert [m.parameters for m in group.lanes] == [
                parameters[m.config.latent_dim] for m in group.lanes
            ]
        found.append(len(ranges))
    assert found[0] == 1 and found == sorted(found) and len(set(found)) > 2


def test_series_become_sequences_of_one_feature_where_a_network_needs_them(files):
    data = str(files / "series.npz")
    (group,) = planned(dataset=data, network="recurrent")
    assert group.source.train.x.shape[1:] == group.dataset.test.x.shape[1:] == (12, 1)
    (group,) = planned(dataset=data)
    assert group.source.train.x.shape[1:] == (12,)


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
def test_what_makes_no_sense_is_refused_with_the_reason(files, fields, reason):
    if (data := fields.get("dataset")) is not None:
        fields = fields | {"dataset": str(files / f"{data}.npz")}
    with pytest.raises(configs.InputError, match=reason):
        planned(**fields)


def test_a_denoising_level_may_be_above_one_where_it_is_no_share():
    for corruption, level in (("gaussian", 1.5), ("downsample", 4.0)):
        hparams = {"corruption": corruption, "level": level}
        (group,) = planned(objective="denoising", hparams=hparams)
        assert group.lanes[0].config.hparams["level"] == level
