"""The short text form: every framing that has one comes back from it; errors say where, and what instead."""

from __future__ import annotations

from typing import Any

import pytest
from catalogue import CATALOGUE, LARGE
from conftest import named
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import (
    DeclarationError,
    Delimited,
    FixedLength,
    LengthPrefixed,
    Lines,
    Netstring,
    UntilEOF,
    framing,
)

EVERY = {**CATALOGUE, **{f"large-{name}": value for name, value in LARGE.items()}}
TEXTLESS = (fw.Tagged, fw.Preamble, fw.Custom)


@pytest.mark.parametrize(
    "name", [name for name, (made, _) in EVERY.items() if not isinstance(made, TEXTLESS)]
)
def test_the_text_comes_back(name: str) -> None:
    made, _ = EVERY[name]
    text = str(made)
    assert text.isprintable() and text.isascii()
    again = framing(text)
    assert again == made and str(again) == text and type(again) is type(made)


@pytest.mark.parametrize("name", [name for name, (made, _) in EVERY.items() if isinstance(made, TEXTLESS)])
def test_what_has_no_text_form_says_so(name: str) -> None:
    made, _ = EVERY[name]
    assert str(made) == repr(made)
    with pytest.raises(DeclarationError, match=f"{type(made).__name__} has no text form: write it in Python"):
        framing(str(made))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u32", LengthPrefixed(fw.u32)),
        ("u32le,max_frame=65536", LengthPrefixed(fw.u32le, max_frame=65536)),
        ("u32,max_frame=none", LengthPrefixed(fw.u32, max_frame=None)),
        ("leb128:4,offset=1", LengthPrefixed(fw.leb128(4), offset=1)),
        ("leb128,canonical=true", LengthPrefixed(fw.leb128(canonical=True))),
        ("digits:5", LengthPrefixed(fw.digits(5))),
        (r"digits,end=\x20", LengthPrefixed(fw.digits(end=b" "))),
        ("digits,end= ", LengthPrefixed(fw.digits(end=b" "))),
        (
            r"digits,end=\r\n,max_digits=4,trailer=\r\n",
            LengthPrefixed(fw.digits(end=b"\r\n", max_digits=4), trailer=b"\r\n"),
        ),
        ("hexdigits:4,counts=frame", LengthPrefixed(fw.hexdigits(4), counts="frame")),
        ("quicvarint,offset=quicvarint", LengthPrefixed(fw.quicvarint, offset=fw.quicvarint)),
        (r"u8,offset=leb128:4\,canonical=true", LengthPrefixed(fw.u8, offset=fw.leb128(4, canonical=True))),
        (r"u8,offset=digits\,end=\\r\\n", LengthPrefixed(fw.u8, offset=fw.digits(end=b"\r\n"))),
        (
            r"u8,offset=tiered:u8/9=u16\,mask=0x0f",
            LengthPrefixed(fw.u8, offset=fw.tiered(fw.u8, {9: fw.u16}, mask=15)),
        ),
        ("u16,mask=0x0fff", LengthPrefixed(fw.u16, mask=0x0FFF)),
        ("u16,mask=4095", LengthPrefixed(fw.u16, mask=0x0FFF)),
        ("u32,trailer=4", LengthPrefixed(fw.u32, trailer=4)),
        (r"u32,trailer=\x34", LengthPrefixed(fw.u32, trailer=b"4")),
        (r"u32,offset=3,trailer=\xce", LengthPrefixed(fw.u32, offset=3, trailer=b"\xce")),
        ("i32,escape=-1:u64", LengthPrefixed(fw.i32, escape=(-1, fw.u64))),
        (
            r"u16,offset=4,header=8,magic=\x01,extra=6:u8",
            LengthPrefixed(fw.u16, offset=4, header=8, magic=b"\1", extra=((6, fw.u8),)),
        ),
        (
            "u16,header=9,extra=6:u8:0x0f/7:u16",
            LengthPrefixed(fw.u16, header=9, extra=((6, fw.u8, 15), (7, fw.u16))),
        ),
        (
            r"u16,offset=2,header=6,magic=0:A\x2c|B\,/4:xy",
            LengthPrefixed(fw.u16, offset=2, header=6, magic=((0, (b"A,", b"B,")), (4, (b"xy",)))),
        ),
        (
            "tiered:u8/126=u16/127=i64,mask=0x7f,follow=0x80/4,canonical=true,offset=1",
            LengthPrefixed(
                fw.tiered(fw.u8, {126: fw.u16, 127: fw.i64}, mask=0x7F, follow=(0x80, 4), canonical=True),
                offset=1,
            ),
        ),
        (
            "tiered:u8/13=u8+13/14=u16+269,mask=0xf0,direct=12",
            LengthPrefixed(fw.tiered(fw.u8, {13: (fw.u8, 13), 14: (fw.u16, 269)}, mask=0xF0, direct=12)),
        ),
        ("lines,eof=deliver,strip=false", Lines(eof="deliver", strip=False)),
        ("lines,strip=none", Lines()),
        ("crlf", Delimited(b"\r\n")),
        ("nul,on_too_large=skip", Delimited(b"\0", on_too_large="skip")),
        ("netstring,max_frame=10", Netstring(max_frame=10)),
        ("until-eof", UntilEOF()),
        ("fixed:16", FixedLength(16)),
        ("fixed:0x10", FixedLength(16)),
        (r"delimited:\r\n", Delimited(b"\r\n")),
        (r"delimited:;|\x7c|END", Delimited(b";", b"|", b"END")),
        (r"delimited:\t\0\\\,", Delimited(b"\t\0\\,")),
        ("delimited:\u00e9", Delimited("\u00e9".encode())),
        ("delimited:\udcff", Delimited(b"\xff")),
        ("delimited:a:b", Delimited(b"a:b")),
    ],
)
def test_texts_as_people_write_them(text: str, expected: fw.Framing) -> None:
    assert framing(text) == expected
    assert framing(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("netsting", 1, "unknown name 'netsting': did you mean netstring?"),
        ("", 1, "unknown name ''; known: "),
        ("LengthPrefixed(u32)", 1, "unknown name 'LengthPrefixed(u32)'; known: "),
        ("u33", 1, "unknown name 'u33': did you mean u32"),
        ("u32,counst=frame", 5, "unknown key 'counst': did you mean counts or control?"),
        ("u32,offset=1,offset=2", 14, "offset twice"),
        ("u32,offset", 5, "offset needs a value: offset=..."),
        ("u32,", 5, "unknown key ''"),
        ("u32,offset=x", 12, "unknown length type 'x'"),
        ("u32,offset=quicvarin", 12, "unknown length type 'quicvarin': did you mean quicvarint"),
        ("u32,offset=1x", 12, "'1x' is not a whole number"),
        ("u32,offset=", 12, "'' is not a whole number"),
        ("u32,adjust=--1", 12, "'--1' is not a whole number"),
        ("u32,adjust=1_0", 12, "'1_0' is not a whole number"),
        ("u32,adjust=0b1", 12, "'0b1' is not a whole number"),
        ("u32,adjust=ff", 12, "'ff' is not a whole number"),
        ("u32,adjust=\u0663", 12, "is not a whole number"),
        ("u32,adjust=" + "9" * 5000, 12, "is not a whole number"),
        ("u32,max_frame=1MiB", 15, "'1MiB' is not a whole number"),
        ("u32,strip=yes", 11, "'yes' must be true or false"),
        ("leb128,canonical=none", 18, "'none' must be true or false"),
        ("u32:4", 5, "u32 takes no argument"),
        ("lines:", 7, "lines takes no argument"),
        ("lines,header=4", 7, "unknown key 'header'"),
        ("until-eof,strip=true", 11, "unknown key 'strip'"),
        ("fixed", 1, "fixed needs a size in bytes, for example fixed:16"),
        ("fixed:big", 7, "'big' is not a whole number"),
        ("delimited", 1, "delimited needs its delimiters"),
        ("hexdigits", 1, "hexdigits needs a count, for example hexdigits:4"),
        ("tiered", 1, "tiered needs its tiers"),
        ("tiered:u8/126", 11, "a tier is SELECTOR=TYPE"),
        ("tiered:u8/126=u16/126=u32", 19, "selector 126 twice"),
        ("tiered:u8/126=u17", 15, "'u17' is no integer type: did you mean u"),
        ("tiered:u8/126=u16,follow=4", 26, "follow is BIT/BYTES"),
        (r"delimited:\q", 11, r"\q is no escape"),
        (r"delimited:\xg0", 11, r"\x is no escape"),
        (r"delimited:\x1", 11, r"\x is no escape"),
        ("delimited:abc\\", 11, "\\ is no escape"),
        ("delimited:\ud800", 11, "'\\ud800' is no character"),
        ("u32,escape=5", 12, "escape is VALUE:TYPE, for example 0:u32"),
        ("u32,escape=5:u61", 14, "'u61' is no integer type: did you mean u64"),
        ("u32,header=8,extra=6", 20, "extra is OFFSET:TYPE or OFFSET:TYPE:MASK"),
        ("u32,header=8,extra=6:u8/x:u8", 25, "'x' is not a whole number"),
        ("u32,offset=4,magic=1:a/b:c", 24, "'b' is not a whole number"),
    ],
)
def test_errors_say_where_and_what_instead(text: str, column: int, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        framing(text)
    assert str(caught.value).startswith(f"framing {text!r}, column {column}: "), str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed:0", "FixedLength: size=0 must be at least 1"),
        ("u8,max_frame=0", "LengthPrefixed: max_frame=0 must be at least 1"),
        ("u8,counts=all", "LengthPrefixed: counts='all' must be one of"),
        ("lines,eof=later", "Lines: eof='later' must be one of"),
        ("digits", "digits: give either a count of digits or end="),
        ("u8,offset=-1", "LengthPrefixed: offset=-1 must be at least 0"),
        ("leb128:11", "leb128: max_bytes=11 must be at most 10"),
        ("delimited:", "Delimited: a delimiter has 1 to 255 bytes, not 0"),
        ("tiered:varint/1=u8", "tiered: first=varint must be an integer of fixed width"),
    ],
)
def test_what_cannot_be_declared_cannot_be_written(text: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        framing(text)


@pytest.mark.parametrize("text", [None, 5, b"u32", fw.u32, Lines()], ids=named)
def test_the_text_is_a_str(text: Any) -> None:
    with pytest.raises(TypeError, match="framing: the text form is a str, not"):
        framing(text)


WORDS = (
    "u8 u32le ber digits hexdigits tiered leb128 lines crlf nul fixed delimited netstring until-eof".split()
)
WORDS += "offset counts mask header strip magic trailer escape extra max_frame eof end direct follow".split()
WORDS += [*":,=/|+-\\0123456789", "\\x", "0x", "none", "true", "\\,", "\\r", "\udcff", "\u0663", "Tagged("]


@given(st.lists(st.sampled_from(WORDS) | st.characters(), max_size=12).map("".join) | st.text(max_size=20))
def test_any_text_is_a_framing_or_a_declaration_error(text: str) -> None:
    try:
        made = framing(text)
    except DeclarationError as error:
        assert str(error)
    else:
        # A named protocol may be a Tagged, Preamble or Custom: these have no text form but their name.
        if not isinstance(made, (fw.Tagged, fw.Preamble, fw.Custom)):
            assert framing(str(made)) == made
