"""What is known of a program at one set of parameters, exactly: the `Analysis` of an objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qdiff.lang.source import Position
from qdiff.sim.sizes import size_text


@dataclass(frozen=True)
class LoopVisits:
    """Expected numbers for one loop; inf where runs never leave it.

    Attributes:
        position: where the loop stands in the program's text, if it came from one.
        evaluations: of its guard; passes: of its body.
    """

    position: Position | None
    evaluations: float
    passes: float


@dataclass(frozen=True)
class Analysis:
    """Expected behaviour of a program, and the accuracy of its exact value and derivatives.

    Attributes:
        termination_probability: probability that a run ends (and does not abort).
        trapped_probability: probability that a run never ends; it counts 0.
        outside_probability: probability of what was not followed (infinitely many counter values).
        expected_visits: one entry a loop, in printed order.
        occurrences: parameter → expected number of executed primitives that contain it.
        error_bound: |f - computed f| is at most this; inf where nothing is proved.
        grad_error_bound: parameter → |∂f - computed ∂f| is at most this; inf where nothing is proved.
        memory: bytes that states and solvers take, estimated before anything is allocated.
        engine: which engine answers.
        reason: why this engine, and where the bounds come from.
    """

    termination_probability: float
    trapped_probability: float
    outside_probability: float
    expected_visits: tuple[LoopVisits, ...]
    occurrences: Mapping[str, float]
    error_bound: float
    grad_error_bound: Mapping[str, float] = field(default_factory=dict)
    memory: int = 0
    engine: str = ""
    reason: str = ""

    def __str__(self) -> str:
        lines = [f"termination probability  {self.termination_probability:.12g}"]
        if self.trapped_probability:
            lines.append(f"never ends               {self.trapped_probability:.12g} (counts 0)")
        if self.outside_probability:
            lines.append(f"not followed             {self.outside_probability:.3g}")
        for number, loop in enumerate(self.expected_visits, start=1):
            place = f" (line {loop.position.line})" if loop.position else ""
            lines.append(
                f"loop {number}{place}: {loop.evaluations:.6g} guard evaluations, {loop.passes:.6g} passes"
            )
        if self.occurrences:
            found = ", ".join(f"{name} {count:.6g}" for name, count in self.occurrences.items())
            lines.append(f"expected occurrences     {found}")
        lines.append(f"error bound              {self.error_bound:.3g}")
        if self.grad_error_bound:
            found = ", ".join(f"{name} {bound:.3g}" for name, bound in self.grad_error_bound.items())
            lines.append(f"error bound, derivatives {found}")
        lines.append(f"memory                   {size_text(self.memory)}")
        lines.append(f"engine                   {self.engine}: {self.reason}")
        return "\n".join(lines)
