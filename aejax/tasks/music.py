"""Two-bar pieces of music, and MIDI files. Roberts et al., MusicVAE, ICML 2018.

``segments`` of the network ``recurrent`` is their hierarchical decoder. Beside the
models stand the most frequent note of each voice and step, the training piece with the
most notes in common, and, for teacher forcing alone, the step before.
"""

import functools
from collections.abc import Mapping

import jax
import numpy as np

from aejax import autoencoder, config, settings, tasks
from aejax import data as datasets
from aejax.data import midi, music
from aejax.tasks import panels

dataset = "tunes"
COLORS = np.array([[192, 57, 43], [214, 137, 16], [40, 140, 90], [40, 90, 170]]) / 255


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A flat decoder, and one of four segments."""
    midi.pitches(data)
    large = (n := len(data.train.x)) >= 10_000
    batch, width, size, steps = (64, 128, 64, 4000) if large else (32, 64, 32, 2000)
    epochs = max(1, round(steps * (batch := min(batch, n)) / n))
    values = {"epochs": epochs, "eval_every": epochs, "batch_size": batch}
    values |= {"network": "recurrent", "teacher_forcing": True, "hidden": (width,)}
    values |= {"learning_rate": 0.01, "schedule": "cosine", "clip_norm": 1.0}
    # At β = 1 the flat decoder hears little of the code: 7 nats on tunes, not 69.
    values |= {"objective": "beta_vae", "beta": 0.05, "kl_warmup": 0.2}
    axes = {"latent_dim": (size,), "segments": (0, 4)}
    return [tasks.Sweep("music", values, axes)]


def teacher_forced(model: autoencoder.Autoencoder, x: np.ndarray) -> np.ndarray:
    """Most likely x (N, T, V), in data units, where each step is shown those before."""

    @jax.jit
    def run(params, z, x):
        with settings.matmul_precision(model.config.precision):
            decoded = model.model.decode(params, z, model.model.batch(x))
            return model.model.likelihood.mean(decoded)

    z = model.apply("encode", model.batch(x))
    return autoencoder.in_batches(functools.partial(run, model.params), z, x)


def nearest(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each x (N, T, V), the one of ``others`` with the most notes in common."""

    @jax.jit
    def run(others, x):
        return jax.lax.map(lambda one: (one == others).sum((1, 2)).argmax(), x[:, None])

    same = functools.partial(run, others.astype(np.uint8))
    return others[autoencoder.in_batches(same, x.astype(np.uint8))]


def rolls(title: str, rows: Mapping[str, np.ndarray]) -> panels.Images:
    """Piano rolls of MIDI numbers (n, T, V): pitch upwards, a colour per voice."""
    notes = np.concatenate([pieces.ravel() for pieces in rows.values()])
    low, high, drawn = notes[notes > 0].min() - 1, notes.max() + 1, []
    for name, pieces in rows.items():
        n, steps, voices = pieces.shape
        picture = np.full((n, high - low + 1, steps, 3), 0.94)
        picture[:, :, music.BAR :] = 0.89
        for voice in reversed(range(voices)):
            i, step = np.nonzero(pieces[..., voice])
            pixels = i, high - pieces[i, step, voice], step
            picture[pixels] = COLORS[voice % len(COLORS)]
        drawn.append((name, "", picture.repeat(2, 2)))  # wider than tall
    return panels.Images(title, drawn, wide=True)


def apply(
    models: tasks.Models, data: datasets.Dataset, *, limit: int = 2000, pieces: int = 6
) -> tasks.Result:
    """Notes of test pieces that are right, teacher-forced and from the code alone.

    Args:
      models: of music, with or without ``segments``.
      data: what they are tested on, with the pitches that they were trained on.
      limit: test pieces, at most.
      pieces: how many are drawn and written.
    """
    pitch, test = midi.pitches(data), tasks.held_out(data, "test", limit)
    x, train = _notes(test.x, pitch), pitch[data.train.x]
    common = pitch[np.argmax([(train == note).sum(0) for note in pitch], 0)]
    common = np.broadcast_to(common, x.shape)
    before = np.concatenate([common[:, :1], x[:, :-1]], 1)
    forced = {"most frequent note": common, "step before": before}
    free = {"most frequent note": common, "nearest training piece": nearest(x, train)}
    picks = tasks.examples(test, pieces)
    share = np.linspace(0, 1, 8, dtype="f")[:, None]
    (a, b), order = picks[[0, -1]], np.random.default_rng(0).random((1, x.shape[1], 1))
    between = {"steps of either": np.where(order < share[..., None], x[b], x[a])}
    new = {}
    for name, model in tasks.named(models).items():
        z, source = tasks.codes(model, test), datasets.load(model.config.dataset)
        if source.symbols != data.symbols:
            raise config.InputError(
                f"{name} knows the pitches of '{source.name}' and not those of "
                f"'{data.name}'; without --run this task trains models that do"
            )
        path = z[a] * (1 - share) + z[b] * share
        played = teacher_forced(model, test.x), *map(model.decode, (z, path))
        played += (model.sample(jax.random.key(0), pieces),)
        notes = (_notes(p, pitch) for p in played)
        forced[name], free[name], between[name], new[name] = notes
    metrics, curves = _scores({"teacher-forced": forced, "sampled": free}, x)
    heard = {n: p[picks] for n, p in {"original": x, **free}.items() if p is not common}
    files = {f"interpolation-{n}": np.concatenate(p) for n, p in between.items()}
    for kind, systems in (("piece", heard), ("sample", new)):
        parts = ((n, *one) for n in systems for one in enumerate(systems[n], 1))
        files |= {f"{kind}-{i}-{n}": p for n, i, p in parts}
    pictures = (
        rolls("test pieces, and played from their codes alone", heard),
        rolls("samples from the prior", new),
        rolls("from one test piece to another", between),
    )
    text = (
        f"{len(x)} test pieces of {data.name}; no song is in two splits, and baselines "
        f"know {len(train)} of train, which files give in all keys. A note is a voice "
        "at a sixteenth, rests too; a new one differs from the step before. Teacher-"
        "forced: the likeliest note, given the code and all earlier steps; sampled: "
        "from the code alone, given its own. segments=0 is flat. Valid chose nothing."
    )
    named = {f"music/{n}.mid".replace(" ", "-"): p for n, p in files.items()}
    midis = {n: midi.write(p) for n, p in named.items()}
    return tasks.Result(metrics, [*pictures, *curves], text, midis)


def _scores(kinds: Mapping[str, Mapping], x: np.ndarray) -> tuple[list[dict], list]:
    """Rows, and curves over beats, of {kind: {system: notes}} where x is right."""
    begins = np.diff(x, axis=1, prepend=-1) != 0
    names = (name for systems in reversed(kinds.values()) for name in systems)
    rows, curves = {name: {"system": name} for name in names}, []
    for kind, systems in kinds.items():
        right = {name: 100.0 * (notes == x) for name, notes in systems.items()}
        for name, each in right.items():
            rows[name][f"{kind} [% of notes]"] = float(each.mean())
            rows[name][f"{kind} [% of new notes]"] = float(each[begins].mean())
        beats = {n: e.reshape(len(x), 8, -1).mean((0, 2)) for n, e in right.items()}
        lines = {name: [*enumerate(each, 1)] for name, each in beats.items()}
        curves.append(panels.Curves(kind, "beat", "right notes [%]", lines))
    return list(rows.values()), curves


def _notes(x: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """MIDI numbers of x in data units."""
    return pitch[np.rint(x * (len(pitch) - 1)).astype(int)]
