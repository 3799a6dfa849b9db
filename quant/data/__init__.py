"""Data for the studies: `loaders` for each source, `data_by_name` for the command line."""

from quant.old_names import attribute_of

# quant.data was one file until 0.2; its functions are in `loaders`.
__getattr__ = attribute_of("quant.data", "quant.data.loaders")
