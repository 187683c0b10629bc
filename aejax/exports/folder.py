"""A folder that is written whole or not at all, and known again by its contents."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from typing import Any

from aejax import config as configs

FACTS, CARD = "model.json", "README.md"
# Short, whatever the target is called: names have a longest length.
_PREFIX = ".aejax-"


def located(folder: Any) -> pathlib.Path:
    """What a user calls a folder, as its full path, through symbolic links.

    Raises:
      InputError: it is no name of one.
    """
    try:
        if not os.fspath(folder):
            raise ValueError("it is empty")
        path = pathlib.Path(folder).expanduser().resolve()
        path.exists()  # which fails of a name that is too long
        return path
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise configs.InputError(
            f"{configs.listed([repr(folder)])} is no name of a folder: {error}"
        ) from error


@contextlib.contextmanager
def replaced(target: pathlib.Path, kind: str) -> Iterator[pathlib.Path]:
    """A new folder to write into, which takes the place of a ``located`` target.

    It lies beside the target, in ``.aejax-…/new``; what it replaces waits for that in
    ``.aejax-…/old/NAME``, and lies there still if this process is killed in between.

    Raises:
      InputError: as ``check``, at the beginning and again at the end, for writing takes
        its time; the target cannot be written.
    """
    check(target, kind)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=target.parent))
        new, old = beside / "new", beside / "old" / target.name
        try:
            new.mkdir()
            old.parent.mkdir()
            yield new
            check(target, kind)
            _exchange(new, target, old, kind)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            if old.exists():  # the only copy of what was there
                shutil.rmtree(new, ignore_errors=True)
            else:
                shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise configs.InputError(
            f"'{target}' cannot be written: {error}; give another folder"
        ) from error


def _exchange(
    new: pathlib.Path, target: pathlib.Path, old: pathlib.Path, kind: str
) -> None:
    """Puts ``new`` in the target's place, and what was there, if anything, in ``old``.

    Should that fail the target is what it was; or what it was is in ``old``, which the
    error names.
    """
    if not target.exists():
        os.rename(new, target)
        return
    shutil.copymode(target, new)
    os.rename(target, old)
    try:
        check(old, kind, target)  # it changes no more
        os.rename(new, target)
    except BaseException as error:
        try:
            os.rename(old, target)
        except OSError as second:
            raise configs.InputError(
                f"'{target}' cannot be written: {error}; what was there could not be "
                f"put back ({second}) and lies in '{old}'"
            ) from error
        raise


def check(target: pathlib.Path, kind: str, name: pathlib.Path | None = None) -> None:
    """Whether what is there may be replaced by an export of this kind.

    Args:
      name: what an error calls it, if it has been moved.

    Raises:
      InputError: it is a file or the current folder, or holds anything but an
        export of this kind, as it was written.
    """
    name = name or target
    _check_contents(target, kind, name)
    here = pathlib.Path()
    with contextlib.suppress(OSError):  # of a process whose folder was removed
        here = pathlib.Path.cwd().resolve()
    if target == here:  # those above it hold other things
        raise configs.InputError(
            f"'{name}' is the current folder, and would be replaced by a new one; give "
            "another folder"
        )


def _check_contents(target: pathlib.Path, kind: str, name: pathlib.Path) -> None:
    if target.exists() and not target.is_dir():
        raise configs.InputError(f"'{name}' is a file; export to a folder")
    try:
        entries = list(target.iterdir()) if target.exists() else []
    except OSError as error:
        raise configs.InputError(f"'{name}' cannot be read: {error}") from error
    if not entries:
        return
    plain = {e.name for e in entries if e.is_file() and not e.is_symlink()}
    facts, files = {}, {}
    with contextlib.suppress(configs.InputError):
        facts = json_of(target, FACTS) if FACTS in plain else {}
        files = files_of(target, facts)
    known = {FACTS, CARD, *files} if files else set()
    if others := sorted({e.name for e in entries} - (known & plain)):
        raise configs.InputError(
            f"'{name}' holds other things: {configs.listed(others, 5)}; export to a "
            "folder that is new or empty, or to an export of the same format, which is "
            "replaced"
        )
    if facts.get("kind") != kind:
        raise configs.InputError(
            f"'{name}' holds an export of format '{facts.get('kind')}', which one of "
            f"'{kind}' does not replace; give another folder"
        )
    if CARD in plain and _digest(target / CARD) != facts.get("card"):
        raise configs.InputError(
            f"'{name}' holds an export whose {CARD} was edited since, which a new one "
            "would lose; move it elsewhere, or give another folder"
        )


def _digest(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: pathlib.Path) -> dict[str, str]:
    """{file: SHA-256} of all files in a folder."""
    return {path.name: _digest(path) for path in sorted(folder.iterdir())}


def facts(folder: pathlib.Path) -> dict[str, Any]:
    """What model.json of a ``located`` folder holds.

    Raises:
      InputError: there is no such folder, it is no export, or one that is damaged.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise configs.InputError(
            f"'{folder}' {what}; give the folder of an export{_left(folder)}"
        )
    if not (folder / FACTS).is_file():
        run = "; it is a run: aejax.open_run reads it, and its export(DIR) writes one"
        raise configs.InputError(
            f"'{folder}' is no export: it has no {FACTS}"
            + run * (folder / "run.json").is_file()
        )
    return json_of(folder, FACTS)


def _left(folder: pathlib.Path) -> str:
    """Where an export lies that a killed process was about to replace."""
    with contextlib.suppress(OSError):
        for beside in sorted(folder.parent.iterdir()):
            old = beside / "old" / folder.name
            if beside.name.startswith(_PREFIX) and old.is_dir():
                return f"; '{old}' is what was there when replacing it was interrupted"
    return ""


def json_of(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        entry = json.loads((folder / name).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(folder, name, error) from error
    if not isinstance(entry, dict):
        raise damaged(folder, name, "it holds no object")
    return entry


def files_of(
    folder: pathlib.Path, facts: dict[str, Any], needed: Collection[str] = ()
) -> dict[str, str]:
    """{file: SHA-256} as model.json has them.

    Raises:
      InputError: it has no such thing, not all that are ``needed``, or names that are
        none of files in this folder.
    """
    files = facts.get("files")
    if not isinstance(files, dict) or not files or not files.keys() >= set(needed):
        raise damaged(folder, FACTS, "its 'files' are not those of an export")
    for name, digest in files.items():
        plain = pathlib.PurePath(name).name == name and name not in ("", "..")
        if not plain or "\0" in name or not isinstance(digest, str):
            what = f"'{name[:99]}' is no file of an export"
            raise damaged(folder, FACTS, what)
    return files


def check_files(
    folder: pathlib.Path, facts: dict[str, Any], needed: Collection[str]
) -> None:
    """Whether all files are as they were written; see ``files_of``."""
    for name, digest in files_of(folder, facts, needed).items():
        try:
            if (folder / name).exists() and not (folder / name).is_file():
                raise OSError("it is no file")  # a pipe would never end
            known = _digest(folder / name)
        except (OSError, ValueError) as error:  # names that no file can have, too
            raise damaged(folder, name, error) from error
        if known != digest:
            raise damaged(folder, name, "it is not as it was written")


def damaged(folder: pathlib.Path, name: str, why: Any) -> configs.InputError:
    """The error for a file of an export that cannot be used."""
    return configs.InputError(
        f"'{folder}' is a damaged export: {name}: {str(why)[:300]}; export it again"
    )
