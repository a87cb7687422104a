"""The kinds of step, a folder each: `step.py` declares (no torch), `run.py` does."""
