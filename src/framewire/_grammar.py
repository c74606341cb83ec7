"""The short text form of framings, for configuration files and the command: read here, written by `str`.

    NAME[:ARG][,key=value...]

NAME is a length type (then LengthPrefixed of it is meant: `u32le`, `leb128:4`, `digits:5`,
`digits,end=\\x20`), one of `lines crlf nul netstring until-eof fixed:16 delimited:\\r\\n`, or a name of
`protocols`. The keys are the parameters of that framing. Bytes are written as they are or with the escapes
\\r \\n \\t \\0 \\\\ \\, and \\xNN; `|` stands between alternatives, `/` between entries, `:` and `=` inside
one. A length type with keys of its own is written `offset=leb128:4\\,canonical=true` where it is a value.
`framing(str(f)) == f` for every framing but Tagged, Preamble and Custom, which have no text form.
"""

from __future__ import annotations

from . import fields
from ._framing import Framing
from .enclosed import Enclosed
from .errors import DeclarationError
from .framings import Delimited, FixedLength, LengthPrefixed, Lines, Netstring, UntilEOF
from .stuffed import COBS, HDLC, SLIP
from .talk import FIX, RESP, LineCounted
from .text import Chunked, HeaderBlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["nearest", "parse"]

_ESCAPES = {"r": 13, "n": 10, "t": 9, "0": 0, "\\": 92, ",": 44}
_PARAMETRISED = ("leb128", "digits", "hexdigits", "tiered")
_PLAIN: dict[str, Callable[..., Framing]] = {
    "lines": Lines,
    "netstring": Netstring,
    "until-eof": UntilEOF,
    "slip": SLIP,
    "hdlc": HDLC,
    "cobs": COBS,
    "resp": RESP,
    "fix": FIX,
    "header-block": HeaderBlock,
    "crlf": lambda **options: Delimited(b"\r\n", **options),
    "nul": lambda **options: Delimited(b"\0", **options),
}
_WITH_ARGUMENT = ("fixed", "delimited", "chunked", "line-counted", "enclosed", *_PARAMETRISED)


class _Part:
    """A piece of the text and where it begins, so that an error can name the column."""

    def __init__(self, whole: str, start: int, text: str) -> None:
        self.whole, self.start, self.text = whole, start, text

    def error(self, message: str) -> DeclarationError:
        return DeclarationError(f"framing {self.whole!r}, column {self.start + 1}: {message}")

    def split(self, mark: str, most: int = -1) -> list[_Part]:
        """The pieces between unescaped `mark`s."""
        pieces, begin, at, text = [], 0, 0, self.text
        while at < len(text):
            if text[at] == "\\":
                at += 1
            elif text[at] == mark and most != 0:
                pieces.append(_Part(self.whole, self.start + begin, text[begin:at]))
                begin, most = at + 1, most - 1
            at += 1
        return [*pieces, _Part(self.whole, self.start + begin, text[begin:])]

    def bytes(self) -> bytes:
        data, at, text = bytearray(), 0, self.text
        while at < len(text):
            char = text[at]
            at += 1
            if char != "\\":
                try:
                    data += char.encode("utf-8", "surrogateescape")
                except UnicodeEncodeError:
                    raise self.error(f"{char!r} is no character") from None
                continue
            code = text[at : at + 1]
            at += 1
            if code in _ESCAPES:
                data.append(_ESCAPES[code])
                continue
            digits = text[at : at + 2]
            at += 2
            if code != "x" or len(digits) != 2 or not all(c in "0123456789abcdefABCDEF" for c in digits):
                raise self.error(f"\\{code} is no escape: use \\r \\n \\t \\0 \\\\ \\, or \\xNN")
            data.append(int(digits, 16))
        return bytes(data)

    def int(self) -> int:
        text = self.text.lower()
        sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
        base, text = (16, text[2:]) if text.startswith("0x") else (10, text)
        # int() takes more than digits, and no more than 4300 of them.
        if not 1 <= len(text) <= 32 or text.strip("0123456789abcdef"[:base]):
            raise self.error(f"{self.text!r} is not a whole number")
        return int(sign + text, base)

    def bool(self) -> bool:
        values = {"true": True, "false": False}
        if self.text.lower() not in values:
            raise self.error(f"{self.text!r} must be true or false")
        return values[self.text.lower()]

    def integer_type(self) -> fields.LengthType:
        """An integer of fixed width: `u32`, `i64`, `u24le`."""
        known = fields.NAMED.get(self.text)
        if known is None:
            integers = [name for name, field in fields.NAMED.items() if field.spec[0] == fields.UINT]
            raise self.error(f"{self.text!r} is no integer type" + nearest(self.text, integers))
        return known


def nearest(name: str, known: list[str], more: Iterable[str] = ()) -> str:
    """What the misspelt `name` may have meant, of `known` and `more`, or else all that is `known`."""
    import difflib

    near = difflib.get_close_matches(name.lower(), dict.fromkeys([*known, *more]), 3)
    return f": did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(sorted(known))}"


