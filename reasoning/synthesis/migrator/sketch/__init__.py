"""Sketches: `build` makes one from a program and a correspondence, with holes for tables, joins and
conditions (`queries`, `inserts`, `updates`); `order` sorts the statements of a transaction.
"""

from reasoning.synthesis.migrator.old_names import names_of

__getattr__ = names_of(
    "sketch",
    {
        "Sketch": "sketch.build:Sketch",
        "affected": "sketch.build:affected",
        "make_sketch": "sketch.build:make_sketch",
    },
)
