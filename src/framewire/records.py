"""Records: typed binary messages, declared as annotated classes and packed in network byte order.

A record class is a class with slots, one for each field that has a value. Its annotations are the field
types of fields.py, `bool`, or other records; lengths, counts and constants are no attributes. Each
annotation becomes a type tuple (_lowering.py), and the backend's `Program` (`_pure.records` is the
specification) runs them. That happens on first use: until then `pack`, `unpack` and the others are the
functions of `Record`, which lower the class and are replaced by the program's own, so that a call goes
straight to the backend. Nothing here reads a byte; `dataclass_transform` lets type checkers see the
constructor.
"""

from __future__ import annotations

import sys
from keyword import iskeyword

from . import _backend, errors
from ._lowering import Layout, Recorded, default_of, is_fixed, is_record, is_type, lowered, resolve
from .errors import DeclarationError
from .fields import (
    CONST,
    PAD,
    LengthType,
    const,
    digits,
    enumerated,
    hexdigits,
    leb128,
    need_bool,
    need_choice,
    pad,
    tiered,
)
from .sequences import array_of, binary, codec, cstring, fixed, list_of, repeat, string, view
from .structure import bits, oneof, size, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, overload

    from typing_extensions import Buffer, Self, dataclass_transform
else:

    def dataclass_transform(**options):
        return lambda cls: cls


__all__ = ["Record", "Messages"]

# What each record class has from its program.
_CALLS = ("pack", "pack_into", "append_to", "size_of", "unpack", "unpack_from", "unpack_many", "missing")
_RESERVED = frozenset(_CALLS) | {"iter_unpack", "fixed_size", "min_size", "replace", "astuple", "asdict"}
_OURS = frozenset({"self", "_layout", "_program", "_constructor"})