def _limit(part: _Part) -> int | None:
    return None if part.text.lower() == "none" else part.int()


def _word(part: _Part) -> str:
    return part.text


def _strip(part: _Part) -> bool | None:
    return None if part.text.lower() == "none" else part.bool()


def _offset(part: _Part) -> Any:
    if not part.text[:1].isalpha():
        return part.int()
    plain = "\\".join(half.replace("\\,", ",") for half in part.text.split("\\\\"))
    head, *pairs = _Part(part.whole, part.start, plain).split(",")
    name, *argument = head.split(":", 1)
    if name.text not in fields.NAMED and name.text not in _PARAMETRISED:
        known = [*fields.NAMED, *_PARAMETRISED]
        raise name.error(f"unknown length type {name.text!r}" + nearest(name.text, known))
    options = _options(pairs, _TYPE_KEYS.get(name.text, {}))
    return _length_type(name, argument[0] if argument else None, options)


def _magic(part: _Part) -> Any:
    entries: list[tuple[int, tuple[bytes, ...]]] = []
    if not part.split(":", 1)[1:]:
        return part.bytes()
    for entry in part.split("/"):
        at, *values = entry.split(":", 1)
        if not values:
            entries.append((0, (entry.bytes(),)))
        else:
            entries.append((at.int(), tuple(value.bytes() for value in values[0].split("|"))))
    return tuple(entries)


def _trailer(part: _Part) -> int | bytes:
    return part.int() if part.text.isdecimal() else part.bytes()


def _escape(part: _Part) -> Any:
    value, *kind = part.split(":", 1)
    if not kind:
        raise part.error("escape is VALUE:TYPE, for example 0:u32")
    return value.int(), kind[0].integer_type()


def _extra(part: _Part) -> Any:
    entries = []
    for entry in part.split("/"):
        at, *rest = entry.split(":")
        if not 1 <= len(rest) <= 2:
            raise entry.error("extra is OFFSET:TYPE or OFFSET:TYPE:MASK, for example 6:u8")
        entries.append((at.int(), rest[0].integer_type(), *(mask.int() for mask in rest[1:])))
    return tuple(entries)


def _control(part: _Part) -> Any:
    return tuple(value.int() for value in part.split("|"))


def _fragments(part: _Part) -> Any:
    kind, *rest = part.split(":")
    if kind.text == "top_bit" and not rest:
        return "top_bit"
    if kind.text != "full" or not 1 <= len(rest) <= 2:
        raise part.error(
            "fragments is top_bit, full:LENGTH or full:LENGTH:OFFSET, for example full:0xffffff:3"
        )
    return "full", *(number.int() for number in rest)


def _follow(part: _Part) -> Any:
    bit, *size = part.split("/", 1)
    if not size:
        raise part.error("follow is BIT/BYTES, for example 0x80/4")
    return bit.int(), size[0].int()


_COMMON: dict[str, Callable[[_Part], Any]] = {"max_frame": _limit, "on_too_large": _word, "eof": _word}
_STRIPPING = {**_COMMON, "strip": _strip}
_DELIMITED = {**_STRIPPING, "dot_stuffed": _Part.bool}
_ENCLOSED: dict[str, Callable[[_Part], Any]] = {
    **_STRIPPING,
    "escape": _Part.bytes,
    "escape_xor": _Part.int,
    "noise": _word,
    "noise_limit": _limit,
    "restart": _Part.bool,
    "trailer": _Part.int,
}
_LENGTH: dict[str, Callable[[_Part], Any]] = {
    **_STRIPPING,
    "offset": _offset,
    "counts": _word,
    "adjust": _Part.int,
    "scale": _Part.int,
    "mask": _Part.int,
    "header": _limit,
    "magic": _magic,
    "trailer": _trailer,
    "escape": _escape,
    "extra": _extra,
    "control": _control,
    "fragments": _fragments,
}
_TYPE_KEYS: dict[str, dict[str, Callable[[_Part], Any]]] = {
    "hdlc": {"fcs": _limit},
    "cobs": {"reduced": _Part.bool},
    "resp": {"max_depth": _Part.int, "inline": _Part.bool},
    "line-counted": {"ignore_case": _Part.bool, "max_line": _Part.int},
    "header-block": {
        "field": _word,
        "start_line": _Part.bool,
        "bare_lf": _Part.bool,
        "missing": _word,
        "max_header": _Part.int,
    },
    "leb128": {"canonical": _Part.bool},
    "digits": {"end": _Part.bytes, "max_digits": _Part.int},
    "tiered": {"mask": _Part.int, "direct": _Part.int, "follow": _follow, "canonical": _Part.bool},
}


