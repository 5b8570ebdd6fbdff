"""An OpenQASM text to a program: version 3 by this package, version 2 by Qiskit's importer."""

from __future__ import annotations

import re
from dataclasses import replace

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.interop.structured import Passes, lowered
from qdiff.lang.check import check
from qdiff.lang.origin import Origin
from qdiff.lang.source import Position, Source
from qdiff.lang.text.parser import collector_paused, reading, source_of
from qdiff.lang.text.scan import LARGEST_TEXT
from qdiff.lang.text.syntax import Fault, position_at
from qdiff.lang.tree import Program, Skip

_COMMENT = re.compile(r"//[^\n]*|/\*(?s:.*?)\*/")
_OLD = re.compile(r"\s*OPENQASM\s+2(?:\.\d+)?\s*;|\binclude\s*[\"']qelib1\.inc[\"']")
_INCLUDE = re.compile(r"\binclude\b\s*[\"']?([^\"';\n]*)")
_PHYSICAL = re.compile(r"\$([0-9]{1,9})")
_PLACE = re.compile(r"<input>:(\d+),(\d+): (.*)", re.DOTALL)
MOST_PHYSICAL = 10_000


def from_text(text: str, name: str) -> Program:
    """Return the program of an OpenQASM text; see `from_qasm3`."""
    source = source_of(text, name)
    with collector_paused():
        return check(reading(source, lambda: _program(source)))


def _program(source: Source) -> Program:
    text = source.text
    if len(text) <= LARGEST_TEXT and ("OPENQASM" in text or "qelib1" in text):
        # Comments become blanks, so that places stay.
        plain = _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
        found = _OLD.match(plain) or ("qelib1" in plain and _OLD.search(plain))
        if found:
            return _version_2(source, plain)
    return _version_3(source)


def _version_3(source: Source) -> Program:
    from qdiff.interop.qasm3_reader import parser
    from qdiff.interop.qasm3_reader.routines import TextReader

    block = parser.read(source.text)
    reader = TextReader()
    try:
        plain = _COMMENT.sub("", source.text) if "$" in source.text else ""
        numbers = sorted({int(found) for found in _PHYSICAL.findall(plain)})
        if len(numbers) > MOST_PHYSICAL:
            raise Fault(f"there are more than {MOST_PHYSICAL} physical qubits.", Position(1, 1))
        reader.physical(numbers)
        items = reader.statements(block, reader.scope)
        if reader.contexts[0].left:
            items = [Passes([items])]
        body = lowered(items, lambda: reader.memory.counter("leave")) or (Skip(),)
    except QdiffError as error:
        raise QdiffError(source.locate(str(error), None)) from None
    except RecursionError:
        raise QdiffError(f"{source.name}: the text is nested too deep.") from None
    if not reader.qubits:
        raise Fault("no qubits are declared.", Position(1, 1))
    origin = Origin(f"the text {source.name}", dict(reader.names.aliases))
    return Program(
        tuple(reader.qubits),
        tuple(reader.parameters),
        tuple(reader.memory.registers),
        body,
        source=source,
        gate_declarations=tuple(reader.gates.declared.values()),
        origin=origin,
    )


def _version_2(source: Source, plain: str) -> Program:
    """By Qiskit; nothing but its own `qelib1.inc` is included."""
    from qiskit import qasm2

    from qdiff.interop.qiskit_reader.circuit import from_qiskit

    for found in _INCLUDE.finditer(plain):
        if found[1] != "qelib1.inc":
            pos = position_at(plain, found.start(), len(found[0]))
            raise Fault(f"`{found[1]}` is not included: no file is read.", pos)
    try:
        circuit = qasm2.loads(
            source.text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS
        )
    except qasm2.QASM2ParseError as error:
        message = str(error).strip("'\"")
        place = _PLACE.match(message)
        if place is None:
            raise QdiffError(f"{source.name}: {message}") from None
        raise Fault(place[3].rstrip(".") + ".", Position(int(place[1]), int(place[2]) + 1)) from None
    try:
        program = from_qiskit(circuit)
    except QdiffSyntaxError:
        raise
    except QdiffError as error:
        raise QdiffError(f"{source.name}: {error}") from None
    assert program.origin is not None
    # Texts have no choice about measurements at the end, so nothing warns of them.
    origin = replace(program.origin, what=f"the text {source.name}", measured_last=frozenset())
    return replace(program, origin=origin)
