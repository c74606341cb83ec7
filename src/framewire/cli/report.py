"""What the command says and how: output, failures, progress and tables, and colour where it is wanted.

Standard output carries results only; everything else is a line on standard error. Every text passes `safe`,
so that no byte of a peer, of a file or of a file's name reaches a terminal as a control character. A reader
that goes away ends the command quietly, by the signal that shells expect.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

__all__ = ["Failure", "Output", "Progress", "color_wanted", "explain", "hexdump", "note", "safe"]

DONE, FAILED, USAGE, BROKEN, CUT_SHORT, TIMED_OUT, CHECK_FAILED = range(7)

RED, GREEN, CYAN, DIM = "31", "32", "36", "2"

# Controls of C0 and C1, DEL, marks that turn the direction of text, line and paragraph separators, invisible
# tags and annotations, and the surrogates that stand for undecodable bytes of the system's own strings.
UNSAFE = (
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": r"\0"}


def _escaped(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: str) -> str:
    r"""`text` with everything escaped that could move a cursor or turn a line around.

    >>> safe("a\x1b[2J\n")
    'a\\x1b[2J\\n'
    """
    if text.isascii() and text.isprintable():
        return text
    return re.sub(UNSAFE, _escaped, text)


class Failure(Exception):
    """What ends the command: up to three lines for people, bytes around the place, the exit status."""

    def __init__(self, status: int, *lines: str, dump: list[str] | None = None) -> None:
        super().__init__(*lines)
        self.status = status
        self.lines = lines
        self.dump = dump or []


def die(number: int) -> NoReturn:
    """End the way a program ends that does not catch the signal, so that a shell's loop ends too."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def broken_pipe() -> NoReturn:
    die(getattr(signal, "SIGPIPE", 13))


def color_wanted(stream: TextIO, choice: str = "auto") -> bool:
    """Whether to colour: `--color` decides, then NO_COLOR, FORCE_COLOR and TERM=dumb, then the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def painted(text: str, color: str, wanted: bool) -> str:
    return f"\x1b[{color}m{text}\x1b[m" if wanted else text


class Output:
    """Standard output as bytes, flushed with every write. `terminal` is whether a person looks at it."""

    def __init__(self, choice: str = "auto") -> None:
        if sys.stdout is None:
            raise Failure(FAILED, "standard output is closed")
        sys.stdout.flush()
        self._stream = sys.stdout.buffer
        self.terminal = sys.stdout.isatty()
        self.color = color_wanted(sys.stdout, choice)

    def write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush()
        except BrokenPipeError:
            broken_pipe()

    def line(self, text: str, color: str = "") -> None:
        """One line of our own text."""
        text = safe(text)
        self.write((painted(text, color, self.color and bool(color)) + "\n").encode("utf-8"))


def note(*lines: str, choice: str = "auto", named: bool = True) -> None:
    """Lines on standard error, the first under the command's name unless it is no news of this command's."""
    if sys.stderr is None:
        return
    name = painted("framewire:", RED, color_wanted(sys.stderr, choice)) + " " if named else ""
    text = "\n  ".join(safe(line) for line in lines)
    try:
        sys.stderr.write(f"{name}{text}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        broken_pipe()


def explain(failure: Failure, choice: str = "auto") -> None:
    """A failure on standard error: its lines, then the dump."""
    note(*failure.lines, *failure.dump, choice=choice)


def hexdump(data: bytes, base: int = 0, mark: int | None = None) -> list[str]:
    """Lines of 16 bytes: decimal offset from `base`, hex, ASCII; a caret below the byte at offset `mark`.

    >>> print("\\n".join(hexdump(b"HTTP/1.1", 812, 814)))
         812  48 54 54 50 2f 31 2e 31                           |HTTP/1.1|
                    ^^
    """
    lines = []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        numbers = f"{part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}"
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{base + start:>8}  {numbers}  |{shown}|")
        if mark is not None and 0 <= (at := mark - base - start) < 16:
            lines.append(" " * (10 + 3 * at + (at >= 8)) + "^^")
    return lines


def row(cells: list[str], widths: list[int]) -> str:
    """One line of a table: negative widths align right; what is too long ends in two dots.

    >>> row(["netstring", "12"], [6, -4])
    'nets..    12'
    """
    parts = []
    for cell, width in zip(cells, widths):
        size = abs(width)
        cell = cell if len(cell) <= size else cell[: size - 2] + ".."
        parts.append(cell.rjust(size) if width < 0 else cell.ljust(size))
    return "  ".join(parts).rstrip()


class Progress:
    """One line on standard error, at most four times a second, only for a person and only for long work.

    With `total`, a bar; without one, what was done so far and how fast. `clear` takes it away.
    """

    def __init__(self, unit: str, total: int = 0, wanted: bool = True) -> None:
        self._shown = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._unit = unit
        self._total = total
        self._began = self._last = time.monotonic()
        self._drawn = False

    def update(self, done: int, label: str = "") -> None:
        now = time.monotonic()
        if not self._shown or now - self._last < 0.25:
            return
        self._last, self._drawn = now, True
        elapsed = now - self._began
        text = f"{done:,} {self._unit}  {done / elapsed:,.0f}/s  {elapsed:.0f} s  {safe(label)}"
        if self._total:
            full = min(30 * done // self._total, 30)
            text = f"[{'#' * full}{'.' * (30 - full)}] {100 * done // self._total:3}%  {safe(label)}"
        sys.stderr.write("\r" + text[: columns() - 1] + "\x1b[K")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def columns() -> int:
    """The width to draw for: COLUMNS, else the terminal's, else 110 as for a file."""
    if (given := os.environ.get("COLUMNS", "")).isdigit() and int(given):
        return int(given)
    for descriptor in (1, 2):
        try:
            return os.get_terminal_size(descriptor).columns or 110
        except OSError:
            continue
    return 110
