"""`Reader` and `Writer`: one value after the other, of any field type, where no record class fits."""

from __future__ import annotations

from . import _backend, fields
from ._layouts import shown
from ._lowering import is_record, lower_row, lowered
from .errors import DeclarationError
from .fields import ARRAY, CONST, LIST, PAD, FieldType, LengthType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, Literal, SupportsIndex, TypeAlias, TypeVar, overload

    from typing_extensions import Buffer

    from .fields import LengthLike
    from .records import Record

    T = TypeVar("T")
    I = TypeVar("I")  # noqa: E741
    F = TypeVar("F")
    S = TypeVar("S")
    B = TypeVar("B")
    L = TypeVar("L")
    # Two names that methods have.
    Bytes: TypeAlias = bytes
    Bool: TypeAlias = bool

    class _Named(Generic[I, F, S, B, L]):
        """The methods of field types: ints, floats, text, bytes, truth."""

        varint: I
        vlq: I
        quicvarint: I
        ber: I
        u8: I
        u16: I
        u24: I
        u32: I
        u40: I
        u48: I
        u56: I
        u64: I
        i8: I
        i16: I
        i24: I
        i32: I
        i40: I
        i48: I
        i56: I
        i64: I
        u16le: I
        u24le: I
        u32le: I
        u40le: I
        u48le: I
        u56le: I
        u64le: I
        i16le: I
        i24le: I
        i32le: I
        i40le: I
        i48le: I
        i56le: I
        i64le: I
        f16: F
        f32: F
        f64: F
        f16le: F
        f32le: F
        f64le: F
        str_u8: S
        str_u16: S
        str_u32: S
        str_varint: S
        rest: B
        bytes_u8: B
        bytes_u16: B
        bytes_u32: B
        bytes_varint: B
        bool: L

    class _Reader(
        _backend.cursors.Reader,
        _Named[
            Callable[[], int], Callable[[], float], Callable[[], str], Callable[[], bytes], Callable[[], bool]
        ],
    ):
        def bytes(self, count: SupportsIndex) -> Bytes: ...

    class _Writer(
        _backend.cursors.Writer,
        _Named[
            Callable[[int], None],
            Callable[[float], None],
            Callable[[str], None],
            Callable[[Buffer], None],
            Callable[[bool], None],
        ],
    ):
        def bytes(self, data: Buffer) -> None: ...

else:
    _Reader, _Writer = _backend.cursors.Reader, _backend.cursors.Writer

__all__ = ["Reader", "Writer"]

_MOST_SHAPES = 1000  # a program that makes types without end must not fill the memory
_shapes: dict[tuple[str, Any], Any] = {}


def _shape(cls: str, kind: Any) -> Any:
    """What a backend reads and writes a value of the type by; `cls` is named in errors."""
    if is_record(kind):
        return lowered(kind).program
    if not isinstance(kind, (LengthType, FieldType)) and kind is not bool:
        raise TypeError(f"{cls}: a field type or a record class is needed, not {kind!r}")
    made = _shapes.get((cls, kind))
    if made is None:
        _, row = lower_row(cls, [(shown(kind), kind, None)])
        made = _backend.packers.Row(cls, row)
        if len(_shapes) < _MOST_SHAPES:
            _shapes[cls, kind] = made
    return made


