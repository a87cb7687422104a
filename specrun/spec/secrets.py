"""Recognises credentials written out where a reference belongs: by the marks of their issuers, or by what they are assigned to."""

from __future__ import annotations

import re

_ISSUED = (
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|sk-(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{24,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|wandb_v1_[A-Za-z0-9_-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}"
    r"|glpat-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{20,}|dapi[a-f0-9]{32}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r"|-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|\Z))"
    r"|(?<=://)[^\s/?#@:]*:[^\s/?#@]+(?=@)"
)
"""Forms that issuers publish: Hugging Face, GitHub, OpenAI and others, Stripe, W&B, AWS, Slack, Google, GitLab, npm, PyPI,
Databricks; JSON web tokens, private keys, and a user with a password in an address."""
_MARKS = ("hf_", "api_org_", "gh", "github_pat_", "sk-", "k_live_", "k_test_", "wandb_v1_", "AKIA", "ASIA", "xox", "AIza", "glpat-", "npm_",
          "pypi-", "dapi", "eyJ", "PRIVATE KEY", "@")  # fmt: skip
"""What every issued credential holds: the pattern is compiled only for a text that holds one of them."""
_ASSIGNED = (
    r"(?P<name>(?:(?i:(?:api|access|account|secret|auth)[_-]?(?:access[_-]?)?(?:key|token)|password|passwd|secret)|[A-Z]_TOKEN)"
    r"[\"']?\s*[:=]\s*[\"']?|(?i:bearer) +)"
    r"(?=[A-Za-z/+]*\d)(?=[\d/+]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9/+]{15,}={0,2}(?![\w.(\[-])"
)
"""Credentials without a mark, known by their name: WANDB_API_KEY=…, aws_secret_access_key: …, Bearer …"""
_NAMES = ("key", "token", "passw", "secret", "bearer")


def has_secret(text: str) -> bool:
    """Whether a text holds something that looks like a credential."""
    return any(re.search(pattern, text) for pattern in _candidates(text))


def masked(text: str) -> str:
    """The text with credentials replaced by as many asterisks; its lines stay."""
    for pattern in _candidates(text):
        text = re.sub(pattern, _asterisks, text)
    return text


def shortened(text: str, length: int = 60) -> str:
    """At most `length` characters of a text. Masked first: of a credential that is cut, no pattern would know the rest."""
    text = masked(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _candidates(text: str) -> list[str]:
    """The patterns that may match: most texts hold none of what they need."""
    found = [_ISSUED] if any(mark in text for mark in _MARKS) else []
    lowered = text.lower()
    return [*found, _ASSIGNED] if any(name in lowered for name in _NAMES) else found


def _asterisks(match: re.Match[str]) -> str:
    kept = match.groupdict().get("name") or ""
    return kept + re.sub(r"[^\n]", "*", match[0][len(kept) :])
