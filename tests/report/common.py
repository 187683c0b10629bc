"""A fake run, which has the interface of ``aejax.open_run``'s, and its page."""

import html
import re

import numpy as np

from aejax import axes as axes_lib
from aejax import config, data, report
from aejax.runs import results

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

    stopped: dict = {}  # by successive halving

    @property
    def swept(self):
        return list(self.axes)

    def __init__(
        self, dir, axes, mse=MSE, base=None, done=True, lost=(), shape=(8, 8, 1)
    ):
        self.config, self.axes = base or config.Config(dataset="toy"), axes
        self.dir, self.rows, self.summary = dir, [], []
        self.problems = []
        self.info = {"members": 0, "programs": 1, "train_s": 3.0, "finished": done}
        self._shape, self._data = shape, dataset(shape)
        fixed = {n: getattr(self.config, n) for n in config.AXES} | {"hidden": "128,64"}
        for member, values in enumerate(axes_lib.product(axes)):
            row = fixed | values | {"member": member}
            self.info["members"] += 1
            for epoch in (10, 20) if done else (10,):
                for split in ("train", "valid", "test")[: 3 if epoch == 20 else 2]:
                    diverged = member in lost
                    worse = (1 + 0.02 * row["seed"]) * (1 + (split == "test"))
                    error = mse[row["latent_dim"]] * worse * (3 - epoch / 10) / 2
                    kl = None if row["objective"] == "ae" else 3.0
                    numbers = dict(loss=9 * error, nll=9 * error, mse=error, kl=kl)
                    numbers |= dict.fromkeys(numbers) if diverged else {}
                    place = {"epoch": epoch, "step": epoch, "split": split}
                    self.rows.append(row | place | numbers | {"diverged": diverged})
        if done:
            self._summarise(mse, fixed)

    def _summarise(self, mse, fixed):
        seeds = len(self.axes.get("seed", [0]))
        swept = {n: v for n, v in self.axes.items() if n != "seed"}
        for values in axes_lib.product(swept):
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


def findings_where(run, **metrics):
    """The findings where rows have these metrics, each a function of the row."""
    for row in run.rows:
        row |= {name: value(row) for name, value in metrics.items()}
    columns = [n for n in run.rows[0] if n in (*config.AXES, *run.axes)]
    names = ("mse", "nll", "kl", "kl_2", "loss", "mmd", "neg_elbo")
    pca = [row for row in run.summary if row["objective"] == "pca"]
    counts = dict.fromkeys(range(99), 1)
    run.summary = results.summary(run.rows, columns, names, counts) + pca
    return report.findings([run])
