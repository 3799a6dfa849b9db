"""BiomedCLIP in Flax: the two towers, exact preprocessing, the tokenizer, and a converter from the
published files.
"""
