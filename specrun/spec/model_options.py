"""What the options of every model say beside their fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from specrun.spec.section import Part


class ModelOptions(Part):
    """Options of a model.

    factory: `build(options, **sizes) -> torch.nn.Module`, where sizes are the keywords of the task's interface.
    serves: interfaces of tasks that it has, as `runtime.protocols` describes them.
    any_sizes: sizes of some data, where the shapes of its layers are the same for all; None: they depend on the data.
    depends_on_micro_batch: whether what it computes for a sample depends on the others that are computed with it, as with batch norm.
    wants_interface: whether the factory is told the task's interface too, as a keyword of that name, where several have the same sizes.
    trained_before: whether training begins with weights that were trained elsewhere.
    A model may also tell `cost(**sizes) -> plan.cost.ModelCost`, `parameter_shapes(**sizes)`, `linear_layers` and `draws_in_training`.
    """

    serves: ClassVar[tuple[str, ...]] = ()
    any_sizes: ClassVar[Mapping[str, Any] | None] = None
    wants_interface: ClassVar[bool] = False

    @property
    def depends_on_micro_batch(self) -> bool:
        return False

    @property
    def trained_before(self) -> bool:
        return False

    def placed(self, *, base: Path, data_root: Path | None) -> ModelOptions:
        """The options with local files by where they are. base: where a relative path starts; data_root: folder of Hub mirrors."""
        return self

    def restored(self, checkpoint: Path) -> ModelOptions:
        """The options that make the model which a checkpoint has the weights of, from them and its `description_files` alone."""
        return self
