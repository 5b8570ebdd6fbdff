"""Runs with one occurrence replaced, or two: what each contributes to a derivative.

    X = w · (o - b),     w = ±c_j ∂a/∂θ where a run came to its occurrence, else 0;   o what it then read

E[w o] summed over k and j is the derivative (`qdiff.rules.family`), and E[w b] summed over j is 0 for every b
that depends on the occurrence and on what came before it only: the derivative of a channel has trace 0. Terms
of observables that are measured in different bases form groups with runs of their own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.estimators.groups import Group, readout_of, shared_groups, values_of
from qdiff.estimators.occurrence_laws import LARGEST_CUT
from qdiff.estimators.parallel.executors import in_order
from qdiff.estimators.problem import Problem
from qdiff.estimators.problem_text import ProblemText
from qdiff.estimators.row_weights import RowWeights
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.tree import Program
from qdiff.rules.derivative import DerivativeProgram, differentiate
from qdiff.rules.family import Family
from qdiff.rules.pair_family import PairFamily
from qdiff.rules.second_order import SecondDerivativeProgram
from qdiff.rules.self_contained import SelfContained
from qdiff.rules.sites import Site
from qdiff.sim.jobs_by_inputs import by_inputs
from qdiff.sim.protocol import Backend, Job, Outcomes, Prepared, Readout
from qdiff.sim.registry import find_backend, require

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 2**16
"""Shots a block: their rows are in memory together."""
NOT_REPLACED = 2**62
"""An occurrence that no run comes to: the program runs unchanged, and its occurrences are counted."""
KEPT = 64
"""Derivative programs that are kept: a gradient has one a parameter."""

Derivative = DerivativeProgram | SecondDerivativeProgram
Rendered = Family | PairFamily | SelfContained


@dataclass(frozen=True)
class Rendering:
    """Which derivative program runs.

    Attributes:
        wrt: a parameter, or two for the second derivative.
        rule: as `qd.differentiate` takes it.
        law: of the self-contained form, (name, shape); None for the family with inputs.
    """

    wrt: tuple[str, ...]
    rule: str
    law: tuple[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """Runs to make: the shots first … first + number - 1 of one group.

    Attributes:
        inputs: int64 (number,) each, of the inputs of the derivative program in their order.
    """

    group: int
    number: int
    seed: int
    first: int
    inputs: tuple[Ints, ...] = ()


@dataclass(frozen=True, eq=False)
class Rows:
    """What runs gave.

    Attributes:
        weights: float (n,), w. values: float (n, m), o of every observable; 0 where a run aborted or was cut.
        counters: int64 (n, c), at the end of each run.
        cut: bool (n,).
        note: of the backend.
    """

    weights: Floats
    values: Floats
    counters: Ints
    cut: NDArray[np.bool_]
    note: str


class ReplacedRuns:
    """The runs of one derivative program on one backend.

    Attributes:
        derivative: what is rendered; without sites there is nothing to run.
        rendered: the program with its inputs and weights.
        groups: which terms are read together; each run reads one group.
    """

    def __init__(self, problem: Problem, rendering: Rendering) -> None:
        self.problem = problem
        self.rendering = rendering
        self.derivative = derivative_of(problem.program, rendering.wrt, rendering.rule)
        self.rendered = rendered_of(problem.program, rendering)
        self.groups: tuple[Group, ...] = shared_groups(problem.observables) or ((),)
        self.weights = _row_weights(problem.program, rendering, tuple(problem.params.items()))
        backend = problem.backend_name or problem.backend
        kept = _prepared if isinstance(backend, Hashable) else _prepared.__wrapped__
        self._prepared = kept(
            cast(Hashable, backend), self.rendered.program, self.groups, problem.readout_errors
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The counters that `Block.inputs` set; () of a program that draws them itself."""
        return () if isinstance(self.rendered, SelfContained) else self.rendered.inputs

    @property
    def cut(self) -> int:
        """No run has more occurrences: the backend would stop it, or a float could not tell them apart."""
        limit = getattr(self.problem.backend, "step_limit", None)
        return min(limit, LARGEST_CUT) if isinstance(limit, int) else LARGEST_CUT

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where the parameter occurs.

        Raises:
            QdiffError: it is a second derivative, whose sites are pairs.
        """
        if isinstance(self.derivative, SecondDerivativeProgram):
            raise QdiffError("The sites of a second derivative are pairs.")
        return self.derivative.sites

    def history(self, rows: Rows) -> Floats:
        """Return float (n, h): the counters before the replaced occurrence."""
        return rows.counters[:, self.history_columns].astype(float)

    @property
    def history_columns(self) -> list[int]:
        """Where the counters before the replaced occurrence stand in `Rows.counters`."""
        names = self.rendered.history.values() if isinstance(self.rendered, Family) else ()
        return [self.column(name) for name in names]

    def column(self, counter: str) -> int:
        """Return where a counter stands in `Rows.counters`."""
        return self.rendered.program.counters.index(counter)

    def rows(self, block: Block) -> Rows:
        """Run a block here."""
        prepared = self._prepared[block.group]
        program = prepared.program
        inputs = dict(zip(self.inputs, block.inputs, strict=True))
        job = Job(prepared, self.problem.params, block.number, block.seed, inputs, block.first)
        backend = self.problem.backend
        if not inputs or backend.capabilities.inputs_by_shot:
            [outcomes] = backend.run([job])
            return self._read(block.group, program, prepared.readout, outcomes, inputs)
        split = by_inputs(job)
        parts = backend.run([each for _, each in split])
        order = np.argsort(np.concatenate([places for places, _ in split]), kind="stable")
        read = [
            self._read(block.group, program, prepared.readout, outcomes, each.inputs)
            for outcomes, (_, each) in zip(parts, split, strict=True)
        ]
        return Rows(
            np.concatenate([one.weights for one in read])[order],
            np.concatenate([one.values for one in read])[order],
            np.concatenate([one.counters for one in read])[order],
            np.concatenate([one.cut for one in read])[order],
            "; ".join(dict.fromkeys(one.note for one in read if one.note)),
        )

    def _read(
        self, group: int, program: Program, readout: Readout, outcomes: Outcomes, inputs: object
    ) -> Rows:
        values = values_of(self.groups[group], len(self.problem.observables), program, readout, outcomes)
        counters = outcomes.counters[:, : len(self.rendered.program.counters)]
        weights, cut = self.weights.of(outcomes), outcomes.cut
        if outcomes.counts is not None:  # shots of equal inputs stand in no order
            rows = np.arange(len(weights)).repeat(outcomes.counts)
            weights, values, counters, cut = weights[rows], values[rows], counters[rows], cut[rows]
        return Rows(weights, values, counters, cut, outcomes.note)

    def run(self, blocks: Iterable[Block]) -> Iterator[Rows]:
        """Run blocks, in their order, on the problem's executor if it has one."""
        if self.problem.executor is None:
            yield from map(self.rows, blocks)
        else:
            text, rendering = ProblemText.of(self.problem), self.rendering
            tasks = ((text, rendering, block) for block in blocks)
            yield from in_order(_rows_of, tasks, self.problem.executor)


