"""Rule sketches: attribute correspondence by containment of values, and holes for the solver."""

from jaxrl.app.old_names import attributes

__getattr__ = attributes(
    __name__,
    {
        name: f"{__name__}.sketch:{name}"
        for name in ("MOST_BETWEEN", "MOST_COPIES", "NoSource", "Sketch", "make_sketch")
    },
)