class Reader(_Reader):
    """Reads values one after the other out of a buffer, each at the place where the last one ended.

    There is a method for each field type that stands by itself: `u16()`, `str_u8()`, `varint()`, `f64le()`,
    `bool()`, `rest()` ...; `read` takes any type, also record classes. Bytes that are no such value are
    RecordError, which names the type and the offset, and then the place is where it was. The buffer is held
    (a bytearray cannot grow) as long as the Reader. One thread at a time.

    >>> from framewire import Reader, list_u8, u16
    >>> reader = Reader(b"\\0\\7\\3abc\\2\\0\\1\\0\\2..")
    >>> reader.u16(), reader.str_u8(), reader.read(list_u8[u16])
    (7, 'abc', [1, 2])
    >>> reader.tell(), reader.remaining
    (11, 2)
    >>> reader.u32()
    Traceback (most recent call last):
    framewire.errors.RecordError: Reader.u32: 4 bytes needed at offset 11, 2 left

    A name in a DNS message ends with a pointer to where the rest of it stands (RFC 1035 section 4.1.4):

    >>> def name(reader):
    ...     labels, end = [], None
    ...     while length := reader.u8():
    ...         if length < 0xc0:
    ...             labels.append(reader.bytes(length))
    ...             continue
    ...         pointer = (length & 0x3f) << 8 | reader.u8()
    ...         if pointer >= reader.tell() - 2:
    ...             raise ValueError("a pointer that does not go back")  # or it might never end
    ...         end = end or reader.tell()
    ...         reader.seek(pointer)
    ...     if end is not None:
    ...         reader.seek(end)
    ...     return b".".join(labels)
    >>> reader = Reader(b"\\3www\\7example\\0\\4mail\\xc0\\4")
    >>> name(reader), name(reader), reader.remaining
    (b'www.example', b'mail.example', 0)
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def read(self, kind: type[T]) -> T: ...
        @overload
        def read(self, kind: object) -> Any: ...

    def read(self, kind: Any) -> Any:
        """The next value, of any field type or record class; errors of a record name its fields.

        >>> from framewire import Reader, Record, u8
        >>> class Point(Record):
        ...     x: u8
        ...     y: u8
        >>> Reader(b"\\1\\2").read(Point)
        Point(x=1, y=2)
        """
        return self.read_by(_shape("Reader", kind))


class Length:
    """What `Writer.length` gives, for `with`."""

    __slots__ = ("_writer", "_kind", "_own", "_start", "_body")

    def __init__(self, writer: Writer, kind: LengthType, own: Bool) -> None:
        self._writer = writer
        self._kind = kind
        self._own = own

    def __enter__(self) -> None:
        self._start = self._writer.tell()
        self._writer.add(bytes(self._kind.narrowest))
        self._body = self._writer.tell()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        writer, start = self._writer, self._start
        size = writer.tell() - self._body
        try:
            if kind is None:
                writer.replace(start, self._body, self._encoded(size))
        except BaseException:
            writer.replace(start, writer.tell(), b"")
            raise
        if kind is not None:
            writer.replace(start, writer.tell(), b"")

    def _encoded(self, size: int) -> Bytes:
        pack = _shape("Writer", self._kind).pack
        made: bytes = pack(size)
        while self._own:
            again: bytes = pack(size + len(made))
            if len(again) == len(made):
                return again
            made = again
        return made


class Writer(_Writer):
    """Writes values one after the other into memory that grows, of which `capacity` bytes are there at once.

    There is a method for each field type that stands by itself: `u16(value)`, `str_u8(value)` ...; `write`
    takes a record, or any type and a value. What cannot be written is EncodeError, which names the type, and
    then nothing was. One thread at a time.

    >>> from framewire import Writer, u32
    >>> writer = Writer()
    >>> writer.u16(7)
    >>> with writer.length(u32):
    ...     writer.str_u8("abc")
    ...     writer.bytes(b"..")
    >>> writer.getvalue().hex(" ")
    '00 07 00 00 00 06 03 61 62 63 2e 2e'
    >>> writer.u16(70000)
    Traceback (most recent call last):
    framewire.errors.EncodeError: Writer.u16: 70000 is not in 0..65535
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def write(self, kind: Record, /) -> None: ...
        @overload
        def write(self, kind: type[T], value: T, /) -> None: ...
        @overload
        def write(self, kind: object, value: Any, /) -> None: ...

    def write(self, kind: Any, /, *value: Any) -> None:
        """Write a record, or a value of any field type or record class.

        >>> from framewire import Record, Writer, list_u8, u8
        >>> class Point(Record):
        ...     x: u8
        ...     y: u8
        >>> writer = Writer()
        >>> writer.write(Point(1, 2))
        >>> writer.write(list_u8[Point], [Point(3, 4)])
        >>> writer.getvalue()
        b'\\x01\\x02\\x01\\x03\\x04'
        """
        if len(value) > 1:
            raise TypeError(
                f"Writer.write: a record, or a type and a value: {1 + len(value)} arguments given"
            )
        if value:
            self.write_by(_shape("Writer", kind), value[0])
        elif is_record(type(kind)):
            cls: Any = type(kind)
            self.write_by(lowered(cls).program, kind)
        else:
            raise TypeError(f"Writer.write: a record, or a type and a value; not {type(kind).__name__}")

    def length(self, kind: LengthLike, *, counts: Literal["body", "field"] = "body") -> Length:
        """A `with` block that has its size in bytes in front when it ends, as a number of type `kind`.

        With `counts="field"` the size includes that of the number. EncodeError if it cannot be said; after an
        error, also one raised by the block, nothing of the block is left. Blocks can be within blocks. A
        number of several widths is put in at the end of the block, which moves it.

        >>> from framewire import Writer, u8, varint
        >>> writer = Writer()
        >>> with writer.length(varint), writer.length(u8, counts="field"):
        ...     writer.bytes(b"abc")
        >>> writer.getvalue()
        b'\\x04\\x04abc'
        """
        if not isinstance(kind, LengthType):
            raise TypeError(f"Writer.length: the type of a number is needed, such as u32, not {kind!r}")
        if counts not in ("body", "field"):
            raise DeclarationError(f"Writer.length: counts={counts!r} must be one of body, field")
        return Length(self, kind, counts == "field")


def _add_methods() -> None:
    for name in (*fields.__all__, "bool"):
        kind: Any = bool if name == "bool" else getattr(fields, name)
        if kind is not bool and not isinstance(kind, (LengthType, FieldType)):
            continue
        if isinstance(kind, FieldType) and kind.kind in (LIST, ARRAY, CONST, PAD):
            continue
        setattr(Reader, name, _backend.cursors.ReadMethod(name, _shape("Reader", kind)))
        setattr(Writer, name, _backend.cursors.WriteMethod(name, _shape("Writer", kind)))
    Reader.bytes, Writer.bytes = Reader.take, Writer.add  # type: ignore[method-assign]


_add_methods()
