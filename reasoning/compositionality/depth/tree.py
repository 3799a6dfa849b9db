"""Groups of inputs that were found to act through one number, as a tree."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tree:
    """An input, or a node over smaller trees."""

    inputs: frozenset[int]
    depth: int = 0
    children: tuple["Tree", ...] = ()
    score: float = 1.0
    """Separability with which its inputs were merged; 1 for inputs and for a root that was left
    over.
    """

    def __str__(self) -> str:
        """Such as "((0 1) (2 3))"."""
        return (
            str(min(self.inputs))
            if not self.children
            else "(" + " ".join(map(str, self.children)) + ")"
        )

    def groups(self) -> set[frozenset[int]]:
        """The inputs of every node."""
        return (
            {self.inputs}.union(*(child.groups() for child in self.children))
            if self.children
            else set()
        )

    def arity(self) -> int:
        """The most children of a node; 0 for an input."""
        return max([len(self.children), *(child.arity() for child in self.children)])


def leaf(number: int) -> Tree:
    """One input."""
    return Tree(frozenset([number]))


def join(trees: tuple[Tree, ...], score: float = 1.0) -> Tree:
    """A node over trees, in the order of their first inputs."""
    children = tuple(sorted(trees, key=lambda tree: min(tree.inputs)))
    return Tree(
        frozenset().union(*(t.inputs for t in trees)),
        1 + max(t.depth for t in trees),
        children,
        score,
    )
