"""Running shots of a bound plan, on one thread or several: the same results for any split.

Each thread has a worker with its own tree and scratch; rows are cut into chunks in a fixed way, and a chunk
is run by whichever worker is free. The compiled loop returns after a while, so that an interrupt is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from typing import Protocol, TypeAlias

import numpy as np

from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Expr
from qdiff.lang.running import PROBABILITY_SLACK, checked_counter, improbable, located
from qdiff.sim import flow as f
from qdiff.sim.machine import code as c
from qdiff.sim.machine import tables as k
from qdiff.sim.machine.binding import put_kraus, scratch
from qdiff.sim.machine.parts import addresses_of
from qdiff.sim.machine.shots import run
from qdiff.sim.machine.tree import empty_tree
from qdiff.sim.machine.wide import WIDE_QUBITS, Team

BUDGET = 10**7
"""Instructions and sixteenths of amplitudes that the compiled loop handles before it returns: some 0.1 s."""
TREE_BYTES = 2**25
"""Room for the states of one thread's tree."""
PIECES = 8
"""Chunks for each of several threads, so that all end at about the same time."""
SMALL = 2**12
"""Amplitudes of all shots together: with fewer, starting threads takes longer than running."""
CHUNK = 2**14
"""Shots that a thread takes at a time, where there are many."""


@dataclass(frozen=True, eq=False)
class Request:
    """Shots to run.

    Attributes:
        plan, bound: the program and its numbers. inputs: start values of counters by name, one for all
            shots or (shots,), one for each.
        shots, first: how many, and the index of the first.
        step_limit: a run that would execute more instructions is cut.
        tree_bytes: room for a tree of each thread; 0: without.
        progress: whether a bar on standard error shows how far a long run is.
    """

    plan: c.Lowered
    bound: k.Bound
    shots: int
    seed: int
    first: int
    inputs: Mapping[str, int | c.Ints]
    step_limit: int
    tree_bytes: int = TREE_BYTES
    progress: bool = False


def execute(request: Request, threads: int = 1, states: int | None = None) -> k.Results:
    """Run all shots.

    Args:
        threads: how many to use at most. states: for how many of them there is memory; None: for all.

    Raises:
        EvaluationError: something has no value when it runs: of the shot with the least index.
        KeyboardInterrupt: what was done is discarded.
    """
    results = _empty(request)
    apart = min(threads, request.shots, threads if states is None else states)
    if request.shots << request.plan.qubits < SMALL:
        apart = 1
    if apart < threads and request.plan.qubits >= WIDE_QUBITS:
        with Team(threads) as team, _bar(request) as bar:
            worker = Worker(replace(request, tree_bytes=0), team=team)
            for start, end in _chunks(request.shots, request.shots):
                worker.run(results, start, end)
                bar.update(end - start)
        return results
    in_chunks(request, lambda stopped: partial(Worker(request, stopped).run, results), apart)
    return results


Chunk: TypeAlias = Callable[[int, int], None]


def in_chunks(request: Request, worker: Callable[[Event | None], Chunk], threads: int) -> None:
    """Run all shots chunk by chunk.

    Args:
        worker: makes what one thread runs chunks (first row, end) with; it is told what stops it, None if it
            is alone.
    """
    several = threads > 1 or request.progress
    chunks = list(_chunks(request.shots, PIECES * threads if several else 1))
    with _bar(request) as bar:
        if threads == 1:
            run = worker(None)
            for start, end in chunks:
                run(start, end)
                bar.update(end - start)
        else:
            _side_by_side(worker, chunks, threads, bar)


def _side_by_side(
    worker: Callable[[Event | None], Chunk], chunks: Sequence[tuple[int, int]], threads: int, bar: Bar
) -> None:
    """Run chunks on several threads."""
    stopped = Event()
    failures: dict[int, Exception] = {}
    waiting: SimpleQueue[int] = SimpleQueue()
    finished: list[int] = []
    for number in range(len(chunks)):
        waiting.put(number)

    def work() -> None:
        run = worker(stopped)
        while not stopped.is_set():
            try:
                number = waiting.get_nowait()
            except Empty:
                return
            # Chunks are taken in order, so those before the first failure are all run.
            if number > min(failures, default=number):
                return
            start, end = chunks[number]
            try:
                run(start, end)
            except Exception as error:
                failures[number] = error
            finished.append(end - start)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        try:
            done = 0
            while wait(futures, timeout=0.1).not_done:  # an interrupt is heard between two waits
                bar.update(sum(finished) - done)
                done = sum(finished)
        except BaseException:
            stopped.set()
            raise
    for future in futures:
        future.result()
    if failures:
        raise failures[min(failures)]


class Bar(Protocol):
    """What tqdm offers here."""

    def update(self, n: int) -> object:
        """So many shots more."""


def _bar(request: Request) -> AbstractContextManager[Bar]:
    if not request.progress:
        return nullcontext(_Silent())
    from tqdm import tqdm

    bar: AbstractContextManager[Bar] = tqdm(total=request.shots, unit=" shots", delay=1, leave=False)
    return bar


class _Silent:
    def update(self, n: int) -> None:
        """Nothing is shown."""


