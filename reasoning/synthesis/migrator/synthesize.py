"""From a program and two schemas to the program for the new one.

Source: Migrator (arXiv 1904.05498): correspondences best first, a sketch under each, its
completion, the next correspondence if there is
none, and a check by bounded testing at the end.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.completion.candidate_tests import fail_of
from reasoning.synthesis.migrator.completion.sat_search import Completion, Effort, complete
from reasoning.synthesis.migrator.completion.simulate import Simulation, Unrelated, simulation
from reasoning.synthesis.migrator.correspondence.ambiguous import refuse_ambiguous
from reasoning.synthesis.migrator.correspondence.mapping import DataMapping, Unfilled, mappings
from reasoning.synthesis.migrator.correspondence.problem import (
    Correspondence,
    make_problem,
    same_tables,
)
from reasoning.synthesis.migrator.correspondence.required_columns import read_places, twin_columns
from reasoning.synthesis.migrator.correspondence.search import correspondences, why_none
from reasoning.synthesis.migrator.correspondence.undecided import Undecided, decided, undecided
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.equivalence.initial_states import starts_of
from reasoning.synthesis.migrator.equivalence.z3_check import functions_of, verify_program
from reasoning.synthesis.migrator.links.find import linked, without_links
from reasoning.synthesis.migrator.links.rewrite import LinkRewriter, linked_mapping
from reasoning.synthesis.migrator.lookups.find import extracted, unsupported, without_lookups
from reasoning.synthesis.migrator.lookups.rewrite import Rewriter, real_mapping
from reasoning.synthesis.migrator.merging.find import Merged, merged
from reasoning.synthesis.migrator.merging.rewrite import Merger
from reasoning.synthesis.migrator.merging.rules import (
    held_references,
    merge_notes,
    merged_images,
    merged_mapping,
    renumbered,
)
from reasoning.synthesis.migrator.merging.split_schema import split_schema
from reasoning.synthesis.migrator.result import NoProgram, Options, OutOfTime, Refactoring
from reasoning.synthesis.migrator.sketch.build import Sketch, affected, make_sketch, tables_named
from reasoning.synthesis.migrator.sketch.target import ByHand, Unrewritable, View, view_of
from reasoning.synthesis.migrator.sql.given_keys import settled
from reasoning.synthesis.migrator.sql.parse import parse_program
from reasoning.synthesis.migrator.sql.program import Function, Program
from reasoning.synthesis.migrator.sql.tables import Place, Tables, read_tables
from reasoning.synthesis.migrator.testing.actions import other_references, without_new_actions
from reasoning.synthesis.migrator.testing.aligned_keys import aligned_programs


class _Clock:
    def __init__(self, budget):
        self.start, self.budget = time.monotonic(), budget
        self.begun = time.process_time()

    def spent(self):
        return time.monotonic() - self.start

    def worked(self):
        """Seconds of the processor, which a busy machine does not lengthen."""
        return time.process_time() - self.begun

    def in_time(self):
        return self.spent() < self.budget


@dataclass(frozen=True)
class _Task:
    """A refactoring under way."""

    old: Program
    """The program."""
    source: Tables
    """Old schema."""
    target: Tables
    """New schema."""
    options: Options
    """The options as given."""
    clock: _Clock
    """Time since the beginning."""
    effort: Effort
    """Work so far, counted in."""
    progress: Callable[[str], None]
    """Called with a line at a time."""
    decided: dict[Place, Place] = field(default_factory=dict)
    """Places of old columns that the user gives."""
    asking: bool = True
    """Refuse doubtful columns as soon as a program is found; else its caller does."""
    hands: list[frozenset[str]] = field(default_factory=list)
    """Functions kept by hand under the likeliest mapping; one entry once it is tried."""


@dataclass(frozen=True)
class _Attempt:
    """A data mapping to be tried."""

    view: View
    """The target as the mapping shows it."""
    found: Correspondence
    """The correspondence that it was made from."""
    notes: tuple[str, ...] = ()
    """Sentences on what the new schema does more."""


def refactor(
    program: str,
    source_ddl: str,
    target_ddl: str,
    options: Options | None = None,
    *,
    progress: Callable[[str], None] = lambda line: None,
    names: tuple[str, str, str] = ("program", "source schema", "target schema"),
) -> Refactoring | NoProgram | OutOfTime:
    """Rewrite a program of named SQL functions for a new schema.

    Args:
      program: the text of the program.
      source_ddl: CREATE TABLE statements of the old schema.
      target_ddl: CREATE TABLE statements of the new schema.
      options: dialect, bound, budget, seed; None: the defaults.
      progress: called with a line of progress at a time.
      names: the names of the three texts in errors.

    Returns:
      The new program with all that was checked; or why there is none; or, out of budget, the best
      so far.

    Raises:
      UserError: bad input: SQL that does not parse, unknown names, functions twice, parameters
        without use or type, other bad options.
    """
    options = options or Options()
    if options.bound < 0 or not options.budget > 0:
        raise UserError(
            f"bound is {options.bound} and budget {options.budget}: the first is 0 or more, the "
            "second positive"
        )
    clock, effort = _Clock(options.budget), Effort()
    source = read_tables(source_ddl, options.dialect, names[1])
    target = read_tables(target_ddl, options.dialect, names[2])
    old = parse_program(
        program,
        source,
        options.dialect,
        names[0],
        options.keep_by_hand,
        same_tables(source, target),
    )
    effort.phases["parse"] = clock.worked()
    places = decided(options.renames, options.drops, source, target)
    task = _Task(old, source, target, options, clock, effort, progress, places)
    found = _solved(task)
    if isinstance(found, Refactoring):
        found = _none_lost(task, found)
    effort.seconds = clock.spent()
    return found


def _none_lost(task: _Task, found: Refactoring) -> Refactoring:
    """The refactoring in which no column that the program writes is dropped for its name alone.

    Raises:
      Undecided: one would be, and its place is not the only one.
    """
    places, said = undecided(found.mapping, found.correspondence, task.old, task.decided)
    if not places:
        refuse_ambiguous(found.mapping, found.correspondence, task.decided)
        return found
    again = _solved(replace(task, decided={**task.decided, **places}))
    if not isinstance(again, Refactoring):
        (place, new) = next(iter(places.items()))
        raise Undecided(
            place,
            f"{'.'.join(place)} is written by the program and would be dropped, while "
            f"{'.'.join(new)} of the same type would stay empty, and no program was found that "
            f"renames it: say --drop {'.'.join(place)}",
        )
    refuse_ambiguous(again.mapping, again.correspondence, {**task.decided, **places})
    return replace(again, notes=(*again.notes, *said))


def _solved(task: _Task):
    """The refactoring: with merged tables, with lookup tables, or plainly."""
    merges = merged(task.source, task.target, task.options.constants)
    if not merges:
        if reason := unsupported(task.source, task.target):
            return NoProgram(reason, task.effort)
        if splits := merged(task.target, task.source):  # else every row would go into all of them
            new = " and ".join(splits[0].sources)
            return NoProgram(
                f"{splits[0].table} would be split into {new} by its column {splits[0].column}, "
                "and splitting by a column's values is not written: keep the table, or move its "
                "rows by hand",
                task.effort,
            )
        return _with_links(task) or _with_lookups(task) or _search(task)
    found = _with_merges(task, merges)
    if isinstance(found, Refactoring | OutOfTime):
        return found
    plain = _with_lookups(task) or _search(task)
    if isinstance(plain, Refactoring):
        return plain
    tables = " and ".join(f"{' and '.join(one.sources)} into {one.table}" for one in merges)
    return NoProgram(f"merging {tables}: {found}", task.effort)


def _with_merges(task: _Task, merges: list[Merged]) -> Refactoring | OutOfTime | str:
    """The refactoring by way of a schema in which each merged table is split again; or why there is
    none.
    """
    text = split_schema(task.source, task.target, merges)
    where = "the new schema with its merged tables apart"
    plainer = read_tables(text, task.options.dialect, where)
    task.progress(f"merged tables: {'; '.join(one.words() for one in merges)}")
    quick = replace(task.options, bound=min(task.options.bound, 1), verify="off", constants=())
    inner = replace(task, target=plainer, options=quick, progress=lambda line: None, asking=False)
    plain = _with_lookups(inner) or _search(inner)
    if not isinstance(plain, Refactoring):
        return plain if isinstance(plain, OutOfTime) else plain.reason
    held = {source for one in merges for source in one.sources}
    by_hand = {f.name for f in plain.old.functions if f.tables & held}
    try:
        made = _over_the_target(task, plain, Merger(merges, task.target).function, by_hand)
        mapping = merged_mapping(plain.mapping, merges, task.target)
    except Unrewritable as problem:
        return str(problem)
    given = task.options
    shifts = {} if given.keep_keys else renumbered(mapping, made.old, given.renumber)
    mapping = replace(mapping, shifts=shifts)
    notes = (*plain.notes, *merge_notes(merges, mapping))
    found = replace(
        plain,
        old=made.old,
        new=made.new,
        target=task.target,
        correspondence=merged_images(plain.correspondence, merges),
        mapping=mapping,
        rewritten=made.rewritten,
        by_hand=tuple(dict.fromkeys([*plain.by_hand, *made.left])),
        notes=notes,
    )
    checking = held_references(task.target, merges)
    return _whole(replace(task, old=made.old), found, checking)


@dataclass(frozen=True)
class _Rewritten:
    """A program over a plainer schema, rewritten for the real one."""

    old: Program
    """The program, without what is left to be written by hand."""
    new: Program
    """The rewritten one."""
    rewritten: tuple[str, ...]
    """Names of the functions that changed on the way."""
    left: dict[str, str]
    """Functions left to be written by hand, and why."""


def _over_the_target(
    task: _Task, plain: Refactoring, rewrite: Callable[[Function], Function], by_hand: set[str]
) -> _Rewritten:
    """Rewrite every function of a refactoring to a plainer schema for the real schema.

    Args:
      task: with the real schema as its target.
      plain: the refactoring.
      rewrite: rewrites one function, or raises Unrewritable.
      by_hand: names of functions that cannot stay as they are if they are not rewritten.

    Raises:
      Unrewritable: a function is left, and the options do not keep it by hand.
    """
    made, left = {}, {}
    for function in plain.new.functions:
        try:
            made[function.name] = rewrite(function)
        except Unrewritable as problem:
            left[function.name] = str(problem)
        if not function.statements and function.name in by_hand:
            left[function.name] = function.outside
    if left and not task.options.keep_by_hand:
        raise Unrewritable(next(iter(left.values())))
    old = _outside(plain.old, left)
    rewritten = tuple(
        name
        for name, one in made.items()
        if name not in left and (name in plain.rewritten or one != plain.new.named(name))
    )
    new = _with(old, {name: made[name] for name in rewritten}, task.target)
    task.progress(f"{len(rewritten)} of {len(old.functions)} functions rewritten; comparing")
    return _Rewritten(old, new, rewritten, left)


def _whole(task: _Task, found: Refactoring, checking: Tables) -> Refactoring | str:
    """The refactoring compared as a whole with the old program, each function alone, then in
    sequences; or the difference.
    """
    mapping = replace(found.mapping, target=checking)
    task = replace(task, source=mapping.source, target=checking)
    old, new = task.old, found.new
    concerned = [old.named(name) for name in found.rewritten]
    try:
        world = simulation(old, mapping, concerned, task.options.seed)
    except Unrelated as problem:
        return f"the data mapping breaks the new schema: {problem}"
    try:
        for function in concerned:
            for nulls in (False, True)[: 1 if function.name in found.differs else 2]:
                if failure := fail_of(world, function, new.named(function.name), nulls):
                    return f"{function.name}: {failure.what} with {failure.arguments}"
        search = _Search([], world, differs=dict(found.differs))
        checked, verified = _compared(task, new, search)
    finally:
        world.close()
    if checked.failure:
        failure = checked.failure
        return (
            f"{', '.join(failure.functions)} differ (old: {failure.old}, new: {failure.new}, after "
            f"{failure.calls})"
        )
    if functions_of(verified):
        return f"the solver finds a difference: {verified}"
    return replace(
        found,
        checked=checked,
        related=world.tests,  # those of the schema between are no claim on this program
        verified=verified,
        never=tuple(sorted(set(checked.never) - world.succeeded)),
        idle=tuple(
            sorted((set(checked.idle) | world.succeeded) - world.effective - _busy(checked))
        ),
    )


def _with_links(task: _Task) -> Refactoring | None:
    """The refactoring by way of a schema in which association tables are references again; None:
    there are none, or there is no such refactoring.
    """
    links = linked(task.source, task.target, task.decided)
    if not links:
        return None
    text = without_links(task.source, task.target, links)
    plainer = read_tables(text, task.options.dialect, "the new schema without association tables")
    task.progress(f"association tables: {', '.join(one.link for one in links)}")
    quick = replace(task.options, bound=min(task.options.bound, 1), verify="off")
    back = {(one.link, one.value): (one.table, one.column) for one in links}
    places = {old: back.get(new, new) for old, new in task.decided.items()}
    inner = replace(task, target=plainer, options=quick, decided=places, asking=False)
    plain = _search(replace(inner, progress=lambda line: None))
    if not isinstance(plain, Refactoring):
        return None
    rewriter, held = LinkRewriter(links, task.source, task.target), {one.table for one in links}
    by_hand = {f.name for f in plain.new.functions if f.tables & held}
    try:
        made = _over_the_target(task, plain, rewriter.function, by_hand)
        mapping = linked_mapping(plain.mapping, links, task.target)
    except Unrewritable:
        return None
    if made.left:
        return None
    quiet, notes = without_new_actions(mapping)
    images = {
        place: tuple(
            next(((one.link, one.value) for one in links if p == (one.table, one.column)), p)
            for p in places
        )
        for place, places in plain.correspondence.images.items()
    }
    found = replace(
        plain,
        new=made.new,
        target=task.target,
        correspondence=replace(plain.correspondence, images=images),
        mapping=mapping,
        rewritten=made.rewritten,
        notes=(*plain.notes, *notes),
    )
    done = _whole(replace(task, old=plain.old), found, quiet.target)
    return done if isinstance(done, Refactoring) else None


def _with_lookups(task: _Task) -> Refactoring | None:
    """The refactoring by way of a schema without the new one's lookup tables; None: there are none,
    or there is no such refactoring.
    """
    lookups = extracted(task.source, task.target)
    if not lookups:
        return None
    text = without_lookups(task.target, lookups)
    plainer = read_tables(text, task.options.dialect, "the new schema without lookup tables")
    task.progress(f"lookup tables: {', '.join(one.lookup for one in lookups)}")
    quick = replace(task.options, bound=min(task.options.bound, 1), verify="off")
    inner = replace(task, target=plainer, options=quick, progress=lambda line: None, asking=False)
    plain = _search(inner)
    if not isinstance(plain, Refactoring):
        return None
    held = {one.table for one in lookups}
    by_hand = {f.name for f in plain.new.functions if f.tables & held}
    try:
        made = _over_the_target(task, plain, Rewriter(lookups, task.target).function, by_hand)
        old, new, rewritten = made.old, made.new, made.rewritten
        task = replace(task, old=old)
        mapping = real_mapping(plain.mapping, lookups, task.target)
        world = simulation(old, mapping, [old.named(name) for name in rewritten], task.options.seed)
    except (Unrewritable, Unrelated):
        return None
    try:
        queries = [name for name in rewritten if old.named(name).is_query]
        for name in queries:
            for nulls in (False, True)[: 1 if name in plain.differs else 2]:
                if fail_of(world, old.named(name), new.named(name), nulls):
                    return None
        search = _Search([], world, differs=dict(plain.differs))
        checked, verified = _compared(task, new, search)
    finally:
        world.close()
    if checked.failure or functions_of(verified):
        return None
    images = {
        place: tuple(
            next(((h.lookup, h.value) for h in lookups if (h.table, h.column) == p), p)
            for p in places
        )
        for place, places in plain.correspondence.images.items()
    }
    return replace(
        plain,
        old=old,
        new=new,
        target=task.target,
        correspondence=replace(plain.correspondence, images=images),
        mapping=mapping,
        rewritten=rewritten,
        by_hand=tuple(dict.fromkeys([*plain.by_hand, *made.left])),
        checked=checked,
        related=world.tests,
        verified=verified,
        never=checked.never,
        idle=checked.idle,
        not_alone=tuple(name for name in rewritten if name not in queries),
    )


def _search(task: _Task):
    """Try the mappings of all correspondences, likeliest first."""
    readers = read_places(task.old, task.source)
    same = same_tables(task.source, task.target)
    for edge in task.target.edges:
        to = task.target[edge.to]
        if edge.to_columns != to.key and edge.to_columns not in to.unique and edge.to not in same:
            return NoProgram(
                f"{edge.table}.{edge.columns[0]} refers to {edge.to}.{edge.to_columns[0]}, which "
                "is no key of the new schema: declare it PRIMARY KEY or UNIQUE",
                task.effort,
            )
    twins = twin_columns(task.old)
    problem = make_problem(task.source, task.target, frozenset(readers), twins, task.decided)
    if reason := why_none(problem, readers):
        return NoProgram(reason, task.effort)
    reason, best, clock = "", (None, ()), task.clock
    task = replace(task, hands=[])
    for attempt in _attempts(problem, task):
        if isinstance(attempt, str):
            reason = reason or attempt
            continue
        outcome = _under(task, attempt)
        if isinstance(outcome, Refactoring):
            return outcome
        complaint, made, missing = outcome
        reason = reason or complaint
        if made is not None and (best[0] is None or len(missing) < len(best[1])):
            best = (made, missing)
        if not clock.in_time():
            return OutOfTime(best[0], tuple(best[1]), reason or "no time", task.effort)
    if not clock.in_time():
        return OutOfTime(best[0], tuple(best[1]), reason or "no time", task.effort)
    return NoProgram(
        reason or "no correspondence gives every column that is read a place", task.effort
    )


def _attempts(problem, task: _Task) -> Iterator[_Attempt | str]:
    """Views of the target, likeliest first; or why a correspondence gives none. The same view never
    comes twice.
    """
    seen, effort = set(), task.effort
    for found in correspondences(problem, task.clock.in_time):
        if effort.correspondences >= task.options.most_correspondences:
            return
        effort.correspondences += 1
        try:
            for mapping in mappings(task.source, task.target, found):
                view = view_of(mapping, found)
                mark = repr((sorted(mapping.rules.items()), sorted(view.images.items())))
                if mark not in seen:
                    seen.add(mark)
                    effort.mappings += 1
                    yield _Attempt(view, found)
        except Unfilled as unfilled:
            yield str(unfilled)


def _under(task: _Task, attempt: _Attempt):
    """The refactoring under one mapping, or (why not, functions made, functions missing)."""
    old, options, effort = task.old, task.options, task.effort
    view, started = attempt.view, task.clock.worked()
    mapping, notes = without_new_actions(view.mapping)
    if notes:
        view = replace(view, mapping=mapping)
        task = replace(task, target=mapping.target)
    same = same_tables(task.source, task.target)
    notes += other_references(task.source, task.target, same)
    attempt = replace(attempt, view=view, notes=notes)
    concerned = [f for f in old.functions if f.statements and affected(f, view)]
    by_hand = tuple(f.name for f in old.functions if not f.statements and affected(f, view))
    sketches, complaint, left = [], "", {}
    for function in concerned:
        try:
            sketches.append(make_sketch(function, view))
        except ByHand as problem:
            left[function.name] = f"line {function.line}: {problem}"
        except Unrewritable as problem:
            complaint = complaint or str(problem)
    if not task.hands:
        task.hands.append(frozenset(left))
    elif more := sorted(set(left) - task.hands[0]):
        # A less likely mapping, with columns dropped, must not win by leaving more undone.
        return left[more[0]], None, ()
    if left and not complaint:
        if not options.keep_by_hand:
            return next(iter(left.values())), None, ()
        task = replace(task, old=_outside(old, left))
        old, by_hand = task.old, (*by_hand, *left)
        concerned = [function for function in concerned if function.name not in left]
    if complaint:
        return complaint, None, ()
    if not options.ranked:
        sketches = [
            _shuffled(sketch, random.Random(f"{options.seed} {sketch.function.name}"))
            for sketch in sketches
        ]
    task.progress(
        f"correspondence {effort.correspondences}: {len(concerned)} of {len(old.functions)} "
        "functions to rewrite"
    )
    try:
        world = simulation(old, view.mapping, concerned, options.seed)
    except Unrelated as problem:
        return f"the data mapping breaks the new schema: {problem}", None, ()
    _time(effort, "sketch", task.clock.worked() - started)
    search = _Search(sketches, world)
    try:
        while True:
            outcome = _completed(task, attempt, search, by_hand)
            missing = () if isinstance(outcome, Refactoring) else outcome[2]
            differ = {name for name in missing if name in search.fallback} - set(search.differs)
            if not differ or not task.clock.in_time():
                return outcome
            # Better a program that differs for NULL, and says so, than none.
            search.differs |= {name: search.fallback[name] for name in differ}
    finally:
        effort.tests += world.tests
        world.close()


@dataclass
class _Search:
    """Sketches under one mapping, and what is known of NULL."""

    sketches: list[Sketch]
    """Sketches of the functions concerned."""
    world: Simulation
    """Related databases."""
    fallback: dict[str, str] = field(default_factory=dict)
    """Functions with a candidate that differs for NULL alone, and how."""
    differs: dict[str, str] = field(default_factory=dict)
    """Functions of which such a candidate is taken, because there is no other."""


def _shuffled(sketch: Sketch, chance: random.Random) -> Sketch:
    return replace(
        sketch, holes=tuple(tuple(chance.sample(options, len(options))) for options in sketch.holes)
    )


def _completed(task: _Task, attempt: _Attempt, search: _Search, by_hand):
    """Complete the sketches until a program passes all checks."""
    completion = Completion(search.sketches, task.options.seed, task.options.learning)
    try:
        return _completion(task, attempt, search, (completion, by_hand))
    finally:
        completion.close()


def _completion(task: _Task, attempt: _Attempt, search: _Search, given):
    (completion, by_hand), world = given, search.world
    passed: dict[str, Function] = {}

    def fails(function, candidate):
        failure, name = fail_of(world, function, candidate), function.name
        if failure is None and name not in search.differs:
            failure = fail_of(world, function, candidate, nulls=True)
            if failure is not None:
                search.fallback.setdefault(name, f"{failure.what} with {failure.arguments}")
        if failure is None:
            passed[name] = candidate
        return failure and f"{failure.function}: {failure.what} with {failure.arguments}"

    names = tuple(completion.sketches)
    while True:
        started = task.clock.worked()
        picks, complaints = complete(completion, fails, task.effort, task.clock.in_time)
        _time(task.effort, "complete", task.clock.worked() - started)
        if picks is None:
            missing = [name for name in names if name not in passed]
            what = next(
                (complaints[name] for name in missing if name in complaints),
                "no completion is left",
            )
            return (f"no equivalent for {what}", _with(task.old, passed, task.target), missing)
        new = _with(task.old, completion.build(picks), task.target)
        if task.asking:
            # Before the comparison, which takes the most time.
            _refuse_doubtful(task, world.mapping, attempt.found)
        task.progress(
            f"a program after {task.effort.iterations} proposals; comparing sequences of up to "
            f"{task.options.bound} updates"
        )
        checked, verified = _compared(task, new, search)
        failing = checked.failure.functions if checked.failure else functions_of(verified)
        if not failing:
            break
        if not any(name in picks for name in failing):
            what = "their tables do something else in the new schema"
            if checked.failure:
                failure = checked.failure
                what = f"old: {failure.old}, new: {failure.new}, after {failure.calls}"
            return f"{', '.join(failing)} must stay as written, and differ ({what})", None, ()
        calls = (
            checked.failure.calls if checked.failure else ((name, {"": None}) for name in failing)
        )
        for name, arguments in calls:
            if None in arguments.values() and name in picks:
                search.fallback.setdefault(name, f"it differs with {arguments}")
        completion.block(picks, [name for name in failing if name in picks])
    return Refactoring(
        task.old,
        new,
        task.source,
        task.target,
        attempt.found,
        world.mapping,
        names,
        by_hand,
        checked,
        world.tests,
        verified,
        task.effort,
        dict(sorted(search.differs.items())),
        tuple(sorted(set(checked.never) - world.succeeded)),
        tuple(sorted((set(checked.idle) | world.succeeded) - world.effective - _busy(checked))),
        attempt.notes,
    )


def _refuse_doubtful(task: _Task, mapping: DataMapping, found: Correspondence) -> None:
    """Refuse a mapping that the user must decide on.

    Raises:
      UserError: of several columns, or of one that would be dropped, the place is not known.
    """
    places, _ = undecided(mapping, found, task.old, task.decided)
    if not places:  # else another search follows
        refuse_ambiguous(mapping, found, task.decided)


def _busy(checked) -> set[str]:
    """Functions that changed something in a sequence."""
    return set(checked.functions) - set(checked.idle) - set(checked.never)


def _compared(task: _Task, new: Program, search: _Search):
    """Sequences of calls of both programs, and, if they agree, the solver's claim."""
    options, clock, started = task.options, task.clock, task.clock.worked()
    starts = starts_of(task.old, search.world)
    old, new = aligned_programs(task.old, new, search.world.mapping)
    comparison = Comparison(old, task.source, new, task.target, starts)
    comparison.without_null(search.differs)
    until = time.process_time() + options.check_seconds
    checked = comparison.run(options.bound, lambda: clock.in_time() and time.process_time() < until)
    task.effort.sequences += checked.sequences
    _time(task.effort, "check", clock.worked() - started)
    if checked.failure:
        return checked, ""
    started = clock.worked()
    mode = (options.verify, options.budget - clock.spent())
    verified = verify_program(old, task.source, new, task.target, mode, search.differs)
    _time(task.effort, "verify", clock.worked() - started)
    return checked, verified


def _outside(program: Program, reasons: dict[str, str]) -> Program:
    """The program with some functions left as they are written, and why."""
    functions = tuple(
        replace(f, statements=(), outside=reasons[f.name]) if f.name in reasons else f
        for f in program.functions
    )
    return replace(program, functions=functions)


def _time(effort, phase, seconds):
    effort.phases[phase] = effort.phases.get(phase, 0.0) + seconds


def _with(old: Program, made: dict[str, Function], target: Tables) -> Program:
    """The program with some functions replaced; those whose text did not change keep it
    as written.
    """

    def kept(f):
        return replace(
            f,
            statements=settled(made[f.name].statements, target),
            tables=tables_named(made[f.name].statements),
            text=f.text if made[f.name].statements == f.statements else "",
        )

    return Program(
        tuple(kept(f) if f.name in made else f for f in old.functions), old.dialect, target.schemas
    )
