"""Tree and forest of thoughts: real ones, with a value of thoughts, and the authors' baselines,
which have none.

A thought is a fragment of a plan. `tot` and `fot` are ours: the baselines of the authors'
repository keep the first nodes of a tree, and never use a forest's thoughts, which makes
self-consistency with wasted tokens of it.
"""

import math

from reasoning.e2c.asking import Ask, Completion, Ledger, Steps, Weigh
from reasoning.e2c.format import CLOSE_PLAN, Prompt
from reasoning.e2c.policies.direct import execute_all
from reasoning.e2c.policies.selecting import judge
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.policies.votes import majority

BRANCHES = 2


def tot(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """A binary tree over fragments of plans, ceil(log2 k) deep; the better half of each layer is
    kept; leaves are executed.

    The value of a fragment is its mean log-probability per token. Our choice: it costs nothing to
    generate.

    Args:
      question: text of the problem.
      settings: `k`, and the sampling of thoughts, plans and executions.
      ledger: not used; this policy keeps no budget.
      rng: seeds of the sampled completions.
    """
    nodes = [""]
    for _ in range(depth(settings.k)):
        grown = yield from grow(question, nodes, settings, rng)
        nodes = yield from most_valuable(question, grown, settings)
    plans = yield from close(question, nodes, settings, rng)
    answers = yield from execute_all(question, plans, settings)
    return majority(answers), {"plans": plans, "answers": answers}


def fot(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """k trees of two thoughts each (whole plans); the better one, by the judge, is executed;
    majority vote.

    Args:
      question: text of the problem.
      settings: `k`, the judge, and the sampling of plans and executions.
      ledger: not used; this policy keeps no budget.
      rng: seeds of the sampled completions.
    """
    seeds = [int(rng.integers(2**31)) for _ in range(settings.k)]
    pairs = yield [settings.asks_plans(question, BRANCHES, seed) for seed in seeds]
    plans = []
    for pair in pairs:
        chosen = yield from judge(question, pair, settings)
        plans.append(settings.plan_of(pair[chosen]))
    answers = yield from execute_all(question, plans, settings)
    return majority(answers), {"plans": plans, "answers": answers}


def tot_official(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """The authors' baseline: the same tree without values; the first k nodes are kept, each ends in
    a sampled completion; vote.

    Args:
      question: text of the problem.
      settings: `k`, and the sampling of thoughts and chains.
      ledger: not used; this policy keeps no budget.
      rng: seeds of the sampled completions.
    """
    nodes = [""]
    for _ in range(depth(settings.k)):
        grown = yield from grow(question, nodes, settings, rng)
        nodes = [text for text, _ in grown][: settings.k]
    asks = [_after(question, node, settings, "chain", int(rng.integers(2**31))) for node in nodes]
    answers = [settings.answer_of(chain) for (chain,) in (yield asks)]
    return majority(answers), {"thoughts": nodes, "answers": answers}


def fot_official(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """The authors' baseline: two thoughts for each of k trees, which nobody reads, then k fresh
    chains; vote.

    Args:
      question: text of the problem.
      settings: `k`, and the sampling of thoughts and chains.
      ledger: not used; this policy keeps no budget.
      rng: seeds of the sampled completions.
    """
    thoughts = Ask(
        "thought",
        settings.layout.question_prompt(question),
        settings.thought,
        BRANCHES * settings.k,
        int(rng.integers(2**31)),
    )
    _, chains = yield [
        thoughts,
        settings.asks_chain(question, settings.k, int(rng.integers(2**31))),
    ]
    answers = [settings.answer_of(chain) for chain in chains]
    return majority(answers), {"answers": answers}


def depth(k: int) -> int:
    """Layers of a binary tree with k leaves."""
    return math.ceil(math.log2(k)) if k > 1 else 0


def grow(question: str, nodes: list[str], settings: Settings, rng):
    """Grow two children from every open node; closed nodes stay.

    Args:
      question: text of the problem.
      nodes: fragments of plans; "" is the root, and one with the closing tag is closed.
      settings: layout and sampling of thoughts.
      rng: seeds of the sampled completions.

    Returns:
      Steps that return `(text so far, its last completion or None)` per node, equal texts once.
    """
    still = [node for node in nodes if not node.endswith(CLOSE_PLAN)]
    asks = [
        _after(question, node, settings, "thought", int(rng.integers(2**31)), BRANCHES)
        for node in still
    ]
    replies = dict(zip(still, (yield asks), strict=True)) if asks else {}
    grown: list[tuple[str, Completion | None]] = []
    for node in nodes:
        grown += [(node + _ending(child), child) for child in replies.get(node, [])] or [
            (node, None)
        ]
    return list({text: (text, child) for text, child in grown}.values())


def most_valuable(question: str, grown: list[tuple[str, Completion | None]], settings: Settings):
    """The better half of the nodes, at least one, by mean log-probability of all their tokens."""
    prompt = settings.layout.question_prompt(question)
    weighed = yield [Weigh("value", prompt, text) for text, _ in grown]
    values = [reply.logprob / max(1, reply.tokens) for reply in weighed]
    order = sorted(range(len(grown)), key=lambda place: -values[place])
    return [grown[place][0] for place in order[: max(1, (settings.k + 1) // 2)]]


def close(question: str, nodes: list[str], settings: Settings, rng):
    """Plans of all nodes, those still open brought to their end.

    Args:
      question: text of the problem.
      nodes: fragments of plans; one with the closing tag is closed.
      settings: layout and sampling of plans.
      rng: seeds of the sampled completions.
    """
    still = [node for node in nodes if not node.endswith(CLOSE_PLAN)]
    asks = [_after(question, node, settings, "plan", int(rng.integers(2**31))) for node in still]
    replies = dict(zip(still, (yield asks), strict=True)) if asks else {}
    whole = [node + (_ending(replies[node][0]) if node in replies else "") for node in nodes]
    return [
        settings.layout.parse(text.removesuffix(CLOSE_PLAN) + CLOSE_PLAN).plan for text in whole
    ]


def _ending(child: Completion) -> str:
    """A thought's text, with the closing tag if it ended there."""
    return child.text + (CLOSE_PLAN if child.finished else "")


def _after(question, node, settings, phase, seed, n=1) -> Ask:
    """Continues behind the prefilled tag and a fragment, as the settings sample this phase."""
    prompt = settings.layout.question_prompt(question)
    return Ask(phase, Prompt(prompt.user, prompt.prefill + node), getattr(settings, phase), n, seed)