def _tiered(part: _Part, options: dict[str, Any]) -> Any:
    first, *rows = part.split("/")
    table: dict[int, Any] = {}
    for row in rows:
        selector, *kind = row.split("=", 1)
        if not kind:
            raise row.error("a tier is SELECTOR=TYPE or SELECTOR=TYPE+BASE, for example 126=u16")
        if selector.int() in table:
            raise selector.error(f"selector {selector.text} twice")
        inner, *base = kind[0].split("+", 1)
        table[selector.int()] = (inner.integer_type(), base[0].int()) if base else inner.integer_type()
    return fields.tiered(first.integer_type(), table, **options)


def _verbs(part: _Part) -> dict[bytes, int]:
    table: dict[bytes, int] = {}
    for row in part.split("|"):
        verb, *index = row.split("=", 1)
        if not index:
            raise row.error("a verb is VERB=INDEX of the word that counts the body, for example PUB=-1")
        if verb.bytes() in table:
            raise verb.error(f"verb {verb.text} twice")
        table[verb.bytes()] = index[0].int()
    return table


def _length_type(name: _Part, argument: _Part | None, options: dict[str, Any]) -> fields.LengthType:
    if name.text == "tiered":
        if argument is None:
            raise name.error("tiered needs its tiers, for example tiered:u8/126=u16/127=i64")
        return _tiered(argument, options)  # type: ignore[no-any-return]
    if name.text not in _PARAMETRISED:
        if argument is not None:
            raise argument.error(f"{name.text} takes no argument")
        return fields.NAMED[name.text]
    values = () if argument is None else (argument.int(),)
    if name.text == "hexdigits" and argument is None:
        raise name.error("hexdigits needs a count, for example hexdigits:4")
    return getattr(fields, name.text)(*values, **options)  # type: ignore[no-any-return]


def _options(pairs: list[_Part], allowed: dict[str, Callable[[_Part], Any]]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        key, *value = pair.split("=", 1)
        if key.text not in allowed:
            raise key.error(f"unknown key {key.text!r}" + nearest(key.text, list(allowed)))
        if not value:
            raise key.error(f"{key.text} needs a value: {key.text}=...")
        if key.text in options:
            raise key.error(f"{key.text} twice")
        options[key.text] = allowed[key.text](value[0])
    return options


def parse(text: str, lookup: Callable[[_Part, list[str]], Framing]) -> Framing:
    """The framing that `text` says; `lookup(name, known)` gives that of a name not among the `known`."""
    if not isinstance(text, str):
        raise TypeError(f"framing: the text form is a str, not {type(text).__name__}")
    if text.startswith(("Tagged(", "Preamble(", "Custom(")):
        name_only = text.partition("(")[0]
        raise DeclarationError(f"framing {text!r}: {name_only} has no text form: write it in Python")
    head, *pairs = _Part(text, 0, text).split(",")
    name, *rest = head.split(":", 1)
    argument = rest[0] if rest else None
    if name.text in _PLAIN:
        if argument is not None:
            raise argument.error(f"{name.text} takes no argument")
        common = _COMMON if name.text in ("until-eof", "resp", "fix") else _STRIPPING
        allowed = {**common, **_TYPE_KEYS.get(name.text, {})}
        return _PLAIN[name.text](**_options(pairs, allowed))
    if name.text == "fixed":
        if argument is None:
            raise name.error("fixed needs a size in bytes, for example fixed:16")
        return FixedLength(argument.int(), **_options(pairs, _COMMON))
    if name.text == "chunked":
        if argument is None:
            raise name.error("chunked needs its style, chunked:netconf or chunked:http")
        return Chunked(argument.text, **_options(pairs, {**_STRIPPING, "max_header": _Part.int}))
    if name.text == "delimited":
        if argument is None:
            raise name.error("delimited needs its delimiters, for example delimited:\\r\\n")
        return Delimited(*(one.bytes() for one in argument.split("|")), **_options(pairs, _DELIMITED))
    if name.text == "line-counted":
        if argument is None:
            raise name.error("line-counted needs its verbs, for example line-counted:set=4|PUB=-1")
        return LineCounted(_verbs(argument), **_options(pairs, {**_COMMON, **_TYPE_KEYS[name.text]}))
    if name.text == "enclosed":
        marks = [] if argument is None else argument.split("|")
        if len(marks) != 2:
            raise name.error("enclosed needs its start and end marks, for example enclosed:\\x02|\\x03")
        return Enclosed(*(mark.bytes() for mark in marks), **_options(pairs, _ENCLOSED))
    if name.text not in fields.NAMED and name.text not in _PARAMETRISED:
        made = lookup(name, [*_PLAIN, *_WITH_ARGUMENT, *fields.NAMED])
        if argument is not None:
            raise argument.error(f"{name.text} takes no argument")
        own = {key: read for key, read in _STRIPPING.items() if key in dict(made._parameters)}
        options = _options(pairs, own)
        return made.replace(**options) if options else made
    own = _TYPE_KEYS.get(name.text, {})
    options = _options(pairs, {**_LENGTH, **own})
    type_options = {key: options.pop(key) for key in own if key in options}
    return LengthPrefixed(_length_type(name, argument, type_options), **options)
