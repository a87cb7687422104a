"""`python -m specrun` is the `specrun` command."""

from __future__ import annotations

from specrun.cli.main import main

main()
