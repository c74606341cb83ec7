"""The `framewire` command: recorded streams to messages and back, and a demonstration.

`main` parses, runs one verb and turns what ends it into an exit status. Verbs are imported when they run.
"""

from __future__ import annotations

import argparse
import signal
import sys

from .._version import __version__
from .report import DONE, FAILED, USAGE, Failure, broken_pipe, die, explain, note, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]

HELP = r"""usage: framewire VERB [OPTIONS] [FRAMING] [ARGUMENTS]       framewire VERB --help

  demo                        cut recorded traffic of real software, then talk over loopback
  decode FRAMING [FILE]       show the messages of a recorded stream, or convert them (-o)
  encode FRAMING [MESSAGE..]  write messages as a stream; without any, from standard input
  explain FRAMING [HEX..]     draw a framing, and take bytes apart by it, field by field
  guess FILE..                name the framing of a recorded stream
  list                        the protocols that have a name, such as mqtt: framing and source
  info                        version, backend, platform: paste it into a bug report

A FRAMING says where messages end: u32 u16le varint leb128:4 digits:5 netstring lines crlf nul
fixed:16 delimited:\r\n until-eof, with parameters: u32,offset=1,counts=field; or mqtt dns ...
-i and -o take a format (text json hex base64 dump raw) or any FRAMING.
  $ framewire encode u32 hello world > two.bin
  $ framewire decode u32 two.bin -o json -n1
  {"n":1,"offset":0,"size":5,"text":"hello"}
  $ framewire decode u32 two.bin -o netstring > other.bin
  $ printf 'a\nb\n' | framewire encode u16 | framewire decode u16

exit status  0 done  1 a file or connection failed, or the demo found a difference  2 usage
             3 a framing or a limit was broken  4 the stream ended inside a message
             Ctrl-C (130) and a closed pipe (141) end it by their signals
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        note(message, f"{self.prog} --help shows what it takes")
        raise SystemExit(USAGE)


class _Command(_Parser):
    def format_help(self) -> str:
        return HELP


def _size(text: str) -> int | None:
    """A limit in bytes: 65536, 64k, 16M, 1G or none."""
    if text == "none":
        return None
    scale = {"k": 10, "m": 20, "g": 30}.get(text[-1:].lower(), 0)
    digits = text[:-1] if scale else text
    if not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
        raise argparse.ArgumentTypeError(f"{safe(text)!r} is no size: 65536, 64k, 16M, 1G or none")
    return int(digits) << scale


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{safe(text)!r} is no number from 1")
    return int(text)


def _parsers() -> tuple[_Command, dict[str, _Parser]]:
    common = _Parser(add_help=False)
    common.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    common.add_argument("-q", "--quiet", action="store_true", help="errors only on standard error")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    streams = _Parser(add_help=False, parents=[common])
    streams.add_argument("framing", metavar="FRAMING", help="how the stream is cut, such as u32 or lines")
    streams.add_argument(
        "--max-frame",
        metavar="SIZE",
        type=_size,
        default=-1,
        help="most bytes of one message: 65536, 64k, 16M, none (default: the framing's, 1M)",
    )
    streams.add_argument("--backend", choices=("auto", "native", "pure"), default="auto")
    streams.add_argument("--force", action="store_true", help="write raw bytes to a terminal")
    command = _Command(prog="framewire")
    command.add_argument("--version", action="version", version=f"framewire {__version__}")
    verbs = command.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    demo = verbs.add_parser("demo", parents=[common], description="Cut recorded streams, then talk.")
    demo.add_argument("--captures", metavar="DIR", default="tests/captures", help="default: %(default)s")
    demo.add_argument("--seed", metavar="N", type=_count, help="of the random cuts, to see a run again")
    decode = verbs.add_parser("decode", parents=[streams], description="Cut a stream into its messages.")
    decode.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: standard input")
    decode.add_argument(
        "-o", dest="output", metavar="FORMAT", default="text", help="a format or a framing (default: text)"
    )
    decode.add_argument("-n", dest="number", metavar="N", type=_count, help="stop after N messages")
    encode = verbs.add_parser("encode", parents=[streams], description="Write messages as a stream.")
    encode.add_argument(
        "message", metavar="MESSAGE", nargs="*", help="a message, or @FILE for a file's content"
    )
    encode.add_argument(
        "-i",
        dest="input",
        metavar="FORMAT",
        default="lines",
        help="how standard input is cut: a format or a framing (default: lines)",
    )
    encode.add_argument("--hex", action="store_true", help="-i hex")
    explains = verbs.add_parser("explain", parents=[streams], description="Draw a framing.")
    explains.add_argument("hex", metavar="HEX", nargs="*", help="the first bytes of a stream: 00ff or 00 ff")
    guesses = verbs.add_parser("guess", parents=[common], description="Name the framing of recorded streams.")
    guesses.add_argument("file", metavar="FILE", nargs="+", help="a recorded stream; - is standard input")
    guesses.add_argument(
        "-n", dest="number", metavar="N", type=_count, default=5, help="answers (default: 5)"
    )
    listing = verbs.add_parser("list", parents=[common], description="Show the protocols that have a name.")
    listing.add_argument(
        "-o", dest="output", choices=("text", "json", "markdown"), default="text", help="default: %(default)s"
    )
    verbs.add_parser("info", parents=[common], description="Say what runs here.")
    return command, dict(verbs.choices)


def _parse(argv: list[str]) -> argparse.Namespace:
    command, verbs = _parsers()
    if not argv or argv[0] not in verbs:
        return command.parse_args(argv)
    # Options may stand anywhere, also between messages, which plain parsing refuses.
    options = verbs[argv[0]].parse_intermixed_args(argv[1:])
    options.verb = argv[0]
    return options


def _dispatch(options: argparse.Namespace) -> int:
    if options.verb == "decode":
        from .convert import run_decode as run
    elif options.verb == "encode":
        from .convert import run_encode as run
    elif options.verb == "demo":
        from .demo import run
    elif options.verb == "explain":
        from .learn import run_explain as run
    elif options.verb == "guess":
        from .learn import run_guess as run
    elif options.verb == "list":
        from .listing import run
    else:
        from .info import run
    return run(options)


def _guarded(argv: list[str]) -> int:
    color = "auto"
    try:
        options = _parse(argv)
        color = options.color
        return _dispatch(options)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else DONE
    except Exception as error:
        if "--debug" in argv:
            import traceback

            note(*traceback.format_exc().splitlines(), choice=color)
        if isinstance(error, Failure):
            explain(error, color)
            return error.status
        if isinstance(error, OSError):
            place = "" if error.filename is None else f"{error.filename}: "
            note(f"{place}{error.strerror or error}", choice=color)
            return FAILED
        note(
            f"a fault of this program: {type(error).__name__}: {error}",
            "please report it with what --debug and `framewire info` show",
            choice=color,
        )
        return FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default the process's own arguments, and return its exit status.

    No exception leaves it; Ctrl-C, and a reader of the output that went away, end the whole process by
    the signal. Not thread-safe: it owns standard input, output and error.

    >>> main(["decode"])
    2
    """
    try:
        status = _guarded(sys.argv[1:] if argv is None else list(argv))
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        broken_pipe()
    except KeyboardInterrupt:
        die(signal.SIGINT)
