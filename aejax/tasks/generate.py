"""Samples of new images, and whether they are copies. Heusel et al., NeurIPS 2017.

Fréchet distance in features of a small classifier that is trained here (not Inception:
compare it with none of other papers), of PCA where there are no labels; precision and
recall in the same features (Kynkäänniemi et al., NeurIPS 2019). Beside the models real
training images, a Gaussian in pixel space and a mixture of PCA codes.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np

from aejax import config, density, objectives, panels, tasks, trained
from aejax import data as datasets
from aejax.tasks import judge

needs = {"images"}
choose = {"objective": {"ae", "vae"}, "latent_dim": {8, 16}}
TITLES = {
    "frechet": "Fréchet distance: less is better",
    "precision": "Precision: samples that look real",
    "recall": "Recall: real images that are covered",
    "copies": "Copies: unseen images have 0.05",
}
FIT = 20_000  # training images, at most


def baselines(x: np.ndarray, k: int) -> dict[str, Callable]:
    """{name: (key, n) -> (n, *S)} of images x (N, *S) of the training split.

    Some of them; the Gaussian of their mean and covariance; 10 Gaussians of their first
    k principal components. What is drawn is cut to the range of x.
    """
    flat, pca = x.reshape(len(x), -1), tasks.pca(x, k)
    codes = density.fit(pca.transform(flat), "gmm")

    def cut(made: np.ndarray) -> np.ndarray:
        return made.clip(x.min(), x.max()).reshape(-1, *x.shape[1:]).astype(np.float32)

    def real(key: jax.Array, n: int) -> np.ndarray:
        return x[np.asarray(jax.random.permutation(key, len(x)))[:n]]

    def gaussian(key: jax.Array, n: int) -> np.ndarray:
        eps = np.asarray(jax.random.normal(key, (n, len(x)))) / len(x) ** 0.5
        return cut(pca.mean_ + eps @ (flat - pca.mean_))

    def mixture(key: jax.Array, n: int) -> np.ndarray:
        return cut(pca.inverse_transform(codes(key, n)))

    names = "training images", "gaussian of pixels", f"mixture of PCA k={k}"
    return dict(zip(names, (real, gaussian, mixture), strict=True))


def apply(
    models: Sequence[trained.Trained],
    data: datasets.Dataset,
    *,
    densities: tuple = ("prior", "gmm"),
    most: int = 1000,
    draws: int = 3,
) -> tasks.Result:
    """Fréchet distance, precision, recall and copies of samples, against test images.

    Args:
      models: of images; conditional ones get labels of training images.
      data: its test split is what samples should look like.
      densities: of codes, see ``Trained.sample``; where an objective has no prior
        "prior" is the Gaussian.
      most: test images and samples of a draw, at most.
      draws: of samples; metrics are their means.
    """
    train, test = tasks.held_out(data, "train", FIT), tasks.held_out(data)
    unseen = tasks.held_out(data, "valid", most).x
    n = min(most, len(test.x), len(train.x))
    if train.y is not None and train.y.ndim == 1:
        read = judge.classifier(train.x, train.y[:, None])
        right = (read(test.x)[1][:, 0] == test.y).mean()
        told = f"a small classifier of these data ({100 * right:.1f} % right on test)"
    else:
        pca = tasks.pca(train.x, judge.WIDTH)
        read = lambda x: (pca.transform(x.reshape(len(x), -1)),)  # noqa: E731
        told = (
            f"PCA (k={judge.WIDTH}; there are no class labels), whose Fréchet distance "
            "sees means and covariances of pixels alone"
        )
    systems = baselines(train.x, max(m.latent_dim for m in models))
    for name, model in zip(tasks.names(models), models, strict=True):
        bare = objectives.OBJECTIVES[model.config.objective].prior is None
        for kind in densities:
            kind = "gaussian" if bare and kind == "prior" else kind
            systems[f"{name} {kind}"] = functools.partial(_sample, model, kind, train)
    real = read(test.x[:n])[0]
    limit = np.quantile(judge.nearest(unseen, train.x)[0], 0.05)
    metrics, pictures, bars = [], [], {column: {} for column in TITLES}
    for i, (name, sample) in enumerate(systems.items()):
        rows = []
        for j in range(draws):
            x = sample(jax.random.fold_in(jax.random.key(i), j), n)
            (near, at), made = judge.nearest(x, train.x), read(x)[0]
            both = judge.precision_recall(real, made)
            rows.append((judge.frechet(made, real), *both, (near <= limit).mean()))
        mean, low, high = (f(rows, 0).tolist() for f in (np.mean, np.min, np.max))
        metrics.append({"system": name, "n": n} | dict(zip(TITLES, mean, strict=True)))
        for column, bar in zip(TITLES, zip(mean, low, high, strict=True), strict=True):
            bars[column][name] = bar
        shown = [("sample", "", x[:10]), ("nearest", "", train.x[at[:10]])]
        pictures.append(panels.Images(name, shown))
    text = (
        f"Of each system {draws} draws of n = {n}, against {n} test images of "
        f"{data.name}; numbers are means over draws (bars: least to greatest) in "
        f"features of {told}. Small n makes Fréchet distances too large: training "
        "images show what fresh ones would have. Copies: the share of samples as near "
        f"to a training image, in pixels, as the nearest 5 % of {len(unseen)} "
        "validation images. Pictures: samples of the last draw, and below each the "
        f"nearest of {len(train.x)} training images."
    )
    shown = [panels.Bars(TITLES[c], c, bar) for c, bar in bars.items()]
    return tasks.Result(metrics, shown + pictures, text)


def _sample(model, kind: str, train: datasets.Split, key: jax.Array, n: int):
    rows = np.asarray(jax.random.randint(key, (n,), 0, len(train.x)))
    x = model.sample(key, n, None if train.y is None else train.y[rows], kind)
    if x.shape[1:] != train.x.shape[1:]:
        raise config.InputError(
            f"the model's images are {x.shape[1:]}, those of the data set "
            f"{train.x.shape[1:]}; give the --dataset that it was trained on"
        )
    return x