@dataclass_transform(
    field_specifiers=(
        const,
        pad,
        enumerated,
        leb128,
        digits,
        hexdigits,
        tiered,
        string,
        binary,
        view,
        cstring,
        fixed,
        list_of,
        array_of,
        repeat,
        codec,
        oneof,
        when,
        bits,
        size,
    )
)
class RecordType(Recorded):
    """The class of record classes."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        frozen: bool = False,
        kw_only: bool = False,
        byteorder: str = "big",
        extensible: bool = False,
    ) -> RecordType:
        records = [base for base in bases if isinstance(base, RecordType)]
        if not records:
            return super().__new__(mcls, name, bases, {**namespace, "_layout": Layout((), {}, {})})
        base = next((base for base in records if base._layout.annotations), records[0])
        old = base._layout
        for other in records:
            if other._layout.annotations and not issubclass(base, other):
                raise DeclarationError(f"{name}: {base.__name__} and {other.__name__} both have fields")
            if other._layout.frozen != frozen and (other._layout.annotations or other._layout.frozen):
                raise DeclarationError(f"{name}: frozen must be what it is in {other.__name__}")
            if other._layout.little != (byteorder == "little") and other._layout.annotations:
                raise DeclarationError(f"{name}: byteorder must be what it is in {other.__name__}")
        need_choice(name, "byteorder", byteorder, ("big", "little"))
        own = {
            key: value
            for key, value in namespace.get("__annotations__", {}).items()
            if str(value).partition("[")[0].rpartition(".")[2] != "ClassVar"
        }
        for key in own:
            # No field can so have a name that _write_methods uses.
            if key in _RESERVED or key in _OURS or (key.startswith("__") and key.endswith("__")):
                raise DeclarationError(f"{name}.{key}: a field cannot have the name of a call of records")
            if not key.isidentifier() or iskeyword(key):
                raise DeclarationError(f"{name}.{key}: a field needs a name that Python can say")
        for key in _RESERVED:
            if key in namespace:
                raise DeclarationError(f"{name}.{key}: the calls of records cannot be replaced")
        if "__post_init__" in namespace:
            raise DeclarationError(f"{name}.__post_init__: nothing calls it: reading runs no code of yours")
        for key, value in namespace.items():
            if is_type(value) and key not in namespace.get("__annotations__", {}):
                raise DeclarationError(f"{name}.{key}: a field has an annotation: `{key}: {value!r}`, say")
        for key in old.names:
            if key in namespace and key not in own:
                raise DeclarationError(f"{name}.{key}: something else has the name of this field")
        given = {**old.given, **{key: namespace[key] for key in own if key in namespace}}
        for key in own:
            if key not in namespace:
                given.pop(key, None)
        annotations = {**old.annotations, **own}
        names = tuple(key for key in annotations if not is_fixed(given.get(key)))
        space = {key: value for key, value in namespace.items() if key not in own}
        more = namespace.get("__slots__", ())
        slots = [key for key in own if key in names and key not in old.names]
        space["__slots__"] = (*slots, *([more] if isinstance(more, str) else more))
        space["_layout"] = layout = Layout(names, annotations, given)
        layout.base, layout.own = base, frozenset(own)
        layout.frozen, layout.kw_only = frozen, kw_only
        layout.little, layout.extensible = byteorder == "little", need_bool(name, "extensible", extensible)
        for key, value in given.items():
            if is_fixed(value) and value.kind in (CONST, PAD):
                space[key] = value.detail if value.kind == CONST else bytes(value.detail)
        if not kw_only:
            space.setdefault("__match_args__", names)
        if frozen:
            space["__setattr__"] = space["__delattr__"] = _frozen
        cls = super().__new__(mcls, name, bases, space)
        for key in _CALLS:
            setattr(cls, key, _first_call(cls, key))
        _write_methods(cls, namespace)
        frame = sys._getframe(1)
        layout.scope = frame.f_globals, {}
        inside = {key: value for key, value in namespace.items() if key not in own}
        try:
            resolve(cls, layout, {**frame.f_locals, **inside, name: cls})
        except (NameError, AttributeError):
            seen = {} if frame.f_locals is frame.f_globals else frame.f_locals
            layout.scope = frame.f_globals, {**seen, **inside, name: cls}
        return cls

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: object
    ) -> None:
        super().__init__(name, bases, namespace)

    @property
    def fixed_size(cls) -> int | None:
        """How many bytes every record of this class has, None where they differ.

        >>> from framewire import Record, str_u8, u16, u32
        >>> class Point(Record):
        ...     x: u32
        ...     y: u32
        >>> class Named(Record):
        ...     name: str_u8
        >>> Point.fixed_size, Named.fixed_size
        (8, None)
        """
        least, fixed, _ = lowered(cls).size
        return least if fixed else None

    @property
    def __layout__(cls) -> str:
        """The fields as text, which `record` takes.

        >>> from framewire import Record, list_u8, str_u8, u16
        >>> class Open(Record):
        ...     host: str_u8
        ...     ports: list_u8[u16] = []
        >>> Open.__layout__
        'str_u8 host, u16[u8] ports = []'
        """
        from ._layouts import layout_text

        return layout_text(cls)

    @property
    def min_size(cls) -> int:
        """The fewest bytes that a record of this class can have."""
        return lowered(cls).size[0]


def _first_call(cls: RecordType, key: str) -> Any:
    """What stands for a call of the program's until there is one."""
    plain = Record.__dict__[key]

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(lowered(cls).program, key)(*arguments, **options)

    call.__name__, call.__doc__ = key, plain.__doc__
    return staticmethod(call) if isinstance(plain, classmethod) else call


# --- what a class is given ------------------------------------------------------------------------------


