"""What a picture needs of a training run: a TrainingResult has it, and so may anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Points(Protocol):
    """The points of a run, the start first: x float (k, d), value float (k,).

    `value_stderr` is float (k,), or None where values are exact.
    """

    @property
    def x(self) -> NDArray[np.float64]: ...

    @property
    def value(self) -> NDArray[np.float64]: ...

    @property
    def value_stderr(self) -> NDArray[np.float64] | None: ...


class Run(Protocol):
    """The names of the trained parameters, all parameters at the end, and the points on the way."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def params(self) -> Mapping[str, float]: ...

    @property
    def history(self) -> Points: ...

    @property
    def direction(self) -> str: ...

    @property
    def observable(self) -> str: ...
