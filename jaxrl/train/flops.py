"""Arithmetic of a function, counted from its jaxpr: matrix products and convolutions, loops taken
as often as they run.

The compiler's own count takes the body of a loop once, which is useless for a rollout inside a
scan.
"""

import math
from collections.abc import Callable

PEAKS = {
    "H200": (989e12, 495e12),
    "H100": (989e12, 495e12),
    "A100": (312e12, 156e12),
    "L4": (121e12, 60e12),
    "RTX 4090": (165e12, 83e12),
    "TPU v4": (275e12, None),
    "TPU v5 lite": (197e12, None),
    "TPU v5p": (459e12, None),
    "TPU v6 lite": (918e12, None),
}
"""Peak arithmetic of one device by a part of its name, from the makers' data sheets: bfloat16 and
TF32 (what float32 runs as on these GPUs), dense, floating-point operations per second.
"""


def peak_flops(device_kind: str, precision: str) -> float | None:
    """Peak operations per second of a device in "bfloat16" or "float32"; None where it is not
    known.
    """
    for name, (half, single) in PEAKS.items():
        if name in device_kind:
            return half if precision == "bfloat16" else single
    return None


def count_flops(function: Callable, *arguments) -> int:
    """Floating-point operations (2 per multiply-add) of matrix products and convolutions in
    `function(*arguments)`.

    The arguments are arrays or `jax.ShapeDtypeStruct`s; nothing is computed. A `while` loop counts
    as one turn, a `cond` as its most expensive branch.
    """
    import jax

    return _of(jax.make_jaxpr(function)(*arguments).jaxpr)


def _of(jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return (
            2
            * math.prod(equation.outvars[0].aval.shape)
            * math.prod(left[axis] for axis in contracted)
        )
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = params["dimension_numbers"].rhs_spec[0]
        taps = math.prod(kernel) // kernel[outputs]
        return 2 * math.prod(equation.outvars[0].aval.shape) * taps
    inner = [_of(jaxpr) for value in params.values() for jaxpr in _jaxprs(value)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _jaxprs(value):
    """The jaxprs in a parameter: plain, closed, or in a tuple."""
    if hasattr(value, "eqns"):
        return [value]
    if hasattr(value, "jaxpr"):
        return _jaxprs(value.jaxpr)
    if isinstance(value, tuple | list):
        return [jaxpr for item in value for jaxpr in _jaxprs(item)]
    return []
