"""What a trained autoencoder is used for: one file per application.

A file's first docstring line is its title and source. It must have ``apply`` and may
have the other fields of ``Task``; beside them stand its library functions, for a user's
own models and arrays. It draws nothing: its panels say what is to be seen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aejax import config, panels, registry
from aejax import data as datasets


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
      apply: (models, data, *, option=default, …) -> Result; keyword-only parameters are
        options. Metrics are of held-out data only. Raises InputError where the models
        or the data will not do, and says which would.
      sweeps: (data) -> models that suit the task, where no run is given; the ``zoo``.
      choose: {axis: value, or a set of them}: those of ``sweeps`` that it takes.
      dataset: what ``sweeps`` are trained on unless the user says otherwise.
      every: whether it takes all models of a run that the user's choice leaves, or of
        each program the one of lowest validation mse.
      needs: "images" or "labels": what the data must have.
    """

    apply: Callable[..., Result]
    sweeps: Callable[[datasets.Dataset], Sequence[Sweep]] = lambda data: [zoo(data)]
    choose: Mapping[str, Any] = {}
    dataset: str = "digits"
    every: bool = False
    needs: frozenset = frozenset()

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
        for what in self.needs:
            if lacks[what]:
                raise config.InputError(
                    f"this task needs {what}; examples of data set '{data.name}' are "
                    f"{shape}, {'without' if y is None else 'with'} labels. Give it "
                    f"another --dataset, {self.dataset} for example"
                )


def _entry(module: Any) -> Task:
    return Task(**{n: getattr(module, n) for n in Task._fields if hasattr(module, n)})


_SHARED = ("coding", "holes", "judge")  # what tasks share, no tasks themselves
TASKS = registry.Files("task", __name__, __path__[0], _entry, skip=_SHARED)


def zoo(data: datasets.Dataset) -> Sweep:
    """The models that most tasks take some of: three objectives at four sizes."""
    objectives, sizes = ("ae", "vae", "denoising"), (2, 8, 16, 32)
    values = size(data) | {"kl_warmup": 0.25}  # a wide vae collapses without
    return Sweep("zoo", values, {"objective": objectives, "latent_dim": sizes})


def size(data: datasets.Dataset) -> dict[str, Any]:
    """Network, widths and schedule that suit a data set: minutes on two cores."""
    shape, n = data.train.x.shape[1:], len(data.train.x)
    batch = 128 if n >= 1024 else min(32, n)
    # Small data: as many steps as the digits get; large ones: ten passes at least.
    epochs = max(10, round(1600 * batch / n))
    values = {"batch_size": batch, "epochs": epochs, "eval_every": epochs}
    if len(shape) == 2:
        return values | {"network": "recurrent", "hidden": (64,)}
    small = math.prod(shape) <= 256
    widths, rate = ((128, 64), 3e-3) if small else ((512, 256), 1e-3)
    return values | {"hidden": widths, "learning_rate": rate}


def held_out(data: datasets.Dataset, split: str = "test", most: int | None = None):
    """Every n-th row of a split, at most ``most``; x in data units, float32."""
    part = getattr(data, split)  # sorted by class, maybe
    n = -(-len(part.x) // (most or len(part.x)))
    x, *more = (None if a is None else a[::n] for a in part)
    x = np.asarray(x, np.float32) / np.float32(data.scale)
    return datasets.Split(x, *more)


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


def examples(part: datasets.Split, count: int = 10) -> np.ndarray:
    """Positions of rows to show, spread over the classes or else over the rows."""
    rows = np.arange(len(part.x))
    if part.y is not None and part.y.ndim == 1:
        rows = np.argsort(part.y, kind="stable")
    count = min(count, len(rows))
    return rows[((np.arange(count) + 0.5) / count * len(rows)).astype(int)]


def names(models: Sequence[Any]) -> list[str]:
    """A short unique name of each: its objective and what differs among them."""
    every = [
        {n: registry.column(n, getattr(m.config, n)) for n in config.AXES}
        | dict(m.config.hparams)
        for m in models
    ]
    keys = dict.fromkeys(name for one in every for name in one)
    keys.pop("objective", None)
    differ = [n for n in keys if len({o[n] for o in every if n in o}) > 1]
    short = {"latent_dim": "k", "learning_rate": "lr"}

    def told(one: Mapping[str, Any], name: str) -> str:
        value = one[name]
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return text if name == "network" else f"{short.get(name, name)}={text}"

    return [
        " ".join([o["objective"], *(told(o, n) for n in differ if n in o)])
        for o in every
    ]


def by_dataset(models: Sequence[Any]) -> dict[str, list[Any]]:
    """{name of the data set that they were trained on: models}."""
    found: dict[str, list[Any]] = {}
    for model in models:
        found.setdefault(model.config.dataset, []).append(model)
    return found


def only(models: Sequence[Any]) -> Any:
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


def parts(models: Sequence[Any], data: Any) -> list[tuple[Any, list[Any]]]:
    """(data set, models to apply to it): each its own one, if some are of ``data``."""
    if data.name not in (own := by_dataset(models)):
        return [(data, list(models))]
    return [(data if n == data.name else datasets.load(n), m) for n, m in own.items()]


def errors(part: datasets.Split, x_hat: np.ndarray) -> np.ndarray:
    """(N,) mean over data elements, of valid steps alone, of (x − x̂)²."""
    square = np.square(part.x.reshape(x_hat.shape) - x_hat)
    square = square.reshape(*x_hat.shape[:2], -1).mean(2)
    if part.length is None:
        return square.mean(1)
    valid = np.arange(square.shape[1])[None] < part.length[:, None]
    return (square * valid).sum(1) / part.length


def psnr(x: np.ndarray, x_hat: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """Peak signal-to-noise ratio of each example, (N,) dB; 100 at most."""
    mse = np.square(x - x_hat).reshape(len(x), -1).mean(1)
    return 10 * np.log10(peak**2 / np.maximum(mse, 1e-10 * peak**2))


def ssim_side(x: np.ndarray) -> int:
    """Pixels of the side of SSIM's window in images (N, H, W, C): 11, or odd below."""
    side = min(x.shape[1:3])
    return 11 if side >= 11 else min(7, side - 1 + side % 2)


def ssim(x: np.ndarray, x_hat: np.ndarray, peak: float = 1.0) -> float:
    """Mean structural similarity of images (N, H, W, C). Wang et al., IEEE TIP 2004.

    Eq. 13, K1 = .01 and K2 = .03, where their 11×11 Gaussian window of σ = 1.5 fits;
    a side below 11 has no room for it: the window is uniform there, see ``ssim_side``.
    """
    from skimage import metrics  # half a second

    flat = [np.moveaxis(a, 3, 1).reshape(-1, *a.shape[1:3]) for a in (x, x_hat)]
    side, how = ssim_side(x), {"channel_axis": 0, "use_sample_covariance": False}
    window = {"win_size": side}
    if side == 11:
        window = {"gaussian_weights": True, "sigma": 1.5}
    found = metrics.structural_similarity(*flat, data_range=peak, **how, **window)
    return float(found)


def quality(x: np.ndarray, x_hat: np.ndarray, peak: float = 1.0) -> dict[str, float]:
    """Columns of a table: mean PSNR and, of images, mean SSIM.

    SSIM in a window that is not Wang's is another number, and has the window's name.
    """
    row = {"psnr [dB]": float(psnr(x, x_hat, peak).mean())}
    if x.ndim != 4:
        return row
    side = ssim_side(x)
    name = "ssim" if side == 11 else f"ssim {side}×{side}"
    return row | {name: ssim(x, x_hat, peak)}
