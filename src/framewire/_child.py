"""Transports over a child process's standard input and output, and over our own.

Both are a pair of pipes, and know how they end: a child is waited for, terminated and killed; our own
descriptors are taken out of everybody else's way, and put back at the end.
"""

from __future__ import annotations

import os
import sys

from ._transport import PipeTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["ChildTransport", "OwnTransport", "own", "start"]

_PATIENCE = 1.0  # seconds that a child may take to end, at each of the three steps


class ChildTransport(PipeTransport):
    """The pipes to a program's standard input and from its standard output."""

    __slots__ = ("process", "name")

    def __init__(self, process: Any, reader: int, writer: int) -> None:
        super().__init__(reader, writer)
        self.process = process
        self.name = f"exec:{process.args[0]} (process {process.pid})"

    def close(self) -> None:
        super().close()
        self._reap([None, self.process.terminate, self.process.kill])

    def abort(self) -> None:
        super().close()
        self._reap([self.process.kill])

    def _reap(self, steps: list[Any]) -> None:
        """Wait for the child, with ever more force."""
        from subprocess import TimeoutExpired

        for step in steps:
            if step is not None:
                step()
            try:
                self.process.wait(_PATIENCE)
                return
            except TimeoutExpired:
                pass


class OwnTransport(PipeTransport):
    """This process's standard input and output, which nobody else reaches while it is open."""

    __slots__ = ("_stdin", "_stdout", "_python_stdout", "name")

    def __init__(self) -> None:
        sys.stdout.flush()
        # Descriptors 0 and 1 become /dev/null and standard error; what they were is ours alone.
        self._stdin, self._stdout = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        self._python_stdout, sys.stdout = sys.stdout, sys.stderr
        super().__init__(self._stdin, self._stdout)
        self.name = "stdio:"

    def end(self) -> bool:
        if self.writer >= 0:
            self._give_back(self._stdout, 1)
            self.writer = -1
            # The stream must end for who reads it: nothing of it may stay open here.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.close(null)
        return True

    def close(self) -> None:
        if self.writer >= 0:
            self._give_back(self._stdout, 1)
        if self.reader >= 0:
            self._give_back(self._stdin, 0)
            sys.stdout = self._python_stdout
        self.reader = self.writer = -1

    abort = close

    def restore(self) -> tuple[int, int]:
        self.close()
        return 0, 1

    def _give_back(self, fd: int, number: int) -> None:
        os.set_blocking(fd, dict(self._blocking)[fd])
        os.dup2(fd, number)
        os.close(fd)


def start(
    argv: Sequence[str], stderr: int | None, cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None
) -> ChildTransport:
    """Start a program; OSError if it cannot be."""
    from subprocess import PIPE, Popen

    process = Popen(argv, stdin=PIPE, stdout=PIPE, stderr=stderr, cwd=cwd, env=env, bufsize=0)
    assert process.stdin is not None and process.stdout is not None
    # The descriptors are ours from now on: Popen's own file objects must not close them again.
    reader, writer = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
    process.stdout.close()
    process.stdin.close()
    process.stdin = process.stdout = None
    return ChildTransport(process, reader, writer)


def own() -> OwnTransport:
    """Take over this process's standard input and output."""
    return OwnTransport()
