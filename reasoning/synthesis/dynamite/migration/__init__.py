"""Migration of all the data: load, apply the rules, nest, write, report and verify."""
