"""Many sets of parameter values at once: reading them, and finding the bad ones among them.

A batch is an array (B, d) of the trainable parameters where everything else is bound; a list of B
sets of values, each as an objective takes it; or a mapping from names to one value for all rows or
to B of them ((B, size) for an array). Rows that cannot be read or have no value do not cost the
others their results: they are left out, and the error at the end names them and holds the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qdiff.errors import BatchError, ParameterError, QdiffError, listed
from qdiff.lang.parameter_table import ParameterTable
from qdiff.lang.parameter_values import described, is_sequence
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.objective.tables import whole
from qdiff.sim.exact import Floats, Parameters

MOST_SHOWN = 4

Answers = tuple[Floats, ...]
Answer = Callable[[Sequence[Parameters]], Answers]


Rows = Sequence[Parameters | None]


def read_rows(program: Program, batch: object) -> tuple[Rows, dict[int, QdiffError]]:
    """Return the values of every row, None where it cannot be read, and the errors of those.

    Plain numbers are read as a whole, into a `ParameterTable`.

    Raises:
        ParameterError: what is no batch, or fits in no row; an array that holds no real numbers.
    """
    if isinstance(batch, memoryview):
        batch = np.asarray(batch)  # one with two axes cannot be gone through
    if program.origin is not None and isinstance(batch, Mapping):
        batch = program.origin.renamed(batch)
    table = whole(program, batch)
    if table is not None:
        return table, {}
    given = _rows_of_mapping(program, batch) if isinstance(batch, Mapping) else _rows_of_sequence(batch)
    rows: list[Parameters | None] = []
    errors: dict[int, QdiffError] = {}
    for number, row in enumerate(given):
        try:
            rows.append(resolve(program, row))
        except ParameterError as error:
            rows.append(None)
            errors[number] = error
    if rows and len(errors) == len(rows) and len(set(map(str, errors.values()))) == 1:
        raise ParameterError(f"No row of the batch can be read. {errors[0]}")
    return rows, errors


def answer_all(
    rows: Rows,
    errors: Mapping[int, QdiffError],
    shapes: Sequence[tuple[int, ...]],
    answer: Answer,
) -> Answers:
    """Return the answers to all rows, each of shape (B, …).

    Args:
        errors: of the rows that are None.
        shapes: of an answer to one row.
        answer: rows → their answers; raises QdiffError where one of the rows has none.

    Raises:
        BatchError: some rows have no answer; it holds the others'.
    """
    if isinstance(rows, ParameterTable) and len(rows):
        try:
            return answer(rows)
        except QdiffError:
            pass  # which rows it is about is found below
    results = tuple(np.full((len(rows), *shape), np.nan) for shape in shapes)
    bad = dict(errors)
    pending = [[number for number, row in enumerate(rows) if row is not None]]
    while pending:
        numbers = pending.pop()
        if not numbers:
            continue
        try:
            found = answer(_some(rows, numbers))
        except QdiffError as error:
            if len(numbers) == 1:
                bad[numbers[0]] = error
            else:
                middle = len(numbers) // 2
                pending += [numbers[middle:], numbers[:middle]]
            continue
        for result, part in zip(results, found, strict=True):
            result[numbers] = part
    if bad:
        raise _batch_error(dict(sorted(bad.items())), results)
    return results


def _some(rows: Rows, numbers: Sequence[int]) -> Sequence[Parameters]:
    if isinstance(rows, ParameterTable):
        return rows.take(numbers)
    return [row for number in numbers if (row := rows[number]) is not None]


def _batch_error(errors: dict[int, QdiffError], results: Answers) -> BatchError:
    total = len(results[0])
    shown = "".join(f"\n  row {number}: {error}" for number, error in list(errors.items())[:MOST_SHOWN])
    more = f"\n  and {len(errors) - MOST_SHOWN} more" if len(errors) > MOST_SHOWN else ""
    have = "has" if len(errors) == 1 else "have"
    return BatchError(
        f"{len(errors)} of {total} rows {have} no value (.values and .gradients of this error hold those of "
        f"the others):{shown}{more}",
        values=results[0],
        gradients=results[1] if len(results) > 1 else None,
        errors=errors,
    )


# --- Reading ------------------------------------------------------------------------------------


def _rows_of_sequence(batch: Any) -> list[object]:
    if not is_sequence(batch) or (isinstance(batch, np.ndarray) and batch.ndim != 2):
        raise ParameterError(
            "A batch is an array (rows, parameters) or a mapping from names to values, got "
            f"{described(batch)}."
        )
    rows = list(batch)
    if not all(isinstance(row, Mapping) or is_sequence(row) for row in rows):
        raise ParameterError(
            "A batch holds one sequence or mapping of values a row. For one set of values: [[…]]."
        )
    return rows


def _rows_of_mapping(program: Program, batch: Mapping[Any, Any]) -> list[object]:
    sizes = {register.name: register.size for register in program.parameter_registers}
    by_row = {name: entry for name, entry in batch.items() if _varies(entry, sizes.get(name))}
    lengths = {name: len(entry) for name, entry in by_row.items()}
    if not lengths:
        raise ParameterError(
            "No entry of the batch has one value a row: give at least one parameter a sequence of B values "
            "(an array of parameters: B sequences)."
        )
    if len(set(lengths.values())) > 1:
        found = listed(f"{name} has {length}" for name, length in lengths.items())
        raise ParameterError(f"The entries of a batch have one value a row, but {found}.")
    fixed = {name: entry for name, entry in batch.items() if name not in by_row}
    [rows] = set(lengths.values())
    return [{**fixed, **{name: entry[i] for name, entry in by_row.items()}} for i in range(rows)]


def _varies(entry: Any, size: int | None) -> bool:
    """Whether an entry holds one value a row: a sequence, for an array a sequence of sequences."""
    if not is_sequence(entry):
        return False
    if size is None:
        return True
    return entry.ndim > 1 if isinstance(entry, np.ndarray) else any(map(is_sequence, entry))
