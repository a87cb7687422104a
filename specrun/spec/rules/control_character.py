"""What: a character in a text that no one can see, or that a terminal obeys.

Why: the text is printed, recorded and shown in reports; as a path, nothing can be opened by it. Raw ones are refused when the file is
read; this finds those that were escaped in double quotes.

Example: `tags: ["a\\u0007"]`. Remedy: remove the character. Line breaks and tabs are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.rules.secret_literal import texts
from specrun.spec.section import Problem

CODE = "control-character"
_CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
"""ASCII's and Unicode's control characters, and marks that turn the direction of writing."""


def check(spec: Spec) -> Iterator[Problem]:
    """Look at every text of the spec."""
    for path, text in texts(spec):
        match = re.search(_CONTROL, text)
        if match is not None:
            message = f"character {match.start() + 1} of {'.'.join(map(str, path))} is U+{ord(match[0]):04X}, which cannot be seen"
            yield Problem(path, CODE, message, "remove it")
