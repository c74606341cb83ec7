"""`framewire decode` and `framewire encode`: streams to messages and back, in constant memory.

Whatever comes in is cut as it arrives, and what goes out is flushed when no complete message is left: fast in
bulk, prompt in a conversation. Where a frame is broken, the good ones have been written before the failure
shows the place.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from .. import _backend
from ..errors import DecodeError, EncodeError, FrameTooLarge, FramewireError, Truncated
from ..framings import Lines, Preamble, UntilEOF
from ..protocols import framing as framing_of
from .formats import FORMATS, WRITERS, parser
from .report import BROKEN, CUT_SHORT, DONE, FAILED, USAGE, Failure, Output, Progress, explain, hexdump, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator

    from .._backend import Backend
    from ..framings import Framing
    from .records import Table

__all__ = [
    "Cutter",
    "Input",
    "Sink",
    "argument",
    "broken",
    "chosen",
    "cut_for",
    "declared",
    "run_decode",
    "run_encode",
    "writer",
]

READ = 1 << 16
_BEFORE = 8  # bytes shown before a fault, of 32


def declared(text: str, max_frame: int | None = -1) -> Framing:
    """The framing of the text form; a usage failure says what is wrong with it. -1: its own limit."""
    if text in FORMATS:
        what = f"{text} is a format, for -i and -o: a framing says where messages end"
        raise Failure(USAGE, what, "such as lines, u32 or until-eof")
    try:
        framing = framing_of(text)
        return framing if max_frame == -1 else framing.replace(max_frame=max_frame)
    except (FramewireError, TypeError) as error:
        raise Failure(USAGE, str(error)) from error


def cut_for(form: str, framing: Framing) -> Framing:
    """What cuts the stream for an output: a dump shows all that belongs to a frame."""
    if form != "dump":
        return framing
    from .dumps import whole

    return whole(framing)


def chosen(name: str) -> Backend:
    try:
        return _backend.load(_backend.name if name == "auto" else name)
    except ImportError as error:
        raise Failure(USAGE, f"the {name} backend is not there: {error}") from error


def source_of(path: str) -> tuple[int, int]:
    """The descriptor of a file to read, "-" is standard input, and its size where that is known, else 0."""
    if path != "-":
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    elif sys.stdin is None:
        raise Failure(FAILED, "standard input is closed")
    else:
        descriptor = sys.stdin.fileno()
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return descriptor, status.st_size if stat.S_ISREG(status.st_mode) else 0


def _fault_at(framing: Framing, index: int, rest: bytes, backend: Backend) -> int:
    """Where in `rest`, which begins with faulty frame number `index`, the byte stands that proves the fault.

    Errors come at the same byte however a stream is cut, so the shortest prefix that fails ends there.
    """
    while isinstance(framing, Preamble):
        first = index < framing.count
        index -= framing.count
        framing = framing.first if first else framing.then
    good, bad = 0, len(rest)
    while bad - good > 1:
        middle = (good + bad) // 2
        decoder = backend.codec.Decoder(framing._plan)
        decoder.feed(rest[:middle])
        try:
            decoder.next_frame()
            failed = False
        except DecodeError:
            failed = True
        good, bad = (good, middle) if failed else (middle, bad)
    return good


class Cutter:
    """Cuts what a descriptor gives into batches of (offset, frame), one batch for each read.

    A broken frame is a Failure, after the frames before it; one that the framing skips is a note, counted in
    `skipped`. A fault names the framing as `named`, where that is another.
    """

    def __init__(
        self, descriptor: int, framing: Framing, backend: Backend, color: str, named: Framing | None = None
    ) -> None:
        self._descriptor = descriptor
        self._framing = named or framing
        self._backend = backend
        self._color = color
        self._decoder = backend.codec.Decoder(framing._plan)
        self._recent = b""
        self.read = 0
        self.skipped = 0

    def __iter__(self) -> Iterator[list[tuple[int, bytes]]]:
        while chunk := os.read(self._descriptor, READ):
            yield from self.feed(chunk)
        yield from self.end()

    def feed(self, chunk: bytes) -> Iterator[list[tuple[int, bytes]]]:
        """What the next bytes complete, for those who read themselves."""
        self.read += len(chunk)
        self._recent = self._recent[-_BEFORE:] + chunk
        self._decoder.feed(chunk)
        yield from self._drain(self._decoder.next_frame)

    def end(self) -> Iterator[list[tuple[int, bytes]]]:
        """What the end of the stream completes."""
        yield from self._drain(self._last)

    def _last(self) -> bytes | None:
        """The tail that only the end of the stream completes, once; the frames before it are cut already."""
        frames = self._decoder.feed_eof()
        return frames[0] if frames else None

    def _drain(self, cut: Callable[[], bytes | None]) -> Iterator[list[tuple[int, bytes]]]:
        batch: list[tuple[int, bytes]] = []
        while True:
            offset = self._decoder.offset
            try:
                frame = cut()
            except (DecodeError, Truncated) as error:
                yield batch
                batch = []
                failure = self._failure(error)
                if not getattr(error, "recoverable", False):
                    raise failure from error
                self.skipped += 1
                explain(failure, self._color)
                continue
            if frame is None:
                break
            batch.append((offset, frame))
        yield batch

    def _failure(self, error: DecodeError | Truncated) -> Failure:
        offset, rest = self._decoder.offset, b""
        if not isinstance(error, Truncated) and not error.recoverable:
            offset = offset if error.offset is None else error.offset
            rest = self._decoder.detach()
        elif isinstance(error, DecodeError) and error.offset is not None:
            offset = error.offset
        # What stands before the frame in the last read.
        lead = offset - (self.read - len(self._recent))
        before = self._recent[:lead][-_BEFORE:] if 0 < lead <= len(self._recent) else b""
        return broken(error, self._framing, self._backend, offset, rest, before)


def broken(
    error: DecodeError | Truncated,
    framing: Framing,
    backend: Backend,
    offset: int,
    rest: bytes = b"",
    before: bytes = b"",
) -> Failure:
    """What to tell of a frame at `offset` that is broken or cut short: `rest` is what has come from there on,
    if that is known, and `before` some bytes that came earlier."""
    what, _, place = str(error).partition("; frame ")
    lines = [what.replace("(max_frame)", "(--max-frame)")]
    if place:
        lines.append(f"frame {place.removesuffix('; raise max_frame if the peer is right')}")
    # The bytes to show some of, where they begin and where the fault is in the stream.
    data, base = before + rest, offset - len(before)
    if isinstance(error, Truncated):
        rest = error.partial
        data, at = before + rest, offset + len(rest) - 1
    elif error.recoverable or not rest:
        header = getattr(error, "header", b"")
        size, data = (len(header), header) if header else error._proof
        rest = data if size == len(data) else b""
        base, at = offset + size - len(data), offset + size - 1
    else:
        at = offset + _fault_at(framing, error.frame_index or 0, rest, backend)
    head = rest[:4]
    remedy = f"is {framing} the right framing?"
    is_text = len(head) == 4 and all(32 <= byte < 127 for byte in head)
    if rest[:2] in (b"\x16\x03", b"\x15\x03"):
        remedy = "these are bytes of TLS: one end speaks it, and the other does not"
    elif isinstance(error, FrameTooLarge) and (error.size is None or not is_text):
        remedy = f"a larger --max-frame takes it; or {remedy}"
    elif is_text:
        remedy = f'the frame begins with the text "{head.decode("ascii")}": {remedy}'
    lines.append(remedy)
    # The frame up to and around the fault.
    first = max(min(at - base - 31 + _BEFORE, len(data) - 32), 0)
    window = data[first : first + 32]
    dump = hexdump(window, base + first, at) if window else []
    return Failure(CUT_SHORT if isinstance(error, Truncated) else BROKEN, *lines, dump=dump)


def writer(form: str, backend: Backend, max_frame: int | None = -1) -> Callable[[int, int, bytes], bytes]:
    """The function of (number, offset, message) that writes a format or a framing."""
    if form in WRITERS:
        return WRITERS[form]
    encode = backend.codec.Encoder(declared(form, max_frame)._plan).encode
    return lambda number, offset, message: encode(message)


class Sink:
    """Writes messages in a format or a framing; counts those that a line of text does not show exactly.

    A dump of what came by `framing` shows what that put around them, and wants what `cut_for` cuts."""

    def __init__(
        self,
        output: Output,
        form: str,
        backend: Backend,
        force: bool,
        max_frame: int | None,
        framing: Framing | None = None,
    ) -> None:
        self._output = output
        self._is_text = form == "text"
        self.written = self.inexact = self.broken = 0
        if form == "dump" and framing is not None:
            from .dumps import Dumper

            self.dumper = Dumper(framing, output.color)
            self._write: Callable[[int, int, bytes], bytes] = self.dumper
        else:
            self._write = writer(form, backend, max_frame)
        if output.terminal and not force and (form not in WRITERS or form == "raw"):
            raise Failure(
                USAGE,
                f"{form} writes raw bytes, and standard output is a terminal",
                "choose -o text, -o hex or -o dump, send it to a file or a pipe, or insist with --force",
            )

    def encoded(self, number: int, offset: int, message: bytes) -> bytes:
        """Message `number` as it is written; a Failure if the output's framing cannot carry it."""
        try:
            line = self._write(number, offset, message)
        except EncodeError as error:
            raise Failure(BROKEN, f"message {number}: {error}") from error
        self.written += 1
        if self._is_text and line[:-1] != message:
            self.inexact += 1
        return line

    def write(self, batch: list[tuple[int, bytes]]) -> None:
        parts: list[bytes] = []
        try:
            for offset, message in batch:
                parts.append(self.encoded(self.written + 1, offset, message))
        finally:
            if parts:
                self._output.write(b"".join(parts))

    def close(self, options: Namespace) -> None:
        if self.inexact and not self._output.terminal and not options.quiet:
            note(
                f"{self.inexact} of {self.written} messages are not exact as text: -o json keeps every byte",
                choice=options.color,
            )


