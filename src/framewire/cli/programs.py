"""`framewire listen --exec`: a program for each connection, whose stdin and stdout are messages."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import threading

from .._loops import stop_reading
from ..errors import FramewireError
from .apps import App
from .convert import Input, chosen, writer
from .report import USAGE, Failure, Output, explain, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..sockets import MessageSocket
    from .network import Place

__all__ = ["Programs"]

_GRACE = 3.0  # seconds for a program to end when its input has


class _Program:
    """One running program. Its output is read by a thread."""

    def __init__(self, words: list[str], conn: MessageSocket[Any], options: Namespace) -> None:
        self._conn, self._options = conn, options
        backend = chosen(options.backend)
        self._write = writer(options.output, backend)
        # Not in our group: Ctrl-C is for us, who then end its input.
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._input = Input(options.input, backend, options.color, self._stdout.fileno())
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def give(self, place: Place, message: bytes, last: bool) -> None:
        """One message to its standard input; `last` of those that have come."""
        try:
            self._stdin.write(self._write(place.number, place.offset, message))
            if last:
                self._stdin.flush()
        except BrokenPipeError:
            pass  # it reads no more; its end ends the connection

    def end(self) -> None:
        """No more input: send the rest of its output."""
        try:
            self._stdin.close()
        except BrokenPipeError:
            pass
        self._thread.join(_GRACE)
        try:
            self._process.wait(_GRACE if self._thread.is_alive() else 1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(_GRACE)
        self._stdout.close()

    def _forward(self) -> None:
        conn = self._conn
        try:
            for batch in self._input:
                conn.send_many([message for _, message in batch])
            conn.shutdown_write()
            stop_reading(conn)
        except Failure as failure:
            explain(failure, self._options.color)
            conn.abort()
        except FramewireError as error:
            note(f"{self._options.exec}: {error}", choice=self._options.color)
            stop_reading(conn)
        except (OSError, ValueError):
            pass  # the connection has ended, and this with it


class Programs(App):
    """Hands a connection's messages to a program, and sends what that writes."""

    mode = "threads"

    def __init__(self, options: Namespace, output: Output) -> None:
        # What is exact: text that is escaped for people would be wrong for a program.
        options.output = "lines" if options.output == "text" else options.output
        force, options.force = options.force, True  # nothing of it goes to standard output
        super().__init__(options, output)
        options.force = force
        try:
            self._words = shlex.split(options.exec)
        except ValueError as error:
            raise Failure(USAGE, f"--exec: {error}") from error
        if not self._words or shutil.which(self._words[0]) is None:
            name = self._words[0] if self._words else ""
            raise Failure(USAGE, f"--exec: there is no program {name!r}", "a shell's: --exec 'sh -c \"..\"'")

    def opened(self, conn: MessageSocket[Any]) -> None:
        super().opened(conn)
        conn.state.more = _Program(self._words, conn, self.options)

    def message(self, conn: MessageSocket[Any], message: bytes) -> None:
        place: Place = conn.state
        place.number += 1
        place.more.give(place, message, not conn.ready)

    def closed(self, conn: MessageSocket[Any], error: BaseException) -> None:
        if conn.state is not None and conn.state.more is not None:
            conn.state.more.end()
        super().closed(conn, error)
