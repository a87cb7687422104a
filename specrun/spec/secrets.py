"""Recognises credentials written out where a reference belongs."""

from __future__ import annotations

import re

_PATTERN = (
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|glpat-[A-Za-z0-9_-]{20,})"
)
"""Prefixes that issuers publish: Hugging Face, OpenAI and others, GitHub, AWS, Slack, Google, GitLab."""
_MARKS = ("hf_", "sk-", "gh", "github_pat_", "AKIA", "ASIA", "xox", "AIza", "glpat-")
"""What every credential holds: the pattern is compiled only for a text that holds one of them."""


def has_secret(text: str) -> bool:
    """Whether a text holds something that looks like a credential."""
    return any(mark in text for mark in _MARKS) and re.search(_PATTERN, text) is not None


def masked(text: str) -> str:
    """The text with credentials replaced by as many asterisks."""
    return re.sub(_PATTERN, lambda match: "*" * len(match[0]), text) if has_secret(text) else text
