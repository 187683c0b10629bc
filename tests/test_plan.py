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
