"""The one path of a program that nothing random happens on, and second derivatives along it.

Forward ψ and ψ̇, back ψ and λ = Oψ and their derivatives, gate by gate, each by one call of a compiled kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qdiff.sim.exact import Floats, Parameters
from qdiff.sim.flow import Flow
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.plan import Layouts, Plan
from qdiff.sim.pure.single_path import SinglePath
from qdiff.sim.static.operators import Operator

if TYPE_CHECKING:
    from qdiff.sim.static.lanes import Lanes
    from qdiff.sim.static.large import Large

BYTES_PER_ENTRY = 2 * 16  # of a gate and of its inverse


class Line(SinglePath):
    """The path of a program; what runs it is made when it is first asked for, and kept here."""

    def __init__(self, flow: Flow, compared: Parameters, layouts: Layouts) -> None:
        super().__init__(flow, compared)
        self.layouts = layouts
        self.lanes: Lanes | None = None
        self.large: Large | None = None
        self.bytes = BYTES_PER_ENTRY * self.instances.entries * len(self.executed)

    @cached_property
    def plan(self) -> Plan:
        """Gate by gate, for `second_order`."""
        return self.layouts.plan(self.sequence)


def start(qubits: int) -> Floats:
    """Return |0…0>, (1, 2, D)."""
    psi = np.zeros((1, 2, 1 << qubits))
    psi[0, 0, 0] = 1.0
    return psi


def second_order(
    line: Line, numbers: Numbers, operators: Sequence[Operator], directions: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return values (k,), derivatives (k, d) and Hessians times directions, (k, V, d)."""
    from qdiff.sim.pure import kernels

    width, count, along = len(operators), len(line.instances.instances), len(directions)
    psi = start(line.qubits)
    tangents = np.zeros((1, along, *psi.shape[1:]))
    coefficients = line.instances.at(numbers)
    slopes = line.instances.slopes(numbers, directions)
    kernels.forward(psi, tangents, *line.plan.table, coefficients, slopes, *line.plan.generators)
    pulled = np.zeros((1, width, *psi.shape[1:]))
    pulled_tangents = np.zeros((1, width, along, *psi.shape[1:]))
    values = np.zeros(width)
    for k, operator in enumerate(operators):
        values[k] = operator.apply(psi[0], pulled[0, k])
        for v in range(along):
            operator.apply(tangents[0, v], pulled_tangents[0, k, v])
    by_angle = np.zeros((1, width, count))
    by_angle_tangents = np.zeros((1, width, along, count))
    kernels.backward(
        psi,
        tangents,
        pulled,
        pulled_tangents,
        *line.plan.table,
        line.instances.adjoints(coefficients),
        slopes,
        *line.plan.generators,
        line.instances.wanted(numbers),
        by_angle,
        by_angle_tangents,
    )
    first = line.by_expression(by_angle)
    moved = line.by_expression(by_angle_tangents.reshape(1, width * along, count))
    products = numbers.chain_rule(moved, width * along).reshape(width, along, -1)
    products += numbers.second_chain_rule(first, width, directions)
    return values, numbers.chain_rule(first, width)[0], products
