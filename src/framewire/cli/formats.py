"""How messages look outside a stream, both ways: text, json, hex, base64, dump and raw.

`text` is for people: one message, one line, valid UTF-8 as it is and the rest escaped, so it is not always
exact. The others are exact, and none of them but `raw` ever writes a control character other than the line
end. Each is a function from (number, offset, message) to bytes, and a parser from lines back to messages.
"""

from __future__ import annotations

import re

from .report import BROKEN, UNSAFE, Failure, hexdump, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["FORMATS", "WRITERS", "json_line", "live_json", "parser"]


def _text(number: int, offset: int, message: bytes) -> bytes:
    return safe(message.decode("utf-8", "surrogateescape")).encode("utf-8") + b"\n"


def json_line(record: dict[str, Any], message: bytes | None = None) -> bytes:
    """One line of JSON: `record`, then the message as text, or as base64 where it is not UTF-8."""
    import json

    if message is not None:
        try:
            record["text"] = message.decode("utf-8")
        except UnicodeDecodeError:
            record["base64"] = _base64(0, 0, message)[:-1].decode("ascii")
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    if not (line.isascii() and line.isprintable()):
        line = re.sub(UNSAFE, lambda match: json.dumps(match.group())[1:-1], line)
    return line.encode("utf-8") + b"\n"


def _json(number: int, offset: int, message: bytes) -> bytes:
    return json_line({"n": number, "offset": offset, "size": len(message)}, message)


def live_json(time: str, conn: int, direction: str, number: int, offset: int, message: bytes) -> bytes:
    """A message of a connection: the names of its fields are stable."""
    record: dict[str, Any] = {"t": time, "conn": conn, "dir": direction, "n": number}
    return json_line(record | {"offset": offset, "size": len(message)}, message)


def _hex(number: int, offset: int, message: bytes) -> bytes:
    return message.hex().encode("ascii") + b"\n"


def _base64(number: int, offset: int, message: bytes) -> bytes:
    import binascii

    return binascii.b2a_base64(message)


def _dump(number: int, offset: int, message: bytes) -> bytes:
    return "\n".join([f"#{number} {len(message)} bytes @{offset}", *hexdump(message), ""]).encode("ascii")


def _raw(number: int, offset: int, message: bytes) -> bytes:
    return message


WRITERS: dict[str, Callable[[int, int, bytes], bytes]] = {
    "text": _text,
    "json": _json,
    "hex": _hex,
    "base64": _base64,
    "dump": _dump,
    "raw": _raw,
}
FORMATS = tuple(WRITERS)


def _parse_hex(line: bytes) -> bytes:
    import binascii

    return binascii.unhexlify(re.sub(rb"0[xX]|[\s:]", b"", line))


def _parse_base64(line: bytes) -> bytes:
    import base64

    return base64.b64decode(line.strip(), validate=True)


def _parse_json(line: bytes) -> bytes | None:
    import json

    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError("not an object")
    if "event" in record:
        return None
    value = record["text"] if "text" in record else record.get("base64")
    if not isinstance(value, str):
        raise ValueError('neither "text" nor "base64" with a string')
    return value.encode("utf-8") if "text" in record else _parse_base64(value.encode("ascii", "replace"))


_HEADER = rb"#\d+ (?:[<>] )?(\d+) bytes(?: @\d+)?(?: conn \d+)?\s*"
_AROUND = rb"(?s:\s*(?:header|trailer)\s.*)"
_BYTES = rb"(?s:\s*\d+((?:\s+[0-9a-fA-F]{2})+)(?:\s+\|.*)?\s*)"


class _DumpParser:
    """Lines of a dump to messages; the size in a message's first line says when it is whole."""

    def __init__(self) -> None:
        self._missing = 0
        self._body = bytearray()

    def __call__(self, line: bytes) -> bytes | None:
        header = re.fullmatch(_HEADER, line)
        if header is not None and not self._missing:
            self._missing = int(header.group(1))
            self._body.clear()
        elif re.fullmatch(_AROUND, line) is not None:
            return None  # what a framing had put around it, another puts there anew
        elif (part := re.fullmatch(_BYTES, line)) is not None and self._missing:
            data = bytes.fromhex(part.group(1).decode("ascii"))
            self._missing -= len(data)
            self._body += data
            if self._missing < 0:
                raise ValueError("more bytes than the message has")
        else:
            wanted = f"{self._missing} bytes are" if self._missing else "a line like '#1 5 bytes @0' is"
            raise ValueError(f"{wanted} wanted here")
        return None if self._missing else bytes(self._body)


def parser(name: str) -> Callable[[bytes], bytes | None]:
    """The function that makes a message of each line of format `name`; None where a line is none.

    It raises Failure, with the number of the line, for what cannot be read."""
    parsers: dict[str, Callable[[bytes], bytes | None]] = {
        "hex": _parse_hex,
        "base64": _parse_base64,
        "json": _parse_json,
        "dump": _DumpParser(),
    }
    parse = parsers[name]
    number = 0

    def one(line: bytes) -> bytes | None:
        nonlocal number
        number += 1
        try:
            return parse(line)
        except (ValueError, RecursionError) as error:
            shown = line[:40].decode("utf-8", "surrogateescape") + (" ..." if len(line) > 40 else "")
            what = f"input line {number} is not {name}: {error}"
            raise Failure(BROKEN, what, f"the line: {shown}") from error

    return one
