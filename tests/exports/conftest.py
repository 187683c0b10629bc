"""A few models of seconds, and how a new process without this package computes."""

import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import aejax
from aejax import autoencoder
from aejax.evaluate import ex_post
from aejax.training import population as populations
from aejax.training import spec as specs


@pytest.fixture(scope="session")
def run(small):
    axes = {"objective": ["vae", "ae", "vq_vae", "vamp_vae"], "latent_dim": [2, 5]}
    return small("vae", axes, epochs=2, eval_every=2, hidden=(16,))


@pytest.fixture(scope="session")
def model_of(run, small, digits, tmp_path_factory):
    """Kind -> a model: of images, of sequences with a length, conditional on labels."""
    path = tmp_path_factory.mktemp("data") / "series.npz"
    x = digits.train.x[:160, ..., 0] / np.float32(digits.scale)
    np.savez(path, x=x, length=np.random.default_rng(0).integers(3, 9, 160))
    brief = dict(epochs=1, eval_every=1, batch_size=64, latent_dim=3)
    made = {
        "dense": lambda: run.model(objective="vae", latent_dim=2),
        "ae": lambda: run.model(objective="ae", latent_dim=5),
        "vq_vae": lambda: run.model(objective="vq_vae", latent_dim=2),
        "conv": lambda: small("ae", network="conv", hidden=(4, 4, 16), **brief).model(),
        "series": lambda: small(
            "vae", dataset=str(path), network="recurrent", hidden=(8,), **brief
        ).model(),
        "flat": lambda: small(
            "ae", dataset=str(path), network="mlp", hidden=(8,), **brief
        ).model(),
        "labelled": lambda: small("conditional_vae", hidden=(16,), **brief).model(),
    }
    return lambda kind: made[kind]()


@pytest.fixture(scope="session")
def untrained(run):
    """fields of a Config -> a model of random numbers as ``export`` takes it."""

    def make(**fields):
        small = dict(hidden=(8,), latent_dim=4, batch_size=64, epochs=1, eval_every=1)
        config = specs.complete(aejax.Config(**{**small, **fields}))
        spec = specs.build(config, run.populations[0].spec.data)
        shapes = populations.Population(0, (), spec).state_shapes.params
        rng = np.random.default_rng(0)
        params = jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), shapes)

        def source():
            raise ex_post.Unfitted("it has no data")

        return autoencoder.Autoencoder(spec, config, params, {}, 0, source)

    return make


@pytest.fixture(scope="session")
def inputs(digits):
    """model -> {argument: seven rows of it}, as its functions are called."""

    def make(model):
        x = digits.test.x[:7] / np.float32(digits.scale)
        arrays = {"x": x.reshape(-1, *model.spec.data.shape)}
        arrays |= {"y": digits.test.y[:7].astype(np.int32)}
        arrays |= {"length": np.array([3, 4, 5, 6, 7, 8, 8], np.int32)}
        return arrays | {"seed": np.arange(7, dtype=np.uint32) * 600_000_000}

    return make


@pytest.fixture(scope="session")
def by_card():
    """(folder, arrays) -> what the code on its model card has computed.

    In a new process inside the folder, to which aejax is not known.
    """

    def compute(folder, arrays):
        np.savez(folder.parent / "arrays.npz", **arrays)
        code = re.findall(
            r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S
        )
        program = (
            "import sys\nimport numpy as np\n"
            "sys.modules['aejax'] = None\n"
            "globals().update(np.load('../arrays.npz'))\n"
            f"{code[0]}\n"
            "assert sys.modules.pop('aejax') is None\n"
            "assert not [m for m in sys.modules if m.startswith('aejax')]\n"
            "arrays = {n: v for n, v in globals().items() if hasattr(v, 'nbytes')}\n"
            "np.savez('../results.npz', **arrays)\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        with np.load(folder.parent / "results.npz") as file:
            return dict(file)

    return compute
