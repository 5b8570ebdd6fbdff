"""Programs as OpenQASM 3 texts.

text: statements · expressions: reals, integers, comparisons · gates: those of stdgates.inc, and definitions
matrices: unitary matrices as definitions · names: what is not a word of the language
"""

from qdiff.interop.qasm3_writer.text import to_qasm3 as to_qasm3
