"""Transfer: autoencoders are specific to their data. Hinton & Salakhutdinov, 2006.

A model, and PCA of as many components fitted to the same examples, reconstruct the test
examples of what they were trained on, of what they were not, and of each class.
"""

from collections.abc import Callable

import numpy as np

from aejax import config, evaluate, tasks
from aejax import data as datasets
from aejax.tasks import panels

CLASSES = 20  # in the picture: more would not be read
FIT = 20_000  # training examples of PCA, at most


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A model of the lower half of the classes, and one of the upper half."""
    classes = [] if data.train.y is None else np.unique(data.train.y).tolist()
    half = len(classes) // 2
    halves = [part for part in (classes[:half], classes[half:]) if part]
    views = [datasets.view(data, part) for part in halves] or [data.name]
    values = tasks.size(data) | {"objective": "ae", "latent_dim": 16}
    return [tasks.Sweep("transfer", values, {"dataset": views})]


def pca(x: np.ndarray, k: int) -> Callable[..., np.ndarray]:
    """x (n, *S) -> the function x (N, *S) -> x̂ by k components fitted to the former."""
    return tasks.PCA(x, k).reconstruct


def systems(models: tasks.Models, view: datasets.Dataset, sizes) -> dict[str, Callable]:
    """{name: (x (N, *S), y, length) -> x̂}: models of a view, its PCA of these sizes."""
    train = tasks.held_out(view, "train", FIT).x
    ours = {name: model.reconstruct for name, model in tasks.named(models).items()}
    return ours | {f"PCA k={k}": pca(train, k) for k in sorted(sizes)}


def foreign(view: datasets.Dataset, data: datasets.Dataset) -> np.ndarray:
    """(N,) which test examples of ``data`` are of nothing that a view was trained on.

    They are those of other classes; or all, if it is a view of another data set.
    """
    whole, classes = datasets.classes_of(view.name)
    if whole != datasets.classes_of(data.name)[0]:
        return np.ones(len(data.test.x), bool)
    if classes is None:
        return np.zeros(len(data.test.x), bool)
    return ~np.isin(data.test.y, view.train.y)


def apply(models: tasks.Models, data: datasets.Dataset) -> tasks.Result:
    """Mean square error of models and of PCA on their own data and on other data.

    Args:
      models: trained on parts ``NAME:CLASSES`` of the data, or on another data set.
      data: of the test examples; its classes are the groups.
    """
    test, views = tasks.held_out(data), tasks.by_dataset(models)
    if all(foreign(tasks.loaded(name), data).all() for name in views):
        views[data.name] = []  # PCA of the other data, to compare with
    groups = {"all": np.ones(len(test.x), bool)}
    if test.y is not None and test.y.ndim == 1:
        groups = {label: test.y == c for c, label in datasets.labels(data).items()}
        groups = {label: rows for label, rows in groups.items() if rows.any()}
    picks, rows, table, worst = tasks.examples(test), [], [], []
    pictures = [("test", "mse", models[0].batch(*_rows(test, picks)).x)]
    for name, members in views.items():
        view = tasks.loaded(name)
        home = _rows(tasks.held_out(view), ~foreign(view, view))
        away = foreign(view, data)
        sizes = {m.latent_dim for m in members or models}
        for system, reconstruct in systems(members, view, sizes).items():
            system = f"{system} of {datasets.classes_of(name)[1] or name}"
            x_hat, home_hat = reconstruct(*test), reconstruct(*home)
            error = evaluate.error(test.x, x_hat, test.length)
            mean = {n: float(error[mask].mean()) for n, mask in groups.items()}
            label = max(mean, key=mean.get)
            native = float(evaluate.error(home.x, home_hat, home.length).mean())
            row = {"system": system, "trained on": name, "mse of own": native}
            row["mse of other"] = float(error[away].mean()) if away.any() else None
            rows.append(row | {"worst class": label, "mse of worst": mean[label]})
            times = mean[label] / native
            worst.append(f"{system}: {label}, {times:.2g} times its own")
            table.append([1000 * v for v in mean.values()][:CLASSES])
            pictures.append((system, f"{error.mean():.3g}", x_hat[picks]))
    if all(row["mse of other"] is None for row in rows):
        raise config.InputError(
            f"these models were trained on all of '{data.name}': nothing in it is new "
            "to them. Give another --dataset to apply them to, or train on some of its "
            f"classes: --dataset {sweeps(data)[0].axes['dataset'][0]}"
        )
    names = [row["system"] for row in rows]
    drawn = [
        panels.Images("Reconstructions", pictures),
        panels.Grid(
            "mse × 1000 by class of test", table, names, list(groups)[:CLASSES]
        ),
    ]
    text = (
        "Errors are in squared data units, of test examples: 'own' are those of what a "
        f"system was trained on; 'other' those among {len(test.x)} of {data.name} that "
        "are of nothing it was trained on. PCA knows the same training examples. "
        f"Worst classes: {'; '.join(worst)}."
    )
    return tasks.Result(rows, drawn, text)


def _rows(part: datasets.Split, rows: np.ndarray) -> datasets.Split:
    return datasets.Split(*(a if a is None else a[rows] for a in part))
