"""What the calls of objectives take: names to differentiate by, and directions."""

from __future__ import annotations

import numpy as np

from qdiff.errors import ParameterError, listed
from qdiff.lang.parameter_values import ValueProblem, described, is_sequence, real_number
from qdiff.lang.parameters import expand
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats


def differentiated(program: Program, wrt: object = None) -> tuple[str, ...]:
    """Return the names that `wrt` stands for; compared parameters are refused."""
    if wrt is None:
        return program.trainable
    names = expand(wrt, program)
    compared = [name for name in names if name in program.compared]
    if compared:
        raise ParameterError(
            f"There is no derivative by `{compared[0]}`: it occurs in a comparison, where the objective "
            f"may jump. Trainable: {', '.join(program.trainable) or 'none'}."
        )
    return names


def direction(v: object, names: tuple[str, ...]) -> Floats:
    """Return a direction as float (d,).

    Raises:
        ParameterError: another size, or something that is no finite number.
    """
    flat = is_sequence(v) and (not isinstance(v, np.ndarray) or v.ndim == 1)
    if not flat or len(v) != len(names):  # type: ignore[arg-type]
        raise ParameterError(
            f"The direction v has {len(names)} entries, in the order of {listed(names)}; got {described(v)}."
        )
    numbers = []
    for name, entry in zip(names, v, strict=True):  # type: ignore[call-overload]
        try:
            numbers.append(float(real_number(entry)))
        except ValueProblem as problem:
            raise ParameterError(f"The direction v: its entry for `{name}` {problem}.") from None
    return np.array(numbers)
