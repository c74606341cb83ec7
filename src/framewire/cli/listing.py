"""`framewire list`: every named protocol, one a line; as JSON lines; as the page docs/protocols.md.

The page is generated from the declarations and a test compares the two, so it says nothing of its own.
Names that other packages add stand in the lines, not on the page.
"""

from __future__ import annotations

import json
import re

from .._framing import MIB
from .._preset import Protocol, load_other, others
from ..errors import DeclarationError
from ..protocols import PRESETS
from .report import DIM, DONE, Output, columns, row, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from .._framing import Framing
    from .._preset import Preset

__all__ = ["run"]

_PAGE = """\
# Protocols by name

<!-- Written by `framewire list -o markdown`. The declarations are in src/framewire/protocols.py. -->

`framewire.framing("mqtt")`, `framewire decode mqtt FILE` and `framewire.protocols.MQTT` are the same framing.
Where the two directions differ, `postgresql.client` is what a client sends and `postgresql.server` what a
server sends, and `framewire.protocols.POSTGRESQL` is a `Protocol` with these two sides.

The limit is the largest body that the specification allows, in bytes, where it sets one. Up to 1 MiB it is
the preset's `max_frame`. A larger one is not taken over: 1 MiB holds, as where the column is empty, until you
raise it, `framewire.protocols.KAFKA.replace(max_frame=100 << 20)`.

Declarations in Python stand for framings without a text form.

| name | framing | limit | what it is | source |
|---|---|---:|---|---|
"""


def _limit(preset: Preset, framing: Framing) -> int | None:
    if preset.limit is not None or framing.max_frame is None:
        return preset.limit
    return framing.max_frame if framing.max_frame < MIB else None


def _named() -> Iterator[tuple[str, Framing, Preset]]:
    for preset in PRESETS.values():
        for name, framing in preset.sides.items():
            yield name, framing, preset


def _shown(framing: Framing) -> str:
    """The text form, or the declaration with functions by their names."""
    return re.sub(r"<(?:function|class) '?(\w+)'?(?: at 0x\w+)?>", r"\1", str(framing))


def _foreign() -> Iterator[tuple[str, str, str]]:
    """(name, framing, source) of what other packages add."""
    for name, point in sorted(others().items()):
        if name in PRESETS:
            continue
        try:
            made = load_other(name, point)
        except DeclarationError as error:
            yield name, "cannot be used", str(error)
            continue
        both = {".client": made.client, ".server": made.server} if isinstance(made, Protocol) else {"": made}
        for side, framing in both.items():
            yield name + side, _shown(framing), f"entry point {point.value}"


def markdown() -> str:
    """The page docs/protocols.md."""
    lines = []
    for name, framing, preset in _named():
        limit = _limit(preset, framing)
        declaration = _shown(framing).replace("|", "\\|")
        cells = (f"`{name}`", f"`{declaration}`", "" if limit is None else f"{limit:,}")
        lines.append(f"| {' | '.join(cells)} | {preset.about} | {preset.source} |\n")
    return _PAGE + "".join(lines)


def run(options: Namespace) -> int:
    """Print the list in the format of `-o`."""
    output = Output(options.color)
    if options.output == "markdown":
        output.write(markdown().encode("utf-8"))
        return DONE
    if options.output == "json":
        for name, framing, preset in _named():
            record = {"name": name, "framing": _shown(framing), "limit": _limit(preset, framing)}
            record |= {"about": preset.about, "source": preset.source}
            output.write(json.dumps(record).encode("ascii") + b"\n")
        for name, text, source in _foreign():
            record = {"name": name, "framing": text, "limit": None, "about": None, "source": source}
            output.write(json.dumps(record).encode("ascii") + b"\n")
        return DONE
    rows = [(name, _shown(framing), preset.source) for name, framing, preset in _named()]
    rows = [("NAME", "FRAMING", "SOURCE"), *rows, *_foreign()]
    first = max(len(name) for name, _, _ in rows)
    rest = max(columns() - first - 4, 40)
    for number, cells in enumerate(rows):
        line = row([safe(cell) for cell in cells], [first, rest // 2, rest - rest // 2])
        output.line(line, "" if number else DIM)
    return DONE
