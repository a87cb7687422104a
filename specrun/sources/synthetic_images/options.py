"""Options of the `synthetic_images` source: shapes in noise, some with the label of another."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.sources.drawn_options import DrawnOptions
from specrun.spec.section import option

SHAPES = ("disk", "square", "cross", "ring", "triangle", "bar", "stripes", "checkers")


class Options(DrawnOptions):
    """Columns image (PNG) and label (the name of the shape). No model is right more often than 1 - wrong_labels but by luck."""

    factory: ClassVar[str] = "specrun.sources.synthetic_images.build:build"
    row_bytes: ClassVar[int] = 800

    kind: Literal["synthetic_images"] = option(impact="weights", description="Drawn images of shapes with a known best accuracy.")
    rows: int = option(2000, impact="weights", description="Images.", ge=10, le=10**8)
    classes: int = option(4, impact="weights", description="Shapes.", ge=2, le=len(SHAPES))
    side: int = option(16, impact="weights", description="Height and width in pixels.", ge=8, le=512)
    channels: Literal[1, 3] = option(1, impact="weights", description="1: grey; 3: red, green and blue.")
    noise: float = option(
        0.1, impact="weights", description="Standard deviation of a pixel's noise, as a share of black to white.", ge=0, le=1
    )
    wrong_labels: float = option(
        0.0, impact="weights", description="Share of images that have the label of another shape, drawn anew.", ge=0, le=0.5
    )

    @property
    def total_rows(self) -> int:
        return self.rows
