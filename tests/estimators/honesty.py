"""The check of an estimator's statistics: is the mean right, and is the claimed error the true one?

    |mean - exact| ≤ 4.5 σ(mean),     |mean of (claimed variance - squared error)| ≤ 5 σ,     over many seeds

Both are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import qdiff as qd
from qdiff.sim.machine.backend import TrajectoryBackend

SINGLE = TrajectoryBackend(threads=1)
LARGEST_MEAN, LARGEST_SPREAD = 4.5, 5.0
LEAST_POWER = 0.45
"""A spread must be known that well, relatively, or nothing was tested."""


def repeated(
    f: qd.Objective, x: object, number: int, first: int = 0, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Values (number, d) and claimed covariances (number, d, d) of estimates with different seeds."""
    options = {"backend": SINGLE} | options
    found = [f.estimate_grad(x, seed=seed, **options) for seed in range(first, first + number)]
    assert all(estimate.shots == options["shots"] for estimate in found)
    assert all(estimate.bias_bound == 0 for estimate in found)
    return np.array([e.value for e in found]), np.array([e.covariance for e in found])


def errors(values: np.ndarray, claimed: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors of the mean and of the claimed variances in standard errors, float (d,) each.

    Derivatives that every run shows without any spread must be exact; they count 0.
    """
    number = len(values)
    variances = np.einsum("rii->ri", claimed)
    spread = values.std(axis=0, ddof=1)
    certain = spread < 1e-12 * np.maximum(1.0, np.abs(exact))
    np.testing.assert_allclose(values.mean(axis=0)[certain], exact[certain], atol=1e-9)
    spread = np.where(certain, 1.0, spread)
    off = np.where(certain, 0.0, (values.mean(axis=0) - exact) / (spread / math.sqrt(number)))
    # A claim and the square of the error that was made vary together: their difference is well known.
    square = ((values - values.mean(axis=0)) / spread) ** 2 * number / (number - 1)
    apart = variances / spread**2 - square
    known = apart.std(axis=0, ddof=1) / math.sqrt(number)
    assert np.all(known[~certain] < LEAST_POWER), f"too few repetitions: {known}"
    return off, np.where(certain, 0.0, apart.mean(axis=0) / np.where(certain, 1.0, known))


def assert_honest(
    f: qd.Objective, x: object, *, number: int = 50, exact: np.ndarray | None = None, **options: Any
) -> None:
    """Assert that estimates of f.grad(x) are unbiased, and that their errors are what they say."""
    values, claimed = repeated(f, x, number, **options)
    off, wrong = errors(values, claimed, f.grad(x, options.get("wrt")) if exact is None else exact)
    assert np.all(np.abs(off) < LARGEST_MEAN), f"the mean is off by {off} standard errors"
    assert np.all(np.abs(wrong) < LARGEST_SPREAD), f"the claimed variance is off by {wrong} standard errors"


def one_error(f: qd.Objective, x: object, **options: Any) -> np.ndarray:
    """(value - exact)/stderr of one estimate with many shots, float (d,); 0 where both agree to rounding."""
    found = f.estimate_grad(x, **({"backend": SINGLE} | options))
    apart = np.asarray(found.value) - f.grad(x, options.get("wrt"))
    stderr = np.asarray(found.stderr)
    alike = np.abs(apart) < 1e-9
    return np.where(alike, 0.0, apart / np.where(alike | (stderr > 0), np.where(alike, 1, stderr), 1e-12))


# --- Rules and noise -------------------------------------------------------------------------------------

GATES = """gate Tilted(a)[x, y] = exp(-i a/2 * (1*X Z + 0.618*Z Y))
gate Driven(a)[x] = exp(-i (a * 0.5*X + 0.7*Z))"""
RULES = [
    ("shift", "C_Ry(t)[r][s]"),
    ("shift", "Tilted(t)[r, s]"),
    ("shift-paper", "C_Ry(t)[r][s]"),
    ("two-term", "Rxx(2*t)[r, s]"),
    ("four-term-paper", "Ry(t)[r]"),
    ("equidistant", "C_Ry(t)[r][s]"),
    ("least-l1", "Tilted(t)[r, s]"),
    ("riesz", "Tilted(t)[r, s]"),
    ("stochastic", "Driven(t)[s]"),
    ("hadamard", "Ry(-t)[r]"),
    ("commutator", "C_Ry(t)[r][s]"),
]
"""Every rule, and a gate that it applies to."""


def looped(gate: str) -> qd.Objective:
    """A loop with a gate of RULES, by its parameter t."""
    return qd.expectation(
        qd.parse(
            f"qubit: q, r, s para: t count: c {GATES} H[q]; H[r]; while M[q] = 1 do c++; {gate}; "
            "q := |0>; H[q] od"
        ),
        "Z[s] + Z[r]*Z[s] + c*Z[r]",
    )


def noisy() -> qd.Objective:
    """Gates with noise, and read-out errors, by one parameter; at t = 1.2."""
    model = qd.NoiseModel(gates={"*": {"depolarize": 0.1}, "H": {"X": 0.2}}, readout=(0.1, 0.2))
    return qd.expectation(SUBJECTS["aborts"]()[0].program, "Z[q] + X[r] + c", noise=model)


# --- Programs --------------------------------------------------------------------------------------------

Subject = tuple[qd.Objective, Mapping[str, Any]]


def _subject(text: str, observable: str, **x: Any) -> Callable[[], Subject]:
    return lambda: (qd.expectation(qd.parse(text), observable), x)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "geometric loop": _subject(
        "qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od", "c", t=1.5
    ),
    "nested loops": _subject(
        "qubit: q, r, s para: t, u count: c, d Ry(t)[q]; while M[q] = 1 do Ry(u)[r]; "
        "while M[r] = 1 do d++; Ry(u)[r]; Rx(t)[s] od; c++; q := |0>; Ry(t*u)[q] od",
        "c + Z[s] + 0.5*d*X[s]",
        t=1.1,
        u=1.7,
    ),
    "aborts": _subject(
        "qubit: q, r para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Rx(t)[r]; "
        "if M[r] = 1 then abort fi; q := |0>; Ry(t)[q] od",
        "c + 1",
        t=1.2,
    ),
    "groups": _subject(
        "qubit: q, r para: t, u count: c Ry(t)[q]; while M[q] = 1 do if c < 3 then c++ fi; "
        "Rxx(u)[q, r]; q := |0>; Ry(t)[q]; Rz(u)[r]; H[r] od",
        "Z[r] + X[r] + 0.5*Y[r]*c",
        t=1.2,
        u=0.7,
    ),
    "counters in angles": _subject(
        "qubit: q, r para: t count: c H[q]; while M[q] = 1 do c++; Ry(t*c/3)[r]; q := |0>; H[q] od",
        "Z[r] + X[r]",
        t=1.2,
    ),
    "array": _subject(
        "qubit: q, r para: w[2] count: c H[q]; while M[q] = 1 do Ry(w[c])[r]; c := (c + 1) mod 2; "
        "q := |0>; Ry(1.7 + w[0]/2)[q] od",
        "Z[r] + X[r]",
        w=[0.6, 0.9],
    ),
    "flips": _subject(
        "qubit: q para: p, t count: c while flip(p) do c++; Ry(t)[q]; if flip(p*p) then X[q] fi od",
        "c*Z[q]",
        p=0.6,
        t=0.5,
    ),
    "channels": _subject(
        "qubit: q, r para: g, p, t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q]; damp(g)[q]; "
        "Rx(1)[r]; dephase(p)[r]; depolarize(p/2)[r] od",
        "c + Z[r]",
        g=0.3,
        p=0.2,
        t=1.3,
    ),
    "U gates": _subject(
        "qubit: q, r para: a, b, c H[r]; U(a, b, c)[q]; C_U(b, a, c)[r][q]; while M[q] = 1 do "
        "q := |0>; U(a, b, c)[q]; H[r] od",
        "Z[q] + X[r]",
        a=1.1,
        b=0.5,
        c=-0.7,
    ),
    "bounded loop": _subject(
        "qubit: q, r para: t count: c H[q]; while{4} M[q] = 1 do c++; Ry(t)[q]; Rx(t)[r] od; "
        "if c > 3 then abort fi",
        "Z[r] + c",
        t=1.1,
    ),
    "no loop": _subject(
        "qubit: q, r para: t, u Ry(t)[q]; Rzz(u)[q, r]; Rx(t)[r]; if M[q] = 1 then Rx(u)[r] fi",
        "Z[r] + X[q]",
        t=0.7,
        u=1.9,
    ),
}
"""Small programs, one of every kind, with observable and parameters."""
