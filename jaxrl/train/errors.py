"""The errors of `jaxrl.app.errors` under their old place; `Refusal` is called `UserError` now."""

from jaxrl.app.errors import UserError, is_remote, reaching, writing

__all__ = ["Refusal", "UserError", "is_remote", "reaching", "writing"]

Refusal = UserError
