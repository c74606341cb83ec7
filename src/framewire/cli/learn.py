"""`framewire explain` and `framewire guess`: what a framing looks like, and which framing a stream has."""

from __future__ import annotations

import os

from ..explain import explain
from ..guess import FRAMES, LEAST, SEEN, Guess, guess
from .convert import declared, source_of
from .formats import parser
from .report import DONE, FAILED, USAGE, Failure, Output, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..framings import Framing
    from ..records import Record

__all__ = ["run_explain", "run_guess"]


def run_explain(options: Namespace) -> int:
    """Draw a framing and, if there are any, take the given bytes apart; the exit status."""
    data = None
    if options.hex:
        data = parser("hex")(os.fsencode(" ".join(options.hex)))
    output = Output(options.color)
    for line in explain(_subject(options), data).split("\n"):
        output.line(line)
    return DONE


def _subject(options: Namespace) -> Framing | type[Record]:
    """The framing that the text is, or else the record class that it names."""
    try:
        return declared(options.framing, options.max_frame)
    except Failure as failure:
        from .records import is_named, load

        if not is_named(options.framing):
            raise
        try:
            found: type[Record] = load(options.framing)
        except Failure as other:
            # Which of the two it was meant to be, only the user knows.
            raise Failure(USAGE, *failure.lines[:1], *other.lines[:1]) from other
        return found


def _read(path: str) -> bytes:
    """As much of a file or of standard input as `guess` looks at."""
    descriptor, _ = source_of(path)
    parts, size = [], 0
    try:
        while size < SEEN and (chunk := os.read(descriptor, SEEN - size)):
            parts.append(chunk)
            size += len(chunk)
    finally:
        if path != "-":
            os.close(descriptor)
    return b"".join(parts)


def _lines(rank: int, answer: Guess) -> list[str]:
    frames = f"{'the first ' if answer.frames == FRAMES else ''}{answer.frames} messages"
    ending = "ends exactly" if answer.rest == 0 else f"{answer.rest} bytes left over"
    lines = [
        f"{rank:>2}  {answer.framing!s:<30}  {frames}, {ending}, {answer.bits:.0f} bits",
        f"    {answer.framing!r}",
    ]
    if answer.also:
        lines.append("    cuts alike: " + "; ".join(map(str, answer.also[:4])))
    if answer.protocols:
        more = " ..." if len(answer.protocols) > 8 else ""
        lines.append("    like " + " ".join(answer.protocols[:8]) + more)
    return lines


def run_guess(options: Namespace) -> int:
    """Name the framings that the files could have, the likeliest first; the exit status."""
    output = Output(options.color)
    status = DONE
    for number, path in enumerate(options.file):
        answers = guess(_read(path))
        if len(options.file) > 1:
            if number:
                output.line("")
            output.line(f"{path}:")
        if not answers:
            note(
                f"{path}: no framing cuts this into {LEAST} messages or more",
                "the stream may be compressed or encrypted, or begin in the middle of a message",
                choice=options.color,
            )
            status = FAILED
        for rank, answer in enumerate(answers[: options.number], 1):
            for line in _lines(rank, answer):
                output.line(line)
    return status
