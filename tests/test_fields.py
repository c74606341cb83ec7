"""Length types: what they are worth, what they read and write, and which cannot be."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from conftest import named

import framewire as fw
from framewire import DeclarationError, LengthPrefixed, LengthType, fields

INTEGERS = [(name, field) for name, field in fields.NAMED.items() if field.spec[0] == fields.UINT]
PARAMETRISED = [
    fw.leb128(),
    fw.leb128(4),
    fw.leb128(max_bytes=3, canonical=True),
    fw.digits(5),
    fw.digits(end=b" "),
    fw.digits(end=b"\r\n", max_digits=4),
    fw.hexdigits(4),
    fw.tiered(fw.u8, {126: fw.u16, 127: fw.i64}, mask=0x7F, follow=(0x80, 4), canonical=True),
    fw.tiered(fw.u16le, {13: (fw.u8, 13), 14: (fw.u16, 269)}, mask=0xF0),
    fw.tiered(fw.u8, {0xCC: fw.u8, 0xCD: fw.u16}, direct=0x7F),
]


@pytest.mark.parametrize(("name", "field"), INTEGERS)
def test_integers_of_every_width_and_order(name: str, field: Any, backend: Any) -> None:
    width = int(name[1:].removesuffix("le")) // 8
    order = "little" if name.endswith("le") else "big"
    signed = name[0] == "i"
    assert (field.narrowest, field.widest, field.fixed) == (width, width, True)
    assert field.maximum == (1 << 8 * width - signed) - 1
    assert getattr(fw, name) is field and repr(field) == field.text == name
    framing = LengthPrefixed(field, max_frame=None)
    for size in {0, 1, 100, min(70000, field.maximum)}:
        wire = size.to_bytes(width, order, signed=signed) + bytes(size)  # type: ignore[arg-type]
        assert framing.encode(bytes(size)) == wire and framing.decoder().decode(wire) == [bytes(size)]
    if signed:
        with pytest.raises(fw.MalformedFrame, match="length -1 is negative"):
            framing.decoder().decode(b"\xff" * width)


def test_the_vocabulary_is_complete() -> None:
    assert len(INTEGERS) == 30
    others = {
        "varint",
        "varint32",
        "zigzag",
        "zigzag32",
        "sleb128",
        "compactsize",
        "vlq",
        "quicvarint",
        "ber",
    }
    assert set(fields.NAMED) - {name for name, _ in INTEGERS} == {*others, "derlength"}
    assert fw.varint == fw.leb128() and hash(fw.varint) == hash(fw.leb128())


@pytest.mark.parametrize(
    ("field", "narrowest", "widest", "maximum"),
    [
        (fw.varint, 1, 10, (1 << 64) - 1),
        (fw.leb128(4), 1, 4, 268_435_455),
        (fw.varint32, 1, 5, (1 << 32) - 1),
        (fw.zigzag, 1, 10, (1 << 63) - 1),
        (fw.zigzag32, 1, 5, (1 << 31) - 1),
        (fw.sleb128, 1, 10, (1 << 63) - 1),
        (fw.compactsize, 1, 9, (1 << 64) - 1),
        (fw.derlength, 1, 5, (1 << 32) - 1),
        (fw.leb128(1), 1, 1, 127),
        (fw.vlq, 1, 10, (1 << 64) - 1),
        (fw.quicvarint, 1, 8, (1 << 62) - 1),
        (fw.ber, 1, 5, (1 << 32) - 1),
        (fw.digits(5), 5, 5, 99_999),
        (fw.digits(end=b" "), 2, 11, 10**10 - 1),
        (fw.digits(end=b"\r\n", max_digits=3), 3, 5, 999),
        (fw.hexdigits(4), 4, 4, 0xFFFF),
        (fw.tiered(fw.u8, {126: fw.u16, 127: fw.i64}), 1, 9, (1 << 63) - 1),
        (fw.tiered(fw.u8, {13: (fw.u8, 13)}, mask=0xF0), 1, 2, 268),
    ],
    ids=named,
)
def test_widths_and_the_most_they_say(field: Any, narrowest: int, widest: int, maximum: int) -> None:
    assert (field.narrowest, field.widest, field.maximum) == (narrowest, widest, maximum)
    assert field.fixed == (narrowest == widest)


@pytest.mark.parametrize("field", [field for _, field in INTEGERS] + PARAMETRISED, ids=named)
def test_a_length_type_is_a_value(field: Any) -> None:
    names = {name: getattr(fw, name) for name in fw.__all__}
    for other in (
        pickle.loads(pickle.dumps(field)),
        copy.copy(field),
        copy.deepcopy(field),
        eval(repr(field), names),
    ):
        assert other == field and hash(other) == hash(field) and repr(other) == repr(field)
    assert isinstance(field, LengthType)
    assert field != field.text and field != object()
    for change in (
        lambda: setattr(field, "text", "x"),
        lambda: delattr(field, "spec"),
        lambda: setattr(field, "x", 1),
    ):
        with pytest.raises(AttributeError):
            change()
    assert len({field, copy.copy(field)}) == 1


def test_different_types_are_different() -> None:
    every = [field for _, field in INTEGERS] + PARAMETRISED
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: fw.leb128(0), "leb128: max_bytes=0 must be at least 1"),
        (lambda: fw.leb128(11), "leb128: max_bytes=11 must be at most 10"),
        (lambda: fw.digits(), "digits: give either a count of digits or end="),
        (lambda: fw.digits(5, end=b" "), "digits: give either a count of digits or end="),
        (lambda: fw.digits(0), "digits: count=0 must be at least 1"),
        (lambda: fw.digits(20), "digits: count=20 must be at most 19"),
        (lambda: fw.digits(5, max_digits=4), "digits: max_digits goes with end="),
        (lambda: fw.digits(end=b""), "digits: end=b'' must be 1 to 4 bytes"),
        (lambda: fw.digits(end=b"12345"), "digits: end=b'12345' must be"),
        (lambda: fw.digits(end=b"0 "), "do not start with a digit"),
        (lambda: fw.digits(end=b" ", max_digits=20), "digits: max_digits=20 must be at most 19"),
        (lambda: fw.hexdigits(0), "hexdigits: count=0 must be at least 1"),
        (lambda: fw.hexdigits(17), "hexdigits: count=17 must be at most 16"),
        (lambda: fw.tiered(fw.i8, {1: fw.u8}), "tiered: first=i8 must be unsigned"),
        (lambda: fw.tiered(fw.varint, {1: fw.u8}), "tiered: first=varint must be an integer of fixed width"),
        (lambda: fw.tiered(fw.u8, {}), "tiered: table has 0 selectors, give 1 to 8"),
        (lambda: fw.tiered(fw.u8, dict.fromkeys(range(9), fw.u8)), "tiered: table has 9 selectors"),
        (lambda: fw.tiered(fw.u8, {256: fw.u8}), "tiered: selector=256 must be at most 255"),
        (lambda: fw.tiered(fw.u8, {16: fw.u8}, mask=0xF0), "tiered: selector=16 must be at most 15"),
        (lambda: fw.tiered(fw.u8, {-1: fw.u8}), "tiered: selector=-1 must be at least 0"),
        (lambda: fw.tiered(fw.u8, {1: fw.ber}), r"tiered: table\[1\]=ber must be an integer"),
        (lambda: fw.tiered(fw.u8, {1: (fw.u8, -1)}), "tiered: base of selector 1=-1 must be at least 0"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, direct=256), "tiered: direct=256 must be at most 255"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, mask=0), "tiered: mask=0 must be at least 1"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, mask=0x101), "tiered: mask=257 must be at most 255"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, mask=5), "tiered: mask=0x5 must be one run of bits"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, follow=(0x80, 4)), "follow bit 0x80 is part of the selector"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, mask=1, follow=(0x80, 0)), "tiered: follow size=0 must be"),
    ],
)
def test_types_that_cannot_be(make: Any, text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: fw.leb128("4"), "leb128: max_bytes must be an int, not str"),
        (lambda: fw.leb128(True), "leb128: max_bytes must be an int, not bool"),
        (lambda: fw.leb128(4, canonical=1), "leb128: canonical must be True or False, not 1"),
        (lambda: fw.digits(5.0), "digits: count must be an int, not float"),
        (lambda: fw.digits(end=" "), "digits: end must be bytes, not str"),
        (lambda: fw.hexdigits(None), "hexdigits: count must be an int, not NoneType"),
        (
            lambda: fw.tiered(8, {1: fw.u8}),
            "tiered: first must be a length type such as u32 or varint, not 8",
        ),
        (lambda: fw.tiered(fw.u8, [fw.u8]), "tiered: table must be a dict"),
        (lambda: fw.tiered(fw.u8, {"1": fw.u8}), "tiered: selector must be an int, not str"),
        (lambda: fw.tiered(fw.u8, {1: "u8"}), r"tiered: table\[1\] must be a length type"),
        (
            lambda: fw.tiered(fw.u8, {1: (fw.u8, 1, 2)}),
            r"tiered: table\[1\] must be a type or \(type, base\)",
        ),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, follow=4), "tiered: follow must be"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, follow=(1, 2, 3)), "tiered: follow must be"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, canonical="no"), "tiered: canonical must be True or False"),
        (lambda: fw.tiered(fw.u8, {1: fw.u8}, mask="7f"), "tiered: mask must be an int"),
    ],
)
def test_wrong_types(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make()


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("data", [b"\x80\0", b"\x81\x80\0", b"\xff\0"])
def test_padded_varints(data: bytes, canonical: bool, backend: Any) -> None:
    decoder = LengthPrefixed(fw.leb128(canonical=canonical)).decoder()
    if canonical:
        with pytest.raises(fw.MalformedFrame, match="not in its shortest form"):
            decoder.decode(data)
    else:
        value = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(data))
        assert decoder.decode(data + bytes(value)) == [bytes(value)]


def test_varints_are_bounded(backend: Any) -> None:
    for field, data in [
        (fw.leb128(4), b"\xff\xff\xff\xff"),
        (fw.varint, b"\xff" * 10),
        (fw.varint, b"\x80" * 9 + b"\x02"),
        (fw.vlq, b"\xff" * 10),
        (fw.ber, b"\x80"),
        (fw.ber, b"\x85"),
        (fw.ber, b"\xff"),
    ]:
        with pytest.raises(fw.MalformedFrame) as caught:
            LengthPrefixed(field, max_frame=None).decoder().decode(data)
        assert caught.value.reason == "bad-length"


def test_escape_bytes_reads_back() -> None:
    for byte in range(256):
        data = bytes([byte, byte])
        text = fields.escape_bytes(data)
        assert text.isprintable() and text.isascii()
        assert fw.framing(f"delimited:{text}") == fw.Delimited(data)
