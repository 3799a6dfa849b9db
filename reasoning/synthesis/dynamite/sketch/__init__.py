"""Rule sketches: attribute correspondence by containment of values, and holes for the solver."""
