"""The errors of `jaxrl.app.errors` under their old place; `Refusal` is `UserError`."""  # old name

from jaxrl.app.errors import UserError, is_remote, reaching, writing

__all__ = ["Refusal", "UserError", "is_remote", "reaching", "writing"]  # old name

Refusal = UserError  # old name
