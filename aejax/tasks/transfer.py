"""Transfer: autoencoders are specific to their data. Hinton & Salakhutdinov, 2006.

A model, and PCA of as many components fitted to the same examples, reconstruct the test
examples of what they were trained on, of what they were not, and of each class.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aejax import config, panels, tasks, trained
from aejax import data as datasets

MOST = 20  # classes in the picture


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
    fit = tasks.pca(x, k)

    def reconstruct(x: np.ndarray, *ignored: Any) -> np.ndarray:
        z = fit.transform(x.reshape(len(x), -1))
        return fit.inverse_transform(z).reshape(x.shape)

    return reconstruct


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


def apply(models: Sequence[trained.Trained], data: datasets.Dataset) -> tasks.Result:
    """Mean square error of models and of PCA on their own data and on other data.

    Args:
      models: trained on parts ``NAME:CLASSES`` of the data, or on another data set.
      data: of the test examples; its classes are the groups.
    """
    test, views = tasks.held_out(data), tasks.by_dataset(models)
    if all(foreign(datasets.load(name), data).all() for name in views):
        views[data.name] = []  # PCA of the other data, to compare with
    groups = {"all": np.ones(len(test.x), bool)}
    if test.y is not None and test.y.ndim == 1:
        groups = {label: test.y == c for c, label in datasets.labels(data).items()}
        groups = {label: at for label, at in groups.items() if at.any()}
    at, rows, table, told = tasks.examples(test), [], [], []
    pictures = [("test", "mse", models[0].batch(*_some(test, at)).x)]
    for name, mine in views.items():
        view = datasets.load(name)
        home = _some(tasks.held_out(view), ~foreign(view, view))
        away = foreign(view, data)
        systems = zip(tasks.names(mine), (m.reconstruct for m in mine), strict=True)
        train = tasks.held_out(view, "train", 20_000).x
        sizes = {m.latent_dim for m in mine or models}
        more = {f"PCA k={k}": pca(train, k) for k in sorted(sizes)}
        for system, reconstruct in (dict(systems) | more).items():
            system = f"{system} of {datasets.classes_of(name)[1] or name}"
            x_hat = reconstruct(*test)
            error = tasks.errors(test, x_hat)
            mean = {n: float(error[at].mean()) for n, at in groups.items()}
            worst = max(mean, key=mean.get)
            own = float(tasks.errors(home, reconstruct(*home)).mean())
            row = {"system": system, "trained on": name, "mse of own": own}
            row["mse of other"] = float(error[away].mean()) if away.any() else None
            rows.append(row | {"worst class": worst, "mse of worst": mean[worst]})
            told.append(f"{system}: {worst}, {mean[worst] / own:.2g} times its own")
            table.append([1000 * v for v in mean.values()][:MOST])
            pictures.append((system, f"{error.mean():.3g}", x_hat[at]))
    if all(row["mse of other"] is None for row in rows):
        raise config.InputError(
            f"these models were trained on all of '{data.name}': nothing in it is new "
            "to them. Give another --dataset to apply them to, or train on some of its "
            f"classes: --dataset {sweeps(data)[0].axes['dataset'][0]}"
        )
    names = [row["system"] for row in rows]
    shown = [
        panels.Images("Reconstructions", pictures),
        panels.Grid("mse × 1000 by class of test", table, names, list(groups)[:MOST]),
    ]
    text = (
        "Errors are in squared data units, of test examples: 'own' are those of what a "
        f"system was trained on; 'other' those among {len(test.x)} of {data.name} that "
        "are of nothing it was trained on. PCA knows the same training examples. "
        f"Worst classes: {'; '.join(told)}."
    )
    return tasks.Result(rows, shown, text)


def _some(part: datasets.Split, at: np.ndarray) -> datasets.Split:
    return datasets.Split(*(a if a is None else a[at] for a in part))
