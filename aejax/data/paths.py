"""Names as paths, and the files of a folder: nothing is opened here."""

import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from aejax import config
from aejax.data import dataset

MOST = 100_000  # other entries of a folder, before it is no folder of data
MASKS = "ground_truth"  # of MVTec's anomalies, beside train and test: not read


def path(name: str) -> Path:
    """The path, with ``~`` as a shell reads it.

    Raises:
      InputError: ``~user`` of nobody.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise config.InputError(f"'{config.listed([name])}': {error}") from error


def is_folder(name: str) -> bool:
    """Whether it is a folder, or else a file.

    Raises:
      InputError: it is neither, a device or a pipe, say, or cannot be looked at.
    """
    place, label = path(name), config.listed([name])
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError) as error:  # too long, without permission, with a NUL
        reason = getattr(error, "strerror", None) or error
        where = config.listed([place.absolute()])
        raise config.InputError(
            f"there is no file '{label}' ({reason}: {where})"
        ) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise config.InputError(
            f"'{label}' is a device, a pipe or a socket; a data set is a file or a "
            "folder, because it is read more than once"
        )
    return stat.S_ISDIR(mode)


def walk(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """Files in the folder and below, sorted; with these suffixes, in any case.

    Names that begin with a dot are passed over, and folders that may not be read. Links
    are followed, to each folder once.

    Raises:
      InputError: a link to nothing or a special file with such a suffix; ``MOST`` other
        entries, as in the root of a file system.
    """
    matches, others, folders, seen = [], 0, [folder], set()
    for place in folders:  # which grows: upper folders first
        try:
            state = place.stat()
            with os.scandir(place) as inside:
                entries = sorted(inside, key=lambda entry: entry.name)
        except OSError as error:
            if place != folder:
                continue
            raise config.InputError(
                f"{place} cannot be read: {error.strerror}"
            ) from error
        if (key := (state.st_dev, state.st_ino)) in seen:
            continue
        seen.add(key)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            link = entry.is_symlink()  # only links cost another look at the disk
            if entry.is_dir(follow_symlinks=False) or link and os.path.isdir(entry):
                folders.append(place / entry.name)
            elif suffixes and Path(entry.name).suffix.lower() not in suffixes:
                others += 1
            elif entry.is_file(follow_symlinks=False) or os.path.isfile(entry):
                matches.append(place / entry.name)
            elif suffixes:
                raise config.InputError(
                    f"'{entry.path}' is no file (a link to nothing, a pipe or a "
                    "device); remove it"
                )
        if suffixes and others + len(folders) > MOST + 3 * len(matches):
            raise config.InputError(
                f"{folder} holds more than {MOST:,} entries that are no "
                f"{config.listed(suffixes)}; give the folder that holds the data alone"
            )
    return sorted(matches)


def splits(folder: Path, files: Sequence[Path]) -> tuple[dict[str, list[Path]], bool]:
    """{split: files}, and whether the folder has a sub-folder for each split.

    If it has none, all files are train's. Names of splits and their aliases (see
    ``dataset.ALIASES``) never mean classes; ``MASKS`` beside them are left out.

    Raises:
      InputError: other files beside splits, no train, two names of one split.
    """
    tops: dict[str, list[Path]] = {}
    for file in files:
        first, *inner = file.parts[len(folder.parts) :]
        tops.setdefault(first if inner else "", []).append(file)
    named = dataset.split_names(f"the folder {folder}", tops)
    if not named:
        return {"train": list(files)}, False
    parts = f"{config.listed(named.values())} in the folder {folder}"
    if others := sorted(set(tops) - {*named.values(), MASKS}):
        what = config.listed(n or "loose files" for n in others)
        raise config.InputError(
            f"{parts} would be its splits, but {what} lie beside: put all examples "
            "into sub-folders train, valid and test, or rename a class that is called "
            "so"
        )
    if "train" not in named:
        raise config.InputError(
            f"{parts} would be its splits, but train is missing, of what models are "
            "trained on"
        )
    return {s: tops[named[s]] for s in dataset.SPLITS if s in named}, True
