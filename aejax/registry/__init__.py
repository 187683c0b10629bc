"""Names of one package's files as a mapping name -> object, imported when asked for."""

import ast
import importlib
import importlib.util
import inspect
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aejax import config
from aejax.registry import guard


class Files(Mapping):
    """``{file name: build(module)}`` over a package's files; a path works as a key.

    Listing the names imports nothing, so that a command line can answer at once.
    ``kind`` is what an error calls an entry; ``build`` raises InputError where a file
    breaks the contract; files in ``skip`` are none.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        folder: str,
        build: Callable[[Any], Any],
        skip: tuple[str, ...] = (),
    ):
        self._kind, self._package, self._build = kind, package, build
        files = pathlib.Path(folder).glob("[!_]*.py")
        self._names = tuple(sorted(f.stem for f in files if f.stem not in skip))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Any:
        """The entry of this name, or of the file at this path.

        Raises:
          InputError: no such name or file, or the file breaks the contract.
        """
        if name in self._names:
            return self._build(importlib.import_module(f"{self._package}.{name}"))
        return guard.entry(self._kind, self.check(name), self._build)

    def check(self, name: str) -> str:
        """``name``, if it is known or a file that exists; imports nothing."""
        if name in self._names or (
            is_path(name) and os.path.isfile(guard.path_of(name))
        ):
            return name
        if is_path(name):
            raise config.InputError(f"{self._kind} file '{name}' does not exist")
        raise config.unknown(self._kind, name, self._names)

    def title(self, name: str) -> str:
        """First docstring paragraph of the file, read without importing it."""
        path = guard.path_of(name)
        if name in self._names:
            spec = importlib.util.find_spec(f"{self._package}.{name}")
            path = pathlib.Path(spec.origin)
        try:
            text = ast.get_docstring(ast.parse(path.read_text()))
        except (OSError, ValueError, SyntaxError):  # loading it tells more
            text = ""
        return " ".join((text or "").split("\n\n")[0].split())


def is_path(name: str) -> bool:
    """Whether a name on the command line means a file of the user's."""
    return name.endswith((".py", ".npz", ".npy", ".txt", ".json")) or "/" in name


def label(name: str) -> str:
    """What rows and plots call it: a path's last part, so that runs compare.

    What is asked of it, PATH@KEY=VALUE…, stays whole.
    """
    path, asks = re.fullmatch(r"(.*?)(@\w+=.*)?", name, re.S).groups()
    return pathlib.PurePath(path).name + (asks or "") if is_path(path) else name


def column(name: str, value: Any) -> Any:
    """An axis value as rows have it: files by their labels, widths as 128,64."""
    if name in ("dataset", "objective", "network"):
        return label(value)
    return joined(value)


def joined(value: Any) -> Any:
    """Widths as 128,64, all else as it is: rows and databases hold no tuples."""
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else value


def masked(text: str) -> str:
    """URLs without their passwords."""
    text = re.sub(r"(://[^:/@\s]*):[^@/\s]*@", r"\1:***@", text)
    return re.sub(r"(password=)[^&\s]*", r"\1***", text)


def keywords(function: Callable) -> dict[str, Any]:
    """{keyword-only parameter: its default}."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
