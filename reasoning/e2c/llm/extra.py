"""The extra that holds language models, imported late, with an error that names it."""

import importlib
from types import ModuleType

from jaxrl.app.errors import UserError


def load(module: str) -> ModuleType:
    """A module of the extra `llm`.

    Raises:
      UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"local language models need {error.name}, which is not installed: pip install "
            "'latentax[llm]', or ask a server by "
            "--endpoint.base-url"
        ) from None
