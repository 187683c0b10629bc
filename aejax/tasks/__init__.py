"""What a trained autoencoder is used for: one file per application.

A file's first docstring line is its title and source. It must have ``apply`` and may
have the other fields of ``Task``; beside them stand its library functions, for a user's
own models and arrays. It draws nothing: its panels say what is to be seen.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aejax import config, registry
from aejax import data as datasets
from aejax.tasks import panels

Models = Sequence[Any]  # autoencoder.Autoencoder, which would import jax


class Sweep(NamedTuple):
    """Models to be trained: values of Config, and axes.

    Attributes:
      name: its directory. Tasks that give equal sweeps of one name share the models.
      values: fields of Config and hyperparameters; ``dataset`` is added to them.
      axes: {field or hyperparameter: values}.
    """

    name: str
    values: Mapping[str, Any] = {}
    axes: Mapping[str, Sequence[Any]] = {}


class Result(NamedTuple):
    """What an application found.

    Attributes:
      metrics: one table; a column's name ends with its unit, as in "psnr [dB]".
      panels: what a person looks at, two beside each other.
      text: a few sentences: what was done, on which split, what was chosen by which.
      files: {name: content}, also written.
    """

    metrics: Sequence[Mapping[str, Any]]
    panels: Sequence[panels.Panel]
    text: str
    files: Mapping[str, bytes] = {}


class Task(NamedTuple):
    """A task file's public names.

    Attributes:
      apply: (models, data, *, option=default, …) -> Result. ``data`` is what models are
        tested on; keyword-only parameters are options, of which ``limit`` is the
        number of test examples, at most. Metrics are of held-out data only. Raises
        InputError where the models or the data will not do, and says which would.
      sweeps: (data) -> models that suit the task, where no run is given; the ``zoo``.
      choose: {axis: value, or a set of them}: those of ``sweeps`` that it takes.
      dataset: what ``sweeps`` are trained on unless the user says otherwise.
      all_models: whether it takes all models of a run that the user's choice leaves,
        or of each program the one of lowest validation mse.
      needs: "images", "labels" or "columns", (N, D): what the data must have.
      reads_missing: whether it takes NaN, what is missing; else means of the training
        split are put there before.
    """

    apply: Callable[..., Result]
    sweeps: Callable[[datasets.Dataset], Sequence[Sweep]] = lambda data: [zoo(data)]
    choose: Mapping[str, Any] = {}
    dataset: str = "digits"
    all_models: bool = False
    needs: frozenset = frozenset()
    reads_missing: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The options of ``apply`` and their defaults."""
        return registry.keywords(self.apply)

    def check(self, data: datasets.Dataset) -> None:
        """Refuses data that lack what the task needs.

        Raises:
          InputError: with the reason.
        """
        shape, y = data.train.x.shape[1:], data.train.y
        lacks = {"images": len(shape) != 3, "labels": y is None}
        lacks["columns"] = len(shape) != 1
        for what in self.needs:
            if lacks[what]:
                raise config.InputError(
                    f"this task needs {what}; examples of data set '{data.name}' are "
                    f"{shape}, {'without' if y is None else 'with'} labels. Give it "
                    f"another --dataset, {self.dataset} for example"
                )


_FILLED = "Means of the training split stand for what is missing."


def _entry(module: Any) -> Task:
    task = Task(**{n: getattr(module, n) for n in Task._fields if hasattr(module, n)})

    @functools.wraps(task.apply)
    def apply(models: Models, data: datasets.Dataset, **given: Any) -> Result:
        if task.reads_missing or not datasets.missing.are(data):
            return task.apply(models, data, **given)
        result = task.apply(models, datasets.filled(data), **given)
        return result._replace(text=f"{result.text} {_FILLED}")

    return task._replace(apply=apply)


# What tasks share, no tasks themselves.
_SHARED = (
    "classifier",
    "coding",
    "compare",
    "fills",
    "imputation",
    "panels",
    "ranking",
    "sample_quality",
    "steps",
    "timeline",
)
TASKS = registry.Files("task", __name__, __path__[0], _entry, skip=_SHARED)


def zoo(data: datasets.Dataset) -> Sweep:
    """The models that most tasks take some of: three objectives at four sizes."""
    objectives, sizes = ("ae", "vae", "denoising"), (2, 8, 16, 32)
    values = size(data) | {"kl_warmup": 0.25}  # a wide vae collapses without
    return Sweep("zoo", values, {"objective": objectives, "latent_dim": sizes})


def size(data: datasets.Dataset) -> dict[str, Any]:
    """Network, widths and schedule that suit a data set: minutes on two cores."""
    shape, n = data.train.x.shape[1:], len(data.train.x)
    values = schedule(n)
    if len(shape) == 2:
        return values | {"network": "recurrent", "hidden": (64,)}
    small = math.prod(shape) <= 256
    widths, rate = ((128, 64), 3e-3) if small else ((512, 256), 1e-3)
    return values | {"hidden": widths, "learning_rate": rate}


