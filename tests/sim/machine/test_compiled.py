"""What is compiled: entries, for one signature each, and parts, where a program needs them."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher
from sim.machine.sampled import ALL, executed, sampled

from qdiff.lang.observable import Z
from qdiff.lang.text.parser import parse
from qdiff.sim.machine import adjoint_shots, arithmetic, matrices, shots, states, streams, tree, wide
from qdiff.sim.machine.binding import bound, scratch
from qdiff.sim.machine.compiled import TABLES, Part, address_of
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.parts import addresses_of
from qdiff.sim.machine.tables import Parts, Tables
from qdiff.sim.merged import expansion
from qdiff.sim.protocol import Readout

# --- Entries --------------------------------------------------------------------------------------

ENTRIES = {
    # of the machine
    "stream": "uint64 uint64 Array Array",
    "bind": "Code Bound Work Parts",
    "run": "Code Bound Tree Work Results Array int64 uint64 uint64 float64 int64 Parts",
    # for derivatives
    "follow": "Code Bound Tree Work Rows Sites Slopes Trail Events "
    "Array int64 uint64 uint64 float64 int64 int64 Parts",
    # for large registers
    "random_block": "int64 uint64 uint64 Array",
    "draw": "Array float64",
    "share_op": "Code Array int64 Array Array int64 int64",
    "share_weights": "Array Array Array int64 int64",
    "share_scale": "Array int64 int64 int64 float64 int64 int64",
    # for merged shots
    "expand": "Code Bound Work Entries Rows float64 int64 bool float64 int64 int64 float64 float64 Parts",
}
"""The functions that Python calls and what they take; each is compiled when it is first called."""
MODULES = [adjoint_shots, arithmetic, matrices, states, streams, shots, tree, wide, expansion]


def kind(argument: numba.types.Type) -> str:
    if isinstance(argument, (numba.types.NamedTuple, numba.types.NamedUniTuple)):
        return argument.instance_class.__name__
    return "Array" if isinstance(argument, numba.types.Array) else str(argument)


def called() -> dict[str, Dispatcher]:
    names = {name: f for module in MODULES for name, f in vars(module).items() if isinstance(f, Dispatcher)}
    return {name: f for name, f in names.items() if f.targetoptions.get("nogil")}


def parts() -> dict[str, Part]:
    return {name: f for module in MODULES for name, f in vars(module).items() if isinstance(f, Part)}


def test_entries_are_known_and_kept_on_disk() -> None:
    assert set(called()) == set(ENTRIES)
    for function in called().values():
        assert isinstance(function._cache, FunctionCache)


def test_entries_are_compiled_for_one_signature_each() -> None:
    """Whatever the programs are: another signature would be another wait for the compiler."""
    streams.stream(np.uint64(1), np.uint64(1), np.zeros(1), np.zeros(4, dtype=np.uint64))
    bare = parse("qubit: q\nskip")
    sampled(bare, {}, 1, readout=Readout())
    sampled(bare, {}, 1, readout=Readout((), "", (Z("q"),)))
    for name in ("channels", "measured into counters, parameters picked by a counter", "gates of all kinds"):
        sampled(*ALL[name], 3)
        executed(*ALL[name], 30, 2**64 - 1, threads=2, tree_bytes=0, first=2**64 - 20)
    for name, function in called().items():
        for signature in function.signatures:  # none before it is called
            assert " ".join(map(kind, signature)) == ENTRIES[name]
        assert len(function.signatures) <= 1
    assert all(called()[name].signatures for name in ("stream", "bind", "run"))


# --- Parts ----------------------------------------------------------------------------------------


def test_parts_are_known_and_kept_on_disk() -> None:
    assert set(parts()) == set(Parts._fields)
    for function in parts().values():
        assert isinstance(function._function._cache, FunctionCache)
        assert function.address != 0
        assert len(function._function.signatures) == 1


def test_parts_find_tables_of_the_types_that_plans_have() -> None:
    for program, params in ALL.values():
        plan = lower(program, Readout(program.qubits))
        tables = Tables(plan.code, bound(plan, params), scratch(plan))
        assert numba.typeof(tables) == TABLES


NEEDED = {
    "qubit: q\nskip": "",
    "qubit: q\ncount: c\nc := c + 1": "",
    "qubit: q\npara: p\nif flip(p) then skip fi": "",
    "qubit: q\npara: p\nif flip(p^2) then skip fi": "evaluate",
    "qubit: q\npara: p\nif flip(0.5*p - p*p + 1/3) then skip fi": "evaluate",
    "qubit: q\npara: p, w[2]\nif flip(0.5*p - p*w[1] + 2*p) then skip fi": "",
    "qubit: q\npara: p\nif flip(p + 2*(3 - 1)) then skip fi": "evaluate",
    "qubit: q\ncount: c\nif c < 4 then c := 5 fi": "",
    "qubit: q\ncount: c\nc := 2*c": "evaluate",
    "qubit: q\npara: t\nRx(t)[q]": "matrix apply",
    "qubit: q\npara: t\nRx(2*t)[q]": "matrix apply",
    "qubit: q\npara: t\nRx(sin(t))[q]": "evaluate matrix apply",
    "qubit: q\ncount: c\nRx(c)[q]": "matrix apply",
    "qubit: q\ncount: c\nc := M[q]": "weigh keep",
    "qubit: q\ncase M[q] of 0: skip | 1: skip esac": "weigh keep",
    "qubit: q\nH[q]; q := |0>; H[q]": "matrix apply weigh keep",
    "qubit: q\nH[q]; depolarize(0.1)[q]": "matrix apply weigh_channel act",
}


@pytest.mark.parametrize("text", NEEDED)
def test_only_parts_that_a_program_needs_are_compiled(text: str) -> None:
    found = addresses_of(lower(parse(text), Readout()))._asdict()
    assert {name for name, address in found.items() if address} == set(NEEDED[text].split())


def test_a_read_out_needs_its_parts() -> None:
    program = parse("qubit: q\nskip")
    assert addresses_of(lower(program, Readout(("q",)))).weigh
    found = addresses_of(lower(program, Readout(expectations=(Z("q"),))))
    assert found.expect
    assert not found.weigh


def test_tables_of_other_types_are_refused() -> None:
    @numba.njit
    def asks(tables: Tables) -> int:
        return address_of(tables)

    with pytest.raises(TypeError, match="tables of the types"):
        asks(Tables(1, 2, 3))
