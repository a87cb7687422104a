"""Checks that cross fields, a module each: CODE, a docstring with what, why, example and remedy, and `check(spec)`.

A module without `check` holds a rule that needs more than the spec; the planner calls it.
"""
