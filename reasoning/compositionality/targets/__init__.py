"""Functions whose composition is known: graphs of small parts, with every part's value."""

from reasoning.compositionality.targets.by_name import target_by_name
from reasoning.compositionality.targets.graph import Node, Target, Unit

__all__ = ["Node", "Target", "Unit", "target_by_name"]