def _chunks(shots: int, pieces: int) -> Iterator[tuple[int, int]]:
    """First row and end of each of at least so many chunks, where there are as many shots."""
    size = min(CHUNK, max(1, shots // pieces))
    for start in range(0, shots, size):
        yield start, min(start + size, shots)


def _empty(request: Request) -> k.Results:
    shots, readout = request.shots, request.plan.readout
    return k.Results(
        counters=np.zeros((shots, len(request.plan.program.counters)), dtype=np.int64),
        bits=np.zeros((shots, len(readout.qubits)), dtype=np.uint8),
        status=np.zeros(shots, dtype=np.uint8),
        expectations=np.zeros((shots, len(request.plan.operators))),
    )


class Worker:
    """One thread's share: it keeps its tree from chunk to chunk."""

    def __init__(self, request: Request, stopped: Event | None = None, team: Team | None = None) -> None:
        plan = request.plan
        self.request = request
        self.plan = plan
        self.stopped = stopped or Event()
        self.team = team
        self.bound = request.bound
        if stopped is not None:  # matrices that are made while the program runs are the thread's own
            self.bound = request.bound._replace(
                matrices=request.bound.matrices.copy(), kraus=request.bound.kraus.copy()
            )
        self.tree = empty_tree(plan.qubits, request.tree_bytes)
        self.parts = addresses_of(plan)
        self.same = np.zeros((1, len(plan.counters)), dtype=np.int64)
        self.varying: list[tuple[int, c.Ints]] = []
        for i, name in enumerate(plan.counters):
            value = request.inputs.get(name, 0)
            if isinstance(value, np.ndarray):
                self.varying.append((i, value))
            else:
                self.same[0, i] = value
        self.work = scratch(plan)

    def starts(self, start: int, end: int) -> c.Ints:
        """The counters at the beginning of the shots of some rows: one row for all, or one for each."""
        if not self.varying:
            return self.same
        starts = np.repeat(self.same, end - start, axis=0)
        for i, values in self.varying:
            starts[:, i] = values[start:end]
        return starts

    def run(self, results: k.Results, start: int, end: int) -> None:
        """Run the shots of some rows."""
        request, work = self.request, self.work
        rows = k.Results(
            results.counters[start:end],
            results.bits[start:end],
            results.status[start:end],
            results.expectations[start:end],
        )
        starts = self.starts(start, end)
        work.context[:] = 0
        work.context[k.WIDE] = self.team is not None
        while not self.stopped.is_set():
            work.context[k.BUDGET] = BUDGET
            reason = run(
                self.plan.code,
                self.bound,
                self.tree,
                work,
                rows,
                starts,
                self.plan.entry,
                np.uint64(request.seed),
                np.uint64((request.first + start) % 2**64),
                float(request.shots),
                request.step_limit,
                self.parts,
            )
            if reason == k.FINISHED:
                return
            if reason == k.ASK:
                answer(self.plan, self.bound, work)
                work.context[k.GIVEN] = 1
            if reason == k.SHARE:
                assert self.team is not None
                shot = (request.first + start + int(work.context[k.ROW])) % 2**64
                self.team.carry_out(self.plan, self.bound, work, shot, request.seed)


def answer(plan: c.Lowered, bound: k.Bound, work: k.Work) -> None:
    """Find the number that an instruction asks for exactly, or raise the error of the language."""
    pc = int(work.context[k.PC])
    source, row, written = plan.sources[pc], plan.code.instructions[pc], plan.written[pc]
    params = dict(zip(plan.program.parameters, bound.parameters.tolist(), strict=True))
    store = dict(zip(plan.counters, work.store.tolist(), strict=True))

    def value(expression: Expr) -> float | int:
        try:
            return expression.evaluate(params, store)
        except ValueFailure as failure:
            place = failure.node.place() or expression.place()
            raise located(plan.program, failure.message, place) from None

    values = [value(expression) for expression in written]
    match int(row[c.OP]):
        case c.DECIDE:
            left, right = values
            work.given_whole[0] = (left > right) - (left < right)
        case c.SET | c.STEP:
            assert isinstance(source, f.Set)
            name = plan.counters[source.counter]
            work.given_whole[0] = checked_counter(plan.program, name, values[0], source.position)
        case c.TOSS | c.CHANNEL:
            channel = plan.channels[pc].name if pc in plan.channels else ""
            p = values[0]
            if not -PROBABILITY_SLACK <= p <= 1 + PROBABILITY_SLACK:
                raise improbable(plan.program, written[0], p, None, channel)
            work.given_real[0] = min(max(p, 0.0), 1.0)
            if channel:
                put_kraus(plan, bound, pc, work.given_real[0])
        case c.LIVE_GATE:
            gate = plan.gates[plan.code.ops[row[c.A], c.LIVE]]
            start = plan.code.ops[row[c.A], c.MATRIX]
            angle = plan.expressions[gate.expression].evaluate(params, store)
            matrix = gate.record.matrix(float(angle))
            bound.matrices[start : start + matrix.size] = matrix.reshape(-1)
        case _:  # an angle of these gates has no value
            raise AssertionError("all angles have values")
