"""The twin rule: whatever is called with whatever bytes, native and pure answer alike.

Frames, errors with their texts and members, `needed`, `offset`, `buffered`, `error` and `repr` are compared
after every call, over every framing of the catalogue, mutated streams and random sequences of calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import pytest
from catalogue import CATALOGUE, LARGE
from conftest import named
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import _backend

try:
    NATIVE = _backend.load("native").codec
except ImportError as error:
    pytest.skip(f"built without the extension: {error}", allow_module_level=True)
PURE = _backend.load("pure").codec

SPECIAL = [0, 1, 9, 10, 13, 32, 43, 45, 48, 57, 58, 95, 127, 128, 129, 255]
# What SLIP, HDLC and COBS give a meaning, often enough that frames of it end, break and are too large.
STUFFING = [0, 1, 2, 3, 0x41, 0x5D, 0x5E, 0x7D, 0x7E, 0xC0, 0xDB, 0xDC, 0xDD, 0xFF]
CALLS = ["decode"] * 4 + ["feed", "next_frame", "receive", "views", "next_view", "switch"]


def plain(value: Any) -> Any:
    """A result that can be compared after its views are gone."""
    if isinstance(value, (list, tuple)):
        return [bytes(item) for item in value]
    return bytes(value) if isinstance(value, memoryview) else value


def outcome(decoder: Any, call: Callable[[Any], Any]) -> tuple[Any, ...]:
    try:
        result = plain(call(decoder))
    except Exception as error:
        result = (type(error).__name__, str(error), dict(vars(error)))
    return result, decoder.needed, decoder.offset, decoder.buffered, repr(decoder.error), repr(decoder)


def receive(decoder: Any, data: bytes) -> int:
    view = decoder.get_buffer(len(data))
    size = min(len(view), len(data))
    view[:size] = data[:size]
    decoder.buffer_updated(size)
    return size


@st.composite
def streams(
    draw: Callable[..., Any], catalogue: dict[str, tuple[fw.Framing, list[bytes]]]
) -> tuple[fw.Framing, bytes]:
    name = draw(st.sampled_from(sorted(catalogue)))
    framing, messages = catalogue[name]
    if "preamble" not in name and "eof" not in name:
        messages = draw(st.lists(st.sampled_from(messages), max_size=6))
    encoder = framing.encoder()
    data = bytearray(b"".join(encoder.encode(message) for message in messages))
    bytes_ = st.one_of(st.sampled_from(SPECIAL), st.integers(0, 255))
    for kind in draw(st.lists(st.sampled_from(["set", "delete", "insert", "append"]), max_size=4)):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if kind == "set" and data:
            data[at] = draw(bytes_)
        elif kind == "delete" and data:
            del data[at]
        elif kind == "insert":
            data.insert(at, draw(bytes_))
        elif kind == "append":
            data += bytes(draw(st.lists(bytes_, max_size=12)))
    return framing, bytes(data)


def compare(
    framing: fw.Framing, data: bytes, calls: list[tuple[str, int, int | None]], room: int | None
) -> None:
    plan = framing._plan
    if room is not None:
        try:
            plan = framing._plan_for(room)
        except fw.DeclarationError:
            room = None
    decoders = [
        backend.Decoder(plan, None if room is None else bytearray(room)) for backend in (NATIVE, PURE)
    ]
    at = 0
    calls = [
        *calls,
        ("decode", len(data), None),
        ("eof", 0, None),
        *[("decode", 0, None)] * 3,
        ("detach", 0, None),
    ]
    for name, size, limit in calls:
        chunk = data[at : at + size]
        if name in ("decode", "views"):
            call = methodcaller({"views": "decode_views"}.get(name, name), chunk, limit)
        elif name == "feed":
            call = methodcaller("feed", chunk)
        elif name == "receive":
            call = partial(receive, data=chunk)
        elif name == "switch":
            call = methodcaller("switch", framing)
        else:
            call = methodcaller({"eof": "feed_eof"}.get(name, name))
        if name in ("decode", "views", "feed"):
            at += len(chunk)
        native, pure = (outcome(decoder, call) for decoder in decoders)
        assert native == pure, (framing, data, name, chunk, limit)
        if name == "receive" and isinstance(native[0], int):
            at += native[0]


@given(
    streams(CATALOGUE),
    st.lists(
        st.tuples(st.sampled_from(CALLS), st.integers(0, 20), st.sampled_from([None, 1, 2])), max_size=20
    ),
    st.sampled_from([None, None, None, 450]),
)
def test_every_call_gives_the_same(
    stream: tuple[fw.Framing, bytes], calls: list[tuple[str, int, int | None]], room: int | None
) -> None:
    compare(*stream, calls, room)


@given(
    st.sampled_from([name for name in sorted(CATALOGUE) if name.startswith(("slip", "hdlc", "cobs"))]),
    st.lists(st.sampled_from(STUFFING), max_size=80).map(bytes),
    st.lists(
        st.tuples(st.sampled_from(CALLS), st.integers(0, 20), st.sampled_from([None, 1, 2])), max_size=20
    ),
    st.sampled_from([None, None, 30, 90]),
)
def test_stuffed_noise_gives_the_same(
    name: str, data: bytes, calls: list[tuple[str, int, int | None]], room: int | None
) -> None:
    compare(CATALOGUE[name][0], data, calls, room)
    whole = CATALOGUE[name][0].replace(strip=False)
    results: list[Any] = []
    for backend in (NATIVE, PURE):
        try:
            results.append(backend.Encoder(whole._plan).encode(data))
        except fw.EncodeError as error:
            results.append((str(error), dict(vars(error))))
    assert results[0] == results[1], (whole, data)


@given(
    streams(LARGE),
    st.lists(
        st.tuples(
            st.sampled_from(CALLS),
            st.sampled_from([1, 3, 5, 100, 4096, 5000, 20000, 65536]),
            st.sampled_from([None, 1]),
        ),
        max_size=20,
    ),
    st.sampled_from([None, None, 120_000]),
)
def test_large_frames_give_the_same(
    stream: tuple[fw.Framing, bytes], calls: list[tuple[str, int, int | None]], room: int | None
) -> None:
    compare(*stream, calls, room)


@given(
    st.sampled_from(sorted(CATALOGUE)),
    st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"\r", b"]]>", b"aa"])),
)
def test_encoding_any_message_gives_the_same(name: str, message: bytes) -> None:
    framing, messages = CATALOGUE[name]
    for candidate in [message, *messages, *[whole + message for whole in messages]]:
        results: list[list[Any]] = []
        for backend in (NATIVE, PURE):
            encoder = backend.Encoder(framing._plan)
            calls = [
                partial(encoder.encode, candidate),
                partial(encoder.encode_many, [candidate, bytearray(candidate)]),
                partial(encoder.encode_parts, memoryview(candidate)),
                partial(encoder.encode_into, bytearray(len(candidate) + 30), 5, candidate),
                partial(encoder.encode_into, bytearray(len(candidate)), 1, candidate),
            ]
            results.append([])
            for call in calls:
                try:
                    results[-1].append(plain(call()))
                except Exception as error:
                    results[-1].append((type(error).__name__, str(error), dict(vars(error))))
        assert results[0] == results[1], (framing, candidate)


@pytest.mark.parametrize(
    "data", ["text", 5, None, [1, 2], memoryview(b"abcdef")[::2], memoryview(b"abcdef").cast("B")], ids=named
)
def test_what_is_no_buffer_is_refused_alike(data: Any) -> None:
    framing = fw.LengthPrefixed(fw.u8)
    seen = []
    for backend in (NATIVE, PURE):
        results = []
        encoder = backend.Encoder(framing._plan)
        for call in (
            backend.Decoder(framing._plan).decode,
            backend.Decoder(framing._plan).feed,
            encoder.encode,
            encoder.encode_parts,
            lambda value, encoder=encoder: encoder.encode_many([value]),
            lambda value, encoder=encoder: encoder.encode_into(value, 0, b""),
        ):
            try:
                results.append(plain(call(data)) if not isinstance(data, memoryview) else bool(call(data)))
            except Exception as error:
                results.append((type(error), str(error)))
        seen.append(results)
    assert seen[0] == seen[1]
