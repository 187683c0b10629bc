"""Maps of codes, decoded planes, filters. van der Maaten & Hinton, JMLR 2008 (t-SNE).

Two latents are a map; longer codes are mapped by PCA and t-SNE, as are the data.
"""

import statistics
from typing import Any

import numpy as np

from aejax import autoencoder, tasks
from aejax import data as datasets
from aejax.tasks import panels

choose = {"objective": {"ae", "vae", "denoising"}, "latent_dim": {2, 32}}
all_models = True
PLANE, FILTERS = "latent plane", 24  # filters of a model: what fits a page


def plane(model: autoencoder.Autoencoder, side: int = 12) -> np.ndarray:
    """The decoder over two latents, (side, side, *S): z₂ falls by row, z₁ grows.

    At quantiles (i + ½) / side of a standard normal where that is the prior (Kingma &
    Welling, ICLR 2014, figure 4), elsewhere of training codes.
    """
    shares = (np.arange(side) + 0.5) / side
    if model.has_normal_prior:
        sides = np.array([[statistics.NormalDist().inv_cdf(p) for p in shares]] * 2)
    else:
        sides = np.quantile(model.training_codes()[0], shares, axis=0).T
    z = np.stack(np.meshgrid(sides[0], sides[1][::-1]), -1).reshape(-1, 2)
    decoded = model.decode(z, np.zeros(len(z), np.int32))
    return decoded.reshape(side, side, *decoded.shape[1:])


def atoms(model: autoencoder.Autoencoder, shape: tuple) -> np.ndarray:
    """What each latent draws, (k, *S): decode(e_i) - decode(0), e_i a unit code."""
    z = np.pad(np.eye(model.latent_dim), ((1, 0), (0, 0)))
    decoded = model.decode(z, np.zeros(len(z), np.int32)).reshape(-1, *shape)
    return decoded[1:] - decoded[:1]


def filters(model: autoencoder.Autoencoder, shape: tuple) -> np.ndarray | None:
    """Weights of the first layer, (n, *S), or None if it does not see all of x."""
    net = model.params["net"]
    first = net.get("encoder_0", net.get("code", {}))
    kernel = np.asarray(first.get("kernel", ())).T  # (n, D)
    if "latent_kernel" in first:  # the code is the first layer
        kernel = np.asarray(first["latent_kernel"])[: model.latent_dim, 0]
    fits = kernel.ndim == 2 and kernel.shape[1] == np.prod(shape)
    return kernel.reshape(-1, *shape) if fits else None


def smoothness(x: np.ndarray) -> float:
    """Correlation of neighbouring pixels of filters (n, H, W, C), each of mean 0."""
    x = x - x.mean((1, 2, 3), keepdims=True)
    beside = (x[:, 1:] * x[:, :-1]).mean() + (x[:, :, 1:] * x[:, :, :-1]).mean()
    return float(beside / 2 / np.square(x).mean())


def score(x: np.ndarray, flat: np.ndarray, y: Any = None, k: int = 5) -> dict:
    """Trustworthiness of a map (N, 2) of x (N, *S), and kNN accuracy in it.

    Trustworthiness (Venna & Kaski, ICANN 2001) is 1 where the k nearest in the map are
    nearest in x; accuracy is of the vote of the k nearest others, for classes y (N,).
    """
    from sklearn import manifold, neighbors

    trust = manifold.trustworthiness(x.reshape(len(x), -1), flat, n_neighbors=k)
    row = {"trustworthiness": float(trust)}
    if y is None:
        return row
    near = neighbors.NearestNeighbors(n_neighbors=k).fit(flat)
    votes = np.eye(y.max() + 1)[y[near.kneighbors(return_distance=False)]].sum(1)
    return row | {"kNN accuracy": float((votes.argmax(1) == y).mean())}


def flatten(fitted: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    """Maps (N, 2) of z (N, k): PCA of ``fitted``, and t-SNE of z (perplexity 30)."""
    import threadpoolctl  # scikit-learn needs it
    from sklearn import manifold

    fitted, z = (np.pad(a, ((0, 0), (0, max(0, 2 - a.shape[1])))) for a in (fitted, z))
    pca = tasks.pca(fitted, 2).transform(z)
    perplexity = min(30.0, (len(z) - 1) / 3)
    tsne = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=0)
    with threadpoolctl.threadpool_limits(1):  # several would wait for each other
        return {"PCA": pca, "t-SNE": tsne.fit_transform(z)}


def apply(
    models: tasks.Models, data: datasets.Dataset, *, limit: int = 1000
) -> tasks.Result:
    """Maps of test codes, scored; decoded planes, encoder filters, decoder atoms.

    Args:
      models: of each objective the last of two latents and the last other are taken.
    """
    models = list({(m.config.objective, m.latent_dim == 2): m for m in models}.values())
    named = tasks.named(models)
    test, train = tasks.held_out(data, "test", limit), tasks.held_out(data, "train")
    y = test.y if test.y is not None and test.y.ndim == 1 else None
    maps = {"data": flatten(*(p.x.reshape(len(p.x), -1) for p in (train, test)))}
    for name, model in named.items():
        z, flat = tasks.codes(model, test), model.latent_dim == 2
        maps[name] = {PLANE: z} if flat else flatten(model.training_codes()[0], z)
    places = [(name, kind) for name, kinds in maps.items() for kind in kinds]
    metrics = [
        {"system": name, "map": kind} | score(test.x, maps[name][kind], y)
        for name, kind in places
    ]
    pictures: list[panels.Panel] = [
        panels.Bars(n, n, {f"{r['system']}: {r['map']}": (r[n],) * 3 for r in metrics})
        for n in list(metrics[0])[2:]
    ]
    large = [name for name, kinds in maps.items() if "t-SNE" in kinds]
    first = [("data", "PCA"), *((name, "t-SNE") for name in large[:2][-1:])]
    for name, kind in first + [place for place in places if place[1] == PLANE]:
        axes = ("z₁", "z₂") if kind == PLANE else (f"{kind} 1", f"{kind} 2")
        about = {"axes": axes, "names": datasets.labels(data)}
        pictures += [panels.Points(f"{name}: {kind}", maps[name][kind], y, **about)]
        if kind == PLANE and test.x.ndim > 2:
            rows = [("", "", row) for row in plane(named[name])]
            pictures.append(panels.Images(f"{name}: decoded at quantiles", rows))
    for title, kernels in (("encoder filters", filters), ("decoder atoms", atoms)):
        weights = [kernels(named[n], test.x.shape[1:]) for n in large[1:]]
        rows, few = [], min([FILTERS, *(len(w) for w in weights if w is not None)])
        for name, w in zip(large[1:], weights, strict=True):
            if w is not None and w.ndim == 4:
                some = w[np.argsort(-np.square(w).sum((1, 2, 3)))[:few]]
                size = np.maximum(np.abs(some).max((1, 2, 3), keepdims=True), 1e-12)
                rows.append((name, f"r = {smoothness(w):.2f}", 0.5 + 0.5 * some / size))
        pictures += [panels.Images(title, rows)] if rows else []
    text = (
        f"{len(test.x)} test examples of {data.name}. PCA is fitted to training "
        "examples or codes, t-SNE, which maps nothing new, to the test examples. "
        "Trustworthiness is of 5 neighbours in data space, accuracy of the vote of the "
        "5 nearest other test examples in the map. Planes are decoded at quantiles of "
        "the prior, or else of training codes. Filters and atoms, what unit codes add "
        "to decode(0), are those of largest norm, 0 being grey; r is the correlation "
        "of neighbouring pixels in all of them."
    )
    return tasks.Result(metrics, pictures, text)
