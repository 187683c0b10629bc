"""jax's primitives as ONNX operators: (graph, equation, *values) -> what it gives."""

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aejax import config as configs
from aejax.exports import onnx_layout


def _plain(operator: str, **attributes: Any) -> Callable:
    return lambda graph, eqn, *values: graph.add(operator, *values, **attributes)


def _not(operator: str) -> Callable:
    return lambda graph, eqn, *values: graph.add("Not", graph.add(operator, *values))


def _one(eqn: Any) -> np.ndarray:
    return np.ones((), eqn.outvars[0].aval.dtype)


def _logical(operator: str) -> Callable:
    def rule(graph, eqn, *values):
        if eqn.outvars[0].aval.dtype != bool:
            raise configs.InputError(f"{eqn.primitive.name} of whole numbers")
        return graph.add(operator, *values)

    return rule


def _reduced(operator: str) -> Callable:
    def rule(graph, eqn, x):
        axes = np.array(eqn.params["axes"], np.int64)
        if not axes.size:
            return graph.add("Identity", x)
        return graph.add(operator, x, axes, keepdims=0)

    return rule


def _reduced_bool(operator: str) -> Callable:
    """And is the least, or the largest, of 0 and 1."""

    def rule(graph, eqn, x):
        numbers = graph.add("Cast", x, to=onnx_layout.kind(np.int32))
        axes = np.array(eqn.params["axes"], np.int64)
        out = graph.add(operator, numbers, axes, keepdims=0)
        return graph.add("Cast", out, to=onnx_layout.kind(np.bool_))

    return rule


def _arg(operator: str) -> Callable:
    def rule(graph, eqn, x):
        (axis,) = eqn.params["axes"]
        out = graph.add(operator, x, axis=axis, keepdims=0)
        return graph.add("Cast", out, to=onnx_layout.kind(eqn.params["index_dtype"]))

    return rule


def _cast(graph, eqn, x):
    kind = np.dtype(eqn.params["new_dtype"])
    if kind.kind not in "fiub":
        advice = "; train it with --precision float32" * (kind.name == "bfloat16")
        raise configs.InputError(
            f"it computes in {kind.name}, which runtimes have no operators for{advice}"
        )
    return graph.add("Cast", x, to=onnx_layout.kind(kind))


def _power(graph, eqn, x):
    exponent = np.asarray(eqn.params["y"], eqn.outvars[0].aval.dtype)
    return graph.add("Pow", x, exponent)


def _round(graph, eqn, x):
    if int(eqn.params["rounding_method"]) == 1:  # halves to even numbers, as ONNX
        return graph.add("Round", x)
    half = np.asarray(0.5, eqn.outvars[0].aval.dtype)
    up = graph.add("Floor", graph.add("Add", graph.add("Abs", x), half))
    return graph.add("Mul", graph.add("Sign", x), up)


def _select(graph, eqn, condition, *cases):
    if len(cases) != 2 or eqn.invars[0].aval.dtype != bool:
        raise configs.InputError("a choice of more than two")
    return graph.add("Where", condition, cases[1], cases[0])


def _clamp(graph, eqn, low, x, high):
    return graph.add("Min", graph.add("Max", x, low), high)


def _dot(graph, eqn, a, b):
    (of_a, of_b), (batch_a, batch_b) = eqn.params["dimension_numbers"]
    ranks = [len(v.aval.shape) for v in eqn.invars]
    if ranks == [2, 2] and not batch_a:
        a = a if of_a == (1,) else graph.add("Transpose", a, perm=[1, 0])
        if of_b != (0,):
            b = b.T if not isinstance(b, str) else graph.add("Transpose", b)
        return graph.add("MatMul", a, b)
    letters = iter(string.ascii_letters)
    left = [next(letters) for _ in range(ranks[0])]
    right = [next(letters) for _ in range(ranks[1])]
    for i, j in zip((*batch_a, *of_a), (*batch_b, *of_b), strict=True):
        right[j] = left[i]
    shared = [left[i] for i in batch_a]
    free = [c for i, c in enumerate(left) if i not in (*batch_a, *of_a)]
    free += [c for j, c in enumerate(right) if j not in (*batch_b, *of_b)]
    equation = f"{''.join(left)},{''.join(right)}->{''.join(shared + free)}"
    return graph.add("Einsum", a, b, equation=equation)


def _sort(graph, eqn, *values):
    """Equal keys stay in their order, as ONNX has it too."""
    if eqn.params["num_keys"] != 1:
        raise configs.InputError("sorting by several keys")
    axis = eqn.params["dimension"]
    size = np.array([eqn.invars[0].aval.shape[axis]])
    keys, order = graph.add(
        "TopK", values[0], size, outputs=2, axis=axis, largest=0, sorted=1
    )
    rest = [graph.add("GatherElements", v, order, axis=axis) for v in values[1:]]
    return [keys, *rest]


