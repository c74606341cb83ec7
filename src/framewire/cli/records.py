"""Records on the command line: `--record module:Class` of decode, and what explain draws of one."""

from __future__ import annotations

import os
import re
import sys

from .._lowering import is_record
from ..errors import DeclarationError, DecodeError, FramewireError
from .formats import json_line
from .report import BROKEN, USAGE, Failure, Output, columns, explain, hexdump, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..records import Record

__all__ = ["Table", "is_named", "load"]

_WIDEST = 40  # of a column for a person
_BEFORE = 16  # bytes shown before a fault, of 32


def is_named(text: str) -> bool:
    """Whether it can be the name of something in a module: module:Class."""
    return re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", text) is not None


def load(text: str, codec: bool = False) -> Any:
    """The record class, or with `codec` also the Messages, that "module:name" means.

    Modules of the current directory come first, as for `python -m`."""
    if not is_named(text):
        raise Failure(USAGE, f"{text!r} is no module:Class", "such as protocol:Message, for protocol.py")
    from importlib import import_module

    module, _, name = text.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        raise Failure(USAGE, f"{text}: {error}", f"looked for it in {here} first") from error
    except Exception as error:
        raise Failure(USAGE, f"{text}: importing it: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Failure(USAGE, f"{text}: the module has no {part!r}") from None
    if is_record(found):
        try:
            assert found.min_size >= 0
        except DeclarationError as error:
            raise Failure(USAGE, f"{text}: {error}") from error
        return found
    if codec and callable(getattr(found, "decode", None)) and not isinstance(found, type):
        return found
    what = "no record class, and no codec such as Messages" if codec else "no record class"
    raise Failure(USAGE, f"{text}: {found!r} is {what}")


def _plain(value: Any) -> Any:
    """A value as JSON has it: bytes as text or base64, numbers that JSON has not as strings."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return {"text": bytes(value).decode("utf-8")}
        except UnicodeDecodeError:
            import base64

            return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)) or hasattr(value, "typecode"):
        return [_plain(one) for one in value]
    if isinstance(value, (str, int, type(None))):
        return value
    return str(value)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    name = getattr(value, "name", None) if isinstance(value, int) else None
    return name or repr(value)


class Table:
    """The records of messages, as rows of a table or as JSON lines; one that is broken is told of.

    A person at a terminal sees a table for each batch, drawn by rich where that is installed."""

    def __init__(self, output: Output, options: Namespace) -> None:
        if options.output not in ("text", "json"):
            raise Failure(USAGE, f"--record writes -o text or -o json, not {options.output}")
        found = load(options.record, codec=True)
        self._decode = found.unpack if is_record(found) else found.decode
        self._names = list(found._layout.names) if is_record(found) else []
        self._output = output
        self._options = options
        self._heads = ["n", "offset", *(self._names or ["record"])]
        self._widths: list[int] = []
        self.written = self.broken = 0

    def write(self, batch: list[tuple[int, bytes]]) -> None:
        """Write what a batch of (offset, message) holds."""
        rows: list[list[str]] = []
        lines: list[bytes] = []
        failures: list[Failure] = []
        for offset, message in batch:
            self.written += 1
            try:
                record = self._decode(message)
            except FramewireError as error:
                failures.append(_failure(self.written, offset, message, error))
                continue
            if self._options.output == "json":
                lines.append(json_line(self._json(offset, record)))
            else:
                rows.append([str(self.written), str(offset), *self._cells(record)])
        self._output.write(b"".join(lines))
        if rows:
            self._draw(rows)
        for failure in failures:
            self.broken += 1
            explain(failure, self._options.color)

    def close(self, options: Namespace) -> None:
        """Nothing is left to write."""

    def _json(self, offset: int, record: Record) -> dict[str, Any]:
        fields = _plain(record.asdict()) if hasattr(record, "asdict") else _plain(record)
        return {"n": self.written, "offset": offset, "record": type(record).__name__, "fields": fields}

    def _cells(self, record: Record) -> list[str]:
        if not self._names:
            return [repr(record)]
        return [_cell(getattr(record, name)) for name in self._names]

    def _draw(self, rows: list[list[str]]) -> None:
        rows = [[safe(cell) for cell in cells] for cells in rows]
        if self._output.terminal and (drawn := _rich(self._heads, rows, self._output.color)) is not None:
            self._output.write(drawn)
            return
        first = not self._widths
        table = [self._heads, *rows] if first else rows
        widths = [max(len(cells[i]) for cells in table) for i in range(len(self._heads))]
        if first:
            self._widths = [min(width, _WIDEST) for width in widths]
        lines = []
        for cells in table:
            # Nothing is cut: a long cell moves what stands behind it.
            parts = [
                cell.rjust(width) if i < 2 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(cells, self._widths))
            ]
            lines.append("  ".join(parts).rstrip() + "\n")
        self._output.write("".join(lines).encode("utf-8"))


def _rich(heads: list[str], rows: list[list[str]], color: bool) -> bytes | None:
    """The table as rich draws it, None without rich."""
    try:
        from rich.console import Console
        from rich.table import Table as Drawn
        from rich.text import Text
    except ImportError:
        return None
    import io

    drawn = Drawn()
    for i, head in enumerate(heads):
        drawn.add_column(head, justify="right" if i < 2 else "left", overflow="fold")
    for cells in rows:
        drawn.add_row(*(Text(cell) for cell in cells))
    text = io.StringIO()
    Console(file=text, width=columns(), force_terminal=color, no_color=not color).print(drawn)
    return text.getvalue().encode("utf-8")


def _failure(number: int, offset: int, message: bytes, error: FramewireError) -> Failure:
    """What to tell of a message that is no such record."""
    at = error.offset if isinstance(error, DecodeError) and error.offset is not None else 0
    first = max(at - _BEFORE, 0) // 16 * 16
    window = message[first : first + 32]
    dump = hexdump(window, first, min(at, len(message) - 1)) if window else []
    place = f"message {number}, {len(message)} bytes at offset {offset}; other offsets are its own"
    return Failure(BROKEN, str(error), place, dump=dump)
