"""Answers that published systems got wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_close
from numpy.typing import NDArray
from rules.renderings import RULES, derivative_of, tangent_slope

from qdiff.lang.expr import ZERO
from qdiff.lang.load import load
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.objective import expectation
from qdiff.rules.derivative import differentiate

ROOT = Path(__file__).resolve().parents[2]
AMPLITUDE = ROOT / "casestudies/amplitude_amplification/program.qprog"


def test_a_parameter_with_a_minus_sign_is_not_lost() -> None:
    """`a` occurs in amplitude amplification as a, -a and a; the artifact lost the second."""
    program = load(AMPLITUDE)
    made = differentiate(program, "a")
    assert [str(site.argument) for site in made.sites] == ["a", "-a", "a"]
    assert [float(site.slope.evaluate()) for site in made.sites] == [1, -1, 1]
    assert [site.position.line for site in made.sites if site.position] == [8, 10, 10]
    params, observable = {"t": 1.4342, "a": 0.2003348423231196, "n": 40}, parse_observable("c*P1[r]/10")
    exact = float(expectation(program, observable).grad(params, wrt="a")[0])
    assert_close(tangent_slope(made, observable, params), exact, 1e-9)
    # Without the occurrence at -a the derivative is another number.
    lost = [replace(site, slope=ZERO) if str(site.argument) == "-a" else site for site in made.sites]
    found = tangent_slope(replace(made, sites=tuple(lost)), observable, params)
    assert abs(found - exact) > 0.1 * abs(exact)


# --- Feedback ---------------------------------------------------------------------------------------
#
# A gate behind a measurement whose probability depends on the same parameter. Every mistake below is made
# in a few lines, and its answer is not the derivative; that of qdiff is, by every rule.

FEEDBACK = "qubit: q0, q1 para: t count: m Ry(t)[q0]; m := M[q0]; if m = 1 then Ry(t)[q1] fi"
NEGATED = FEEDBACK.replace("Ry(t)[q1]", "Ry(-t)[q1]")
Z1 = parse_observable("Z[q1]")
AT = 0.7
EXACT = -math.sin(AT) * (1 - math.cos(AT))
Numbers = NDArray[np.float64]


def rotated(angle: float) -> Numbers:
    """Ry(angle)|0>."""
    return np.array([math.cos(angle / 2), math.sin(angle / 2)])


def mean_z1(first: float, second: float) -> float:
    """⟨Z1⟩ of the circuit with its own angle for each of the two gates."""
    zero, one = rotated(first) ** 2
    up, down = rotated(second) ** 2
    return float(zero + one * (up - down))


def shots_z1(first: float, second: float, rng: np.random.Generator, shots: int) -> Numbers:
    """Outcomes ±1 of Z1, shot by shot."""
    taken = rng.random(shots) < rotated(first)[1] ** 2
    down = rng.random(shots) < rotated(second)[1] ** 2
    return np.where(taken & down, -1.0, 1.0)


def by_sites(text: str, numbers: set[int]) -> float:
    """The derivative of qdiff at `AT`, the other sites lost."""
    made = differentiate(parse(text), "t")
    kept = [s if s.number in numbers else replace(s, slope=ZERO) for s in made.sites]
    return tangent_slope(replace(made, sites=tuple(kept)), Z1, {"t": AT})


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("text", [FEEDBACK, NEGATED])
def test_feedback_is_differentiated(text: str, rule: str) -> None:
    """⟨Z1⟩ = 1 - sin²(t/2)(1 - cos t), gradient -sin t (1 - cos t): 0.97235 and -0.15149 at t = 0.7."""
    program = parse(text)
    f = expectation(program, Z1)
    assert_close(f({"t": AT}), 0.97235, 5e-6)
    assert_close(f({"t": AT}), mean_z1(AT, AT), 1e-12)
    assert_close(f.grad({"t": AT})[0], -0.15149, 5e-6)
    assert_close(tangent_slope(derivative_of(program, "t", rule), Z1, {"t": AT}), EXACT, 1e-9)


def test_both_occurrences_shifted_at_once_are_no_shift_rule() -> None:
    """[f(t + π/2) - f(t - π/2)]/2 is the rule of one gate: f has two frequencies. It gives -sin t."""
    wrong = (mean_z1(AT + math.pi / 2, AT + math.pi / 2) - mean_z1(AT - math.pi / 2, AT - math.pi / 2)) / 2
    assert_close(wrong, -0.64422, 5e-6)
    right = [
        (mean_z1(AT + s * by, AT + (1 - s) * by) - mean_z1(AT - s * by, AT - (1 - s) * by)) / 2
        for s, by in ((1, math.pi / 2), (0, math.pi / 2))
    ]
    assert_close(sum(right), EXACT, 1e-12)
    assert_close([by_sites(FEEDBACK, {1}), by_sites(FEEDBACK, {2})], right, 1e-9)
    assert_close(by_sites(FEEDBACK, {1, 2}), EXACT, 1e-9)


def test_the_branch_that_was_taken_is_not_the_whole_derivative() -> None:
    """Each run differentiated with its outcome held fixed: 0, or -sin t where the measurement gave 1.

    The mean, -sin²(t/2) sin t, lacks how often the branch is taken: half of the derivative at this circuit.
    TensorCircuit-NG 1.10.0 with `cond_measure` and `conditional_gate`, trajectories differentiated by JAX,
    returned -0.0741 from 20 000 trajectories.
    """
    h, taken = 1e-5, rotated(AT)[1] ** 2
    (up, down), (before, behind) = (rotated(AT + h) ** 2, rotated(AT - h) ** 2)
    along_the_branch = ((up - down) - (before - behind)) / (2 * h)
    wrong = taken * along_the_branch
    assert_close(wrong, -0.07575, 5e-6)
    assert_close(wrong, by_sites(FEEDBACK, {2}), 1e-9)
    assert_close(by_sites(FEEDBACK, {1, 2}), EXACT, 1e-9)
    assert abs(wrong - EXACT) > 0.07


def test_a_parameter_with_a_minus_sign_behind_a_measurement_is_not_lost() -> None:
    """With `-t` read as another name, as the artifact does, only the first gate counts: half again."""
    h = 1e-5
    wrong = (mean_z1(AT + h, -AT) - mean_z1(AT - h, -AT)) / (2 * h)
    assert_close(wrong, -0.07575, 5e-6)
    assert_close(wrong, by_sites(NEGATED, {1}), 1e-9)
    assert_close(by_sites(NEGATED, {1, 2}), EXACT, 1e-9)
    assert abs(wrong - EXACT) > 0.07


def test_differences_of_shots_over_a_tiny_step_are_noise() -> None:
    """The shift rule for the first gate, a forward difference of 1e-7 for the one behind the measurement.

    PennyLane 0.45.1, `parameter-shift` on `default.qubit` with 2000 shots, returned 59999.9, 29999.9 and
    49999.9, and -0.085 where both samples had equal means. Without shots its answer is right.
    """
    shots, step = 2000, 1e-7
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ahead, behind = (shots_z1(AT + by, AT, rng, shots).mean() for by in (math.pi / 2, -math.pi / 2))
        moved, here = (shots_z1(AT, AT + by, rng, shots).mean() for by in (step, 0.0))
        found.append((ahead - behind) / 2 + (moved - here) / step)
    assert np.median(np.abs(np.array(found) - EXACT)) > 10_000
    # Terms from runs, as many shots in all: the same two occurrences by the rules.
    rng = np.random.default_rng(1)
    terms = [
        (AT + math.pi / 2, AT), (AT - math.pi / 2, AT), (AT, AT + math.pi / 2), (AT, AT - math.pi / 2),
    ]  # fmt: skip
    plus, minus, also_plus, also_minus = (shots_z1(*angles, rng, shots) for angles in terms)
    outcomes = (plus - minus + also_plus - also_minus) / 2
    assert abs(outcomes.mean() - EXACT) < 5 * outcomes.std() / math.sqrt(shots) < 0.1


# --- Signs ------------------------------------------------------------------------------------------


def test_a_sum_of_opposite_occurrences_is_zero() -> None:
    program, observable = parse("qubit: q para: a Ry(a)[q]; Ry(-a)[q]"), parse_observable("Z[q] + X[q]")
    made = differentiate(program, "a")
    assert len(made.sites) == 2
    assert_close(tangent_slope(made, observable, {"a": 0.7}), 0.0, 1e-12)
