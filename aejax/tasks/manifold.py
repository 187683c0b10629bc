"""Vector fields x → x̂ about known manifolds. Alain & Bengio, JMLR 2014.

A denoising autoencoder's x̂ − x estimates σ² ∇ log p(x): it points to where data lie.
Noisy test points come nearer to the manifold, which is known. Beside the models PCA of
as many components as it has dimensions, and the mean of the nearest training points.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax import autoencoder, config, settings, tasks
from aejax import data as datasets
from aejax import model as model_lib
from aejax.data import manifolds
from aejax.tasks import compare, panels

NEAREST = (5, 10, 20, 40, 80, 160)
dataset, all_models = "spiral", True


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """As many latents as data dimensions, and ae with as few as the manifold has.

    Beside the data set always the helix, for a curve in space.
    """
    plans = []
    for name in dict.fromkeys((data.name, "helix")):
        known = _known(name)
        values = {"dataset": name, "epochs": 100, "eval_every": 100}
        ae = {"latent_dim": (known.dim, known.size)}
        plans.append(tasks.Sweep(f"manifold-{name}-ae", values, ae))
        values = values | {"corruption": "gaussian", "level": 0.1, "weight": 0.03}
        kinds = {"objective": ("denoising", "contractive"), "latent_dim": (known.size,)}
        plans.append(tasks.Sweep(f"manifold-{name}", values, kinds))
    return plans


def _known(name: str) -> manifolds.Manifold:
    drawn = {n: m for n, m in manifolds.MANIFOLDS.items() if m.size <= 3}
    if name in drawn:
        return drawn[name]
    raise config.InputError(
        "this task measures distances to a manifold that is known and in two or three "
        f"dimensions, which '{name}' is not; give it --dataset {', '.join(drawn)}"
    )


def singular_values(model: autoencoder.Autoencoder, x: np.ndarray) -> np.ndarray:
    """Those of ∂z/∂x at each x (N, *S), (N, min(k, D)), the largest first.

    z is the encoder's first head: the means, where it has two. How many are large tells
    how many directions the code knows (Rifai et al., ICML 2011, section 5.2).
    """

    def code(x: jax.Array) -> jax.Array:
        z = model.model.encode(model.params, model_lib.Batch(x[None]))
        return jax.tree.leaves(z)[0][0, : model.latent_dim]

    def values(x: jax.Array) -> jax.Array:
        jacobian = jax.jacfwd(code)(x).reshape(model.latent_dim, -1)
        return jnp.linalg.svd(jacobian, compute_uv=False)

    with settings.matmul_precision(model.config.precision):
        return autoencoder.in_batches(jax.jit(jax.vmap(values)), x)


def field(
    model: autoencoder.Autoencoder, low, high, side: int = 23
) -> tuple[np.ndarray, ...]:
    """x on a grid between two corners of the plane, and x̂ − x; (side², 2) both."""
    lines = np.linspace(low, high, side, dtype=np.float32).T
    x = np.stack(np.meshgrid(*lines), -1).reshape(-1, 2)
    return x, model.reconstruct(x, corrupted=True) - x


def systems(
    models: tasks.Models, data: datasets.Dataset, level: float, distance: Callable
) -> dict[str, Callable]:
    """{name: noisy x (N, D) -> x̂}.

    ``distance`` of x̂ to the manifold says, on valid at σ = level [data units], how many
    nearest training points are averaged.
    """
    from sklearn import neighbors

    train, near = data.train.x, noisy(data.valid.x, level)
    named = tasks.named(models).items()
    means = [neighbors.KNeighborsRegressor(k).fit(train, train) for k in NEAREST]
    best = min(means, key=lambda m: distance(m.predict(near)))
    pca = tasks.PCA(train, _known(data.name).dim)
    ours = {n: functools.partial(m.reconstruct, corrupted=True) for n, m in named}
    moves = {"noisy": lambda x: x, "pca": pca.reconstruct}
    return moves | {"mean of nearest": best.predict} | ours


def noisy(x: np.ndarray, level: float) -> np.ndarray:
    """x (N, D) with noise of σ = level, data units, of a fixed seed."""
    return x + level * np.random.default_rng(0).normal(size=x.shape)


def apply(
    models: tasks.Models, data: datasets.Dataset, *, levels: tuple = (0.05, 0.1, 0.2)
) -> tasks.Result:
    """Distances of noisy test points to the manifold, before and after.

    Args:
      models: trained on data sets of ``data.manifolds``.
      data: one of these; see ``tasks.parts``.
      levels: σ of the noise that is added to test points, data units.
    """
    rows, pictures = [], []
    for part, members in tasks.parts(models, data):
        table, drawn = _one(members, part, levels)
        rows += table
        pictures += drawn
    return tasks.Result(rows, pictures, TEXT)


TEXT = (
    "Test points, which have noise of their own, with more of a fixed seed. Distances "
    "are means to the manifold without noise, in data units. PCA has as many "
    "components as that has dimensions; how many nearest training points are averaged "
    "is chosen on valid, at each σ, by this distance. In space, x̂ at the last σ."
)


def _one(models, data: datasets.Dataset, levels) -> tuple[list, list]:
    """Rows and panels of one manifold."""
    from scipy import spatial

    known, test, named = _known(data.name), data.test.x, tasks.named(models)
    truth = manifolds.points(data.name, 20_000 if known.dim == 1 else 10**6)
    tree = spatial.cKDTree(truth)

    def distance(x: np.ndarray) -> float:
        return float(tree.query(x)[0].mean())

    def condition(level: float) -> compare.Condition:
        columns = {"data": data.name, "noise σ": level}
        inputs = (noisy(test, level).astype("f"),)
        moves = systems(models, data, level, distance)
        return compare.Condition(columns, moves, inputs)

    compared = compare.compare(
        map(condition, levels), lambda x_hat: {"distance": distance(x_hat)}
    )
    last = {c.system: c.examples for c in compared}  # at the last level
    pictures: list[panels.Panel] = []
    for name, model in named.items():
        points = _points(model, known, truth, test, last["noisy"], last[name])
        pictures.append(panels.Points(f"{data.name}: {name}", **points))
    title = f"{data.name}: distance left"
    pictures.append(compare.curves(title, compared, "noise σ", "distance", "y"))
    values = {n: singular_values(m, test) for n, m in named.items()}
    ends = {n: np.quantile(s, (0.5, 0.05, 0.95), axis=0).T for n, s in values.items()}
    bands = {n: [(i + 1, *e) for i, e in enumerate(v)] for n, v in ends.items()}
    title, axes = f"{data.name}: encoder's Jacobian", ("rank", "singular value")
    pictures.append(panels.Curves(title, *axes, bands, "y"))
    return compare.rows(compared), pictures


def _points(model, known, truth, test, x, x_hat) -> dict[str, Any]:
    """Fields of a panel: arrows of a model in the plane; in space x_hat of noisy x."""
    fields: dict[str, Any] = {"axes": ("x₁", "x₂", "x₃")[: known.size]}
    if known.dim == 1:  # a step from one curve to another is not drawn
        steps = np.linalg.norm(np.diff(truth, axis=0), axis=1)
        fields["curve"] = np.insert(truth, np.flatnonzero(steps > 0.1) + 1, np.nan, 0)
    way = x_hat - x
    if known.size == 2:
        x_hat, way = field(model, test.min(0) - 0.3, test.max(0) + 0.3)
        longest = 0.9 * np.linalg.norm(x_hat[1] - x_hat[0])  # longer ones would cross
        length = np.linalg.norm(way, axis=1)
        fields["arrows"] = way * np.minimum(1, longest / (length + 1e-9))[:, None]
    labels = np.linalg.norm(way, axis=1)
    return fields | {"xy": x_hat, "labels": labels, "unit": "‖x̂ − x‖"}
