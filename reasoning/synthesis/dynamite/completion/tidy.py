"""The choice among source columns that hold the same values in every example: target columns take
different ones, those with the most similar names, then the first, so that nothing is crossed at
random.
"""

from dataclasses import replace
from typing import Any

from reasoning.synthesis.dynamite.completion.candidate import Candidate, body_of
from reasoning.synthesis.dynamite.sketch.correspondence import likeness
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.engines.memory import matches
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.schema import Column

MOST_ROWS = 200
"""Most derivations compared; columns that agree on so many are taken for alike."""


def tidied(
    sketch: Sketch,
    candidate: Candidate,
    sources: tuple[Facts, ...],
    columns: dict[tuple[str, int], Column],
) -> Candidate:
    """The candidate with its head columns taken, among source columns of one record with equal
    values throughout, from the most similar by name; in the order of the source where names say
    nothing.

    Args:
      sketch: the sketch that it completes.
      candidate: a completion that is right on the examples.
      sources: the source facts of every example.
      columns: the source's columns by place.
    """
    options = _options(sketch, candidate, sources)
    own = [t for t in options if len(options[t]) > 1]
    head = list(candidate.head)

    def price(head):
        unlike = sum(
            1 - likeness(path, attr.name, sketch.place(p)[0], columns[sketch.place(p)].name)
            for (path, attr), p in zip(sketch.head, head, strict=True)
            if p is not None
        )
        dear = sum(sketch.sources[t][p] for t, p in enumerate(head) if p in sketch.calls)
        used = [p for p in head if p is not None]
        crossed = sum(a > b for n, a in enumerate(used) for b in used[n + 1 :])
        # One source column for two target columns only where no other has the same values.
        return dear, len(used) - len(set(used)), round(unlike, 6), crossed, sum(used)

    better = True
    while better:
        better = False
        trials = [_with(head, {t: p}) for t in own for p in options[t]]
        trials += [
            _with(head, {t: head[u], u: head[t]})
            for t in own
            for u in own
            if t < u and head[u] in options[t] and head[t] in options[u]
        ]
        best = min(trials, key=price, default=head)
        if price(best) < price(head):
            head, better = best, True
    return replace(candidate, head=tuple(head))


def _with(head, changes):
    return [changes.get(t, p) for t, p in enumerate(head)]


def _options(sketch: Sketch, candidate: Candidate, sources) -> dict[int, list[int]]:
    """For every column of the collection itself, the positions of the same copy that hold the same
    values in all derivations.
    """
    fixed = {p for p, _ in candidate.constants}
    seen = values_used(sketch, candidate, sources)
    found = {}
    for t, ((path, _), p) in enumerate(zip(sketch.head, candidate.head, strict=True)):
        if path == sketch.path and p is not None:
            copy = sketch.positions[p][0]
            found[t] = [
                q
                for q in sketch.of_copy(copy)
                if q in sketch.sources[t] and q not in fixed and seen[q] == seen[p]
            ]
    return found


def values_used(
    sketch: Sketch, candidate: Candidate, sources: tuple[Facts, ...]
) -> dict[int, list[Any]]:
    """The values at every position in the derivations of a candidate, one after the other."""
    order = sorted(candidate.copies)
    body, _ = body_of(sketch, candidate)
    seen: dict[int, list] = {p: [] for copy in order for p in sketch.of_copy(copy)}
    for facts in sources:
        for number, (_, rows) in enumerate(matches(body, facts)):
            if number == MOST_ROWS:
                break
            for copy, row in zip(order, rows, strict=True):
                fact = facts[sketch.copies[copy]][row]
                for p, value in zip(sketch.of_copy(copy), fact, strict=True):
                    seen[p].append(value)
    return seen
