"""What the options of every task say beside their fields: what it reads of the data, what it asks of a model, how it is judged.

Nothing outside a task's own folder knows its name: plan, steps and report go by what is declared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.spec.section import Part

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Goal = Literal["minimize", "maximize"]
Need = Literal["required", "optional"]


class TaskOptions(Part):
    """Options of a task.

    factory: `build(options, opening: tasks.contract.Opening) -> runtime.protocols.Task`.
    metrics: names after `validation/` and `test/`, and which way each is better, None where neither is; metric_labels: what they are
    called in a report where the name itself does not say, and after a comma their unit ("loss, nats per token"); metric_shares: those
    that are shares of one.
    interface: what it asks of a model; a model's options name those that it `serves`.
    prepared_by: kinds of step between `data` and `train`, in their order. prepare: "module:function" that the `examples` step calls,
    `prepare(options, request: tasks.contract.PrepareRequest) -> Prepared`.
    data_form: `documents` are texts alone, long ones in pieces; a `table` has rows and columns.
    roles: keys of data.columns that it reads. text_roles: those of them whose texts a tokenizer is trained on.
    special_tokens: what it needs special tokens for, whatever the tokenizer: keys of `tokenizers.contract.SPECIAL`.
    data_settings: keys of `data` that count for it beside those that count for all: tokenizer, sequence_length, packing, group_by_length.
    prepare_fields: of its fields, those that `prepare` reads, so that the others do not prepare anew; None: all.
    counts: what its predictions are called.
    """

    metrics: ClassVar[Mapping[str, Goal | None]] = {}
    metric_labels: ClassVar[Mapping[str, str]] = {}
    metric_shares: ClassVar[frozenset[str]] = frozenset()
    interface: ClassVar[str]
    prepared_by: ClassVar[tuple[str, ...]] = ("examples",)
    prepare: ClassVar[str | None] = None
    prepare_fields: ClassVar[frozenset[str] | None] = None
    ready: ClassVar[str | None] = None
    """Asked once the steps before training are finished, before a run begins."""
    data_form: ClassVar[Literal["documents", "table"]] = "table"
    roles: ClassVar[Mapping[str, Need]] = {}
    text_roles: ClassVar[tuple[str, ...]] = ()
    special_tokens: ClassVar[tuple[str, ...]] = ()
    data_settings: ClassVar[frozenset[str]] = frozenset()
    counts: ClassVar[str] = "samples"

    def measured(self) -> Mapping[str, Goal | None]:
        """Those of `metrics` that a run with these options may have; all where the data decides."""
        return self.metrics

    def sizes(self, spec: Spec, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keywords that a model of its interface is built with. facts: values of the last step of `prepared_by`; of them only what
        is known, where the plan asks before that step has run. Raises: KeyError where they are not enough."""
        sizes: Mapping[str, Any] = facts["sizes"]
        return sizes

    def few_shapes(self, spec: Spec) -> bool:
        """Whether batches are of a few shapes, whatever the data."""
        return True

    def sample_length(self, spec: Spec) -> int:
        """Predictions of a sample of full length, as steps count them: tokens, values; 1 where a sample is one."""
        return 1

    def sample_positions(self, spec: Spec) -> int:
        """Positions that a model computes for a sample of full length, as plans count work and memory."""
        return self.sample_length(spec)
