"""The one path of a program that nothing random happens on, and what is run along it.

Forward ψ (and ψ̇), back ψ and λ = Oψ (and their derivatives), each by one call of a compiled kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.flow import END, Flow
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.operators import Masks
from qdiff.sim.pure.paths import Path
from qdiff.sim.pure.plan import Layouts
from qdiff.sim.pure.segments import Segment
from qdiff.sim.readings import Rows

BYTES_PER_ENTRY = 2 * 16  # of a gate and of its inverse


class Line:
    """The one path of a program at given compared parameters, ready to run."""

    def __init__(self, flow: Flow, path: Path, layouts: Layouts, rows: Rows) -> None:
        self.qubits = len(flow.program.qubits)
        self.path = path
        self.rows = rows
        self.ended = path.point == END
        segment = Segment(flow, path, layouts)
        self.executed, self.instances, self.plan = segment.executed, segment.instances, segment.plan
        self.bytes = BYTES_PER_ENTRY * self.instances.entries * len(self.executed)


def start(rows: int, qubits: int) -> Floats:
    """Return |0…0> as many times, (rows, 2, D)."""
    psi = np.zeros((rows, 2, 1 << qubits))
    psi[:, 0, 0] = 1.0
    return psi


def run(line: Line, numbers: Numbers) -> Floats:
    """Return the final states, (P, 2, D)."""
    from qdiff.sim.pure import kernels

    psi = start(len(numbers.parameters), line.qubits)
    coefficients = line.instances.at(numbers)
    none = np.zeros((len(psi), 0, *psi.shape[1:]))
    still = np.zeros((len(psi), 0, coefficients.shape[1]))
    kernels.forward(psi, none, *line.plan.table, coefficients, still, *line.plan.generators)
    return psi


def expectation(mask: Masks, psi: Floats, scratch: Floats | None = None) -> tuple[float, Floats]:
    """Return <ψ|O|ψ> and Oψ."""
    from qdiff.sim.pure import kernels

    applied = np.zeros_like(psi) if scratch is None else scratch
    mask.add_to(psi, applied)
    return float(kernels.dot(psi, applied).real), applied


def adjoint(line: Line, numbers: Numbers, psi: Floats, masks: Sequence[Masks]) -> tuple[Floats, Floats]:
    """Return values (P, k) and derivatives (P, k, d) from final states, which are run back."""
    from qdiff.sim.pure import kernels

    rows, width, count = len(psi), len(masks), len(line.instances.instances)
    pulled = np.zeros((rows, width, *psi.shape[1:]))
    values = np.array(
        [[expectation(mask, psi[p], pulled[p, k])[0] for k, mask in enumerate(masks)] for p in range(rows)]
    )
    by_angle = np.zeros((rows, width, count))
    kernels.backward(
        psi,
        np.zeros((rows, 0, *psi.shape[1:])),
        pulled,
        np.zeros((rows, width, 0, *psi.shape[1:])),
        *line.plan.table,
        line.instances.adjoints(line.instances.at(numbers)),
        np.zeros((rows, 0, count)),
        *line.plan.generators,
        line.instances.wanted(numbers),
        by_angle,
        np.zeros((rows, width, 0, count)),
    )
    return values, numbers.chain_rule(_by_expression(line, by_angle), width)


def second_order(
    line: Line, numbers: Numbers, masks: Sequence[Masks], directions: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return values (k,), derivatives (k, d) and Hessians times directions, (k, V, d)."""
    from qdiff.sim.pure import kernels

    width, count, along = len(masks), len(line.instances.instances), len(directions)
    psi = start(1, line.qubits)
    tangents = np.zeros((1, along, *psi.shape[1:]))
    coefficients = line.instances.at(numbers)
    slopes = line.instances.slopes(numbers, directions)
    kernels.forward(psi, tangents, *line.plan.table, coefficients, slopes, *line.plan.generators)
    pulled = np.zeros((1, width, *psi.shape[1:]))
    pulled_tangents = np.zeros((1, width, along, *psi.shape[1:]))
    values = np.zeros(width)
    for k, mask in enumerate(masks):
        values[k], _ = expectation(mask, psi[0], pulled[0, k])
        for v in range(along):
            mask.add_to(tangents[0, v], pulled_tangents[0, k, v])
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
    first = _by_expression(line, by_angle)
    moved = _by_expression(line, by_angle_tangents.reshape(1, width * along, count))
    products = numbers.chain_rule(moved, width * along).reshape(width, along, -1)
    products += numbers.second_chain_rule(first, width, directions)
    return values, numbers.chain_rule(first, width)[0], products


def _by_expression(line: Line, by_instance: Floats) -> dict[tuple[int, int], Floats]:
    """Sum (P, k, N) by (expression, row): (P, k) each."""
    result: dict[tuple[int, int], Floats] = {}
    for i, (_, row) in enumerate(line.instances.instances):
        e = int(line.instances.expressions[i])
        if e >= 0:
            found = result.get((e, row))
            result[e, row] = by_instance[:, :, i] if found is None else found + by_instance[:, :, i]
    return result
