"""qdiff: differentiable quantum programming.

Programs that measure, branch and loop without bound go in; derivatives come out.

    import qdiff as qd

    program = qd.parse("qubit: q  para: t  count: c  Ry(t)[q]; while M[q] = 1 do c++; Rx(t)[q] od")
    f = qd.expectation(program, "c")
    f({"t": 1.1}), f.grad({"t": 1.1})
"""

from importlib import import_module
from typing import TYPE_CHECKING

from qdiff import interop, plot, rules
from qdiff.errors import BatchError, QdiffError, QdiffSyntaxError
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.finite_shift import FiniteShift
from qdiff.estimators.insertion import Insertion
from qdiff.estimators.spsa import SPSA
from qdiff.estimators.stratified import Stratified
from qdiff.estimators.trajectory import Trajectory
from qdiff.final_state import HybridState, state
from qdiff.gradient_check import GradientCheck, check_grad
from qdiff.landscapes import Landscape, landscape
from qdiff.lang import noise
from qdiff.lang.gates_from_matrices import GivenGate, gate
from qdiff.lang.load import load
from qdiff.lang.noise.model import NoiseModel
from qdiff.lang.observable import P0, P1, Observable, X, Y, Z, count
from qdiff.lang.observable_input import observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import Objective, VectorObjective, expectation
from qdiff.planning import Plan, plan
from qdiff.proved_bounds import derivative_bounds
from qdiff.rules.additive import additive
from qdiff.rules.derivative import DerivativeProgram, differentiate
from qdiff.sampling import Samples, sample
from qdiff.sim.analysis import Analysis
from qdiff.sim.majorants import DerivativeBounds
from qdiff.train import LBFGSB, Adam, GradientDescent, TrainingResult, maximize, minimize

if TYPE_CHECKING:
    from qdiff.interop.qasm3_reader import from_qasm3
    from qdiff.interop.qiskit_reader.circuit import from_qiskit
    from qdiff.sim.arrays.backend import ArrayBackend
    from qdiff.sim.arrays.engine import ArrayEngine

__version__ = "0.1.0"

__all__ = [
    "LBFGSB",
    "P0",
    "P1",
    "SPSA",
    "Adam",
    "Analysis",
    "ArrayBackend",
    "ArrayEngine",
    "BatchError",
    "DerivativeBounds",
    "DerivativeProgram",
    "Estimate",
    "FiniteShift",
    "GivenGate",
    "GradientCheck",
    "GradientDescent",
    "HybridState",
    "Insertion",
    "Landscape",
    "NoiseModel",
    "Objective",
    "Observable",
    "Plan",
    "Program",
    "QdiffError",
    "QdiffSyntaxError",
    "Samples",
    "Stratified",
    "TrainingResult",
    "Trajectory",
    "VectorObjective",
    "X",
    "Y",
    "Z",
    "additive",
    "check_grad",
    "count",
    "derivative_bounds",
    "differentiate",
    "expectation",
    "from_qasm3",
    "from_qiskit",
    "gate",
    "interop",
    "landscape",
    "load",
    "maximize",
    "minimize",
    "noise",
    "observable",
    "parse",
    "plan",
    "plot",
    "rules",
    "sample",
    "state",
]

_WHEN_ASKED_FOR = {
    "ArrayBackend": "qdiff.sim.arrays.backend",
    "ArrayEngine": "qdiff.sim.arrays.engine",
    "from_qasm3": "qdiff.interop.qasm3_reader",
    "from_qiskit": "qdiff.interop.qiskit_reader.circuit",
}


def __getattr__(name: str) -> object:
    """Load what few programs need when it is first asked for."""
    if name not in _WHEN_ASKED_FOR:
        raise AttributeError(f"module 'qdiff' has no attribute {name!r}")
    return getattr(import_module(_WHEN_ASKED_FOR[name]), name)