def _write_methods(cls: RecordType, namespace: dict[str, Any]) -> None:
    """`__init__`, `__eq__` and `__hash__`, as source: a loop over the fields costs several times more."""
    layout = cls._layout
    names, where = layout.names, cls.__name__
    made: dict[str, Any] = {"__name__": cls.__module__}
    parameters, body = [], []
    defaults: dict[str, tuple[Any, bool]] = {}
    for name in names:
        value = name
        default = default_of(layout.given.get(name, ...))
        if default is not ...:
            made[f"__default_{name}__"] = default
            parameters.append(f"{name}=__default_{name}__")
            if isinstance(default, list) and default:
                raise DeclarationError(f"{where}.{name}: the default of a list must be empty")
            if isinstance(default, Record) and not type(default)._layout.frozen:
                raise DeclarationError(f"{where}.{name}: a record as default must be frozen")
            copied = isinstance(default, (list, bytearray)) or hasattr(default, "typecode")
            defaults[name] = default, copied
            if copied:
                value = f"__default_{name}__[:] if {name} is __default_{name}__ else {name}"
        elif defaults and not layout.kw_only:
            raise DeclarationError(f"{where}.{name}: a field without default stands behind one that has one")
        else:
            parameters.append(name)
        if layout.frozen:
            made[f"__set_{name}__"] = getattr(cls, name).__set__
            body.append(f" __set_{name}__(self, {value})")
        else:
            body.append(f" self.{name} = {value}")
    star = "*, " if layout.kw_only and names else ""
    values = "".join(f"{{0}}.{name}, " for name in names)
    mine, theirs = values.format("self"), values.format("other")
    source = [f"def __init__(self, {star}{', '.join(parameters)}):", *body, " pass"]
    source += ["def __eq__(self, other):", " if type(other) is not type(self): return NotImplemented"]
    source += [f" return ({mine}) == ({theirs})"]
    source += ["def __hash__(self):", f" return hash(({mine}))"]
    exec("\n".join(source), made)
    for key in ("__init__", "__eq__"):
        if key not in namespace:
            made[key].__qualname__ = f"{cls.__qualname__}.{key}"
            setattr(cls, key, made[key])
    plain: Any = object
    sets_plainly = layout.frozen or cls.__setattr__ is plain.__setattr__
    called_plainly = type(cls).__call__ is type.__call__
    if "__init__" not in namespace and cls.__new__ is plain.__new__ and sets_plainly and called_plainly:
        _backend.records.construct(cls, names, defaults, layout.kw_only)
    if "__hash__" not in namespace:
        cls.__hash__ = made["__hash__"] if layout.frozen else None  # type: ignore[assignment]


def _restored(cls: RecordType, values: tuple[Any, ...]) -> Any:
    """A record out of its pickle."""
    record: Any = object.__new__(cls)  # type: ignore[arg-type]
    for name, value in zip(cls._layout.names, values):
        getattr(cls, name).__set__(record, value)
    return record


# --- the face -------------------------------------------------------------------------------------------


