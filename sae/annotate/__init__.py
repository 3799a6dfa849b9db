"""Names for patterns, and whether they hold: annotators that name one half of a gallery and are
verified on the other and on negatives.
"""
