"""Options of the `forecasting` task: predict the next steps of one or several time series, with how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from specrun.spec.section import Problem, Section, apart, option
from specrun.spec.split_options import SplitOptions, named
from specrun.spec.task_options import Goal, Need, TaskOptions

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Share = Annotated[float, Field(gt=0, lt=1)]
CalendarFeature = Literal["minute", "hour", "weekday", "day_of_month", "day_of_year", "week", "month", "quarter"]
MEDIAN = 0.5
_IDLE = "option-without-effect"


class Backtest(Section):
    """Forecasts from a rolling origin over an evaluated split, one model for all of them: a table by origin in the report."""

    origins: int = option(10, impact="eval", description="Origins shown, the last ones of the split.", ge=1, le=200)
    every: int | None = option(
        None,
        impact="eval",
        description="Steps from an origin to the next; absent means the horizon, so that none overlap.",
        ge=1,
        le=100_000,
    )


class Options(TaskOptions):
    """Quantiles of several steps ahead, for one or several targets of one or many series (data.columns: time, target, group, known,
    observed, static).

    Series go on from one split to the next: a window of validation or test has its horizon there, and may look back into the split
    before for its context. Numbers are scaled by rows of the train split alone. A known or static column of text is read as categories;
    a word that train lacks counts as unknown, and warns. That a series is of a certain group is known to the model only where the
    group's column is named under static too.
    """

    factory: ClassVar[str] = "specrun.tasks.forecasting.build:build"
    prepare: ClassVar[str | None] = "specrun.tasks.forecasting.prepare:prepare"
    prepare_fields: ClassVar[frozenset[str] | None] = frozenset(
        {"context", "horizon", "quantiles", "scaling", "scale_by_group", "calendar", "calendar_encoding", "season", "stride"}
    )
    interface: ClassVar[str] = "forecaster"
    metrics: ClassVar[Mapping[str, Goal | None]] = {
        "loss": "minimize", "pinball": "minimize", "mse": "minimize", "mae": "minimize", "q_risk": "minimize", "mase": "minimize",
        "smape": "minimize", "mae_in_units": "minimize", "rmse_in_units": "minimize", "coverage": None, "width": None,
    }  # fmt: skip
    metric_labels: ClassVar[Mapping[str, str]] = {
        "loss": "loss, scaled", "pinball": "pinball, scaled", "mse": "MSE, scaled", "mae": "MAE, scaled", "q_risk": "q-risk",
        "mase": "MASE", "smape": "sMAPE, per cent", "mae_in_units": "MAE, own units", "rmse_in_units": "RMSE, own units",
        "coverage": "coverage", "width": "width, scaled",
    }  # fmt: skip
    metric_shares: ClassVar[frozenset[str]] = frozenset({"coverage"})
    """Scaled: as by train, whatever `scaling` says; own units: the mean over targets, each in its own. coverage and width are those of the
    outermost quantiles."""
    roles: ClassVar[Mapping[str, Need]] = {
        "time": "required", "target": "required", "group": "optional", "known": "optional", "observed": "optional", "static": "optional",
    }  # fmt: skip
    counts: ClassVar[str] = "values"

    kind: Literal["forecasting"] = option(impact="weights", description="Forecasts of time series.")
    context: int = option(96, impact="weights", description="Steps that a forecast looks back on.", ge=1, le=100_000)
    horizon: int = option(24, impact="weights", description="Steps that are forecast.", ge=1, le=100_000)
    quantiles: tuple[Share, ...] = option(
        (0.1, MEDIAN, 0.9),
        impact="weights",
        description="Quantiles forecast of each value, ascending, 0.5 among them: it is the forecast that errors are measured by.",
        min_length=1,
        max_length=99,
    )
    loss: Literal["pinball", "squared_error"] = option(
        "pinball",
        impact="weights",
        description="pinball: of every quantile, in the mean. squared_error: of one forecast, the mean; with quantiles: [0.5] alone.",
    )
    scaling: Literal["standard", "robust", "none"] = option(
        "standard",
        impact="weights",
        description="How each column of numbers is scaled, by its rows in train: to mean 0 and deviation 1, to median 0 and interquartile "
        "range 1 (robust), or not at all.",
    )
    scale_by_group: bool = option(
        False, impact="weights", description="Scale targets and observed columns of each group by its own rows, instead of by all rows."
    )
    window_scaling: Literal["none", "mean", "standard"] = option(
        "standard",
        impact="weights",
        description="How each window is scaled besides, before the model sees it, and its forecasts back: by the mean of its context, "
        "by its deviation too (standard), or not; what drifts away from the level it had in train is then forecast as well.",
    )
    calendar: tuple[CalendarFeature, ...] = option(
        (), impact="weights", description="What of the time stamp the model is told, of context and horizon.", max_length=8
    )
    calendar_encoding: Literal["cyclic", "category"] = option(
        "cyclic",
        impact="weights",
        description="How it is told: as a sine and a cosine, so that December is beside January, or as a category.",
    )
    season: int | None = option(
        None,
        impact="weights",
        description="Steps after which the series repeats, for seasonal_naive and MASE; absent follows from the frequency: a day of "
        "what is measured within a day, a week of days, a year of weeks, months or quarters.",
        ge=1,
        le=100_000,
    )
    stride: int = option(1, impact="weights", description="Steps between the starts of training windows.", ge=1, le=100_000)
    backtest: Backtest = option(Backtest(), impact="eval", description="What is shown of forecasts from a rolling origin.")

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """What cannot be trained so, and settings that nothing reads."""
        yield from apart(self._quantiles(path), self._columns(spec), self._split(spec), self._idle(spec, path))

    def sizes(self, spec: Spec, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """As prepared; before that as far as the spec tells: not which of known and static columns are numbers."""
        if "sizes" in facts:
            return super().sizes(spec, facts)
        columns = spec.data.columns
        if columns.known or columns.static:
            raise KeyError("sizes")
        told = 0 if self.calendar_encoding == "category" else 2 * len(set(self.calendar))
        return {
            "context": self.context, "horizon": self.horizon, "targets": self._targets(spec), "observed": len(columns.observed),
            "known": told, "static": 0, "static_categories": (), "quantiles": len(self.quantiles),
            "known_categories": () if told else tuple(PERIODS[feature] for feature in dict.fromkeys(self.calendar)),
        }  # fmt: skip

    def sample_length(self, spec: Spec) -> int:
        """Values forecast."""
        return self.horizon * self._targets(spec)

    def sample_positions(self, spec: Spec) -> int:
        """Steps of context and horizon."""
        return self.context + self.horizon

    @staticmethod
    def _targets(spec: Spec) -> int:
        """At least one: a spec that names none is told so, and its lengths are compared all the same."""
        return max(1, len(named(spec.data.columns.target)))

    def _quantiles(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if list(self.quantiles) != sorted(set(self.quantiles)):
            ascending = sorted(set(self.quantiles))
            yield Problem((*path, "quantiles"), "quantiles-not-ascending", f"quantiles {list(self.quantiles)} do not ascend",
                          f"use quantiles: {ascending}")  # fmt: skip
        if MEDIAN not in self.quantiles:
            yield Problem((*path, "quantiles"), "quantiles-without-median", "0.5 is not among quantiles, and errors are measured by it",
                          f"use quantiles: {sorted({*self.quantiles, MEDIAN})}")  # fmt: skip
        if self.loss == "squared_error" and len(self.quantiles) > 1:
            yield Problem((*path, "loss"), "quantiles-without-pinball", "squared_error trains one forecast, not quantiles",
                          "use quantiles: [0.5], or loss: pinball")  # fmt: skip

    def _columns(self, spec: Spec) -> Iterator[Problem]:
        columns, roles = spec.data.columns, dict[str, str]()
        read = (("time", named(columns.time)), ("target", named(columns.target)), ("known", columns.known), ("observed", columns.observed))
        for role, name in [(role, name) for role, names in read for name in names]:
            if name in roles:
                twice = f"twice under {role}" if roles[name] == role else f"under both {roles[name]} and {role}"
                yield Problem(("data", "columns", role), "column-in-two-roles", f"column {name!r} is named {twice}",
                              f"name it once: a target is observed up to the forecast anyway, and its future is not {role}"
                              if roles[name] == "target" != role else f"remove {name} from data.columns.{role}")  # fmt: skip
            roles.setdefault(name, role)

    @staticmethod
    def _split(spec: Spec) -> Iterator[Problem]:
        """Whole series may go to a split, by their group; otherwise train comes first, then validation, then test."""
        split = cast("SplitOptions", spec.data.split)
        by_group = "group" in split.keys
        shuffled = bool(getattr(split, "shuffle", False)) and not by_group
        if shuffled or "hash" in split.keys or (split.kind == "kfold" and not by_group):
            place = "shuffle" if shuffled else "kind"
            how = "in shuffled order" if shuffled else f"by {split.kind}"
            why = f"rows that are told apart {how} leave no series whole, and the future would be trained on"
            hint = "use split: {kind: time, validation: 0.2, test: 0.2}, which are consecutive in time"
            yield Problem(("data", "split", place), "split-tears-series", why, hint)

    def _idle(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        def idle(field: str, why: str, hint: str) -> Problem:
            return Problem((*path, field), _IDLE, why, hint, severity="warning")

        if self.scale_by_group and spec.data.columns.group is None:
            yield idle("scale_by_group", "there are no groups", "remove it, or name data.columns.group")
        elif self.scale_by_group and self.scaling == "none":
            yield idle("scale_by_group", "nothing is scaled", "remove it, or use scaling: standard")
        if len(set(self.calendar)) < len(self.calendar):
            hint = f"use calendar: [{', '.join(dict.fromkeys(self.calendar))}]"
            yield Problem((*path, "calendar"), "feature-named-twice", "calendar names a feature twice, and it is told once", hint)
        if "calendar_encoding" in self.model_fields_set and not self.calendar:
            yield idle("calendar_encoding", "the model is told nothing of the calendar", "remove it, or use calendar: [hour, weekday]")


PERIODS: Mapping[CalendarFeature, int] = {
    "minute": 60, "hour": 24, "weekday": 7, "day_of_month": 31, "day_of_year": 366, "week": 53, "month": 12, "quarter": 4,
}  # fmt: skip
"""Values that each feature of the calendar has, from 0."""