def blocks(group: int, seed: int, inputs: tuple[Ints, ...], number: int) -> Iterator[Block]:
    """Cut the shots 0 … number - 1 into blocks."""
    for first in range(0, number, BLOCK):
        end = min(first + BLOCK, number)
        yield Block(group, end - first, seed, first, tuple([each[first:end] for each in inputs]))


@lru_cache(maxsize=KEPT)
def _prepared(
    backend: str | Backend, program: Program, groups: tuple[Group, ...], errors: ReadoutErrors | None
) -> list[Prepared]:
    """Return a program made ready to be read in each group, once for each backend."""
    made_by = find_backend(backend)
    found = []
    for group in groups:
        run, readout = program, readout_of(group)
        if errors:
            run, readout = errors.read(program, readout.qubits, readout.bases), Readout(readout.qubits)
        require(made_by, run, readout)
        found.append(made_by.prepare(run, readout))
    return found


@lru_cache(maxsize=KEPT)
def derivative_of(program: Program, wrt: tuple[str, ...], rule: str) -> Derivative:
    """Return the derivative of a program, made once."""
    if len(wrt) == 1:
        return differentiate(program, wrt[0], rule)
    first, second = wrt
    return differentiate(program, (first, second), rule)


@lru_cache(maxsize=KEPT)
def rendered_of(program: Program, rendering: Rendering) -> Rendered:
    """Return the program that runs, made once."""
    derivative = derivative_of(program, rendering.wrt, rendering.rule)
    if isinstance(derivative, SecondDerivativeProgram):
        return derivative.family
    if rendering.law is not None:
        return derivative.self_contained(*rendering.law)
    return derivative.family_with_history


@lru_cache(maxsize=KEPT)
def _row_weights(program: Program, rendering: Rendering, params: tuple[tuple[str, float], ...]) -> RowWeights:
    """Return the weights at some parameters: estimate after estimate asks for the same."""
    return RowWeights(rendered_of(program, rendering).weights, dict(params))


# --- Elsewhere: workers get text and numbers, and rebuild ------------------------------------------


@lru_cache(maxsize=KEPT)
def _rebuilt(text: ProblemText, rendering: Rendering) -> ReplacedRuns:
    return ReplacedRuns(text.rebuilt(), rendering)


def _rows_of(task: tuple[ProblemText, Rendering, Block]) -> Rows:
    text, rendering, block = task
    return _rebuilt(text, rendering).rows(block)
