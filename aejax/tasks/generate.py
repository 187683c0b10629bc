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

from aejax import config, objectives, tasks
from aejax import data as datasets
from aejax.evaluate import ex_post
from aejax.tasks import classifier, compare, panels, sample_quality

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
    codes = ex_post.fit(pca.transform(flat), "gmm")

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


def reader(train: datasets.Split, test: datasets.Split) -> tuple[Callable, str]:
    """Images (n, H, W, C) -> the features (n, 32) they are compared in; their name."""
    if train.y is not None and train.y.ndim == 1:
        read = classifier.classifier(train.x, train.y[:, None])
        right = (read(test.x)[1][:, 0] == test.y).mean()
        name = f"a small classifier of these data ({100 * right:.1f} % right on test)"
        return lambda x: read(x)[0], name
    pca = tasks.PCA(train.x, classifier.WIDTH)
    name = (
        f"PCA (k={classifier.WIDTH}; there are no class labels), whose Fréchet "
        "distance sees means and covariances of pixels alone"
    )
    return pca.encode, name


def systems(
    models: tasks.Models, train: datasets.Split, densities: Sequence[str]
) -> dict[str, Callable]:
    """{name: (key, n) -> (n, *S)} of baselines, and of models by density of codes."""
    samplers = baselines(train.x, max(m.latent_dim for m in models))
    for name, model in tasks.named(models).items():
        bare = objectives.OBJECTIVES[model.config.objective].prior is None
        for kind in densities:
            kind = "gaussian" if bare and kind == "prior" else kind
            samplers[f"{name} {kind}"] = functools.partial(_sample, model, kind, train)
    return samplers


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    densities: tuple = ("prior", "gmm"),
    limit: int = 1000,
    draws: int = 3,
) -> tasks.Result:
    """Fréchet distance, precision, recall and copies of samples, against test images.

    Args:
      models: of images; conditional ones get labels of training images.
      data: its test split is what samples should look like.
      densities: of codes, see ``Trained.sample``; where an objective has no prior
        "prior" is the Gaussian.
      limit: test images and samples of a draw, at most.
      draws: of samples; metrics are their means.
    """
    train, test = tasks.held_out(data, "train", FIT), tasks.held_out(data)
    unseen = tasks.held_out(data, "valid", limit).x
    n = min(limit, len(test.x), len(train.x))
    features, kind = reader(train, test)
    real = features(test.x[:n])
    radius = np.quantile(sample_quality.nearest(unseen, train.x)[0], 0.05)

    def score(x: np.ndarray) -> dict[str, float]:
        near, made = sample_quality.nearest(x, train.x)[0], features(x)
        both = sample_quality.precision_recall(real, made)
        numbers = sample_quality.frechet(made, real), *both, (near <= radius).mean()
        return dict(zip(TITLES, numbers, strict=True))

    conditions = (
        compare.Condition({"n": n}, {name: sample}, (jax.random.fold_in(key, j), n))
        for i, (name, sample) in enumerate(systems(models, train, densities).items())
        for key in [jax.random.key(i)]
        for j in range(draws)
    )
    compared = compare.compare(conditions, score, slice(10))
    pictures: list[panels.Panel] = [
        compare.bars(title, compared, column) for column, title in TITLES.items()
    ]
    for name, parts in compare.by_system(compared).items():
        x = parts[-1].examples
        copies = train.x[sample_quality.nearest(x, train.x)[1]]
        rows = ("sample", "", x), ("nearest", "", copies)
        pictures.append(panels.Images(name, rows))
    text = (
        f"Of each system {draws} draws of n = {n}, against {n} test images of "
        f"{data.name}; numbers are means over draws (bars: least to greatest) in "
        f"features of {kind}. Small n makes Fréchet distances too large: training "
        "images show what fresh ones would have. Copies: the share of samples as near "
        f"to a training image, in pixels, as the nearest 5 % of {len(unseen)} "
        "validation images. Pictures: samples of the last draw, and below each the "
        f"nearest of {len(train.x)} training images."
    )
    return tasks.Result(compare.means(compared), pictures, text)


def _sample(model, kind: str, train: datasets.Split, key: jax.Array, n: int):
    rows = np.asarray(jax.random.randint(key, (n,), 0, len(train.x)))
    x = model.sample(key, n, None if train.y is None else train.y[rows], kind)
    if x.shape[1:] != train.x.shape[1:]:
        raise config.InputError(
            f"the model's images are {x.shape[1:]}, those of the data set "
            f"{train.x.shape[1:]}; give the --dataset that it was trained on"
        )
    return x
