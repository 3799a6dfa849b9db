"""Why codebooks collapse, and two cures: deferred quantization and capacity (arXiv 2411.16550)."""
