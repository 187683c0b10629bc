"""ONNX: what onnxruntime and others run, for any number of examples.

A function's jaxpr becomes a graph, node by node: ``onnx_rules`` knows the primitives.
What depends on no argument is computed here and now, and stays as a constant.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.export
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from aejax import config as configs
from aejax import settings
from aejax.exports import arrays as stored
from aejax.exports import functions, npz, onnx_layout, onnx_rules

NEEDS = {"write": ("onnx",), "read": ()}  # arrays are read by NumPy
NAMES = ("encode", "decode", "reconstruct")
OPSET, IR = 18, 9  # of 2022 and 2023: what runtimes have had for years
load, FILE = npz.load, npz.FILE
# Where primitives keep the jaxpr that they only wrap.
_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")

Value = np.ndarray | str  # a constant, or the name of what a node gives


@settings.usual()
def write(
    parts: stored.Parts, arrays: Mapping[str, np.ndarray], folder: pathlib.Path
) -> None:
    """``encode.onnx``, ``decode.onnx``, ``reconstruct.onnx``, and the arrays.

    Raises:
      InputError: a function that ONNX, or this file, has no operators for.
    """
    import onnx
    from google.protobuf import message

    # Of ours, of tracing, and of a graph that is none after all.
    mistakes = configs.InputError, TypeError, ValueError, NotImplementedError
    mistakes += (message.EncodeError,)  # of more than 2 GB
    mistakes += onnx.checker.ValidationError, onnx.shape_inference.InferenceError
    npz.write(parts, arrays, folder)
    known = functions.of(parts)
    for name in NAMES:
        try:
            data = translated(known[name], name).SerializeToString()
        except mistakes as error:
            raise configs.InputError(
                f"{name} of {functions.title(parts)} has no ONNX: {error}; format "
                "'stablehlo' has all that jax computes"
            ) from error
        (folder / f"{name}.onnx").write_bytes(data)


def translated(function: functions.Function, name: str) -> Any:
    """The ONNX model of a function.

    Raises:
      InputError: a primitive without a rule.
    """
    import onnx

    (rows,) = jax.export.symbolic_shape("n")
    shapes = function.shapes(rows)
    jaxpr = jax.make_jaxpr(function.call)(*shapes)
    graph, names = Graph(), list(function.inputs)
    for argument, shape in zip(names, shapes, strict=True):
        graph.see(argument, shape.shape)
    results = graph.run(jaxpr.jaxpr, jaxpr.consts, names)
    avals = [v.aval for v in jaxpr.jaxpr.outvars]
    for output, result in zip(function.outputs, results, strict=True):
        graph.nodes.append(
            onnx.helper.make_node("Identity", [graph.name(result)], [output])
        )
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            name,
            [onnx_layout.info(n, s) for n, s in zip(names, shapes, strict=True)],
            [
                onnx_layout.info(n, a)
                for n, a in zip(function.outputs, avals, strict=True)
            ],
            [onnx.numpy_helper.from_array(a, n) for n, a in graph.constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="aejax",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class Graph:
    """Nodes as they are made; a body inside shares the constants of the whole.

    Attributes:
      nodes: in order.
      constants: {name: array}, initialisers.
      sizes: {symbolic size as text: (it, what has it, on which axis)}.
    """

    def __init__(self, outer: "Graph | None" = None):
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = outer.constants if outer else {}
        self.sizes: dict[str, tuple[Any, str, int]] = dict(outer.sizes) if outer else {}
        self._counter: list[int] = outer._counter if outer else [0]
        self._known: dict[tuple, str] = outer._known if outer else {}

    def fresh(self) -> str:
        """A new name."""
        self._counter[0] += 1
        return f"v{self._counter[0]}"

    def name(self, value: Any) -> str:
        """The name of a value; that of a constant is its initialiser's."""
        if isinstance(value, str):
            return value
        value = np.asarray(value)
        key = value.dtype.str, value.shape, value.tobytes()
        if key not in self._known:
            self._known[key] = self.fresh()
            self.constants[self._known[key]] = value
        return self._known[key]

    def add(self, operator: str, *inputs: Any, outputs: int = 1, **attributes) -> Any:
        """What a new node gives: a name, or a list of several."""
        import onnx

        names = [self.fresh() for _ in range(outputs)]
        given = [self.name(i) for i in inputs]
        self.nodes.append(onnx.helper.make_node(operator, given, names, **attributes))
        return names[0] if outputs == 1 else names

    def see(self, name: str, shape: Sequence[Any]) -> None:
        """Notes where symbolic sizes can be read when the graph runs."""
        for axis, size in enumerate(shape):
            if not isinstance(size, int):
                self.sizes.setdefault(str(size), (size, name, axis))

    def shape(self, sizes: Sequence[Any]) -> Value:
        """int64 (rank,): a constant where no size is symbolic."""
        if all(isinstance(size, int) for size in sizes):
            return np.array(sizes, np.int64)
        each = [
            np.array([size]) if isinstance(size, int) else self._size(size)
            for size in sizes
        ]
        return self.add("Concat", *each, axis=0)

    def _size(self, size: Any) -> str:
        """int64 (1,): that of an array, or a multiple of it."""
        known = self.sizes.get(str(size))
        for base, name, axis in [known] if known else self.sizes.values():
            times = size // base
            if isinstance(times, int) and times * base == size:
                read = self.add("Shape", name, start=axis, end=axis + 1)
                return self.add("Mul", read, np.array([times])) if times > 1 else read
        raise configs.InputError(f"the size {size} is no multiple of an array's")

    def run(self, jaxpr: Any, consts: Sequence[Any], given: Sequence[Value]) -> list:
        """Values of a jaxpr's results, whose arguments have these."""
        env = dict(zip(jaxpr.constvars, map(_constant, consts), strict=True))
        env |= dict(zip(jaxpr.invars, given, strict=True))

        def read(v: Any) -> Value:
            if isinstance(v, jax.extend.core.Literal):
                return np.asarray(v.val, v.aval.dtype)
            return env[v]

        for eqn in jaxpr.eqns:
            values = [read(v) for v in eqn.invars]
            shapes = [v.aval.shape for v in eqn.outvars]
            inner = [eqn.params[n] for n in _CALLS if n in eqn.params]
            known = not any(isinstance(v, str) for v in values)
            known = known and eqn.primitive.name != "dim_as_value"
            fixed = all(isinstance(d, int) for shape in shapes for d in shape)
            if known and fixed and not inner:
                out = _computed(eqn, values)
            elif rule := onnx_rules.RULES.get(eqn.primitive.name):
                out = rule(self, eqn, *values)
            elif inner and eqn.primitive.name not in onnx_rules.LOOPS:
                out = self.run(*onnx_rules.opened(inner[0]), values)
            else:
                raise configs.InputError(
                    f"no operators are known for jax's {eqn.primitive.name}"
                )
            out = out if isinstance(out, list) else [out]
            for v, value, shape in zip(eqn.outvars, out, shapes, strict=True):
                env[v] = value
                if isinstance(value, str):
                    self.see(value, shape)
        return [read(v) for v in jaxpr.outvars]


def _computed(eqn: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    out = eqn.primitive.bind(*map(jnp.asarray, values), **eqn.params)
    return [_constant(a) for a in (out if eqn.primitive.multiple_results else [out])]


def _constant(a: Any) -> Any:
    """NumPy's array, but of keys, from which zeros of flax's cells are drawn."""
    keys = jax.dtypes.issubdtype(a.dtype, jax.dtypes.extended)
    return a if keys else np.asarray(a)


def usage(parts: stored.Parts) -> str:
    """For the model card."""
    known = functions.of(parts)
    calls = []
    for name in NAMES:
        given = ", ".join(f'"{n}": {n}' for n in known[name].inputs)
        outputs = ", ".join(known[name].outputs)
        calls.append(f'({outputs},) = run("{name}", {{{given}}})')
    code = [
        "import onnxruntime",
        "",
        "",
        "def run(name, arrays):",
        '    session = onnxruntime.InferenceSession(f"{name}.onnx")',
        "    return session.run(None, arrays)",
        "",
        "",
        *calls,
    ]
    listing = "```python\n" + "\n".join(code) + "\n```\n\n"
    about = "onnxruntime runs these functions for any N from 1; parameters are inside."
    return f"{about}\n\n{listing}{functions.table(parts, NAMES)}"
