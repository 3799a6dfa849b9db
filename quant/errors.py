"""Refusals: what is wrong with an argument, in one sentence."""

from jaxrl.train.errors import Refusal


class QuantError(Refusal, ValueError):
    """A size, level or array that a quantizer cannot work with. The message says which, and what would do."""


def require(condition: bool, message: str) -> None:
    """Refuse unless `condition`; only for what is known while tracing (shapes, configurations).

    Raises:
      QuantError: with `message`.
    """
    if not condition:
        raise QuantError(message)
