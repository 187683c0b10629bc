"""A folder of images, in sub-folders by split, by class, by both or by neither."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import cache, dataset, paths

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_ORIENTATION = 0x0112  # EXIF's: above 4, width is height
_ALPHA = ("RGBA", "LA", "PA")


def load(name: str, folder: Path, files: Sequence[Path]) -> dataset.Dataset:
    """x (N, H, W, C) uint8 of these images; y by the innermost sub-folder, if any.

    As viewers show them: what is transparent on white, and turned as EXIF says. Classes
    are those of all splits, in the order of their names.

    Raises:
      InputError: files that are no images, of several sizes or more than 8 bits; a
        layout other than FOLDER[/SPLIT][/CLASS]/FILE.
    """
    if not files:
        raise config.InputError(
            f"the folder {folder} holds no images ({', '.join(SUFFIXES)}) and no MIDI "
            "files; names that begin with a dot do not count"
        )
    given, by_split = paths.splits(folder, files)
    files = [f for split in given.values() for f in split]
    inner = [f.relative_to(folder) for f in files]
    depths = {len(f.parts) - by_split: f for f in inner}
    if len(depths) > 1 or max(depths) > 2:
        where = "each split" if by_split else f"the folder {folder}"
        raise config.InputError(
            f"images must lie in {where}, all at once or all in one sub-folder per "
            f"class; found for example: {config.listed(depths.values())}"
        )
    labels = sorted({f.parent.name for f in files}) if max(depths) == 2 else []
    return cache.fetch(name, folder, files, lambda: _build(name, given, labels))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    from PIL import Image

    with dataset.explained(f"'{file}' is no readable image"), Image.open(file) as image:
        yield image


def _build(name: str, given: Mapping[str, Sequence[Path]], labels: Sequence[str]):
    sizes, modes = {}, set()
    for file in (f for files in given.values() for f in files):
        with _opened(file) as image:  # reads the header only
            turned = image.getexif().get(_ORIENTATION, 1) > 4
            sizes.setdefault(image.size[::-1] if turned else image.size, file)
            modes.add(image.mode)
    if len(sizes) > 1 or any(mode[0] in "IF" for mode in modes):
        raise config.InputError(
            f"the images in '{name}' must have one size and 8 bits per channel; found "
            f"{'; '.join(f'{w}x{h} ({f})' for (w, h), f in list(sizes.items())[:3])}, "
            f"modes {', '.join(sorted(modes))}; convert them first"
        )
    mode = "L" if modes <= {"1", "L", "LA"} else "RGB"
    ((width, height),), counts = sizes, {s: len(files) for s, files in given.items()}
    block = min(cache.BLOCK, max(counts.values()))
    dataset.check_memory(name, width * height * len(mode) * block)
    decode = functools.partial(_decode, mode, {n: k for k, n in enumerate(labels)})
    streams = {
        split: ([given[origin][i] for i in rows], decode)
        for split, (origin, rows) in dataset.partition(name, counts).items()
    }
    about = {"likelihood": "bernoulli", "scale": 255.0, "num_classes": len(labels)}
    return about | {"labels": labels}, streams


def _decode(mode: str, classes: Mapping[str, int], images: Sequence[Path]):
    from PIL import ImageOps

    x = []
    for file in images:
        with _opened(file) as image:
            upright = ImageOps.exif_transpose(image)
            x.append(np.atleast_3d(np.asarray(_on_white(upright).convert(mode))))
    y = [classes[file.parent.name] for file in images] if classes else []
    return {"x": np.stack(x)} | ({"y": np.asarray(y, np.int32)} if y else {})


def _on_white(image: Any) -> Any:
    """The image without transparency; as it is where it has none."""
    from PIL import Image

    if image.mode not in _ALPHA and "transparency" not in image.info:
        return image
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours)
