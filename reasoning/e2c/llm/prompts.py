"""Prompts as text for a local tokenizer: its chat template, and the prefilled beginning of the
reply.
"""

from typing import Any

from reasoning.e2c.format import Prompt


def prompt_text(tokenizer: Any, prompt: Prompt) -> str:
    """The user's turn in the tokenizer's chat template, up to where the assistant speaks, then the
    prefill; without a template, plain text behind the token that begins sequences, if there is one.
    """
    if getattr(tokenizer, "chat_template", None):
        turn = [{"role": "user", "content": prompt.user}]
        return (
            tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            + prompt.prefill
        )
    return f"{getattr(tokenizer, 'bos_token', None) or ''}{prompt.user}\n{prompt.prefill}"
