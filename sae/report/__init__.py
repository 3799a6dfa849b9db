"""Pages about a run: `html` writes index, case and pattern pages, `svg` draws their figures."""

from jaxrl.app.old_names import attributes

PLACES = {
    "case": ("case_page", "curves_of", "waterfall_of"),
    "html": ("write",),
    "index": ("catalogue_table", "index_page", "pattern_link"),
    "pattern": ("pattern_page",),
    "site": ("Site",),
}
"""Names that this module had when it was a file, by the file that has them now."""
__getattr__ = attributes(
    __name__,
    {name: f"{__name__}.{file}:{name}" for file, names in PLACES.items() for name in names},
)
