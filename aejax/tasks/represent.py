"""Codes as features where labels are few. Erhan et al., JMLR 2010.

Frozen codes go to simple classifiers; or the encoder is trained on, end to end.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aejax import autoencoder, config, evaluate, objectives, tasks
from aejax import data as datasets
from aejax.evaluate import disentanglement
from aejax.tasks import panels

STEPS = 200  # at the model's own rate; for ae 500 do no better on digits' valid
needs = {"labels"}
choose = {"latent_dim": 32}


def draw(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count · C,) rows of y (N,): the first n · C are n labels of each class."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y == k))[:count] for k in np.unique(y)]
    return np.stack(rows, 1).reshape(-1)


def flat(z: Any) -> Any:
    """Codes as (N, k): where they are a tuple of arrays, side by side."""
    return jnp.concatenate(z, -1) if isinstance(z, tuple) else z


def nearest(z_train, y_train, z_test, y_test) -> float:
    """Test accuracy of the nearest code's label; arguments as ``probe_accuracy``."""
    from sklearn import neighbors

    fit = neighbors.KNeighborsClassifier(1).fit(z_train, y_train)
    return float(fit.score(z_test, y_test))


def fine_tuned(model: autoencoder.Autoencoder, net: Any, pool, rows, counts, test):
    """Class ids (N, seeds) of the Split ``test`` for each count: an encoder trained on.

    Adam minimises the cross entropy of a linear layer on its code, and of its weights
    from ``net`` on (its own: ``model.params["net"]``), in batches of 64 of each seed's
    first ``count`` rows (seeds, M) of ``pool``, a Split in data units with class ids y.
    """
    objective = objectives.OBJECTIVES[model.config.objective]
    adam = optax.adam(model.config.learning_rate)
    given, queries = (model.batch(p.x, None, p.length) for p in (pool, test))

    def logits(theta, batch):
        net, kernel, bias = theta
        params = model.params | {"net": net}
        z = objective.code(model.model, params, batch, **model.hparams)
        return flat(z) @ kernel + bias

    def loss(theta, batch, y):
        each = optax.softmax_cross_entropy_with_integer_labels
        return each(logits(theta, batch), y).mean()

    def train(rows, count, theta, pool):
        def step(i, carry):
            key = jax.random.fold_in(jax.random.key(0), i)
            batch = jax.random.randint(key, (64,), 0, count)
            some = jax.tree.map(lambda a: a[rows[batch]], pool)
            updates, state = adam.update(jax.grad(loss)(carry[0], *some), carry[1])
            return optax.apply_updates(carry[0], updates), state

        return jax.lax.fori_loop(0, STEPS, step, (theta, adam.init(theta)))[0]

    width, classes = flat(model.apply("encode", given)).shape[1], int(pool.y.max()) + 1
    start = net, jnp.zeros((width, classes)), jnp.zeros((1, classes))
    many = jax.jit(jax.vmap(train, (0, None, None, None)))
    score = jax.jit(jax.vmap(logits, (0, None), 1))
    for count in counts:
        theta = many(rows, count, start, (given, pool.y))
        yield autoencoder.in_batches(functools.partial(score, theta), queries).argmax(
            -1
        )


def systems(models: tasks.Models, train: datasets.Split) -> dict[str, Callable]:
    """{name: (x (N, *S), y, length) -> features (N, k)}: x, its PCA, and codes."""
    k = max(model.latent_dim for model in models)
    features = {"raw data": lambda x, *_: x.reshape(len(x), -1)}
    features[f"PCA k={k}"] = tasks.PCA(train.x, k).encode
    return features | {
        name: lambda x, y, length, m=model: flat(m.encode(x, None, length))
        for name, model in tasks.named(models).items()
    }


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    labels: tuple = (1, 5, 10, 50),
    seeds: int = 5,
) -> tasks.Result:
    """Test accuracy by ``labels`` per class: probes of codes, fine-tuned encoders.

    Mean and 95 % interval over ``seeds`` (two or more) draws of the labels.
    """
    train, test = tasks.held_out(data, "train"), tasks.held_out(data)
    classes, counts = np.unique(train.y, return_counts=True)
    labels = sorted(n for n in labels if n <= counts.min())
    known = np.isin(test.y, classes).all() and train.y.ndim == 1 < len(classes)
    if not (known and labels and seeds > 1):
        raise config.InputError(
            f"'{data.name}' has {len(classes)} classes in training, {counts.min()} of "
            "the rarest, or others in test: take more data, fewer labels, two seeds"
        )
    drawn = np.stack([draw(train.y, labels[-1], seed) for seed in range(seeds)])
    used, rows = np.unique(drawn, return_inverse=True)
    rows, sizes = rows.reshape(seeds, -1), [n * len(classes) for n in labels]
    pool = datasets.Split(*(a if a is None else a[used] for a in train))
    fresh = models[0].model.init(jax.random.key(0), models[0].batch(pool.x[:1]))
    starts = {"random start": (models[0], fresh)}
    starts |= {n: (m, m.params["net"]) for n, m in tasks.named(models).items()}
    accuracies: dict[tuple, list] = {}  # of (classifier, system), by size and seed
    probes = {"linear probe": disentanglement.probe_accuracy, "nearest code": nearest}
    for name, encode in systems(models, train).items():
        z, z_test = encode(*pool), encode(*test)
        for kind, probe in probes.items():
            accuracies[kind, name] = [
                [probe(z[r], pool.y[r], z_test, test.y) for r in rows[:, :m]]
                for m in sizes
            ]
    for name, start in starts.items():
        guesses = fine_tuned(*start, pool, rows, sizes, test)
        accuracies["fine-tuned", name] = [
            (g == test.y[:, None]).mean(0) for g in guesses
        ]
    table, pictures = _intervals(accuracies, labels)
    text = (
        f"Accuracy on {len(test.x)} test examples of {data.name}: mean and 95 % "
        f"interval over {seeds} draws of labels from training, the same for all. PCA "
        f"and models know it all without labels. Fine-tuning takes {STEPS} steps."
    )
    return tasks.Result(table, pictures, text)


def _intervals(accuracies: dict[tuple, list], labels) -> tuple[list[dict], list]:
    """Rows, and curves over labels, of mean accuracies and their 95 % intervals."""
    table, lines = [], {}
    for (kind, name), each in accuracies.items():
        row = {"system": name, "classifier": kind}
        points = lines.setdefault(kind, {}).setdefault(name, [])
        for n, values in zip(labels, each, strict=True):
            mean, low, high = evaluate.interval(values)
            row |= {f"accuracy, {n} each": mean, f"± ({n})": mean - low}
            points.append((n, mean, low, high))
        table.append(row)
    axes = "labels per class", "test accuracy"
    return table, [panels.Curves(k, *axes, some, "x") for k, some in lines.items()]