class Record(metaclass=RecordType):
    """The base class of records: annotate a class with field types, and it packs and unpacks.

    Byte order is the network's; a type that ends in `le` is little-endian. Class options: `frozen=True`
    (no field can be set, hashable), `kw_only=True`, `byteorder="little"` (for the integers and floats of this
    class, also those that count or tag) and `extensible=True`: where the end is known (in `unpack`, in a
    record with a `size`, and in what stands last there), further bytes are ignored, and fields with defaults
    need not be there if nothing follows them. Fields have defaults as in any class. Records compare, pickle
    and copy by the values of their fields. What a field may hold is checked when it is packed: then
    EncodeError names the field. Bytes that are no such record are RecordError: reason `truncated`,
    `trailing-bytes`, `bad-magic` (a constant), `bad-number`, `bad-tag`, `bad-size`, `bad-value` (of an
    enumeration), `bad-text` (not in its encoding), `too-large` (more than max=), `bad-padding` (not zero),
    `bad-end` (of a codec) or `too-deep` (more than 64 records within each other). A count is compared with
    the bytes that are left before anything is allocated for it.

    >>> import framewire as fw
    >>> class Sample(fw.Record):
    ...     sensor: fw.u16
    ...     name: fw.str_u8
    ...     values: fw.list_u16[fw.f32] = []
    >>> data = Sample(7, "t1", [20.5]).pack()
    >>> data.hex(" ")
    '00 07 02 74 31 00 01 41 a4 00 00'
    >>> Sample.unpack(data)
    Sample(sensor=7, name='t1', values=[20.5])
    >>> Sample.unpack(data[:-1])
    Traceback (most recent call last):
    framewire.errors.RecordError: Sample.values[0]: 4 bytes needed at offset 7, 3 left
    >>> Sample(70000, "t1").pack()
    Traceback (most recent call last):
    framewire.errors.EncodeError: Sample.sensor: 70000 is not in 0..65535
    """

    __slots__ = ()

    def pack(self) -> bytes:
        """The record as bytes. EncodeError names the field that cannot be packed.

        >>> from framewire import Record, u16
        >>> class Port(Record):
        ...     number: u16
        >>> Port(80).pack()
        b'\\x00P'
        """
        return lowered(type(self)).program.pack(self)  # type: ignore[no-any-return]

    def pack_into(self, buffer: Buffer, offset: int = 0) -> int:
        """Write the record into a writable buffer at `offset`; returns where it ends.

        EncodeError as `pack`; BufferError if it does not fit, IndexError if `offset` is not in the buffer,
        TypeError if that is read-only. After an error nothing was written.
        """
        return lowered(type(self)).program.pack_into(self, buffer, offset)  # type: ignore[no-any-return]

    def append_to(self, target: bytearray) -> None:
        """Append the record to `target`; EncodeError as `pack`, and then nothing was appended."""
        lowered(type(self)).program.append_to(self, target)

    def size_of(self) -> int:
        """How many bytes `pack` would give; EncodeError as `pack`."""
        return lowered(type(self)).program.size_of(self)  # type: ignore[no-any-return]

    @classmethod
    def unpack(cls, data: Buffer) -> Self:
        """The record that `data` is. RecordError if it is no such record, or if bytes are left over."""
        return lowered(cls).program.unpack(data)  # type: ignore[no-any-return]

    @classmethod
    def unpack_from(cls, data: Buffer, offset: int = 0) -> tuple[Self, int]:
        """(the record at `offset`, where it ends); RecordError as `unpack`, IndexError for a bad offset.

        >>> from framewire import Record, u16
        >>> class Port(Record):
        ...     number: u16
        >>> Port.unpack_from(b"xx\\0P...", 2)
        (Port(number=80), 4)
        """
        return lowered(cls).program.unpack_from(data, offset)  # type: ignore[no-any-return]

    @classmethod
    def iter_unpack(cls, data: Buffer) -> Iterator[Self]:
        """The records that stand in `data` one behind the other, each made when it is asked for.

        RecordError as `unpack`, also for a last one that is not whole; its offset is that in `data`.
        DeclarationError for a class whose records may have no bytes.

        >>> from framewire import Record, u16
        >>> class Port(Record):
        ...     number: u16
        >>> [port.number for port in Port.iter_unpack(b"\\0P\\1\\xbb")]
        [80, 443]
        """
        unpack_from, at = lowered(cls).program.unpack_from, 0
        if cls.min_size == 0:
            raise errors.record_uncountable(cls.__name__)
        view = memoryview(data)
        while at < view.nbytes:
            record, at = unpack_from(view, at)
            yield record

    @classmethod
    def unpack_many(cls, data: Buffer, count: int) -> list[Self]:
        """The `count` records that `data` is; RecordError as `unpack`, ValueError for a negative count.

        DeclarationError for a class whose records may have no bytes.

        >>> from framewire import Record, u16
        >>> class Port(Record):
        ...     number: u16
        >>> Port.unpack_many(b"\\0P\\1", 2)
        Traceback (most recent call last):
        framewire.errors.RecordError: Port[1].number: 2 bytes needed at offset 2, 1 left
        """
        return lowered(cls).program.unpack_many(data, count)  # type: ignore[no-any-return]

    @classmethod
    def missing(cls, data: Buffer, offset: int = 0) -> int:
        """How many bytes the record at `offset` lacks at least, 0 if it is whole. Makes no objects.

        RecordError for what no further bytes can mend, except text that is no UTF-8, and items of which not
        all that their count says can be there yet; IndexError for a bad offset. Without an end of its own
        (`rest`) a record is whole as soon as it can be.

        >>> from framewire import Record, str_u8
        >>> class Name(Record):
        ...     name: str_u8
        >>> Name.missing(b""), Name.missing(b"\\5ab"), Name.missing(b"\\2abc")
        (1, 3, 0)
        """
        return lowered(cls).program.missing(data, offset)  # type: ignore[no-any-return]

    def replace(self, **changes: Any) -> Self:
        """A copy with other values for some fields; TypeError for a field that there is not.

        >>> from framewire import Record, u16
        >>> class Port(Record):
        ...     number: u16
        >>> Port(80).replace(number=443)
        Port(number=443)
        """
        return type(self)(**{**{name: getattr(self, name) for name in type(self)._layout.names}, **changes})

    def astuple(self) -> tuple[Any, ...]:
        """The values of the fields, with tuples in place of records, also of those in lists."""
        return tuple(_plain(getattr(self, name), "astuple") for name in type(self)._layout.names)

    def asdict(self) -> dict[str, Any]:
        """The values of the fields by name, with dicts in place of records, also of those in lists.

        >>> from framewire import Record, list_u8, u16
        >>> class Port(Record):
        ...     number: u16
        >>> class Ports(Record):
        ...     open: list_u8[Port]
        >>> Ports([Port(80)]).asdict(), Ports([Port(80)]).astuple()
        ({'open': [{'number': 80}]}, ([(80,)],))
        """
        return {name: _plain(getattr(self, name), "asdict") for name in type(self)._layout.names}

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in type(self)._layout.names)
        return f"{type(self).__name__}({', '.join(values)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), tuple(getattr(self, name) for name in type(self)._layout.names))


