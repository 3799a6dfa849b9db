"""Pages about a run: `html` writes index, case and pattern pages, `svg` draws their figures."""
