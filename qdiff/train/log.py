"""The log of a run, which is its checkpoint: JSON lines, a header and one line per evaluation.

    {"format": "qdiff-training-log", "version": 1, "program": …, "optimizer": …, "crc32": "…"}
    {"evaluation": 0, "x": [1.4], "value": 0.93, "grad": [-0.2], "crc32": "…"}        more in `evaluation`

Numbers are written so that they read back bit for bit. Each line is handed to the operating system
whole and synced before the run goes on, so a run killed at any instant loses the evaluation in
progress and nothing else: a line without its newline was being written when it was killed, and is
cut off. Each line carries the CRC-32 of itself without that field, so that damage is never replayed.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from qdiff.errors import TrainingError
from qdiff.train.evaluation import Evaluation, NoEvaluation
from qdiff.train.evaluation import read as read_evaluation
from qdiff.train.header import FORMAT, VERSION, Header, differences

MAGIC = f'{{"format": "{FORMAT}"'.encode()
SEAL = b', "crc32": "'


class RunLog:
    """An open log: evaluations that can be read back, and room for more at the end.

    Attributes:
        header: that of the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Header,
        resume: bool = False,
        follow: Collection[str] = (),
    ) -> None:
        """Open or create a log; nothing is written to a file that this run must not continue.

        A file that holds no evaluation yet has nothing to lose and is begun again.

        Args:
            follow: keys of the header that a resumed run takes from its log.

        Raises:
            TrainingError: an existing log without `resume`, a log of another run, a damaged one, one
                that another process is writing, a file that is no log, a place that cannot be written.
        """
        try:
            self._path = Path(path)
        except TypeError:
            raise TrainingError(f"log={path!r} is not a path.") from None
        self.name = f"`{self._path}`"
        self._descriptor, self._unused = self._open()
        try:
            self._lock()
            self.header = header
            self._logged, self._size = self._read(resume, follow)
            self._truncate()
            if self._size == 0:
                self._write(_line(self.header))
                _sync_folder(self._path.parent)
        except BaseException:
            self._abandon()
            raise

    def read(self, index: int) -> Evaluation | None:
        """Return evaluation number `index` if an earlier run logged it."""
        return self._logged[index] if index < len(self._logged) else None

    def append(self, index: int, evaluation: Evaluation) -> None:
        """Write evaluation number `index` and wait until it is on the disk."""
        self._write(_line({"evaluation": index, **evaluation.record()}))
        self._unused = False

    def where(self, index: int) -> str:
        """The place of evaluation number `index`: "run.jsonl:2" for the first."""
        return f"{self._path}:{index + 2}"

    def close(self) -> None:
        """Close the file; what was logged stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close() if error is None else self._abandon()

    def _abandon(self) -> None:
        """Close the file; one that this run made and logged nothing in goes again."""
        self.close()
        if self._unused:
            self._path.unlink(missing_ok=True)

    # --- the file -------------------------------------------------------------------------------

    def _open(self) -> tuple[int, bool]:
        """Return a descriptor, and whether the file was made."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            try:
                return os.open(self._path, flags | os.O_EXCL, 0o666), True
            except FileExistsError:
                return os.open(self._path, flags, 0o666), False
        except FileNotFoundError:
            raise TrainingError(
                f"The log {self.name} cannot be made: there is no folder `{self._path.parent}`."
            ) from None
        except IsADirectoryError:
            raise TrainingError(f"The log {self.name} is a folder. Name a file in it.") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise TrainingError(f"The log {self.name} cannot be opened: {reason}.") from None

    def _lock(self) -> None:
        """Keep a second process from writing the same log; the lock goes with the process."""
        if sys.platform == "win32":
            return
        import fcntl

        try:
            # Unlike flock's, this lock is not inherited by worker processes that outlive a killed run.
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise TrainingError(
                f"The log {self.name} is being written by another run. Wait for it, or give another log."
            ) from None
        except OSError:
            pass  # A file system without locks: the log is no less correct.

    def _read(self, resume: bool, follow: Collection[str]) -> tuple[list[Evaluation], int]:
        """Return the evaluations to replay and the length of the file up to their end."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            if resume:
                raise TrainingError(f"The log {self.name} is not a regular file: it cannot be resumed.")
            return [], 0
        # Through this descriptor: closing another one of the file would give up the lock.
        with open(self._descriptor, "rb", closefd=False) as file:
            content = file.read()
        *lines, torn = content.split(b"\n")
        first = lines[0] if lines else torn
        if not (first.startswith(MAGIC) or (not lines and MAGIC.startswith(first))):
            raise TrainingError(f"{self.name} is not a training log of qdiff. Give the log another name.")
        if len(lines) < 2 and not (resume and lines):
            return [], 0
        if not resume:
            raise TrainingError(
                f"The log {self.name} exists already, evaluations in it: {len(lines) - 1}. "
                "Continue its run with resume=True, or give this run another log."
            )
        self._check_header(first, follow)
        evaluations = [self._evaluation(number, line) for number, line in enumerate(lines[1:], 2)]
        return evaluations, len(content) - len(torn)

    def _check_header(self, line: bytes, follow: Collection[str]) -> None:
        logged = self._parsed(1, line)
        if logged.get("version") != VERSION:
            raise TrainingError(
                f"The log {self.name} is written in version {logged.get('version')!r} of the format; "
                f"this qdiff reads version {VERSION}."
            )
        self._check_seal(1, line)
        self.header = self.header | {key: logged.get(key) for key in follow}
        different = differences(self.header, logged)
        if different:
            raise TrainingError(
                f"The log {self.name} belongs to another run:\n"
                + "\n".join(f"    {line}" for line in different)
                + "\nResume with the settings of the log, or give this run another log."
            )

    def _evaluation(self, number: int, line: bytes) -> Evaluation:
        self._check_seal(number, line)
        record = self._parsed(number, line)
        try:
            found = read_evaluation(record, len(self.header["x0"]), sampled="shots" in self.header)
        except NoEvaluation as problem:
            self._damaged(number, str(problem))
        if record.get("evaluation") != number - 2:
            self._damaged(number, f"evaluation {number - 2} belongs here")
        return found

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            self._damaged(number, "it is not a JSON object")
        return record

    def _check_seal(self, number: int, line: bytes) -> None:
        body, seal, check = line.rpartition(SEAL)
        if not seal or check != b'%08x"}' % zlib.crc32(body + b"}"):
            self._damaged(number, "its checksum does not fit")

    def _damaged(self, number: int, why: str) -> NoReturn:
        fix = (
            "Start again with another log."
            if number == 1
            else f"Cut the file before that line to resume from evaluation {number - 2}."
        )
        raise TrainingError(f"{self._path}:{number}: this line of the log is damaged: {why}. {fix}")

    def _write(self, line: bytes) -> None:
        try:
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            _sync(self._descriptor)
        except OSError as error:
            lost = "What was logged is kept: make room and resume." if self._size else "Nothing was run."
            raise TrainingError(f"The log {self.name} cannot be written: {error.strerror}. {lost}") from error
        self._size += len(line)

    def _truncate(self) -> None:
        if os.fstat(self._descriptor).st_size > self._size:
            os.ftruncate(self._descriptor, self._size)


def _line(record: Mapping[str, object]) -> bytes:
    body = json.dumps(record, allow_nan=False).encode()
    return body[:-1] + SEAL + b'%08x"}\n' % zlib.crc32(body)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # A terminal or a pipe cannot be synced and has no need of it.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable, where a folder can be synced."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
