"""Parts that every report of the study has."""

HEADINGS = (
    "## What holds",
    "## Accuracy against tokens",
    "## A new domain",
    "## Reinforcement learning",
    "## Adherence",
    "## Informative plans",
)