def _frozen(self: Record, name: str, value: object = None) -> None:
    """`__setattr__` and `__delattr__` of frozen classes; in others it would cost each assignment."""
    raise AttributeError(f"{type(self).__name__} is frozen: replace({name}=...) makes another one")


def _plain(value: Any, how: str) -> Any:
    if isinstance(value, Record):
        return getattr(value, how)()
    if isinstance(value, list):
        return [_plain(one, how) for one in value]
    return tuple(_plain(one, how) for one in value) if isinstance(value, tuple) else value


class Messages:
    """A codec for several record classes: a tag in front says which one a message is.

    `tag` is the type of the tag, a number; `table` maps each tag to its record class. Give it as `codec=` of
    a connection. The table is copied, and thread-safe as nothing changes it. `Messages(Login)` is the codec
    of a single record class, without a tag.

    >>> import framewire as fw
    >>> class Login(fw.Record):
    ...     user: fw.str_u8
    >>> class Chat(fw.Record):
    ...     text: fw.str_u16
    >>> messages = fw.Messages(fw.u8, {1: Login, 2: Chat})
    >>> messages.encode(Chat("hi"))
    b'\\x02\\x00\\x02hi'
    >>> messages.decode(b"\\1\\3bob")
    Login(user='bob')
    >>> messages.decode(b"\\3")
    Traceback (most recent call last):
    framewire.errors.RecordError: Messages.tag: the tag 3 at offset 0 is not in the table
    """

    if TYPE_CHECKING:

        @overload
        def __init__(self, tag: type[Record]) -> None: ...
        @overload
        def __init__(self, tag: type[int] | LengthType, table: Mapping[int, type[Record]]) -> None: ...

    def __init__(self, tag: Any, table: Any = None) -> None:
        rows: list[tuple[int, bytes, type[Record]]] = []
        program = None
        if table is None and is_record(tag):
            rows.append((0, b"", tag))
            self._shown = tag.__name__
        elif not isinstance(tag, LengthType) or table is None:
            raise TypeError(f"Messages: give the type of the tag, such as u8, and a table, not {tag!r}")
        else:
            tags: Any = RecordType("Messages", (Record,), {"__annotations__": {"tag": tag}})
            program = lowered(tags).program
            for number, cls in dict(table).items():
                if not is_record(cls):
                    raise TypeError(f"Messages: the tag {number} must have a record class, not {cls!r}")
                if any(other is cls for _, _, other in rows):
                    raise DeclarationError(f"Messages: {cls.__name__} has two tags")
                try:
                    rows.append((int(number), tags(number).pack(), cls))
                except errors.EncodeError as error:
                    raise DeclarationError(str(error)) from None
            self._shown = f"{tag!r}, {{{', '.join(f'{number}: {cls.__name__}' for number, _, cls in rows)}}}"
        # A connection finds out whose calls these are, and has records packed into memory of its own.
        self._codec = _backend.messages.Codec("Messages", program, rows, lambda cls: lowered(cls).program)
        self.__dict__.update(encode=self._codec.encode, decode=self._codec.decode)

    def __repr__(self) -> str:
        return f"Messages({self._shown})"

    def encode(self, message: Record) -> bytes:
        """The tag and the bytes of `message`; EncodeError as its `pack`, or if its class has no tag."""
        return self._codec.encode(message)

    def decode(self, data: Buffer) -> Record:
        """The record that `data` is; RecordError as its `unpack`, or for a tag that is not in the table."""
        return self._codec.decode(data)  # type: ignore[no-any-return]