def schedule(n: int, batch: int | None = None) -> dict[str, int]:
    """Batch size and epochs for n examples: as many steps as the digits get.

    Of large data ten passes at least.
    """
    usual = 128 if n >= 1024 else 32
    batch = min(usual if batch is None else batch, n)
    epochs = max(10, round(1600 * batch / n))
    return {"batch_size": batch, "epochs": epochs, "eval_every": epochs}


def held_out(data: datasets.Dataset, split: str = "test", limit: int | None = None):
    """Every n-th row of a split, at most ``limit``; x in data units, float32."""
    part = getattr(data, split)  # sorted by class, maybe
    n = -(-len(part.x) // (limit or len(part.x)))
    part = datasets.picked(part, slice(None, None, n))
    return part._replace(x=datasets.in_units(part.x, data.scale))


def codes(model: Any, part: datasets.Split) -> np.ndarray:
    """Codes (N, k) of a split.

    Raises:
      InputError: the model's codes are vectors.
    """
    z = model.encode(part.x, part.y, part.length)
    if isinstance(z, tuple):
        raise config.InputError(
            f"codes of objective '{model.config.objective}' are tuples of vectors; "
            "this task needs numbers: those of ae or vae would do"
        )
    return z


def pca(x: np.ndarray, k: int) -> Any:
    """scikit-learn's PCA of x (N, *S), flat; of k components, or all there are."""
    from sklearn import decomposition

    flat = x.reshape(len(x), -1)
    return decomposition.PCA(min(k, *flat.shape), random_state=0).fit(flat)


class PCA:
    """``pca`` of x (n, *S) as models are used: codes (N, k) of x (N, *S), and back."""

    def __init__(self, x: np.ndarray, k: int):
        self.fit, self.shape = pca(x, k), x.shape[1:]

    def encode(self, x: np.ndarray, *others: Any) -> np.ndarray:
        return self.fit.transform(x.reshape(len(x), -1))

    def decode(self, z: np.ndarray, *others: Any) -> np.ndarray:
        return self.fit.inverse_transform(z).reshape(-1, *self.shape)

    def reconstruct(self, x: np.ndarray, *others: Any) -> np.ndarray:
        return self.decode(self.encode(x))


def examples(part: datasets.Split, count: int = 10) -> np.ndarray:
    """Positions of rows to show, spread over the classes or else over the rows."""
    rows = np.arange(len(part.x))
    if part.y is not None and part.y.ndim == 1:
        rows = np.argsort(part.y, kind="stable")
    count = min(count, len(rows))
    return rows[((np.arange(count) + 0.5) / count * len(rows)).astype(int)]


def names(models: Models) -> list[str]:
    """A short unique name of each: its objective and what differs among them."""
    settings = [
        {n: registry.column(n, getattr(m.config, n)) for n in config.AXES}
        | dict(m.config.hparams)
        for m in models
    ]
    keys = dict.fromkeys(name for setting in settings for name in setting)
    keys.pop("objective", None)
    varied = [n for n in keys if len({s[n] for s in settings if n in s}) > 1]
    short = {"latent_dim": "k", "learning_rate": "lr"}

    def word(setting: Mapping[str, Any], name: str) -> str:
        value = setting[name]
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return text if name == "network" else f"{short.get(name, name)}={text}"

    return [
        " ".join([s["objective"], *(word(s, n) for n in varied if n in s)])
        for s in settings
    ]


def named(models: Models) -> dict[str, Any]:
    """{a short unique name: model}; see ``names``."""
    return dict(zip(names(models), models, strict=True))


def by_dataset(models: Models) -> dict[str, list[Any]]:
    """{name of the data set that they were trained on: models}."""
    views: dict[str, list[Any]] = {}
    for model in models:
        views.setdefault(model.config.dataset, []).append(model)
    return views


def only(models: Models) -> Any:
    """The one model of a task that takes one.

    Raises:
      InputError: there are several; what they differ in is listed.
    """
    if len(models) == 1:
        return models[0]
    raise config.InputError(
        f"this task takes one model and {len(models)} fit: "
        f"{config.listed(names(models))}; choose with --where NAME=VALUE"
    )


def parts(models: Models, data: Any) -> list[tuple[Any, list[Any]]]:
    """(data set, models to apply to it): each its own one, if some are of ``data``."""
    views = by_dataset(models)
    if data.name not in views:
        return [(data, list(models))]
    return [(data if n == data.name else loaded(n), m) for n, m in views.items()]


def loaded(name: str) -> datasets.Dataset:
    """The data set of this name, with means of train for what is missing."""
    return datasets.filled(datasets.load(name))
