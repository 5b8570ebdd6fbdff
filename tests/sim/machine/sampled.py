"""Programs that show what shots can meet, and running them on the machine and on the plain sampler."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from chi_square import ABORTED
from sim.machine.plain_sampler import PlainSampler

from qdiff.lang.parameters import resolve
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.machine.binding import bound
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.running import TREE_BYTES, Request, execute
from qdiff.sim.machine.verify import verify
from qdiff.sim.protocol import Job, Outcomes, Readout

PROGRAMS: dict[str, tuple[str, dict[str, float]]] = {
    "loop with a counter": (
        "qubit: q, r\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q]; CNOT[q, r] od; H[r]",
        {"t": 1.1},
    ),
    "nested loops": (
        "qubit: q, r\npara: t\ncount: c, d\n"
        "Ry(t)[q]; while M[q] = 1 do c++; Rx(t)[r];"
        "while M[r] = 1 and d < 4 do d++; Rx(0.7)[r] od; Ry(t)[q] od",
        {"t": 1.3},
    ),
    "flips, an angle that counts": (
        "qubit: q\npara: p, t\ncount: c\nwhile not flip(p) do c++; Rx(t*c)[q] od",
        {"p": 0.4, "t": 0.4},
    ),
    "a probability that counts": (
        "qubit: q\npara: p\ncount: c\nwhile flip(p/(c + 1)) do c := 2*c + 1; X[q] od",
        {"p": 0.9},
    ),
    "aborts and a bounded loop": (
        "qubit: q, r\npara: t\nRy(t)[q]; while{3} M[q] = 1 do Ry(t)[q]; C_Rx(t)[q][r] od;"
        "if M[r] = 1 and flip(0.3) then abort fi",
        {"t": 1.9},
    ),
    "and, or, not": (
        "qubit: a, b\npara: t\ncount: c\nRy(t)[a]; Ry(2*t)[b];\n"
        "while (M[a] = 1 or M[b] = 1) and c < 4 do c := c + 1;\n"
        "if not (c >= 3 and M[a] = 0) then Rx(t)[a]; Rz(t)[b] else H[b] fi od; H[a]",
        {"t": 0.8},
    ),
    "case": (
        "qubit: q[3]\npara: t\ncount: c\nfor i in 0..2 do Ry(t*(i+1))[q[i]] od;\n"
        "case M[q[2], q[0]] of 0: H[q[1]] | 2: c := 5; q[2] := |0> | else: Ry(t)[q[1]]; abort esac; H[q[0]]",
        {"t": 0.7},
    ),
    "a measurement of several qubits loses coherence between the others": (
        "qubit: a, b\npara: t\nH[a]; H[b]; if M[a, b] = 2 then X[a] else H[a]; Ry(t)[b] fi",
        {"t": 0.5},
    ),
    "measured into counters, parameters picked by a counter": (
        "qubit: q[2]\npara: w[4]\ncount: c, m[2]\nH[q[0]]; Ry(1)[q[1]]; c := M[q[1], q[0]];\n"
        "q := |0>; Ry(w[c])[q[0]]; m[1] := 10 - c div 2; CNOT[q[0], q[1]]; m[0] := M[q[1]]; H[q[1]]",
        {"w[0]": 0.3, "w[1]": 1.0, "w[2]": -2.0, "w[3]": 2.2},
    ),
    "channels": (
        "qubit: a, b\npara: p\ncount: c\nH[a]; CNOT[a, b]; dephase(p)[a]; damp(0.6)[b]; H[a];"
        "depolarize(p)[b]; while M[a] = 1 do c++; damp(0.4 + p/c)[a]; H[b]; dephase(0.4)[b]; H[b] od;"
        "damp(1)[a]; depolarize(0)[b]",
        {"p": 0.35},
    ),
    "noise that is complete": (
        "qubit: a, b, c\nH[a]; dephase(0.5)[a]; H[a]; X[b]; depolarize(1)[b]; X[c]; damp(1)[c]",
        {},
    ),
    "gates of all kinds": (
        "qubit: a, b, c\npara: t, u\nH[a]; H[b]; SX[c]; Rx(t)[a]; Rzz(t-u)[a,c]; R_XZY(t+u)[a,b,c];\n"
        "P(t)[a]; H[a];"
        "C_U(u, t, 1)[a][c]; C_R_XZ(2*u)[a][b, c]; C_Rzz(u)[a][b,c]; ISWAP[a,b]; CSWAP[a,b,c]; H[b]",
        {"t": 0.9, "u": -1.3},
    ),
}


def _reference_cases() -> dict[str, tuple[Program, dict[str, float]]]:
    path = Path(__file__).parents[2] / "reference" / "cases.json"
    cases = json.loads(path.read_text(encoding="utf-8"))
    programs = {case["name"]: parse(case["program"]) for case in cases}
    return {
        case["name"]: (programs[case["name"]], resolve(programs[case["name"]], case["params"]))
        for case in cases
    }


ALL: dict[str, tuple[Program, dict[str, float]]] = {
    **{name: (parse(text), params) for name, (text, params) in PROGRAMS.items()},
    **_reference_cases(),
}
"""The programs above and the reference cases, with parameters."""


def sampled(
    program: Program,
    params: Mapping[str, float],
    shots: int,
    seed: int = 1,
    *,
    readout: Readout | None = None,
    inputs: Mapping[str, int | np.ndarray] | None = None,
    first: int = 0,
    backend: TrajectoryBackend | PlainSampler | None = None,
    **options: Any,
) -> Outcomes:
    """Run shots on the machine, on one thread, or on a given backend; by default all qubits are read."""
    chosen = backend or TrajectoryBackend(**{"threads": 1, **options})
    prepared = chosen.prepare(program, Readout(program.qubits) if readout is None else readout)
    if backend is None:
        verify(prepared.lowered)
    [outcomes] = chosen.run([Job(prepared, params, shots, seed, inputs or {}, first)])
    return outcomes


def executed(
    program: Program,
    params: Mapping[str, float],
    shots: int,
    seed: int = 1,
    *,
    first: int = 0,
    threads: int = 1,
    tree_bytes: int = TREE_BYTES,
    step_limit: int = 10**6,
    readout: Readout | None = None,
) -> tuple[np.ndarray, ...]:
    """Run shots below the backend: counters, bits, status, expectations of operators."""
    plan = lower(program, Readout(program.qubits) if readout is None else readout)
    request = Request(plan, bound(plan, params), shots, seed, first, {}, step_limit, tree_bytes)
    return tuple(execute(request, threads))


def histogram(result: Outcomes) -> dict[Hashable, int]:
    """How often each (store, basis state) came, and `ABORTED`."""
    weights = 1 << np.arange(result.bits.shape[1])
    keys = (
        ABORTED if aborted else (tuple(store), int(bits @ weights))
        for aborted, store, bits in zip(result.aborted, result.counters.tolist(), result.bits, strict=True)
    )
    return Counter(keys)


def assert_same(found: Outcomes, expected: Outcomes) -> None:
    """Assert that two outcomes are equal shot by shot; expectations up to rounding."""
    for name in ("aborted", "cut", "counters", "bits"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        differing = np.flatnonzero(np.any((mine != theirs).reshape(len(mine), -1), axis=1))
        assert not len(differing), (
            f"{name} of {len(differing)} shots, first of shot {differing[0]}: "
            f"{mine[differing[0]]} instead of {theirs[differing[0]]}"
        )
    if expected.expectations is not None:
        np.testing.assert_allclose(found.expectations, expected.expectations, rtol=1e-9, atol=1e-10)
