"""The `schedule` section: how long, how fast and with what care a model is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specrun.spec.section import Part, Section, Slot, option
from specrun.spec.sections.parameters import Parameters
from specrun.spec.sections.recovery import Recovery
from specrun.spec.units import Quantity, Units

Cadence = Annotated[Quantity, Units("steps", "epochs", "tokens", "samples", "percent", "seconds")]


class Evaluate(Section):
    """When the model is evaluated during training, and on how much."""

    every: Cadence = option(
        Quantity(10, "percent"),
        impact="weights",
        description="Distance between evaluations, such as 500 steps, 10% or 10min. After a time of steps, evaluations and saves left out, "
        "the next step that ends is evaluated: which steps those are, and with them the best weights, early stopping and reductions on a "
        "plateau, then depends on the machine, as with a duration in time.",
    )
    max_batches: int | None = option(
        None, impact="weights", description="Batches of the validation split per evaluation; absent means the whole split.", ge=1, le=10**12
    )
    samples: int = option(1, impact="eval", description="Texts generated at each evaluation, to look at.", ge=0, le=16)


class Checkpoint(Section):
    """When state is saved, and which states are kept. The newest two always are."""

    every: Cadence = option(
        Quantity(10, "percent"), impact="runtime", description="Distance between checkpoints, such as 1000 steps or 10min."
    )
    keep_last: int = option(2, impact="runtime", description="Newest checkpoints kept.", ge=2, le=1000)
    keep_best: int = option(
        1,
        impact="runtime",
        description="Best weights kept apart, however many newer ones there are. With each newest checkpoint the best weights of its time "
        "stay too: training may go back to it.",
        ge=1,
        le=100,
    )
    metric: str = option("validation/loss", impact="weights", description="Metric that says which checkpoint is best.")
    grace: Annotated[Quantity, Units("seconds")] = option(
        Quantity(25, "seconds"),
        impact="runtime",
        description="Longest wait for the step under way once SIGTERM or SIGUSR1 asks for an end; after it the run ends with its newest "
        "checkpoint. Kubernetes and Slurm kill 30 s after SIGTERM unless told otherwise.",
    )


class EarlyStopping(Section):
    """Ends training when a metric has stopped improving."""

    metric: str = option("validation/loss", impact="weights", description="Metric that has to improve.")
    patience: Annotated[Quantity, Units("evaluations")] = option(
        Quantity(5, "evaluations"), impact="weights", description="Evaluations without an improvement before training ends."
    )
    min_delta: float = option(
        0.0, impact="weights", description="Smallest change that counts as an improvement, in the metric's unit.", ge=0, le=10**6
    )


class Schedule(Section):
    """The training schedule. Steps are optimizer steps."""

    duration: Annotated[Quantity, Units("epochs", "steps", "tokens", "samples", "seconds")] = option(
        Quantity(1, "epochs"),
        impact="extend",
        description="How long to train, such as 3 epochs, 2000 steps, 50M tokens or 9h. A time is that of training with its evaluations, "
        "over all attempts; shares such as 10% go by it, the learning rate's course and its warm-up by the part of it that steps take, "
        "compiling and evaluations left out, and the number of steps by the machine.",
    )
    batch_size: int = option(32, impact="weights", description="Samples an optimizer step, over all micro-batches.", ge=1, le=1_048_576)
    micro_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | Literal["auto"] = option(
        "auto",
        impact="weights",
        description="Samples computed at once; the gradient is accumulated over them. auto takes the whole batch where that "
        "fits the memory beyond doubt, and otherwise finds by trial, before training, the fastest of the largest sizes that fit. "
        "With dropout, whose masks are drawn for each, another size trains again; without, the result stays and nothing runs.",
    )
    optimizer: Annotated[Part, Slot("optimizer")] = option(
        {"kind": "adamw"}, impact="weights", description="Update rule, with its base learning rate."
    )
    learning_rate: Annotated[Part, Slot("learning_rate")] = option(
        {"kind": "warmup_cosine"}, impact="weights", description="Course of the learning rate over the duration, as a factor of the base."
    )
    gradient_clip: float | None = option(
        None, impact="weights", description="Largest global L2 norm of the gradient; absent means no clipping.", gt=0, le=10**6
    )
    evaluate: Evaluate = option(Evaluate(), impact="weights", description="When the model is evaluated.")
    checkpoint: Checkpoint = option(Checkpoint(), impact="runtime", description="When state is saved.")
    early_stopping: EarlyStopping | None = option(None, impact="weights", description="When to end early; absent means never.")
    log_every: Annotated[Quantity, Units("steps")] = option(
        Quantity(10, "steps"),
        impact="runtime",
        description="Steps between two records of the training metrics, each their mean. "
        "A run's own train/loss is that of the last 5 % of the planned steps, whatever this is.",
    )
    parameters: Parameters = option(Parameters(), impact="weights", description="Which parameters are trained.")
    recovery: Recovery = option(Recovery(), impact="weights", description="What to do when a step fails.")
