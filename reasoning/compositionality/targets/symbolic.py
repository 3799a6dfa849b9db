"""Formulas after brain-inspired modular training (Liu, Gan, Tegmark 2023), inputs in U(-1, 1)."""

import math

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets.graph import Node, Target, Unit

FORMULAS = {
    "independence": "((x0 + x2)^3, x1^2 + sin(pi x3))",
    "sharing": "(x0^2, x0^2 + x1^2, x0^2 + x1^2 + x2^2)",
    "distance": "root of (x0 - x1)^2 + (x2 - x3)^2",
}


def symbolic(name: str) -> Target:
    """One of `FORMULAS`.

    Raises:
      UserError: there is no such formula.
    """
    if name not in FORMULAS:
        raise UserError(
            f"symbolic:{name}: there is no such formula; choose one of {', '.join(FORMULAS)}"
        )

    def square(parent):
        return Node((parent,), Unit((1.0,), 0.0, "square"))

    def total(*parents):
        return Node(parents, Unit((1.0,) * len(parents), 0.0, "identity"))

    if name == "independence":
        wave = Node((3,), Unit((math.pi,), 0.0, "sin"))
        return Target(
            "symbolic:independence",
            4,
            (Node((0, 2), Unit((1.0, 1.0), 0.0, "cube")), square(1), wave, total(5, 6)),
            (4, 7),
        )
    if name == "sharing":
        return Target(
            "symbolic:sharing",
            3,
            (square(0), square(1), square(2), total(3, 4), total(6, 5)),
            (3, 6, 7),
        )

    def apart(a, b):
        return Node((a, b), Unit((1.0, -1.0), 0.0, "square"))

    return Target(
        "symbolic:distance",
        4,
        (apart(0, 1), apart(2, 3), Node((4, 5), Unit((1.0, 1.0), 0.0, "root"))),
        (6,),
    )
