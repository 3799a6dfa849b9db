"""Actions as people write them: by number or by name, each with a number of times."""

import difflib
import re
from collections.abc import Sequence

from jaxrl.app.errors import UserError
from jaxrl.envs.protocol import HostEnv, JaxEnv


def read_actions(words: Sequence[str], env: JaxEnv | HostEnv) -> tuple[int, ...]:
    """Action numbers from words: `2`, `left`, `left*4` (four times), `2*10`. Capitals do not
    matter.

    Names are the game's `action_names`, if it has any.

    Raises:
      UserError: the game has no such action, or a word is none.
    """
    return tuple(action for word in words for action in _read(word, env))


def _read(word, env):
    action, times = re.fullmatch(r"(.*?)(?:\*(\d+))?", word.strip(), re.DOTALL).groups()
    return [_number(action, env)] * int(times or 1)


def _number(word, env):
    names = [name.lower() for name in getattr(env, "action_names", ())]
    if re.fullmatch(r"\d+", word) and int(word) < env.num_actions:
        return int(word)
    if word.lower() in names:
        return names.index(word.lower())
    named = f", named {', '.join(names)}" if names else ""
    near = difflib.get_close_matches(word.lower(), names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UserError(
        f"{env.name} has actions 0 to {env.num_actions - 1}{named}; --actions holds {word!r}{hint}"
    )
