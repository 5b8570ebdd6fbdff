"""Programs as Qiskit circuits.

circuit: statements · angles: expressions as ParameterExpressions · gates: Qiskit's gates
memory: counters as bits and variables · relations: comparisons of integers
conditions: those as Qiskit's expressions
"""

from qdiff.interop.qiskit_writer.circuit import qiskit_text as qiskit_text
from qdiff.interop.qiskit_writer.circuit import to_qiskit as to_qiskit
