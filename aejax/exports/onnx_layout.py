"""How arrays lie, in ONNX: primitives that only move numbers; see ``onnx_rules``."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aejax import config as configs

END = np.iinfo(np.int64).max  # of a slice that goes to the end


def kind(dtype: Any) -> int:
    """ONNX's number of a type."""
    import onnx

    return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def info(name: str, aval: Any) -> Any:
    """What ONNX is told of an argument or a result; symbolic sizes by their names."""
    import onnx

    shape = [d if isinstance(d, int) else str(d) for d in aval.shape]
    return onnx.helper.make_tensor_value_info(name, kind(aval.dtype), shape)


def _reshape(graph, eqn, x):
    shape = eqn.outvars[0].aval.shape
    if sum(not isinstance(d, int) for d in shape) == 1:  # the one that is left over
        sizes = [d if isinstance(d, int) else -1 for d in shape]
        return graph.add("Reshape", x, np.array(sizes, np.int64))
    return graph.add("Reshape", x, graph.shape(shape))


def _broadcast(graph, eqn, x, *_):
    shape, axes = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    before = [1] * len(shape)
    for axis, size in zip(axes, eqn.invars[0].aval.shape, strict=True):
        before[axis] = size
    if not isinstance(x, str):
        x = x.reshape(before)
    elif len(axes) < len(shape):
        sizes = [d if isinstance(d, int) else -1 for d in before]
        x = graph.add("Reshape", x, np.array(sizes, np.int64))
    if tuple(before) == tuple(shape):
        return graph.add("Identity", x)
    return graph.add("Expand", x, graph.shape(shape))


def _slice(graph, eqn, x):
    starts, ends = eqn.params["start_indices"], eqn.params["limit_indices"]
    sizes = eqn.invars[0].aval.shape
    ends = [END if e == s else e for e, s in zip(ends, sizes, strict=True)]
    if not all(isinstance(i, int) for i in (*starts, *ends)):
        raise configs.InputError("a slice whose ends depend on the number of rows")
    steps = eqn.params["strides"] or (1,) * len(sizes)
    axes = range(len(sizes))
    rows = (np.array(tuple(a), np.int64) for a in (starts, ends, axes, steps))
    return graph.add("Slice", x, *rows)


def _reverse(graph, eqn, x):
    axes = np.array(eqn.params["dimensions"], np.int64)
    last, end = np.full(len(axes), -1), np.full(len(axes), -END)
    return graph.add("Slice", x, last, end, axes, last)


def _pad(graph, eqn, x, value):
    low, high, between = zip(*eqn.params["padding_config"], strict=True)
    if any(between):
        raise configs.InputError("padding between elements")
    return graph.add("Pad", x, np.array(low + high, np.int64), value)


def _split(graph, eqn, x):
    sizes = np.array(eqn.params["sizes"], np.int64)
    axis, count = eqn.params["axis"], len(sizes)
    if count == 1:
        return graph.add("Identity", x)
    return graph.add("Split", x, sizes, outputs=count, axis=axis)


def _stack(graph, eqn, *values):
    axis = np.array([eqn.params["axis"]])
    each = [graph.add("Unsqueeze", v, axis) for v in values]
    return graph.add("Concat", *each, axis=int(axis[0]))


def _part(graph, eqn, x, start):
    """A gather from one place that is known, as of x[:, 1:3, 0]: a slice."""
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    axes, starts = np.array(numbers.start_index_map, np.int64), np.int64(start)
    ends = starts + np.array([sizes[i] for i in axes], np.int64)
    others = [i for i in range(len(sizes)) if i not in axes]
    shape = eqn.invars[0].aval.shape
    if any(sizes[i] != shape[i] for i in others):
        axes = np.append(axes, others)
        starts = np.append(starts, np.zeros(len(others), np.int64))
        ends = np.append(
            ends, [END if sizes[i] == shape[i] else sizes[i] for i in others]
        )
    out = graph.add("Slice", x, starts, ends, axes)
    if not numbers.collapsed_slice_dims:
        return out
    return graph.add("Squeeze", out, np.array(numbers.collapsed_slice_dims, np.int64))


def _gather(graph, eqn, x, indices):
    """As x[…, ids, …] and x[ids, ids]; ids outside are the caller's fault."""
    if not isinstance(indices, str) and indices.ndim == 1:
        return _part(graph, eqn, x, indices)
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    axes, offset = numbers.start_index_map, numbers.offset_dims
    shape, rank = eqn.invars[0].aval.shape, len(eqn.outvars[0].aval.shape)
    whole = all(
        n == s or i in axes for i, (n, s) in enumerate(zip(sizes, shape, strict=True))
    )
    batch = [i for i in range(rank) if i not in offset]
    places = [*offset[: axes[0]], *batch, *offset[axes[0] :]]
    usual = axes == numbers.collapsed_slice_dims and places == list(range(rank))
    if not (usual and whole) or numbers.operand_batching_dims:
        raise configs.InputError("a choice of elements that is none of rows or columns")
    if len(axes) == 1:
        ids = graph.add("Squeeze", indices, np.array([-1]))
        return graph.add("Gather", x, ids, axis=axes[0])
    if axes != tuple(range(len(axes))):
        raise configs.InputError("a choice of elements along inner axes")
    return graph.add("GatherND", x, graph.add("Cast", indices, to=kind(np.int64)))


def _counts(graph, eqn):
    """Where the number of rows is symbolic; others are computed before."""
    shape, axis = eqn.params["shape"], eqn.params["dimension"]
    size = shape[axis]
    if isinstance(size, int):
        numbers = np.arange(size, dtype=eqn.params["dtype"])
    else:
        end = graph.add("Squeeze", graph.shape([size]))
        numbers = graph.add("Range", np.int64(0), end, np.int64(1))
        numbers = graph.add("Cast", numbers, to=kind(eqn.params["dtype"]))
    along = [-1 if i == axis else 1 for i in range(len(shape))]
    numbers = graph.add("Reshape", numbers, np.array(along))
    return graph.add("Expand", numbers, graph.shape(shape))


def _size(graph, eqn):
    """A symbolic size as a number."""
    size = graph.add("Squeeze", graph.shape([eqn.params["dim"]]))
    return graph.add("Cast", size, to=kind(eqn.outvars[0].aval.dtype))


RULES: dict[str, Callable] = {
    "dim_as_value": _size,
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda g, e, *v: g.add("Concat", *v, axis=e.params["dimension"]),
    "expand_dims": _reshape,
    "gather": _gather,
    "iota": _counts,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _reverse,
    "slice": _slice,
    "split": _split,
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": lambda g, e, x: g.add(
        "Transpose", x, perm=list(e.params["permutation"])
    ),
}
