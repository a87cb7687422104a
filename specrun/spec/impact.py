"""Impact classes: what a change of a field does to results that exist already.

Step keys, the reasons in a plan, what a resume allows and how a diff groups all derive from this one tag.
"""

from __future__ import annotations

from typing import Literal, get_args

Impact = Literal["weights", "extend", "eval", "export", "report", "runtime", "meta"]
"""weights: other data or weights, so retrain. extend: the same training, carried further. eval: another evaluation of the
same weights. export: another artifact of the same weights. report: another view of the same records. runtime: the same
result by another way (workers, log cadence). meta: a name."""

IMPACTS: tuple[Impact, ...] = get_args(Impact)
