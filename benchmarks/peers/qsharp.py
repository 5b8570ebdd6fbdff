"""Q# in Microsoft's quantum development kit: `python -m benchmarks.peers.qsharp`.

The loop as an operation that returns c, compiled once. Ways: `qsharp.run` on the sparse simulator, and
`qsharp.compile` for the adaptive profile with `run_qir` on the full-state CPU simulator, whose threads are
those of RAYON_NUM_THREADS. Gates with one or two controls are spelled as CNOT, CZ and CCNOT, and a
controlled Ry as two rotations and two CNOT.
"""

from __future__ import annotations

from collections import Counter

from benchmarks.peers.loop import Loop, Operation
from benchmarks.peers.serve import Run, Way, serve, totals


def ways() -> tuple[str, dict[str, Way]]:
    """The version of the kit, and the ways to run a loop."""
    import importlib.metadata

    import qdk  # noqa: F401 (missing here, not later)

    return importlib.metadata.version("qdk"), {"sparse simulator": sparse, "CPU simulator": full_state}


def sparse(loop: Loop, threads: int) -> Run:
    """The interpreter with the sparse simulator; it has one thread."""
    from qdk import qsharp

    context = text(loop)

    def run(shots: int, seed: int) -> tuple[int, int]:
        return totals(Counter(qsharp.run("Loop()", shots, seed=seed)).items())

    qsharp.init()
    qsharp.eval(context)
    return run


def full_state(loop: Loop, threads: int) -> Run:
    """Compiled for the adaptive profile; the full-state simulator."""
    from qdk import TargetProfile, qsharp
    from qdk.simulation import run_qir

    qsharp.init(target_profile=TargetProfile.Adaptive)
    qsharp.eval(text(loop))
    compiled = qsharp.compile("Loop()")

    def run(shots: int, seed: int) -> tuple[int, int]:
        return totals(Counter(run_qir(compiled, shots, seed=seed, type="cpu")).items())

    return run


def text(loop: Loop) -> str:
    """The program in Q#."""
    lines = [f"use q = Qubit[{loop.qubits}];", "mutable c = 0;"]
    lines += [statement(step) for step in loop.start]
    lines += [f"while M(q[{loop.guard}]) == Zero {{"]
    lines += [statement(step) for step in loop.body]
    lines += [f"if c < {loop.most} {{ set c += 1; }}", "}", "ResetAll(q);", "return c;"]
    return "operation Loop() : Int {\n" + "\n".join(lines) + "\n}\n"


def statement(step: Operation) -> str:
    """One operation in Q#."""
    target, controls = f"q[{step.target}]", [f"q[{c}]" for c in step.controls]
    name, half = step.name.capitalize(), step.angle / 2
    match step.name, len(controls):
        case "reset", _:
            return f"Reset({target});"
        case "rx" | "ry" | "rz", 0:
            return f"{name}({step.angle!r}, {target});"
        case _, 0:
            return f"{name}({target});"
        case "x" | "z", 1:
            return f"{'CNOT' if name == 'X' else 'CZ'}({controls[0]}, {target});"
        case "x", 2:
            return f"CCNOT({controls[0]}, {controls[1]}, {target});"
        case "ry", 1:
            cnot = f"CNOT({controls[0]}, {target});"
            return f"Ry({half!r}, {target}); {cnot} Ry({-half!r}, {target}); {cnot}"
        case "rx" | "ry" | "rz", _:
            return f"Controlled {name}([{', '.join(controls)}], ({step.angle!r}, {target}));"
    return f"Controlled {name}([{', '.join(controls)}], {target});"


if __name__ == "__main__":
    serve(ways)
