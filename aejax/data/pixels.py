"""One image file: its pixels as viewers show them, of any mode, in one size."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FITS = ("crop", "pad", "stretch")
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # more than 8 bits of grey
GREY = {"1", "L", "LA", *DEEP}
_ORIENTATION = 0x0112  # EXIF's: above 1 it is turned, above 4 width is height
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


class Look(NamedTuple):
    """What a file says of itself before its pixels are read."""

    size: tuple[int, int]  # width, height, as it is seen
    mode: str
    clear: bool  # something may be transparent
    frames: bool  # several
    turned: bool


def survey(
    files: Sequence[Path],
    bad: dict[Path, str],
    size: tuple[int, int] | None,
    fit: str,
    whole: bool,
) -> dict[Path, Look]:
    """A look at every file, each once; what cannot be read goes to bad {file: why}.

    If one cannot, or if ``whole``, the pixels of all are read, too, so that all that is
    damaged is known at once.
    """
    from PIL import Image

    looks: dict[Path, Look] = {}
    for file in dict.fromkeys(files):
        try:
            with Image.open(file) as image:
                looks[file] = _look(image)
            if whole:
                read(file, "L", size, fit)
        except Exception as error:
            looks.pop(file, None)
            bad[file] = reason(file, error)
    if bad and not whole:
        return survey([*looks], bad, size, fit, True)
    return looks


def _look(image: Any) -> Look:
    turn = image.getexif().get(_ORIENTATION, 1)
    size = image.size[::-1] if turn > 4 else image.size
    clear = image.mode in _ALPHA or "transparency" in image.info
    frames = bool(getattr(image, "is_animated", False))
    return Look(size, image.mode, clear, frames, turn > 1)


def read(
    file: Path, mode: str, size: tuple[int, int] | None, fit: str = "crop"
) -> np.ndarray:
    """(H, W, C) uint8 of the first frame, upright, in mode L or RGB and of this size.

    What is transparent is white. Of 16 bits of grey the upper eight are taken.

    Raises:
      Exception: whatever Pillow says of a file that is damaged or no image.
    """
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in DEEP:
            levels = np.asarray(upright).astype(np.int64)
            if levels.min() < 0 or levels.max() > 65535:
                raise ValueError("its levels are not of 16 bits")
            upright = Image.fromarray((levels >> 8).astype(np.uint8))
        return np.atleast_3d(fitted(on_white(upright).convert(mode), size, fit))


def on_white(image: Any) -> Any:
    """The image without transparency; as it is where it has none."""
    from PIL import Image

    if image.mode not in _ALPHA and "transparency" not in image.info:
        return image
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours)


def fitted(image: Any, size: tuple[int, int] | None, fit: str) -> Any:
    """The image (width, height): its middle, all of it beside white, or stretched.

    PIL's bilinear filter, which widens with the reduction: no aliasing. An image of
    that size stays as it is.
    """
    from PIL import Image, ImageOps

    if size is None or image.size == size:
        return image
    how = Image.Resampling.BILINEAR
    if fit == "stretch":
        return image.resize(size, how)
    if fit == "pad":
        return ImageOps.pad(image, size, how, color="white")
    return ImageOps.fit(image, size, how)


def reason(file: Path, error: Exception) -> str:
    """Why a file cannot be read, in a few words and without its name."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text.replace(f" {str(file)!r}", "")[:100]


def notes(
    looks: Iterable[Look], mode: str, size: tuple[int, int] | None, fit: str
) -> list[str]:
    """What was done to images whose pixels are not taken as they are stored."""
    looks = list(looks)
    kinds = Counter(look.mode for look in looks)
    grey = sum(count for kind, count in kinds.items() if kind in GREY)
    done = {
        "of 16 bits (their upper 8 are taken)": sum(kinds[kind] for kind in DEEP),
        "of CMYK (made RGB)": kinds["CMYK"],
        "with transparency (over white)": sum(look.clear for look in looks),
        "of several frames (the first is taken)": sum(look.frames for look in looks),
        "turned as EXIF says": sum(look.turned for look in looks),
        "grey among coloured ones (all are RGB)": grey if mode == "RGB" else 0,
    }
    if size is not None:
        others = [look.size for look in looks if look.size != size]
        words = {"crop": "cropped", "pad": "padded with white", "stretch": "stretched"}
        if others:
            (wide, tall), low, high = size, min(others), max(others)
            ends = " to ".join(dict.fromkeys(f"{w}x{h}" for w, h in (low, high)))
            bent = any(w * tall != h * wide for w, h in others)
            how = f"made {wide}x{tall}" + f", {words[fit]}" * bent
            done[f"of {ends} ({how})"] = len(others)
    parts = [f"{count:,} {what}" for what, count in done.items() if count]
    return [f"of {len(looks):,} images {', '.join(parts)}"] if parts else []
