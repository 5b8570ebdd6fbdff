"""An exact engine made of the slow reference: what the calls around the engines are tested with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from reference.derivatives import TangentInterpreter
from reference.interpreter import expectation, run, statistics
from richardson import limit

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis, LoopVisits
from qdiff.sim.exact import DEFAULT_MEMORY, Curvature, Floats, Mixture, Parameters, Store

BOUND = 1e-9
STEP = 0.02


class ReferenceEngine:
    """Tangents are exact, second derivatives differences of them (good to about 1e-9).

    Attributes:
        calls: how many rows were asked for at each call.
    """

    name = "reference"

    def __init__(self, program: Program, max_memory: int = DEFAULT_MEMORY) -> None:
        self.program = program
        self.max_memory = max_memory
        self.calls: list[int] = []

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        return self.gradients(rows, observables, ())[0]

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        self.calls.append(len(rows))
        found = np.array([self._stack(row, observables, wrt) for row in rows])
        found = found.reshape(len(rows), len(observables), 1 + len(wrt))
        return found[:, :, 0], found[:, :, 1:]

    def tangents(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> tuple[Floats, Floats]:
        values, slopes = self.gradients([parameters], observables, wrt)
        return values[0], slopes[0] @ directions.T

    def curvature(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> Curvature:
        values, slopes = self.gradients([parameters], observables, wrt)
        products = [self._along(parameters, observables, wrt, v) for v in directions]
        return Curvature(values[0], slopes[0], np.stack(products, axis=1))

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        return {store: Mixture(matrix=rho) for store, rho in run(self.program, parameters).items()}

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        found = statistics(self.program, parameters)
        return Analysis(
            termination_probability=found.termination_probability,
            trapped_probability=0.0,
            outside_probability=0.0,
            expected_visits=tuple(LoopVisits(None, *visit) for visit in found.visits),
            occurrences={name: found.occurrences[name] for name in wrt},
            error_bound=BOUND,
            grad_error_bound=dict.fromkeys(wrt, 2 * BOUND),
            engine=self.name,
            reason="interpreted",
        )

    def _stack(self, row: Parameters, observables: Sequence[Observable], wrt: Sequence[str]) -> Floats:
        final = TangentInterpreter(self.program, row, tuple(wrt)).run()
        each = [np.broadcast_to(expectation(self.program, o, final), 1 + len(wrt)) for o in observables]
        found = np.array(each, dtype=float)
        if not np.isfinite(found).all():
            raise EvaluationError("not finite")
        return found

    def _along(
        self,
        parameters: Mapping[str, float],
        observables: Sequence[Observable],
        wrt: Sequence[str],
        v: Floats,
    ) -> Floats:
        """The derivative of the gradients along v: central differences, extrapolated four times."""
        table = []
        for level in range(5):
            h = STEP / 2**level
            ahead, behind = (
                {**parameters, **{name: parameters[name] + s * h * x for name, x in zip(wrt, v, strict=True)}}
                for s in (1, -1)
            )
            table.append(
                (
                    self.gradients([ahead], observables, wrt)[1]
                    - self.gradients([behind], observables, wrt)[1]
                )[0]
                / (2 * h)
            )
        return np.asarray(limit(table))
