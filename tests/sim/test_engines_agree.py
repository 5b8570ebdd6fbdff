"""The exact engines against each other, wherever two of them can answer: to 1e-9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amounts import examples
from hypothesis import given, settings
from random_parts import MIXTURES
from strategies import cases

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.exact import Curvature, ExactEngine
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.pure.branching import BranchingEngine
from qdiff.sim.randomness import what_is_inseparable, what_is_random
from qdiff.sim.static.engine import PureStateEngine

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "reference" / "cases.json").read_text(encoding="utf-8")
)
TOLERANCE = 1e-9
# Branches multiply in loops inside loops; these are the hybrid engine's alone.
MANY_BRANCHES = ("nested_loops", "quantum_walk_at_pi", "quantum_walk_at_2")


def engines_for(program: Program) -> list[ExactEngine]:
    """The engines that can answer, the hybrid one first."""
    engines: list[ExactEngine] = [HybridEngine(program)]
    if not what_is_inseparable(program):
        engines.append(BranchingEngine(program))
    return engines if what_is_random(program) else [*engines, PureStateEngine(program)]


def check_agreement(
    program: Program, observable: Observable, row: dict[str, float], engines: list[ExactEngine]
) -> int:
    """Compare values, gradients, Hessians and final states; return how many engines answered."""
    wrt = program.trainable
    answers: list[tuple[str, Curvature, dict[tuple[int, ...], float]]] = []
    for engine in engines:
        try:
            found = engine.curvature(row, [observable], wrt, np.eye(len(wrt)))
            final = {store: m.probability for store, m in engine.state(row).items()}
        except (EvaluationError, ResourceError):
            if isinstance(engine, HybridEngine):
                raise
            continue  # too many branches to follow
        answers.append((engine.name, found, final))
    _, first, final = answers[0]
    scale = (
        1 + float(np.abs(first.products).max(initial=0.0)) + float(np.abs(first.gradients).max(initial=0.0))
    )
    for name, other, other_final in answers[1:]:
        for one, two in (
            (first.values, other.values),
            (first.gradients, other.gradients),
            (first.products, other.products),
        ):
            assert np.abs(one - two).max(initial=0.0) <= TOLERANCE * scale, name
        for store in final.keys() | other_final.keys():
            assert abs(final.get(store, 0.0) - other_final.get(store, 0.0)) <= TOLERANCE, name
    return len(answers)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["name"] not in MANY_BRANCHES], ids=lambda case: case["name"]
)
def test_reference_cases(case: dict[str, Any]) -> None:
    program = parse(case["program"])
    row = resolve(program, case["params"])
    assert check_agreement(program, parse_observable(case["observable"]), row, engines_for(program)) > 1


@pytest.mark.parametrize("declared", [False, True])
def test_random_programs(declared: bool) -> None:
    answered: list[int] = []

    @settings(max_examples=examples(30))
    @given(cases(noise=MIXTURES, declared=declared))
    def check(case: tuple[Program, Observable, dict[str, float]]) -> None:
        program, observable, row = case
        answered.append(check_agreement(program, observable, row, engines_for(program)))

    check()
    assert sum(count > 1 for count in answered) >= 0.7 * len(answered)


@pytest.mark.parametrize("what", ["values", "gradients", "products"])
def test_an_engine_that_is_wrong_is_caught(what: str) -> None:
    class Wrong(BranchingEngine):
        def curvature(self, *args: Any) -> Curvature:
            right = super().curvature(*args)
            parts = {name: getattr(right, name) for name in ("values", "gradients", "products")}
            parts[what] = parts[what] + 1e-8
            return Curvature(**parts)

    program = parse("qubit: q, r para: t Ry(t)[q]; if M[q] = 1 then Rx(t)[r] fi")
    with pytest.raises(AssertionError):
        check_agreement(
            program, parse_observable("Z[r]"), {"t": 0.7}, [HybridEngine(program), Wrong(program)]
        )


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Ry(t)[q]; while c = 0 do Rx(t)[q] od", 0.0),
        ("Ry(t)[q]; if M[q] = 1 then while c = 0 do Rx(t)[q] od fi", np.cos(0.15) ** 2),
        ("Ry(t)[q]; if flip(t) then while c = 0 do c := 0 od else Rx(t)[q] fi", 0.7),
    ],
)
def test_what_never_ends_counts_nothing_in_any_engine(text: str, ends: float) -> None:
    program = parse(f"qubit: q para: t count: c {text}")
    engines = engines_for(program)
    assert check_agreement(program, parse_observable("Z[q]"), {"t": 0.3}, engines) == len(engines)
    for engine in engines:
        found = engine.analyze({"t": 0.3}, parse_observable("Z[q]"), ("t",))
        assert abs(found.termination_probability - ends) < 1e-12
        assert abs(found.trapped_probability - (1 - ends)) < 1e-12
        assert found.expected_visits[0].passes == np.inf
        assert np.isfinite(found.grad_error_bound["t"])
