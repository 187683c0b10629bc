"""Music: two-bar pieces of four voices, from chorales, MIDI files or a grammar.

A piece is x (32, 4) uint8: a row per sixteenth, a column per voice, highest first. An
id is a position in the data set's ``symbols``, whose characters' codes are MIDI note
numbers, the first one a rest. A pitch that a voice repeats is a note that it holds.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from aejax import config
from aejax.data import cache, dataset, midi, paths

STEPS, BAR, VOICES = 32, 16, 4


def load(name: str, path: Path, midis: Sequence[Path]) -> dataset.Dataset:
    """Pieces of the MIDI files in a folder; if there are none, of the .json file.

    The file holds {"train": songs, "valid": …, "test": …}, or songs; a song is a list
    of chords, one per sixteenth, and a chord of up to four MIDI numbers in the order of
    the voices; 0, -1, NaN and null are rests. Of more than four notes the highest are
    taken, highest first, as of MIDI files. Pieces start at every bar, 16 sixteenths
    from the song's beginning; those of train are there in all keys. Songs without a
    piece are left out; then missing splits are made by songs.

    Raises:
      InputError: not such a file, or no piece in a split.
    """

    def build():
        songs = _midi(path, midis) if midis else _chorales(name, path)
        cut = {s: [p for p in map(pieces, each) if len(p)] for s, each in songs.items()}
        if empty := [split for split, each in cut.items() if not each]:
            raise config.InputError(
                f"data set '{name}' has no song of two bars in {', '.join(empty)}"
            )
        counts = {s: len(each) for s, each in cut.items()}
        parts = dataset.partition(name, counts).items()
        about, x = _ids(
            {s: np.concatenate([cut[o][i] for i in r]) for s, (o, r) in parts}
        )
        x["train"] = transposed(x["train"], about["scale"])
        return about, {s: (rows, lambda rows: {"x": rows}) for s, rows in x.items()}

    return cache.fetch(name, path, midis or [path], build)


def _midi(folder: Path, files: Sequence[Path]) -> dict[str, Iterator[np.ndarray]]:
    given, _ = paths.splits(folder, files)
    return {split: map(midi.read, each) for split, each in given.items()}


def _chorales(name: str, path: Path) -> dict[str, list[np.ndarray]]:
    advice = '; a .json file has {"train": [[[74, 70, 65, 58], …], …]}'
    with dataset.explained(f"'{name}' holds no music", advice):
        given = json.loads(path.read_text("utf-8"))
        given = {"train": given} if isinstance(given, list) else given
        named = dataset.split_names(f"'{name}'", given)
        others = [n for n in set(given) - {*named.values()} if given[n] != []]
        if others := [n for n in others if isinstance(given[n], list)]:
            raise ValueError(f"its lists {config.listed(others, 10)} are no splits")
        if "train" not in named:
            raise ValueError("it has no train")
        return {
            split: [_song(song, f"song {i} of {n}") for i, song in enumerate(given[n])]
            for split, n in named.items()
        }


def _song(chords: Sequence[Sequence[float | None]], where: str) -> np.ndarray:
    """(T, 4) of chords; voices that one lacks are silent."""
    out = np.zeros((len(chords), VOICES), int)
    for step, chord in enumerate(chords):
        for note in chord:
            number = type(note) in (int, float) and note == note // 1 and note < 128
            if not (note is None or note != note or (number and note >= -1)):
                raise ValueError(
                    f"step {step} of {where}, from 0, has {config.listed([note])}: a "
                    "note is a whole number from 1 to 127; 0, -1, NaN and null are "
                    "rests"
                )
        notes = [int(n) if n and n > 0 else 0 for n in chord]
        if len(notes) > VOICES:
            notes = [n for n in notes if n]
        if len(notes) > VOICES:
            notes = sorted(notes, reverse=True)[:VOICES]
        out[step, : len(notes)] = notes
    return out


def pieces(song: np.ndarray) -> np.ndarray:
    """(n, 32, 4) of a song (T, 4): from every bar on, without those of rests alone."""
    starts = range(0, len(song) - STEPS + 1, BAR)
    cut = [song[start : start + STEPS] for start in starts]
    cut = [piece for piece in cut if piece.any()]
    return np.reshape(cut, (-1, STEPS, VOICES)).astype(int)


def _ids(splits: Mapping[str, np.ndarray]):
    """What makes a Dataset, and its x, of {split: MIDI numbers (N, 32, 4)}."""
    notes = np.concatenate(list(splits.values()))
    low, high = int(notes[notes > 0].min()), int(notes.max())
    symbols = "\0" + "".join(map(chr, range(low, high + 1)))
    about = {"likelihood": "tokens", "scale": len(symbols) - 1.0, "symbols": symbols}
    x = {s: np.maximum(x - low + 1, 0).astype(np.uint8) for s, x in splits.items()}
    return about, x


def transposed(x: np.ndarray, top: float) -> np.ndarray:
    """Ids (N, 32, 4) in all the keys in which their notes are among 1 … top."""
    out = []
    for shift in range(-5, 7):
        moved = x + shift * (x > 0)
        fits = ((moved > 0) == (x > 0)) & (moved <= top)
        out.append(moved[fits.all((1, 2))].astype(np.uint8))
    return np.concatenate(out)


@functools.cache
def tunes() -> dataset.Dataset:
    """5,000 synthetic pieces, no two the same, in all major and minor keys.

    Four half-bars make a cadence. The melody has a figure in each (scale, arpeggio or
    turn) and rests in the last; inner voices and bass have patterns.
    """
    rng = np.random.RandomState(0)  # the same in every NumPy
    drawn = rng.permutation(np.unique([_tune(rng) for _ in range(5500)], axis=0))
    parts = np.split(drawn[:5000], (4000, 4500))
    about, x = _ids(dict(zip(dataset.SPLITS, parts, strict=True)))
    return dataset.Dataset("tunes", *map(dataset.Split, x.values()), **about)


def _tune(rng: np.random.RandomState) -> np.ndarray:
    def draw(words: str, count: int = 1) -> np.ndarray:
        rows = np.array([[int(digit) for digit in word] for word in words.split()])
        return rows[rng.randint(len(rows), size=count)]

    # Degrees of the scale: a half-bar's root, and above it those of its four eighths.
    (roots,) = draw("0340 0140 5340 0540 3140 0450 0510 5045")
    melody = np.vstack([draw("0123 4321 0247 7420 0121 4244", 3), [[0, 0, 0, 0]]])
    inner, bass = draw("2222 2424 4422", 4), draw("0000 0044 0404", 4)
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) - rng.randint(2) * np.eye(7, dtype=int)[2]
    voices, key = [], rng.randint(-5, 7)
    for figure, tonic in ((melody, 72), (inner + 2, 60), (inner, 60), (bass, 48)):
        degree = np.repeat(roots[:, None] + figure, 2)
        voices.append(tonic + key + 12 * (degree // 7) + scale[degree % 7])
    return np.stack(voices, 1)
