"""180 files and folders of data, odd or damaged: loaded right, or refused in a word.

See ``common`` for how to run it. Good: a Dataset of finite values whose shapes agree
and whose splits share no row, or an InputError of one line and at most 1,500
characters. Bad: anything else that is raised, a warning, a hang, a pickle that ran.
"""

import io
import json
import os
import pathlib
import pickle
import shutil
import sys
import warnings
import zlib

import numpy as np

from tests.campaigns import common

SECONDS = 20.0
X3 = np.random.default_rng(0).random((40, 6, 2))
x, n = X3[:, 0], np.arange(40)
TEXT = "\n".join(f"line {i} of a text, {i * 7919 % 1000}" for i in range(60))
SONGS = [[[60 + i % 7, 55, 50, 40 + (t + i) % 9] for t in range(64)] for i in range(9)]
MIDI = bytes.fromhex("4d546864000000060001000100604d54726b")  # up to a track's length
DATES = np.array(["2020-01-01", "NaT"] * 20, "M8[D]")


class Payload:  # a pickle of it leaves a file where it is loaded
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path("ran"),)


marker = np.array([Payload()] * 40)

# Arguments of np.savez; a case's name is what it is made of.
NPZ = """x=marker | x=x, y=marker | x=x, factors=n[:, None], factor_names=marker[:1]
x=x, whatever=marker | x=np.where(x > 0.9, np.nan, x) | x=np.where(x > 0.9, -np.inf, x)
x=x * 1e300 | x=x * 1e-320 | x=(x - 0.5) * 6e38 | x=x.astype('f2')
x=x.astype(np.longdouble) | x=x.astype('>f8'), y=(n % 3).astype('>i2') | x=x + 1j
x=np.asfortranarray(X3) | x=n[:, None] | x=n[:, None].astype('u2') | x=x.astype(str)
x=DATES | x=np.zeros(40, [('a', 'f4'), ('b', 'u1')]) | x=np.zeros((40, 2), 'V4')
x=x[:0] | x=x[:, :0] | x=3.0 | x=x[:1] | x=x[:3] | x=np.ones((9, 2, 2, 2, 2))
x=x[:, 0] |  | **{'a\\nb': x, 'ä' * 200: x, 'x': x} | x=x > 0.5
x=np.ones((40, 3), bool)
x=x, y=np.full(40, np.nan) | x=x, y=n / 2 | x=x, y=DATES | x=x, y=n + 1j
x=x, y=np.full(40, 2**64 - 1, 'u8') | x=x, y=np.eye(40) | x=x, y=3 | x=x, y=n[:39]
x_train=x[:20], y_train=np.full(20, 2**63, 'u8'), x_test=x[20:], y_test=np.full(20, -1)
x=x, y=['a\\nb', '', '\\udcff', 'é' * 400] * 10 | x=x, y=[b'\\xff\\xfe', b'ok'] * 20
x=x, y=np.zeros(40, [('a', int)]) | x=x, y=n[:, None] | x=x, y=np.tile(n[:, None], 5)
x=X3, length=np.full(40, 7) | x=X3, length=np.full(40, 2**64 - 1, 'u8')
x=X3, length=np.full(40, np.inf) | x=X3, length=np.full(40, np.nan)
x=X3, length=n * 0 + 2 + 0j | x=X3, length=n >= 0 | x=X3, length=n[:, None] % 6 + 1
x=x, factors=x | x=x, factors=np.full((40, 1), 2**63, 'u8') | x=x, factors=-n[:, None]
x=x, factors=n[:, None], factor_names=['é\\n\\udcff'] | x=np.frombuffer(npz(x=x), 'u1')
x=x, factors=n[:, None], factor_names=3 | x=x, y=np.full(40, 'a' * 10_000)"""
# shape, type and version of a .npy header that has 4 bytes of data.
NPY = """(2**62, 2) | (2**40, 2**40, 16) | (-1, 4) | (2.5, 4) | (4, 4), '|O'
(4, 4), [('a', '<f4')] | (4, 4), '<U999999999' | (4, 4), '<f4', 9 | (1,) * 9000
(True, False) | 'abc' | (), '<f4' | (4, 4), '<f99' | (4, 4), 5 | (0, 2**63), '<f4'"""
# fmt: off
RAW = {  # file: its bytes
    "run.npy": b"\x93NUMPY\1\0\x40\0__import__('os').system('touch ran')",
    "pickle.npy": pickle.dumps(marker[0]), "magic.npy": b"\x93NUMPY",
    "empty.npz": b"", "no zip.npz": b"PK\x03\x04" + bytes(50),
    "text.npz": b"1,2\n3,4\n", "mark.txt": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf16.txt": TEXT.encode("utf-16"), "latin.txt": b"\xe9\n\xe0\n" * 40,
    "nul.txt": b"ab\0c\n" * 40, "empty.txt": b"", "spaces.txt": b"  \n\t\n" * 40,
    "one symbol.txt": b"aaa\n" * 40, "one line.txt": b"abc",
    "long line.txt": b"abcdefghij" * 100_000,
    "many symbols.txt": "".join(map(chr, range(300, 700))).encode(),
    "breaks.txt": "a\u2028b\x0bc\x0cd\x85e\r\nf\rg".encode() * 20,
    "wide.txt": "\U0001f600\u202e\u0301ab\n".encode() * 40,
    "cut.txt": "é".encode() * 40 + b"\xc3",
    "deep.json": b"[" * 100_000 + b"]" * 100_000, "latin.json": b'{"train": "\xe9"}',
    "long number.json": b"[[[" + b"9" * 5000 + b"]]]",
}
# fmt: on
JSON = """| null | 7 | "train" | [null, null] | [["a"], ["b"]] | {"train": {"a": 1}}
[[[1e400]]] | [[]] | {"train": [], "train": []} | {"train": 3, "valid": [3]}"""
NOTES = [float("nan"), 1e308, True, "60", None, 60.5, -7, 128, [60], {}, 2**70]


