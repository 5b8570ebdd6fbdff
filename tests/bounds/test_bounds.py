"""Error bounds hold on random programs, and the checker catches a bound or a value that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from bounds.comparison import Compared, check_bounds
from bounds.report import Report, survey
from bounds.samples import Case, draw_cases
from reference.derivatives import value_and_gradient
from reference.precision import is_extended

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.exact import ExactEngine, Floats
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.pure.branching import BranchingEngine

pytestmark = pytest.mark.skipif(not is_extended(), reason="this platform has no extended precision")


# --- The engine ---------------------------------------------------------------------------------


def test_no_error_exceeds_its_bound() -> None:
    report = survey(draw_cases(100, seed_value=7), HybridEngine)
    assert not report.exceeded, "\n\n".join(report.exceeded)
    assert report.checked >= 90, str(report)
    assert report.sharp >= 0.5, str(report)


@pytest.mark.parametrize("engine", [HybridEngine, BranchingEngine])
def test_no_error_of_declared_gates_exceeds_its_bound(engine: type[ExactEngine]) -> None:
    report = survey(draw_cases(60, seed_value=11, declared=True), engine)
    assert not report.exceeded, "\n\n".join(report.exceeded)
    assert report.checked >= 30, str(report)


# --- The checker --------------------------------------------------------------------------------


@dataclass
class Interpreted:
    """The reference in doubles as an engine, with a generous bound, or as broken as is wanted."""

    program: Program
    bound: float = 1e-10
    off: float = 0.0
    slope_off: float = 0.0
    name = "interpreted"
    max_memory = 0

    def values(self, rows: Sequence[Mapping[str, float]], observables: Sequence[Observable]) -> Floats:
        return self.gradients(rows, observables, ())[0]

    def gradients(
        self, rows: Sequence[Mapping[str, float]], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        value, slopes = value_and_gradient(self.program, observables[0], rows[0], wrt)
        found = [slopes[name] + self.slope_off for name in wrt]
        return np.array([[value + self.off]]), np.array([[found]])

    def analyze(
        self, parameters: Mapping[str, float], observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        return Analysis(1.0, 0.0, 0.0, (), {}, self.bound, dict.fromkeys(wrt, self.bound))


@pytest.fixture
def case() -> Case:
    text = "qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od"
    return parse(text), parse_observable("c"), {"t": 1.3}


def test_honest_bounds_pass(case: Case) -> None:
    numbers = check_bounds(*case, Interpreted(case[0]))  # type: ignore[arg-type]
    assert [x.what for x in numbers] == ["f", "∂f/∂t"]
    assert all(0 < x.error < 1e-12 and x.ratio >= 1 for x in numbers)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"bound": 1e-17}, r"^f is off by .*, its bound is 1e-17"),
        ({"bound": math.nan}, r"its bound is nan"),
        ({"off": 1e-9}, r"^f is off by 1e-09, its bound is 1e-10\n"),
        ({"slope_off": -1e-9}, r"^∂f/∂t is off by 1e-09, its bound is 1e-10\n(?s:.*)# c at {'t': 1.3}"),
    ],
)
def test_wrong_bounds_and_values_are_caught(broken: dict[str, float], message: str, case: Case) -> None:
    with pytest.raises(AssertionError, match=message):
        check_bounds(*case, Interpreted(case[0], **broken))  # type: ignore[arg-type]


def test_the_survey_counts_them() -> None:
    cases = draw_cases(12, seed_value=1)
    good = survey(cases, Interpreted)  # type: ignore[arg-type]
    bad = survey(cases, lambda program: Interpreted(program, off=1e-9))  # type: ignore[arg-type, return-value]
    assert good.checked == bad.checked >= 10
    assert not good.exceeded
    assert len(bad.exceeded) == bad.checked
    assert "bounds exceeded    0\n" in str(good)


def test_the_survey_counts_refusals(case: Case) -> None:
    class Refuses(Interpreted):
        def values(self, rows: Sequence[Mapping[str, float]], observables: Sequence[Observable]) -> Floats:
            raise EvaluationError("no")

    slow: Case = parse("qubit: q while M[q] = 0 do skip od"), parse_observable("1"), {}
    report = survey([case, slow], Refuses)  # type: ignore[arg-type]
    assert str(report).splitlines()[0] == (
        "programs checked   0 (1 more take too long for the truth, 1 were refused by the engine)"
    )


def test_sharpness_is_of_programs(case: Case) -> None:
    report = Report()
    report.add(case, [Compared("f", 1e-16, 1e-15, 1.0), Compared("∂f/∂t", 0.0, math.inf, 1.0)])
    report.add(case, [Compared("f", 0.0, 1e-13, 0.0), Compared("∂f/∂t", 0.0, 1e-13, 0.0)])
    assert report.sharp == 0.5
    assert report.typical == [math.inf, pytest.approx(1e4)]
    assert report.values == pytest.approx([1e-15 / 2.0**-53, 1e4])
    assert "(median of 2, 50.0% within 1e+04; no bound is proved for 1)" in str(report)


def test_samples_depend_on_the_seed_only() -> None:
    assert draw_cases(5, seed_value=3) == draw_cases(5, seed_value=3) != draw_cases(5, seed_value=4)
