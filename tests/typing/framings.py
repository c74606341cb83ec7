"""What mypy and pyright say about framewire: checked by `make types`, never run.

A line that must be an error carries `# type: ignore[code]`; mypy reports an ignore that ignores nothing, so
each such line is a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from typing_extensions import Buffer, assert_type

import framewire as fw

# --- field types: annotations of a record, and length types ---------------------------------------------


class Sample:
    sensor: fw.u16
    offset: fw.i64le
    count: fw.varint
    size: int = fw.digits(5)
    wide: int = fw.leb128(max_bytes=4, canonical=True)
    color: int = fw.hexdigits(6)
    length: int = fw.tiered(fw.u8, {126: fw.u16, 127: (fw.u64, 65536)}, mask=0x7F, follow=(0x80, 4))


sample = Sample()
assert_type(sample.sensor, int)
assert_type(sample.offset, int)
assert_type(sample.count, int)
assert_type(sample.size, int)


def needs_a_length_type(length_type: type[int] | fw.LengthType) -> fw.LengthPrefixed:
    return fw.LengthPrefixed(length_type)


needs_a_length_type(fw.u32)
needs_a_length_type(fw.quicvarint)
needs_a_length_type(fw.digits(end=b" "))
fw.LengthPrefixed("u32")  # type: ignore[arg-type]
fw.LengthPrefixed(4)  # type: ignore[arg-type]
fw.digits("5")  # type: ignore[arg-type]

# --- framings -------------------------------------------------------------------------------------------

prefixed = fw.LengthPrefixed(
    fw.u16,
    offset=4,
    header=8,
    counts="body",
    magic=((0, (b"\x01", b"\x02")),),
    extra=((6, fw.u8), (7, fw.u8, 0x0F)),
    max_frame=None,
    on_too_large="skip",
    eof="drop",
)
assert_type(prefixed, fw.LengthPrefixed)
fw.LengthPrefixed(fw.u32, offset=fw.varint, trailer=4, escape=(-1, fw.u64), strip=False)
fw.LengthPrefixed(fw.u32, ofset=4)  # type: ignore[call-arg]
fw.LengthPrefixed(fw.u32, trailer="\r\n")  # type: ignore[arg-type]
fw.FixedLength("16")  # type: ignore[arg-type]
fw.Delimited("\r\n")  # type: ignore[arg-type]
fw.Lines(b"\n")  # type: ignore[call-arg, arg-type]
everything: list[fw.Framing] = [
    prefixed,
    fw.FixedLength(16),
    fw.Delimited(b"\r\n", b"\0", strip=False),
    fw.Lines(eof="deliver"),
    fw.Netstring(max_frame=100),
    fw.UntilEOF(),
    fw.Tagged({1: fw.Lines(), b"AB": fw.FixedLength(3)}, default=fw.Netstring(), max_frame=None),
    fw.Preamble(fw.FixedLength(8), prefixed, count=2, eof="drop"),
    fw.framing("u32le,max_frame=65536"),
]
assert_type(prefixed.max_frame, "int | None")


def split(view: memoryview, scanned: int, eof: bool) -> tuple[int, int, int] | int | None:
    return None


def join(message: Buffer) -> bytes:
    return bytes(message)


fw.Custom(split, join)
fw.Custom(lambda view, scanned, eof: (0, 2, 2))
fw.Custom(join)  # type: ignore[arg-type]

# --- decoding and encoding ------------------------------------------------------------------------------


def frames(framing: fw.Framing, chunks: Iterable[Buffer]) -> Iterator[bytes]:
    decoder = framing.decoder()
    assert_type(decoder, fw.Decoder)
    for chunk in chunks:
        yield from decoder.decode(chunk)
    yield from decoder.feed_eof()
    assert_type(decoder.next_frame(), "bytes | None")
    assert_type(decoder.next_view(), "memoryview | None")
    assert_type(decoder.error, "Exception | None")
    assert_type([decoder.needed, decoder.buffered, decoder.offset], list[int])
    decoder.get_buffer(100)[:5] = b"12345"
    decoder.buffer_updated(5)
    decoder.switch(fw.Lines())
    assert_type(decoder.detach(), bytes)
    decoder.decode("text")  # type: ignore[arg-type]
    framing.decoder(b"bytes")  # type: ignore[call-overload]


def encoded(framing: fw.Framing, encoder: fw.Encoder, message: Buffer) -> bytes:
    buffer = bytearray(100)
    assert_type(framing.encode_into(buffer, 0, message), int)
    assert_type(framing.encode_parts(message), tuple[Buffer, ...])
    framing.encode("text")  # type: ignore[arg-type]
    return b"".join(
        [framing.encode(message), framing.encode_many([message, buffer]), encoder.encode(message)]
    )


try:
    prefixed.encode(b"")
except fw.EncodeError as error:
    assert_type(error.size, "int | None")
except fw.FrameTooLarge as too_large:
    assert_type(too_large.header, bytes)

# --- protocols ------------------------------------------------------------------------------------------

assert_type(fw.protocols.DNS, fw.Framing)
assert_type(fw.protocols.AMQP, fw.Protocol)
assert_type(fw.protocols.AMQP.client, fw.Framing)
fw.Protocol(client=fw.Lines(), server=fw.protocols.DNS)
missing = fw.protocols.DSN  # type: ignore[attr-defined]
fw.protocols.AMQP.decoder()  # type: ignore[attr-defined]
fw.connect("unix:x", fw.protocols.AMQP)  # type: ignore[arg-type]

# --- byte order -----------------------------------------------------------------------------------------

assert_type(fw.byteorder.htons(80), int)
assert_type(fw.byteorder.get_u32(b"\0\0\0\1"), int)
assert_type(fw.backend, str)