def npz(**arrays):
    np.savez(file := io.BytesIO(), **arrays)
    return file.getvalue()


def npy(shape, kind="<f4", version=1):
    words = repr({"descr": kind, "fortran_order": False, "shape": shape})[:60_000]
    size = (len(words) + 1).to_bytes(2, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + words.encode() + b"\n" + bytes(4)


def song(seed):
    from aejax.data import midi

    return midi.write(np.array(SONGS[seed % 9]))


def track(text):
    body = bytes.fromhex(text)
    return MIDI + len(body).to_bytes(4, "big") + body


def odd_midi():
    one, end = song(0), "00ff2f00"
    yield from (b"MThd", b"RIFF....", one[:9] + b"\2" + one[10:], MIDI[:10] + bytes(4))
    yield from (
        one[:12] + text + one[14:] for text in (b"\0\0", b"\xe7\x28", b"\xff" * 2)
    )
    yield from (MIDI + b"\xff\xff\xff\xff\0", track("003c40"), track("00f0ffffff7f"))
    yield from (track("00ff510200" + end), track("00903c40ffffff7f803c40" + end))


def png(seed=0, mode="L", size=(4, 4), kind="PNG"):
    from PIL import Image

    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(noise).convert(mode).save(file := io.BytesIO(), kind)
    return file.getvalue()


def chunk(kind, body):
    end = zlib.crc32(kind + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + kind + body + end


def hollow(width, height):
    """A picture of which little but the header is there."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\1\0\0\0\0"
    parts = {b"IHDR": size, b"IDAT": zlib.compress(bytes(100)), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


def odd_pictures():
    """What lies as a.png beside twenty good ones."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 << 20)))
    # fmt: off
    yield from {
        "wide": png(size=(5, 4)), "empty": b"", "text": b"no picture",
        "cut": png()[:-30], "bad crc": png().replace(b"IDAT", b"IDAX"),
        "bloated": png()[:33] + text + png()[33:], "huge": hollow(60_000, 60_000),
        "no size": hollow(0, 0), "hollow": hollow(4, 4), "folder": {"0.png": png()},
        "link": os.symlink, "circle": lambda _, path: os.symlink(path, path),
        "pipe": lambda _, path: os.mkfifo(path),
    }.items()
    # fmt: on
    for mode in "1 LA RGBA P CMYK:JPEG YCbCr:JPEG F:TIFF I;16 P:GIF RGB:WEBP".split():
        mode, _, kind = mode.partition(":")
        yield mode, png(99, mode, kind=kind or "PNG")


def valid():
    """{name: content} of what loads, to be damaged."""
    parts = {"x_train": X3[:20], "x_val": X3[20:30], "x_test": X3[30:]}
    factors = np.stack([n % 2, n // 2], 1)
    return {
        "arrays.npz": npz(x=X3, y=n % 3, length=n % 6 + 1),
        "splits.npz": npz(**parts),
        "factors.npz": npz(x=x, factors=factors),
        "bytes.npz": npz(x=(X3 * 255).astype(np.uint8)),
        "lines.txt": TEXT.encode(),
        "songs.json": json.dumps({"train": SONGS}).encode(),
        "folder": {f"{i}.png": png(i) for i in range(20)},
        "classes": {f"{'ab'[i % 2]}/{i}.png": png(i, "RGB") for i in range(20)},
        "jpegs": {f"{i}.jpg": png(i, "RGB", (9, 9), "JPEG") for i in range(20)},
        "music": {f"{i}.mid": song(i) for i in range(9)},
    }


def table(text):
    return [part.strip() for line in text.split("\n") for part in line.split(" | ")]


def cases(rng):
    """(name, content)."""
    whole = valid()
    yield from whole.items()
    yield from ((f"{i} {t}.npz", eval(f"npz({t})")) for i, t in enumerate(table(NPZ)))
    yield from ((f"{i} {t}.npy", eval(f"npy({t})")) for i, t in enumerate(table(NPY)))
    np.savez_compressed(bomb := io.BytesIO(), x=np.zeros((1 << 20, 64), np.float32))
    yield "bomb.npz", bomb.getvalue()
    yield from RAW.items()
    yield from ((f"{i} {t}.json", t.encode()) for i, t in enumerate(table(JSON)))
    for note in NOTES:
        yield f"{note!r:.9}.json", json.dumps([[*SONGS[0], [note]]] * 9).encode()
    for i, each in enumerate((SONGS[0][:8], [[0]] * 64, [[*range(40, 90)]] * 64)):
        yield f"songs {i}.json", json.dumps([each] * 9).encode()
    for i, content in enumerate(odd_midi()):
        yield f"midi {i}", whole["music"] | {"a.mid": content}
    for name, each in odd_pictures():
        yield f"a.png {name}", whole["folder"] | {"a.png": each}
    yield "hollow", {f"{i}.png": hollow(12_000, 12_000) for i in range(9)}
    yield "odd names", whole["folder"] | {"a\nb\udcff.png": b"", "é.png": png(77)}
    yield "both", whole["folder"] | whole["music"]
    yield "same", {f"{i}.png": png(1) for i in range(20)}
    yield "nothing", {}
    pipe = lambda _, path: os.mkfifo(path)  # noqa: E731
    yield from (("pipe.npz", pipe), ("pipe.txt", pipe), ("p.json", pipe), ("p", pipe))
    yield "nowhere.npz", os.symlink
    yield "folder.npz", {"0.txt": b"a"}
    for i in range(70):
        content = whole[name := rng.choice(list(whole))]
        files = content if isinstance(content, dict) else {"": content}
        one = rng.choice(list(files))
        files = files | {one: common.damaged(rng, files[one])}
        yield f"damage {i} {name}", files.get("", files)


def write(path, content):
    if isinstance(content, bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    elif isinstance(content, dict):
        path.mkdir(parents=True)
        for name, inner in content.items():
            write(path / name, inner)
    else:
        content("nowhere to be found", path)


def fault_of(name, path):
    """Loads it; what is wrong with what came of it."""
    from aejax import config, data

    try:
        with common.limited(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = data.load(str(path))
    except config.InputError as error:
        text = str(error)
        if len(text) > 1500 or len(text.splitlines()) != 1:
            return f"{len(text)} characters in {len(text.splitlines())} lines: {text}"
        return "it does not load" if name in valid() else None
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:500]
    unique = {*valid()} - {"music", "songs.json"}  # which have pieces in all keys
    return implausible(loaded, name in unique)


def implausible(loaded, unique):
    splits = loaded.train, loaded.valid, loaded.test
    for split in splits:
        size, values = len(split.x), split.x
        if not size or values.dtype not in (np.uint8, np.float32):
            return f"x is {values.shape} {values.dtype}"
        if (
            values.shape[1:] != loaded.train.x.shape[1:]
            or not np.isfinite(values).all()
        ):
            return "shapes differ, or not finite"
        if loaded.likelihood != "gaussian" and not 0 <= values.max() <= loaded.scale:
            return f"x up to {values.max()}, scale {loaded.scale}, {loaded.likelihood}"
        for low, given, high in (
            (0, split.y, loaded.num_classes - 1),
            (1, split.length, values.shape[1]),
        ):
            fits = given is None or low <= given.min() <= given.max() <= high
            if not fits or given is not None and len(given) != size:
                return f"{given} is not in {low} … {high}"
    rows = {row.tobytes() for split in splits for row in split.x}
    if unique and len(rows) != sum(len(split.x) for split in splits):
        return "splits share rows"
    if loaded.labels and len(set(loaded.labels)) != loaded.num_classes:
        return f"{loaded.num_classes} classes called {loaded.labels}"
    return None


def main():
    campaign = common.Campaign("data_files")
    common.limit_memory()
    os.chdir(campaign.folder)
    for i, (name, content) in enumerate(cases(campaign.rng)):
        if not campaign.chosen(name):
            continue
        # Names that are too long or have a / are for the tally alone.
        kind = pathlib.Path(name).suffix if isinstance(content, bytes) else ""
        path = (
            campaign.folder
            / str(i)
            / (f"data{kind}" if len(name) > 20 or "/" in name else name)
        )
        path.parent.mkdir()
        write(path, content)
        fault = fault_of(name, path)
        if os.path.exists("ran"):
            fault = "it ran a pickle"
            os.remove("ran")
        campaign.note(name, fault)
        shutil.rmtree(path.parent)
    return campaign.end()


if __name__ == "__main__":
    sys.exit(main())
