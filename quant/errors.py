"""Errors: what is wrong with an argument, in one sentence."""

from numbers import Integral
from typing import Any, get_args

from jaxrl.app.errors import UserError


class QuantError(UserError, ValueError):
    """A size, level or array that a quantizer cannot work with. The message says which, and what
    would do.
    """


def require(condition: bool, message: str) -> None:
    """Refuse unless `condition`; only for what is known while tracing (shapes, configurations).

    Raises:
      QuantError: with `message`.
    """
    if not condition:
        raise QuantError(message)


def require_one_of(name: str, value: str, choices: Any) -> None:
    """Refuse a value that is none of a `Literal`'s.

    Raises:
      QuantError: naming the field and the choices.
    """
    known = get_args(choices)
    require(value in known, f"{name} is {value!r}: choose among {', '.join(map(repr, known))}")


def require_whole(name: str, value: Any) -> None:
    """Refuse a size that is no whole number.

    Raises:
      QuantError: naming the field.
    """
    require(isinstance(value, Integral), f"{name} is {value!r}: it must be a whole number")


def tuple_field(config: Any, name: str, wanted: str) -> tuple:
    """Make a tuple of a field that was given as a list, and refuse anything else or nothing.

    Args:
      config: a frozen dataclass; its field is replaced.
      name: the field.
      wanted: what its entries are, for the message.

    Raises:
      QuantError: it is no tuple or list, or empty.
    """
    value = getattr(config, name)
    require(isinstance(value, (tuple, list)), f"{name} is {value!r}: give {wanted}, in a tuple")
    require(len(value) >= 1, f"{name} is empty: give {wanted}")
    object.__setattr__(config, name, tuple(value))
    return tuple(value)
