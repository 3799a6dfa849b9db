"""Parts that every command line of the project shares; imports no JAX and no other package.

cli (commands, presets, exit codes), errors (UserError), files and lock (atomic writes, run
folders), progress, stats, plots,
html (self-contained report pages), cells (resumable grids of experiments), chat (client of OpenAI-
compatible servers).
"""
