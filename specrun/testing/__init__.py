"""Contracts that parts of a user's own must keep, as checks for pytest. docs/own-code.md shows how they are used."""

from specrun.testing.inputs import INPUTS, Inputs
from specrun.testing.models import MODEL_CHECKS, ModelCase, check_model
from specrun.testing.opening import open_task_case
from specrun.testing.tasks import TASK_CHECKS, TaskCase, check_task

__all__ = [
    "INPUTS",
    "MODEL_CHECKS",
    "TASK_CHECKS",
    "Inputs",
    "ModelCase",
    "TaskCase",
    "check_model",
    "check_task",
    "open_task_case",
]