def _top_k(graph, eqn, x):
    count = np.array([eqn.params["k"]])
    values, order = graph.add("TopK", x, count, outputs=2, axis=-1)
    return [values, graph.add("Cast", order, to=onnx_layout.kind(np.int32))]


def _cumulated(graph, eqn, x):
    axis, reverse = np.array(eqn.params["axis"]), int(eqn.params["reverse"])
    return graph.add("CumSum", x, axis, reverse=reverse)


def _is_finite(graph, eqn, x):
    wrong = graph.add("Or", graph.add("IsNaN", x), graph.add("IsInf", x))
    return graph.add("Not", wrong)


def opened(inner: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and its constants, which some versions of jax have in arguments."""
    return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())


def _same(outer: Sequence[Any], inner: Sequence[Any]) -> int:
    """How many are in a loop what they are outside: others are one step of it."""
    pairs = zip(outer, inner, strict=True)
    return sum(len(a.aval.shape) == len(b.aval.shape) for a, b in pairs)


def _scan(graph, eqn, *values):
    """A body that reads constants, and what is constant in the loop, from outside."""
    import onnx

    body, consts = opened(eqn.params["jaxpr"])
    # By shapes: the names of these numbers are others in each version of jax.
    carried = _same(eqn.outvars, body.outvars)
    count = _same(eqn.invars, body.invars) - carried
    inputs = [v.aval for v in body.invars[count:]]
    inner = type(graph)(graph)
    names = [inner.fresh() for _ in inputs]
    given = [*values[:count], *names]
    results = inner.run(body, consts, given)
    outputs = [inner.add("Identity", r) for r in results]
    infos = [onnx_layout.info(n, a) for n, a in zip(names, inputs, strict=True)]
    arrays = list(values[count:])
    if len(inputs) == carried:  # ONNX counts steps by what is scanned
        steps = np.zeros(eqn.params["length"], np.int32)
        arrays.append(steps)
        step = onnx_layout.info(inner.fresh(), np.zeros((), np.int32))
        infos.append(step)
    results = [
        onnx_layout.info(n, v.aval) for n, v in zip(outputs, body.outvars, strict=True)
    ]
    back, scanned = int(eqn.params["reverse"]), len(infos) - carried
    return graph.add(
        "Scan",
        *arrays,
        outputs=len(outputs),
        body=onnx.helper.make_graph(inner.nodes, graph.fresh(), infos, results),
        num_scan_inputs=scanned,
        scan_input_directions=[back] * scanned,
        scan_output_directions=[back] * (len(outputs) - carried),
    )


UNARY = {
    "abs": "Abs", "ceil": "Ceil", "copy": "Identity", "copy_p": "Identity",
    "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log",
    "logistic": "Sigmoid", "neg": "Neg", "sign": "Sign", "sin": "Sin",
    "sqrt": "Sqrt", "stop_gradient": "Identity", "tanh": "Tanh",
    "reduce_precision": "Identity", "optimization_barrier": "Identity",
}  # fmt: skip
BINARY = {
    "add": "Add", "add_any": "Add", "div": "Div", "eq": "Equal", "ge": "GreaterOrEqual",
    "gt": "Greater", "le": "LessOrEqual", "lt": "Less", "max": "Max", "min": "Min",
    "mul": "Mul", "pow": "Pow", "sub": "Sub",
}  # fmt: skip
LOOPS = ("scan", "while", "cond")
RULES: dict[str, Callable] = {n: _plain(o) for n, o in (UNARY | BINARY).items()}
RULES |= onnx_layout.RULES | {
    "and": _logical("And"),
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "clamp": _clamp,
    "convert_element_type": _cast,
    "cumsum": _cumulated,
    "dot_general": _dot,
    "expm1": lambda g, e, x: g.add("Sub", g.add("Exp", x), _one(e)),
    "integer_pow": _power,
    "is_finite": _is_finite,
    "log1p": lambda g, e, x: g.add("Log", g.add("Add", x, _one(e))),
    "ne": _not("Equal"),
    "not": _logical("Not"),
    "or": _logical("Or"),
    "reduce_and": _reduced_bool("ReduceMin"),
    "reduce_max": _reduced("ReduceMax"),
    "reduce_min": _reduced("ReduceMin"),
    "reduce_or": _reduced_bool("ReduceMax"),
    "reduce_prod": _reduced("ReduceProd"),
    "reduce_sum": _reduced("ReduceSum"),
    "rem": lambda g, e, x, y: g.add("Mod", x, y, fmod=1),  # of the sign of x
    "round": _round,
    "rsqrt": lambda g, e, x: g.add("Reciprocal", g.add("Sqrt", x)),
    "scan": _scan,
    "select_n": _select,
    "sort": _sort,
    "square": lambda g, e, x: g.add("Mul", x, x),
    "top_k": _top_k,
}
