"""Whatever can be declared holds what is promised of every framing.

Declarations are drawn at random, all parameters at once. Many cannot be: they must say so with a
DeclarationError. Whatever constructs must come back from its text, its repr and its pickle; both backends
must encode it alike, decode what they encoded under any cut, and answer any other bytes alike.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from conftest import examples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import framewire as fw
from framewire import _backend

PURE = _backend.load("pure").codec
try:
    NATIVE = _backend.load("native").codec
except ImportError:
    NATIVE = None
BACKENDS = [PURE] if NATIVE is None else [NATIVE, PURE]
TEXTLESS = ("Tagged", "Preamble", "Custom")
NAMES = {name: getattr(fw, name) for name in fw.__all__}

Draw = Callable[..., Any]

many = settings(
    max_examples=examples(300, 20_000),
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
integers = st.sampled_from([NAMES[f"{s}{8 * w}"] for w in range(1, 9) for s in "ui"])
little = st.sampled_from([NAMES[f"{s}{8 * w}le"] for w in range(2, 9) for s in "ui"])
narrow = st.sampled_from([fw.u8, fw.u16, fw.u16le, fw.u24, fw.i8, fw.u32])
short_bytes = st.binary(min_size=1, max_size=3) | st.sampled_from([b"\r\n", b",", b"|", b"7", b":/=+\\"])
bits = st.one_of(st.sampled_from([0x7F, 0xF0, 0x0F, 0x80, 1, 0x0FFE, 0xFF00]), st.integers(1, 0xFF))


@st.composite
def tiers(draw: Draw) -> Any:
    table = {}
    for selector in draw(st.lists(st.integers(0, 300), min_size=1, max_size=4, unique=True)):
        kind = draw(integers | little)
        base = draw(st.sampled_from([None, None, 0, 1, 13, 70000]))
        table[selector] = kind if base is None else (kind, base)
    options = {
        "mask": draw(st.none() | bits),
        "direct": draw(st.none() | st.sampled_from([-1, 0, 5, 127, 300])),
        "follow": draw(st.none() | st.tuples(st.sampled_from([0x80, 1, 0x100]), st.integers(1, 5))),
        "canonical": draw(st.booleans()),
    }
    return fw.tiered(draw(narrow), table, **options)


@st.composite
def digit_fields(draw: Draw) -> Any:
    kind = draw(st.sampled_from(["count", "end", "hex"]))
    if kind == "count":
        return fw.digits(draw(st.integers(1, 19)))
    if kind == "hex":
        return fw.hexdigits(draw(st.integers(1, 16)))
    end = draw(st.sampled_from([b" ", b":", b"\r\n", b",", b"\\", b"=|/+"]))
    return fw.digits(end=end, max_digits=draw(st.sampled_from([None, 1, 2, 10, 19])))


varints = st.one_of(
    st.sampled_from([fw.varint, fw.vlq, fw.quicvarint, fw.ber, fw.varint32, fw.zigzag, fw.zigzag32]),
    st.sampled_from([fw.sleb128, fw.compactsize, fw.derlength]),
    st.builds(fw.leb128, st.integers(1, 10), canonical=st.booleans()),
)


@st.composite
def refusable(draw: Draw, strategy: st.SearchStrategy[Any]) -> Any:
    """A draw whose declaration can be."""
    try:
        return draw(strategy)
    except fw.DeclarationError as error:
        assert str(error)
        assume(False)


fields = st.one_of(narrow, narrow, integers, little, varints, digit_fields(), refusable(tiers()))


@st.composite
def policies(draw: Draw, eofs: list[str]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if draw(st.booleans()):
        chosen["max_frame"] = draw(st.sampled_from([None, 1, 2, 9, 50, 127, 128, 255, 4000, 1 << 20]))
    if draw(st.booleans()):
        chosen["on_too_large"] = draw(st.sampled_from(["fail", "skip"]))
    if draw(st.booleans()):
        chosen["eof"] = draw(st.sampled_from(eofs))
    return chosen


@st.composite
def counted(draw: Draw) -> fw.Framing:
    options: dict[str, Any] = draw(policies(["error", "drop"]))
    chances = {
        "offset": st.integers(0, 6) | varints | digit_fields() | refusable(tiers()),
        "counts": st.sampled_from(["body", "rest", "field", "frame"]),
        "adjust": st.integers(-12, 12),
        "scale": st.sampled_from([1, 2, 3, 4, 8]),
        "mask": bits,
        "header": st.integers(1, 14),
        "strip": st.sampled_from([True, False, None]),
        "magic": st.one_of(
            short_bytes,
            st.lists(st.tuples(st.integers(0, 9), short_bytes), min_size=1, max_size=2).map(tuple),
            st.tuples(st.tuples(st.integers(0, 6), st.tuples(*[st.binary(min_size=2, max_size=2)] * 2))),
        ),
        "trailer": short_bytes | st.integers(1, 5),
        "escape": st.tuples(st.sampled_from([0, 1, -1, 5, 127, 200, 255]), integers | little),
        "extra": st.lists(
            st.tuples(st.integers(0, 8), narrow) | st.tuples(st.integers(0, 8), narrow, bits),
            min_size=1,
            max_size=2,
        ).map(tuple),
        "control": st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    }
    for name, strategy in chances.items():
        if draw(st.integers(0, 3)) == 0:
            options[name] = draw(strategy)
    return fw.LengthPrefixed(draw(fields), **options)


@st.composite
def fragmented(draw: Draw) -> fw.Framing:
    options: dict[str, Any] = draw(policies(["error", "drop"]))
    full = st.tuples(st.just("full"), st.integers(1, 9))
    counted_full = st.tuples(st.just("full"), st.integers(1, 9), st.integers(0, 4))
    chances = {
        "offset": st.integers(0, 3),
        "counts": st.sampled_from(["body", "rest", "field", "frame"]),
        "adjust": st.integers(-4, 4),
        "scale": st.sampled_from([2, 3]),
        "mask": st.sampled_from([0x7F, 0x3E, 0x0F]),
        "header": st.integers(2, 6),
        "strip": st.sampled_from([True, False, None]),
        "magic": st.tuples(st.tuples(st.integers(0, 3), short_bytes)),
    }
    for name, strategy in chances.items():
        if draw(st.integers(0, 3)) == 0:
            options[name] = draw(strategy)
    how = draw(st.just("top_bit") | full | counted_full)
    return fw.LengthPrefixed(draw(st.sampled_from([fw.u8, fw.u16, fw.u24le])), fragments=how, **options)


@st.composite
def scanned(draw: Draw) -> fw.Framing:
    ends = draw(
        st.lists(st.one_of(short_bytes, st.text("ab", min_size=1, max_size=4).map(str.encode)), max_size=3)
    )
    options = {
        **draw(policies(["error", "drop", "deliver"])),
        "strip": draw(st.sampled_from([True, False, None])),
    }
    return fw.Delimited(*ends, **options) if ends else fw.Lines(**options)


@st.composite
def plain(draw: Draw) -> fw.Framing:
    kind = draw(
        st.sampled_from(
            [
                *["counted"] * 8,
                "fragmented",
                "fragmented",
                "scanned",
                "scanned",
                "fixed",
                "netstring",
                "until-eof",
            ]
        )
    )
    if kind == "counted":
        return draw(counted())
    if kind == "fragmented":
        return draw(fragmented())
    if kind == "scanned":
        return draw(scanned())
    options = draw(policies(["error", "drop"]))
    if kind == "fixed":
        return fw.FixedLength(draw(st.integers(1, 12)), **options)
    if kind == "netstring":
        return fw.Netstring(strip=draw(st.sampled_from([True, False, None])), **options)
    return fw.UntilEOF(**options)


@st.composite
def compound(draw: Draw) -> fw.Framing:
    kind = draw(st.sampled_from(["tagged", "tagged", "preamble"]))
    options = draw(policies(["error", "drop"]))
    if kind == "preamble":
        return fw.Preamble(draw(plain()), draw(plain()), count=draw(st.integers(1, 3)), **options)
    keys = st.integers(0, 255) | st.binary(min_size=1, max_size=3)
    table = draw(st.dictionaries(keys, plain(), min_size=1, max_size=3))
    return fw.Tagged(
        table,
        default=draw(st.none() | plain()),
        offset=draw(st.integers(0, 3)),
        mask=draw(st.sampled_from([0xFF, 0xFF, 0x80, 0x0F])),
        **options,
    )


framings = refusable(st.one_of(plain(), plain(), plain(), compound()))


# --- text, repr, pickle ---------------------------------------------------------------------------------


@many
@given(framings)
def test_a_declaration_survives_being_written_down(framing: fw.Framing) -> None:
    copies = [
        eval(repr(framing), dict(NAMES)),
        pickle.loads(pickle.dumps(framing)),
        copy.copy(framing),
        copy.deepcopy(framing),
        framing.replace(),
    ]
    assert {repr(other) for other in copies} == {repr(framing)}
    if type(framing).__name__ not in TEXTLESS:
        copies += [fw.framing(str(framing)), framing.replace(max_frame=framing.max_frame)]
    for other in copies:
        assert other == framing and hash(other) == hash(framing), (framing, str(framing), other)
        assert other.max_frame == framing.max_frame


@given(fields)
def test_a_length_type_survives_being_written_down(field: Any) -> None:
    for other in (eval(repr(field), dict(NAMES)), pickle.loads(pickle.dumps(field)), copy.deepcopy(field)):
        assert other == field and hash(other) == hash(field) and repr(other) == repr(field)
    assert fw.framing(str(fw.LengthPrefixed(field))).length_type == field


# --- encoding and decoding ------------------------------------------------------------------------------


def attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except fw.EncodeError as error:
        return type(error), str(error), dict(vars(error))


def decoded(backend: Any, framing: fw.Framing, wire: bytes, cuts: list[int]) -> tuple[list[Any], int]:
    """What comes out of a stream cut at `cuts`: frames and errors in order, and the offset at the end."""
    decoder = backend.Decoder(framing._plan)
    got: list[Any] = []
    edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    calls: list[Callable[[], Any]] = [
        lambda chunk=wire[a:b]: decoder.decode(chunk) for a, b in zip(edges, edges[1:])
    ]
    for call in [*calls, decoder.feed_eof, decoder.decode]:
        while True:
            try:
                got.extend(call())
                break
            except fw.FramewireError as error:
                got.append((type(error).__name__, str(error), dict(vars(error))))
                if decoder.error is not None:
                    return got, decoder.offset
                call = decoder.decode
    return got, decoder.offset


def whole_frames(framing: fw.Framing) -> st.SearchStrategy[bytes]:
    """Messages of sizes that meet the limits; mostly zeros, as vacant lengths and magic-less headers are."""
    limit = framing.max_frame or 300
    sizes = st.integers(0, 20) | st.sampled_from([min(limit + d, 600) for d in (-1, 0, 1)])
    return st.one_of(
        st.binary(max_size=24),
        sizes.map(bytes),
        st.tuples(st.binary(max_size=8), sizes).map(lambda pair: pair[0] + bytes(pair[1])),
        st.tuples(sizes, st.sampled_from([b"\n", b"\r\n", b":", b","])).map(
            lambda pair: b"0" * pair[0] + pair[1]
        ),
    )


def ends_with_the_stream(framing: fw.Framing) -> bool:
    """Whether a frame, an empty one too, may reach to the end of the stream."""
    return "UntilEOF" in repr(framing)


@many
@given(framings, st.data())
def test_what_is_encoded_is_decoded_and_encoded_again(framing: fw.Framing, data: st.DataObject) -> None:
    messages = data.draw(st.lists(whole_frames(framing), min_size=1, max_size=4))
    if isinstance(framing, fw.LengthPrefixed) and framing.magic:
        # Else hardly a message has the fixed bytes.
        magic = framing._plan[9]
        for message in list(messages):
            header = bytearray(message)
            for at, values in magic:
                header[at : at + len(values[0])] = values[0]
            trailer = framing.trailer if isinstance(framing.trailer, bytes) else b""
            messages += [bytes(header), bytes(header) + trailer]
    wires = []
    encoders = [backend.Encoder(framing._plan) for backend in BACKENDS]
    for message in messages:
        results = [attempt(partial(encoder.encode, message)) for encoder in encoders]
        assert results[0] == results[-1], (framing, message)
        if isinstance(results[0], bytes):
            wires.append(results[0])
    assume(wires and not ends_with_the_stream(framing))
    cuts = data.draw(st.lists(st.integers(0, 5000), max_size=6))
    stream = b"".join(wires)
    outcomes = [decoded(backend, framing, stream, cut) for backend in BACKENDS for cut in (cuts, [])]
    assert all(outcome == outcomes[0] for outcome in outcomes), (framing, stream, outcomes)
    frames, offset = outcomes[0]
    assert all(isinstance(frame, bytes) for frame in frames), (framing, wires, frames)
    assert (len(frames), offset) == (len(wires), len(stream)), (framing, wires, frames)
    encoder = BACKENDS[0].Encoder(framing._plan)
    assert [encoder.encode(frame) for frame in frames] == wires, (framing, frames, wires)


@many
@given(framings, st.data())
def test_any_bytes_are_answered_alike(framing: fw.Framing, data: st.DataObject) -> None:
    if NATIVE is None:
        pytest.skip("built without the extension")
    stream = data.draw(
        st.binary(max_size=40) | st.text("0123456789: \r\nab\0\x01\x80", max_size=40).map(str.encode)
    )
    cuts = data.draw(st.lists(st.integers(0, 40), max_size=6))
    outcomes = [decoded(backend, framing, stream, cut) for backend in BACKENDS for cut in (cuts, [])]
    assert all(outcome == outcomes[0] for outcome in outcomes), (framing, stream, outcomes)
