"""Data for the studies: `loaders` for each source, `data_by_name` for the command line."""
