"""Ten textbook refactorings, programs and answers written by hand: see textbook.toml."""

from benchmarks.migrator_scenarios.scenario import Scenario, read

BY_NAME = read("textbook.toml", Scenario)
MERGE, SPLIT, SPLIT_ONE, MERGE_ONE, MOVE, RENAME = (
    BY_NAME[name] for name in ("MERGE", "SPLIT", "SPLIT_ONE", "MERGE_ONE", "MOVE", "RENAME")
)
ASSOCIATION, NATURAL, COPIED, DENORMALISED = (
    BY_NAME[name] for name in ("ASSOCIATION", "NATURAL", "COPIED", "DENORMALISED")
)
TEXTBOOK = tuple(BY_NAME.values())