def run_decode(options: Namespace) -> int:
    """Cut a file or standard input by a framing and write its messages; the exit status."""
    backend = chosen(options.backend)
    framing = declared(options.framing, options.max_frame)
    output = Output(options.color)
    # Decoding has enforced a given limit already; the output's own may be smaller than it.
    limit = options.max_frame if options.max_frame == -1 else None
    sink: Sink | Table
    if options.record is None:
        sink = Sink(output, options.output, backend, options.force, limit, framing)
    else:
        from .records import Table

        sink = Table(output, options)
    descriptor, size = source_of(options.file)
    cutter = Cutter(descriptor, cut_for(options.output, framing), backend, options.color, framing)
    progress = Progress("bytes", size, wanted=not output.terminal and not options.quiet)
    try:
        for batch in cutter:
            if options.number is not None:
                batch = batch[: options.number - sink.written]
            sink.write(batch)
            progress.update(cutter.read, f"{sink.written:,} messages")
            if options.number is not None and sink.written >= options.number:
                break
    finally:
        progress.clear()
        if options.file != "-":
            os.close(descriptor)
    sink.close(options)
    return BROKEN if cutter.skipped or sink.broken else DONE


class Input:
    """Messages from a descriptor, cut by a format or a framing: batch by batch, or from what is fed."""

    def __init__(self, form: str, backend: Backend, color: str, descriptor: int) -> None:
        self._parse = parser(form) if form in ("json", "hex", "base64", "dump") else None
        if form == "raw":
            framing: Framing = UntilEOF(max_frame=None)
        elif form in FORMATS or form == "lines":
            framing = Lines(eof="deliver", max_frame=None)
        else:
            framing = declared(form)
        self._cutter = Cutter(descriptor, framing, backend, color)

    def __iter__(self) -> Iterator[list[tuple[int, bytes]]]:
        return self._parsed(iter(self._cutter))

    def feed(self, chunk: bytes) -> Iterator[list[tuple[int, bytes]]]:
        """What the next bytes complete; none are the end."""
        return self._parsed(self._cutter.feed(chunk) if chunk else self._cutter.end())

    def _parsed(self, batches: Iterator[list[tuple[int, bytes]]]) -> Iterator[list[tuple[int, bytes]]]:
        for batch in batches:
            if self._parse is None:
                yield batch
                continue
            messages: list[tuple[int, bytes]] = []
            try:
                for offset, line in batch:
                    if line.strip() and (message := self._parse(line)) is not None:
                        messages.append((offset, message))
            finally:
                # Also when a line cannot be read: the messages before it go out first.
                if messages:
                    yield messages


def argument(text: str, form: str) -> bytes | None:
    """One message from the command line: itself, a file's content (`@FILE`), or one line of the format."""
    if text.startswith("@"):
        descriptor, _ = source_of(text[1:])
        try:
            return b"".join(iter(lambda: os.read(descriptor, READ), b""))
        finally:
            if text != "@-":
                os.close(descriptor)
    message = os.fsencode(text)
    if form in ("json", "hex", "base64"):
        return parser(form)(message)
    return message


def run_encode(options: Namespace) -> int:
    """Write messages from the arguments or standard input as a stream of a framing; the exit status."""
    backend = chosen(options.backend)
    form = "hex" if options.hex else options.input
    output = Output(options.color)
    declared(options.framing, options.max_frame)
    sink = Sink(output, options.framing, backend, options.force, options.max_frame)
    batches: Iterable[list[tuple[int, bytes]]]
    if options.message:
        messages = (argument(text, form) for text in options.message)
        batches = ([(0, message)] for message in messages if message is not None)
    else:
        batches = Input(form, backend, options.color, source_of("-")[0])
    for batch in batches:
        sink.write(batch)
    return DONE
