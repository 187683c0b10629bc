"""A user's objective or network file: loaded, and its faults explained in its words.

Whatever it does wrong is an InputError of one paragraph: file, function, line, why.
"""

import contextlib
import functools
import importlib.util
import linecache
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from aejax import config

_MOST = 4096  # heads or inputs of a network
_NAMES = "member epoch step split diverged loss mse error_rate psnr"  # of columns
_TAKEN = {*config.FIELDS, *_NAMES.split()}


def path_of(name: str) -> pathlib.Path:
    """The file that a name on the command line means, whether it exists or not."""
    return pathlib.Path(os.path.expanduser(name)).absolute()


def load(kind: str, name: str) -> ModuleType:
    """The module in this file.

    Raises:
      InputError: it is no .py file, or fails when it is imported.
    """
    path = path_of(name)
    if path.suffix != ".py":
        raise config.InputError(f"{kind} file '{name}' is not a .py file")
    module_name = f"aejax_outside_{kind}_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    # dataclasses and typing look a module up by name while it runs.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise config.InputError(
            f"{kind} file '{name}' fails when it is imported: {_cause(error, path)}"
        ) from error
    return module


def entry(kind: str, name: str, build: Callable[[Any], Any]) -> Any:
    """What ``build`` makes of this file, its functions guarded.

    Raises:
      InputError: as ``load``; the file breaks the contract.
    """
    module = load(kind, name)
    guard = _Guard(kind, name)
    try:
        made = build(module)
    except config.InputError as error:
        raise config.InputError(f"{kind} file '{name}': {error}") from error
    except BaseException as error:
        reason = _cause(error, guard.path)
        raise config.InputError(
            f"{kind} file '{name}' does not keep the contract of {kind}s: {reason}"
        ) from error
    guarded = {"objective": guard.objective, "network": guard.network}
    return guarded[kind](made) if kind in guarded else made


@contextlib.contextmanager
def blamed(what: str, **names: str) -> Iterator[None]:
    """Explains what fails in here by the files of these kinds, if any is a user's."""
    files = {kind: name for kind, name in names.items() if name.endswith(".py")}
    try:
        yield
    except config.InputError:
        raise
    except Exception as error:
        if not files or "RESOURCE_EXHAUSTED" in str(error):  # a full memory
            raise
        listed = " and ".join(f"{kind} file '{name}'" for kind, name in files.items())
        paths = [path_of(name) for name in files.values()]
        raise config.InputError(f"{listed}: {what}: {_cause(error, *paths)}") from error


def _cause(error: BaseException, *paths: pathlib.Path) -> str:
    """Type and message of an error, and the last line of these files that led to it."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    names, line, trace = set(map(str, paths)), "", error.__traceback__
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if file in names:
            text = linecache.getline(file, trace.tb_lineno).strip()
            line = f"line {trace.tb_lineno}, `{text[:120]}`: "
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.lineno:
        line = f"line {error.lineno}: "
    if isinstance(error, SystemExit):
        return f"{line}it ends the program (sys.exit)"
    if len(words := " ".join(str(error).split())) > 400:
        words = f"{words[:200]} … {words[-200:]}"
    return f"{line}{type(error).__name__}: {words}"


class _Guard:
    """Wraps the functions of one file."""

    def __init__(self, kind: str, name: str):
        self.kind, self.name, self.path = kind, name, path_of(name)

    def wrong(self, what: str, reason: str) -> config.InputError:
        return config.InputError(f"{self.kind} file '{self.name}': {what} {reason}")

    def call(self, name: str, function: Any, reason: Callable = lambda *a, **k: None):
        """``function``, whose errors are told, and what it returns checked.

        ``reason`` is given that and all arguments, and says what is wrong, or None.
        """
        if not callable(function):
            raise self.wrong(name, f"is {_text(function)}, where a function belongs")

        @functools.wraps(function)
        def run(*arguments, **more):
            try:
                out = function(*arguments, **more)
            except config.InputError:
                raise
            except BaseException as error:
                raise self.wrong(f"{name} fails:", _cause(error, self.path)) from error
            if why := reason(out, *arguments, **more):
                raise self.wrong(f"{name} returned", why)
            return out

        return run

    def objective(self, made: Any) -> Any:
        """An Objective of guarded functions."""
        fields = {n: self.number(n, getattr(made, n)) for n in ("heads", "inputs")}
        for name, reason in _OBJECTIVE.items():
            optional = name in ("prior", "log_weight")  # which may be None
            if (function := getattr(made, name)) is not None or not optional:
                fields[name] = self.call(name, function, reason)
        if callable(made.ranges):
            fields["ranges"] = self.call("ranges", made.ranges)
        return made._replace(**fields)

    def network(self, made: Any) -> Any:
        """An Entry whose networks are of guarded functions."""

        def build(*spec, **options):
            net = make(*spec, **options)
            fields = {n: getattr(net, n, None) for n in ("init", "encode", "decode")}
            if None in fields.values():
                raise self.wrong("build", f"returned {_text(net)}, not a Network")
            for name, function in fields.items():
                reason = functools.partial(_NETWORK[name], spec[0])
                fields[name] = self.call(name, function, reason)
            return net._replace(**fields)

        make = self.call("build", made.build)
        check = self.call("check", made.check, _check_reason)
        return made._replace(build=functools.wraps(made.build)(build), check=check)

    def number(self, name: str, value: Any) -> Any:
        """A number of arrays, or the function of hyperparameters that gives it."""

        def reason(value, **hp):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not 1 <= value <= _MOST:
                return f"{_text(value)}; a whole number from 1 to {_MOST} belongs here"

        if callable(value):
            return self.call(name, value, reason)
        if why := reason(value):
            raise self.wrong(f"{name} is", why)
        return value


def _text(value: Any) -> str:
    """An array by its type and shape, anything else by its value, cut."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)} and type {value.dtype}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_text, value[:4]))}{', …' * (len(value) > 4)})"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:80] + '…'}"


