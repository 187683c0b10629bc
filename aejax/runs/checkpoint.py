"""Saving and restoring a population's host arrays with orbax: the only commit.

orbax restores a flipped byte or another shape without a word, so a crc32 of all arrays,
their shapes and the facts beside them are checked here. The step before one that fails
is used; nothing is deleted until that step is saved again.
"""

import contextlib
import json
import logging
import pathlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from aejax import config, machine
from aejax.training import population as populations


class Store:
    """The checkpoints of one population, in a directory of their own; two are kept.

    Args:
      folder: absolute or relative path; made if it does not exist.
      say: called with one line whenever a checkpoint cannot be used.
      read_only: nothing is made or deleted.

    Raises:
      config.InputError: a pipe, which would be waited for, in place of a file.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        say: Callable[[str], None],
        read_only: bool = False,
    ):
        import orbax.checkpoint as ocp

        # Its tracebacks of hundreds of lines; errors reach the caller all the same.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._ocp, self._say = ocp, say
        self.folder = pathlib.Path(folder).resolve()
        for path in self.folder.glob("*/_CHECKPOINT_METADATA"):  # the manager reads all
            if path.exists() and not path.is_file() and not path.is_dir():
                raise config.InputError(f"'{path}' is no file; remove it")
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=None if read_only else 2,
                enable_async_checkpointing=False,
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
                create=not read_only,
            ),
        )

    def close(self) -> None:
        """Stops orbax's threads."""
        self._manager.close()

    def save(self, step: int, state: Any, **facts: Any) -> None:
        """Commits host arrays as this step, with JSON facts beside them.

        Raises:
          config.InputError: the disk is full or cannot be written; what was saved
            before is intact.
        """
        ocp = self._ocp
        meta = {**facts, "step": step, "crc32": _crc32(state), "tree": _tree(state)}
        meta["seal"] = _seal(meta)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
        )
        try:
            if step in self._manager.all_steps():  # one that could not be used
                self._manager.delete(step)
            self._manager.save(step, args=items, force=True)
        except Exception as error:  # orbax has no common type; a full disk: ValueError
            why = (str(error).splitlines() or [type(error).__name__])[0][:200]
            advice = "make room" if machine.is_full(error) else "see to that"
            raise config.InputError(
                f"the checkpoint of step {step} cannot be written to {self.folder}: "
                f"{why}. What was saved before is intact; {advice} and run the same "
                "command again with --resume"
            ) from error

    def restore(
        self,
        like: Callable[[dict[str, Any]], Any],
        reason: Callable[[dict[str, Any]], str | None] = lambda meta: None,
    ) -> tuple[Any, dict]:
        """The newest checkpoint that is whole, as (host arrays, facts), or (None, {}).

        Args:
          like: facts -> tree of shapes and types that must be found.
          reason: facts -> why that checkpoint is of no use all the same, or None.

        Raises:
          InputError: a whole checkpoint holds another tree; nothing is deleted.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        for i, step in enumerate(steps):
            try:
                return self._restored(step, like, reason)
            except (config.InputError, MemoryError):  # not the checkpoint's fault
                raise
            except Exception as error:  # a damaged file can raise anything
                why = (str(error).splitlines() or [type(error).__name__])[0][:160]
                older = [f"that of step {n} is used" for n in steps[i + 1 : i + 2]]
                instead = (older or ["there is none before it"])[0]
                name = f"{self.folder.name}/{step}"
                self._say(f"checkpoint {name} cannot be used ({why}); {instead}")
        return None, {}

    def _restored(self, step, like, reason) -> tuple[Any, dict]:
        """One step's arrays and facts; it raises what says that it is of no use.

        Raises:
          InputError: it is of use, but not to this configuration or this aejax.
        """
        for path in (self.folder / str(step)).rglob("*"):
            if not path.is_file() and not path.is_dir():  # a pipe would be waited for
                raise ValueError(f"{path.name} is no file")
        ocp = self._ocp
        only = ocp.args.Composite(meta=ocp.args.JsonRestore())
        meta = self._manager.restore(step, args=only).meta
        if "crc32" in meta and "seal" not in meta:
            raise config.InputError(
                f"the checkpoints in {self.folder} were saved by an earlier aejax, "
                "which did not protect their step; give another --out"
            )
        if (meta["seal"], meta["step"]) != (_seal(meta), step):
            raise ValueError("its facts are not those that were saved")
        shapes = like(meta)
        if meta["tree"] != _tree(shapes):
            raise config.InputError(
                f"the checkpoints in {self.folder} hold arrays of other names "
                "or shapes than this configuration has; it was saved by "
                "another version of the program or of a file that it uses. "
                "Nothing was touched; give another --out"
            )
        if why := reason(meta):
            raise ValueError(why)
        blank = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)
        items = ocp.args.Composite(state=ocp.args.StandardRestore(blank))
        state = self._manager.restore(step, args=items).state
        if (_tree(state), _crc32(state)) != (meta["tree"], meta["crc32"]):
            raise ValueError("its arrays are not those that were saved")
        return state, meta


def folder(dir: pathlib.Path, index: int) -> pathlib.Path:
    """Where the checkpoints of a population lie."""
    return dir / "checkpoints" / f"population-{index:02d}"


def restore(
    dir: pathlib.Path,
    population: populations.Population,
    say: Callable[[str], None],
    reason: Callable[[dict[str, Any]], str | None] = lambda meta: None,
    read_only: bool = True,
) -> tuple[Any, dict[str, Any]]:
    """The newest usable checkpoint of a population and its facts, or (None, {}).

    ``say`` is told of those of no use, for the ``reason`` of ``Store.restore`` too.
    """
    if not (path := folder(dir, population.index)).is_dir():
        return None, {}
    with contextlib.closing(Store(path, say, read_only)) as store:
        return store.restore(lambda meta: _shapes(population, meta), reason)


def _shapes(population: populations.Population, meta: Mapping[str, Any]) -> Any:
    """Shapes of a checkpoint: the whole state, or at the end parameters."""
    shapes: Any = population.state_shapes
    if meta["final"]:
        shapes = {"params": shapes.params, "diverged": shapes.diverged}
    count = len(population.members)
    return jax.tree.map(
        lambda s: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), shapes
    )


def _tree(state: Any) -> list[str]:
    """Path, type and shape of every array."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [f"{jax.tree_util.keystr(p)} {a.dtype}{list(a.shape)}" for p, a in leaves]


def _crc32(state: Any) -> int:
    crc = 0
    for leaf in jax.tree.leaves(state):
        crc = zlib.crc32(np.ascontiguousarray(leaf).data, crc)
    return crc


def _seal(meta: dict[str, Any]) -> int:
    """Of the facts, the arrays' crc32 among them."""
    facts = {n: v for n, v in meta.items() if n != "seal"}
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())
