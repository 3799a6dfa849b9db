"""The command line: `options` of every command, `plan` (costs before a run), `evaluate`."""
