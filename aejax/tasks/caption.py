"""Pictures of what a sentence says, from a conditional VAE. Sohn et al., NeurIPS 2015.

A GRU reads the caption for encoder and decoder (``networks.dense.Condition``); what is
drawn is read back by classifiers of the factors, trained on real images. Beside it the
training image whose caption shares most words. Combinations that training lacks stand
apart: ``data.captions`` says which.
"""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from aejax import autoencoder, config, objectives, tasks
from aejax import data as datasets
from aejax.data import captions
from aejax.tasks import classifier, panels

dataset = "sprites:captions"
needs = {"images", "labels"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """One conditional_vae: 150,000 examples, or ten passes."""
    values = tasks.size(data) | {"objective": "conditional_vae", "latent_dim": 4}
    values |= {"activation": "silu", "schedule": "cosine", "learning_rate": 3e-3}
    size, epochs = min(32, len(data.train.x)), max(10, 150_000 // len(data.train.x))
    values |= {"batch_size": size, "epochs": epochs, "eval_every": epochs}
    return [tasks.Sweep("caption", values)]


def images(
    model: autoencoder.Autoencoder,
    sentences: Sequence[str],
    key: jax.Array,
    vocabulary: Sequence[str] = captions.WORDS,
) -> np.ndarray:
    """One image (n, *S) in data units for each sentence, z drawn from the prior.

    Args:
      model: conditional_vae trained on captions.
      sentences: of words of the vocabulary; commas and capitals do not matter.
      key: PRNG key.
      vocabulary: words by their ids, from 1: those of ``NAME:captions``, or one's own.

    Raises:
      InputError: a word that the vocabulary lacks; a model that takes no captions.
    """
    y = captions.tokens(sentences, vocabulary)
    return model.sample(key, len(y), y)


def centred(x: np.ndarray, side: int = 20) -> np.ndarray:
    """Crops (N, side, side, C) around each image's centre of mass."""
    mass, half = x.sum(3) + 1e-6, side // 2
    rows, columns = (np.arange(n) for n in x.shape[1:3])
    moments = mass.sum(2) @ rows, mass.sum(1) @ columns
    r, c = (
        np.rint(v / mass.sum((1, 2))).astype(int)[:, None] + np.arange(side)[None]
        for v in moments
    )
    x = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    return x[np.arange(len(x))[:, None, None], r[:, :, None], c[:, None]]


def reader(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], dict]:
    """x (n, *S) -> {factor: (n,) its value}, learned from images and their captions.

    Size and shape are read from centred crops, where no place can give them away: a
    combination that is missing from training would fool the reader as well.
    """
    varied = {n: v for n, v in captions.factors(y).items() if np.ptp(v)}
    what = [n for n in varied if n in ("size", "shape")]
    rest = [n for n in varied if n not in what]
    parts = []
    for names, view in ((what, centred), (rest, None)):
        if names:
            view = view or np.asarray
            ids = np.stack([varied[n] for n in names], 1)
            parts.append((names, view, classifier.classifier(view(x), ids, steps=500)))

    def read(x: np.ndarray) -> dict[str, np.ndarray]:
        values = ((names, fit(view(x))[1].T) for names, view, fit in parts)
        return {n: v for names, ids in values for n, v in zip(names, ids, strict=True)}

    return read


def similar(y: np.ndarray, among: np.ndarray, seed: int = 0) -> np.ndarray:
    """Positions (n,) of captions that share most words with y, drawn among equals."""
    bags = [(a[:, :, None] == np.arange(1, among.max() + 1)).any(1) for a in (y, among)]
    same = (bags[0][:, None] == bags[1][None]).sum(2)
    return (same + np.random.default_rng(seed).random(same.shape)).argmax(1)


def systems(models: tasks.Models, train: datasets.Split) -> dict[str, Callable]:
    """{name: captions (n, L) -> images (n, *S)}: of training, and drawn by models."""
    named, key = tasks.named(models).items(), jax.random.key(0)
    ours = {name: lambda y, m=model: m.sample(key, len(y), y) for name, model in named}
    return {"most similar caption": lambda y: train.x[similar(y, train.y)]} | ours


def _shares(pairs: dict[str, tuple], read: Callable, known) -> list[dict]:
    """Rows: of {system: (captions, images)} how often each factor is what is said."""
    table = []
    for system, (y, x) in pairs.items():
        said, seen = captions.factors(y), _among(y, known)
        right = {n: said[n] == values for n, values in read(x).items()}
        right["all"] = np.all(list(right.values()), 0)
        for kind, rows in (("seen", seen), ("new", ~seen)):
            if rows.any():
                row = {"system": system, "captions": kind, "images": int(rows.sum())}
                row |= {n: float(v[rows].mean()) for n, v in right.items()}
                table.append(row)
    return table


def _drawn(model, y: np.ndarray, test: datasets.Split) -> list[tuple]:
    """Rows of a picture: of at most 9 captions one real image, and seven drawn."""
    rows = []
    for i, line in enumerate(y[:: max(1, len(y) // 9)][:9]):
        real = test.x[(test.y == line[None]).all(1)][:1]
        drawn = model.sample(jax.random.key(i + 1), 7, np.repeat(line[None], 7, 0))
        rows.append((captions.texts([line])[0], "", np.concatenate([real, drawn])))
    return rows


def apply(
    models: tasks.Models, data: datasets.Dataset, *, text: tuple = (), draws: int = 20
) -> tasks.Result:
    """Share of images that show what captions of the test split say, by factor.

    Args:
      models: one conditional_vae, trained on captions.
      data: ``NAME:captions``.
      text: sentences to draw, parted by semicolons: text="a heart, upper left; a small
        ellipse, lower centre".
      draws: images of each caption.
    """
    model, name = tasks.only(models), tasks.names(models)[0]
    if not data.name.endswith(captions.END):
        raise config.InputError(
            f"nothing says what images of '{data.name}' show; give this task --dataset "
            "sprites:captions, or digits:captions"
        )
    if "labels" not in objectives.OBJECTIVES[model.config.objective].needs:
        raise config.InputError(
            f"'{name}' reads no captions; conditional_vae trained on {data.name} does"
        )
    train, test = tasks.held_out(data, "train"), tasks.held_out(data)
    known, asked = np.unique(train.y, axis=0), np.unique(test.y, axis=0)
    y, pairs = np.repeat(asked, draws, 0), {"real test images": (test.y, test.x)}
    pairs |= {n: (y, draw(y)) for n, draw in systems(models, train).items()}
    metrics = _shares(pairs, reader(train.x, train.y), known)
    factors = [n for n in metrics[0] if n in captions.FACTORS]
    chance = {n: 1 / len(captions.FACTORS[n]) for n in factors}
    chance["all"] = math.prod(chance.values())
    metrics.append({"system": "chance", "captions": "", "images": 0} | chance)
    new = ~_among(asked, known)
    pictures: list[panels.Panel] = []
    for kind, ids in (("Seen captions", asked[~new]), ("New ones", asked[new])):
        if rows := _drawn(model, ids, test):
            pictures.append(panels.Images(f"{kind}: one real, then drawn", rows))
    if sentences := [s for s in ", ".join(map(str, text)).split(";") if s.strip()]:
        made = [images(model, [s] * 8, jax.random.key(0)) for s in sentences]
        rows = [(s.strip(), "", x) for s, x in zip(sentences, made, strict=True)]
        pictures.append(panels.Images("Your words", rows))
    lines = [f"{m['system']}, {m['captions']}".strip(", ") for m in metrics]
    shares = np.array([[m[n] for n in chance] for m in metrics])
    title = "Share of images with the right …"
    pictures.insert(0, panels.Grid(title, shares, lines, list(chance)))
    text = (
        f"{draws} images for each of {len(asked)} captions of the test split of "
        f"{data.name}, z drawn from the prior, are read by classifiers trained on "
        f"{len(train.x)} real training images: on real test images they are as often "
        "right as a model can be. 'Most similar caption' is the training image whose "
        "caption shares most words."
    )
    if new.any():
        lacking = ", ".join(captions.texts(asked[new]))
        text += f" Combinations that training and validation lack: {lacking}."
    return tasks.Result(metrics, pictures, text)


def _among(y: np.ndarray, known: np.ndarray) -> np.ndarray:
    return (y[:, None] == known[None]).all(2).any(1)
