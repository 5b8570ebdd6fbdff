"""The random programs are programs, and between them show everything the language has."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import Phase, given, settings
from reference.interpreter import run
from reference.semantics import State
from strategies import cases, programs

from qdiff.lang import tree as qt
from qdiff.lang.check import check
from qdiff.lang.expr import ParameterElement
from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.lang.walk import all_conditions, differentiable_expressions, statements


@given(programs())
def test_programs_pass_the_checker(program: Program) -> None:
    assert check(program) == program


@given(programs())
def test_programs_have_a_text(program: Program) -> None:
    assert parse(str(program)) == program


@given(cases())
def test_observables_and_values_fit(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    observable.check_names(program.qubits, program.counters)
    assert set(params) == set(program.parameters)
    assert max((power for term in observable.terms for _, power in term.counters), default=0) <= 2


@given(programs(unbounded=False, counters=False, noise=()))
def test_arguments_leave_things_out(program: Program) -> None:
    assert not any(isinstance(statement, qt.Channel) for statement in statements(program.body))
    assert not any(_unbounded(statement) for statement in statements(program.body))
    assert not program.counters


def _unbounded(statement: qt.Statement) -> bool:
    return isinstance(statement, qt.While) and statement.bound is None


def _any(kind: type) -> Callable[[Program], bool]:
    return lambda program: any(isinstance(s, kind) for s in statements(program.body))


def _any_condition(kind: type) -> Callable[[Program], bool]:
    return lambda program: any(isinstance(c, kind) for c in all_conditions(program.body))


def _any_gate(wanted: Callable[[qt.Gate], bool]) -> Callable[[Program], bool]:
    return lambda program: any(isinstance(s, qt.Gate) and wanted(s) for s in statements(program.body))


def _final(program: Program) -> State:
    return run(program, {name: 1.5 if name == "n" else 0.5 for name in program.parameters})


STATEMENTS = (qt.Skip, qt.Abort, qt.Reset, qt.Channel, qt.Assign, qt.Measure, qt.Case)
WANTED: dict[str, Callable[[Program], bool]] = {
    **{kind.__name__: _any(kind) for kind in STATEMENTS},
    **{
        kind.__name__: _any_condition(kind)
        for kind in (qt.Measured, qt.Flip, qt.Compare, qt.Not, qt.And, qt.Or)
    },
    "gate U": _any_gate(lambda gate: gate.name == "U"),
    "controlled rotation": _any_gate(lambda gate: gate.name == "Ry" and bool(gate.controls)),
    "three qubits": _any_gate(lambda gate: len(gate.targets) == 3),
    "bounded loop": lambda p: any(
        isinstance(s, qt.While) and s.bound is not None for s in statements(p.body)
    ),
    "loop in a loop": lambda p: any(
        _unbounded(s) and any(map(_unbounded, statements(s.body)))
        for s in statements(p.body)
        if isinstance(s, qt.While)
    ),
    "counter grows in an unbounded loop": lambda p: any(
        _unbounded(s) and any(isinstance(i, qt.Assign) and str(i.value).endswith("+ 1") for i in s.body)
        for s in statements(p.body)
        if isinstance(s, qt.While)
    ),
    # A counter that grows in a loop without bound leaves dozens of stores with some mass.
    "many stores": lambda p: any(map(_unbounded, statements(p.body))) and len(_final(p)) > 30,
    "angle depends on a counter": lambda p: any(e.counters() for e in differentiable_expressions(p.body)),
    "counted array index": lambda p: any(
        isinstance(node, ParameterElement) for e in differentiable_expressions(p.body) for node in e.walk()
    ),
    "compared parameter": lambda p: bool(p.compared),
    "compared parameter in an angle": lambda p: (
        "n" in p.compared and any("n" in e.parameters() for e in differentiable_expressions(p.body))
    ),
}


def test_everything_appears() -> None:
    missing = dict(WANTED)

    @settings(max_examples=1000, phases=[Phase.generate])
    @given(programs())
    def look(program: Program) -> None:
        for name in [name for name, wanted in missing.items() if wanted(program)]:
            del missing[name]

    look()
    assert not missing, f"never generated: {', '.join(missing)}"