def _is_number(value: Any, real: str = "real") -> bool:
    """Whether it is a scalar: floating if ``real`` is "floating"."""
    import jax.numpy as jnp

    try:
        kind, shape = jnp.result_type(value), jnp.shape(value)
    except (TypeError, ValueError):
        return False
    whole = jnp.issubdtype(kind, jnp.bool_) or jnp.issubdtype(kind, jnp.integer)
    fits = jnp.issubdtype(kind, jnp.floating) or (whole and real == "real")
    return shape == () and fits


def _is_array(value: Any, shape: tuple) -> bool:
    """Whether it is an array of floats of this shape."""
    import jax.numpy as jnp

    alike = getattr(value, "shape", None) == shape
    return alike and jnp.issubdtype(value.dtype, jnp.floating)


def _loss_reason(out, model, params, batch, key, **hp) -> str | None:
    if not isinstance(out, tuple) or len(out) not in (2, 3):
        return f"{_text(out)}; it must return (loss, {{name: metric}}[, new state])"
    loss, metrics = out[:2]
    if not _is_number(loss, "floating"):
        return f"as loss {_text(loss)}; it must be one float, e.g. nll.mean()"
    if not isinstance(metrics, Mapping) or not all(isinstance(n, str) for n in metrics):
        return f"as metrics {_text(metrics)}; they must be {{name: number}}"
    for name, value in metrics.items():
        if not 0 < len(name) <= 60 or not name.isprintable() or name in _TAKEN:
            return f"a metric named {name[:60]}; give it a name that is new and short"
        if not _is_number(value):
            return f"as metric '{name}' {_text(value)}; it must be one number"
    if len(out) > 2 and (new := _tree(out[2])) != (old := _tree(params["state"])):
        return f"as new state {new}; it must be like params['state'], {old}"


def _tree(tree: Any) -> str:
    """Names, shapes and types of a tree's arrays."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return str({jax.tree_util.keystr(p): _text(a) for p, a in leaves})


def _init_reason(out, model, net, batch, key, **hp) -> str | None:
    if not isinstance(out, Mapping) or not set(out) <= {"extra", "state"}:
        return f'{_text(out)}; it must be {{"extra": …, "state": …}}'


def _codes_reason(out, rows: int, width: int, count: int = 0) -> str | None:
    """Why these are no arrays (rows, width): ``count`` of them, or any number if 0."""
    arrays = out if isinstance(out, (tuple, list)) else (out,)
    fits = [_is_array(a, (rows, width)) for a in arrays]
    if not all(fits) or len(fits) != (count or len(fits) or 1):
        many = f"a tuple of {count}, each" if count > 1 else "an array"
        return f"{_text(out)}; it must be {many} of floats (B, Z) = ({rows}, {width})"


def _code_reason(out, model, params, batch, **hp) -> str | None:
    return _codes_reason(out, len(batch.x), model.latent_mask.shape[1])


def _prior_reason(out, model, params, key, n, y, **hp) -> str | None:
    return _codes_reason(out, n, model.latent_mask.shape[1])


def _weight_reason(out, model, params, batch, key, **hp) -> str | None:
    if getattr(out, "shape", None) != (len(batch.x),):
        return f"{_text(out)}; it must be an array of shape (B,) = ({len(batch.x)},)"


def _optimizer_reason(out, tx, model, **hp) -> str | None:
    if not callable(getattr(out, "update", None)):
        return f"{_text(out)}; it must be an optax.GradientTransformation"


def _check_reason(out, spec, **options) -> str | None:
    if out is not None and not isinstance(out, str):
        return f"{_text(out)}; it must return the reason, a str, or None"


def _params_reason(spec, out, key, batch, mask) -> str | None:
    if not isinstance(out, Mapping):
        return f"{_text(out)}; it must be a dict of parameters"


def _encode_reason(spec, out, params, batch, mask) -> str | None:
    return _codes_reason(out, len(batch.x), spec.latent_dim, spec.heads)


def _decode_reason(spec, out, params, z, batch, mask) -> str | None:
    rows = len(z[0] if isinstance(z, (tuple, list)) else z)
    wanted = (rows, *spec.shape, spec.outputs)
    if not _is_array(out, wanted):
        return f"{_text(out)}; it must be floats (B, *S, outputs), {wanted}"


_OBJECTIVE = {
    "loss": _loss_reason,
    "init": _init_reason,
    "code": _code_reason,
    "prior": _prior_reason,
    "log_weight": _weight_reason,
    "optimizer": _optimizer_reason,
}
_NETWORK = {"init": _params_reason, "encode": _encode_reason, "decode": _decode_reason}
