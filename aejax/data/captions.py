"""Captions of pictures whose factors are known, as words and as the token ids of y.

``sprites:captions`` says "a small heart upper left" (the middle sizes have no word) of
the sprites that are turned by 17 degrees at most; ``digits:captions``, "a three". Train
and valid of sprites lack nine of the 81 combinations, a place for every shape of every
size; test has all.
"""

import re
from collections.abc import Sequence

import numpy as np

from aejax import config
from aejax.data import dataset, sprites

END = ":captions"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
FACTORS = {  # in the order of a caption
    "size": ("small", "", "large"),
    "shape": sprites.SHAPES,
    "row": ("upper", "middle", "lower"),
    "column": ("left", "centre", "right"),
    "digit": (*DIGITS, "nine"),
}
# A word's id is its position from 1; 0 is none.
WORDS = ("a", "an", *(w for words in FACTORS.values() for w in words if w))


def captioned(name: str, data: dataset.Dataset) -> dataset.Dataset:
    """Its captions as y, (N, L) int32.

    Raises:
      InputError: what the pictures show is not known.
    """
    base, rows, captions = data.name.partition(":")[0], {}, {}
    known = (*sprites.EXAMPLES, "digits", "mnist")
    if base not in known:
        raise config.unknown("data set with captions", base, known)
    if data.train.y.ndim > 1:
        raise config.InputError(f"'{data.name}' has captions already: {name}")
    for split in dataset.SPLITS:
        keep, factors = slice(None), {"digit": getattr(data, split).y}
        if base in sprites.EXAMPLES:
            shape, scale, turn, x, y = data.factors[split].T
            size, row, column = scale // 2, y * 3 // 16, x * 3 // 16
            factors = {"size": size, "shape": shape, "row": row, "column": column}
            unseen = (row == (shape + size) % 3) & (column == (shape + 2 * size) % 3)
            upright = (turn + 1) % sprites.FACTORS["rotation"] < 3
            keep = upright & (~unseen | (split == "test"))
        words = [np.take(FACTORS[n], v[keep]) for n, v in factors.items()]
        captions[split] = tokens([_sentence(w) for w in zip(*words, strict=True)])
        rows[split] = keep
    data = dataset.taken(data, rows)
    parts = {s: getattr(data, s)._replace(y=y) for s, y in captions.items()}
    return data._replace(name=name, num_classes=len(WORDS) + 1, labels=(), **parts)


def _sentence(words: Sequence[str]) -> str:
    phrase = " ".join(w for w in words if w)
    return f"{'an' if phrase[0] in 'aei' else 'a'} {phrase}"


def tokens(captions: Sequence[str], vocabulary: Sequence[str] = WORDS) -> np.ndarray:
    """Ids (N, L) int32 of the words of captions, 0 beyond the end of each.

    Raises:
      InputError: a word that the vocabulary lacks, a caption without a word.
    """
    ids = {word: i for i, word in enumerate(vocabulary, 1)}
    lines = [re.findall(r"\w+", caption.lower()) for caption in captions]
    for line, caption in zip(lines, captions, strict=True):
        for word in line:
            if word not in ids:
                raise config.unknown(f"in {caption!r} the word", word, ids)
        if not line:
            raise config.InputError(f"the caption {caption!r} has no word")
    out = np.zeros((len(lines), max(map(len, lines))), np.int32)
    for row, line in zip(out, lines, strict=True):
        row[: len(line)] = [ids[word] for word in line]
    return out


def texts(y: np.ndarray, vocabulary: Sequence[str] = WORDS) -> list[str]:
    """Captions of token ids (N, L)."""
    return [" ".join(vocabulary[i - 1] for i in row if i) for row in y]


def factors(y: np.ndarray) -> dict[str, np.ndarray]:
    """{factor: (N,) which of its words is in a caption}, -1 where none is.

    A factor with a value that has no word has that value instead.
    """
    values = {}
    for name, words in FACTORS.items():
        ids = np.array([WORDS.index(w) + 1 if w else 0 for w in words])
        has = (y[:, :, None] == ids) & (ids > 0)  # (N, L, values)
        none = words.index("") if "" in words else -1
        values[name] = np.where(has.any((1, 2)), has.any(1).argmax(1), none)
    return values
