"""Reports as token numbers, with the tokenizer.json of the model. Needs the package tokenizers
(extra "radiographs").
"""

import html
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError


class ReportTokenizer:
    """Texts to int32 `[N, context]`, padded with 0."""

    def __init__(self, path: str | Path, context: int = 256):
        """Read a tokenizer.json.

        Raises:
          UserError: the package is not installed, there is no such file, or it does not pad with 0.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError(
                "reports need the package tokenizers: pip install 'latentax[films]'"
            ) from None
        if not Path(path).is_file():
            raise UserError(
                f"there is no {path}: convert the model together with its tokenizer.json"
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises plain Exception
            raise UserError(f"{path} is no tokenizer ({error}): download it again") from None
        if self._tokenizer.token_to_id("[PAD]") != 0:
            raise UserError(f"{path} does not pad with token 0, as the model's mask supposes")
        self.context = context
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(context)

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Special tokens are set by the tokenizer; longer texts lose their end, but not the closing
        token.
        """
        out = np.zeros((len(texts), self.context), np.int32)
        for row, encoding in enumerate(
            self._tokenizer.encode_batch([clean(text) for text in texts])
        ):
            out[row, : len(encoding.ids)] = encoding.ids
        return out


def clean(text: str) -> str:
    """Character references resolved, white space made single, as open_clip does (but for ftfy's
    repairs of broken encodings).
    """
    return " ".join(html.unescape(html.unescape(text)).split())
