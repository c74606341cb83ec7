"""Records in Python: what a field program does, and the twin of `_native.records`.

A program is a tuple of fields (name, type). A type is a tuple (kind, least, plain, ...): `least` is the
fewest bytes it has, `plain` whether it always has them and no byte of them can be wrong. See `lower` in
_lowering.py for what follows. Each type becomes three functions: one of `packing`, two of `unpacking`.
A record's own three are generated as source, in which neighbouring fields of fixed width are one call of
`struct`; where that call fails, the fields are written one by one, to find out which one it is.
"""

from __future__ import annotations

import struct
from operator import index as to_index

from .. import errors
from .packing import writer
from .shape import CONST, FAR, PAD, More, Refused, Wrong, code_of, short
from .straight import STRAIGHT, pack_of, unpack_of
from .unpacking import reader, skipper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, SupportsIndex

    from typing_extensions import Buffer

    from .shape import Read, Skip, Write

__all__ = ["Program", "construct"]


class Program:
    """The field program of one record class, `name` in errors; runs once `build` has given it its fields."""

    def __init__(self, name: str, cls: type) -> None:
        self.name = name
        self.cls = cls
        self._pack: Callable[[Any], bytes] = self._packed
        self._unpack: Callable[[Buffer], Any] = self._unpacked

    def build(self, fields: tuple[tuple[str, tuple[Any, ...]], ...]) -> None:
        """Give the program its fields, of which other programs may not be built yet."""
        self.fields = fields
        self.straight = all(kind[0] < STRAIGHT for _, kind in fields)
        self.frozen = any("__setattr__" in one.__dict__ for one in self.cls.__mro__[:-1])
        made: dict[str, Any] = {
            "names": [name for name, _ in fields],
            "cls": self.cls,
            "new": object.__new__,
            "Wrong": Wrong,
            "Refused": Refused,
            "More": More,
            "FAR": FAR,
            "lacking": _lacking,
            "mend": _mend,
            "StructError": struct.error,
            "frozen": self.frozen,
        }
        for i, (name, kind) in enumerate(fields):
            made[f"read_{i}"], made[f"write_{i}"], made[f"skip_{i}"] = (
                reader(kind),
                writer(kind),
                skipper(kind),
            )
            if kind[0] not in (CONST, PAD) and self.cls is not tuple:
                made[f"set_{i}"] = getattr(self.cls, name).__set__
        self.values = sum(kind[0] not in (CONST, PAD) for _, kind in fields)
        exec(_source(fields, made), made)
        self._least = sum(kind[1] for _, kind in fields)
        self.read: Read = made["read"]
        self.write: Write = made["write"]
        self.skip: Skip = made["skip"]

    def calls(self) -> dict[str, Any]:
        """What the record class is to be given, by name: methods of its instances, and of itself."""

        def pack(record: Any) -> bytes:
            return self._packed(record)

        def pack_into(record: Any, buffer: Buffer, offset: SupportsIndex = 0) -> int:
            return self.pack_into(record, buffer, offset)

        def append_to(record: Any, target: bytearray) -> None:
            self.append_to(record, target)

        def size_of(record: Any) -> int:
            return self.size_of(record)

        if self.straight:
            self._pack, self._unpack = pack_of(self, pack), unpack_of(self, self._unpacked)
        return {
            "pack": self._pack if self.straight else pack,
            "pack_into": pack_into,
            "append_to": append_to,
            "size_of": size_of,
            "unpack": staticmethod(self._unpack),
            "unpack_from": self.unpack_from,
            "unpack_many": self.unpack_many,
            "missing": self.missing,
        }

    def pack(self, record: object) -> bytes:
        """The bytes of `record`."""
        return self._pack(record)

    def pack_into(self, record: object, buffer: Buffer, offset: SupportsIndex = 0) -> int:
        """Write the bytes of `record` into a writable buffer; returns where they end."""
        at = to_index(offset)
        packed = self._pack(record)
        size = len(packed)
        with memoryview(buffer) as given:
            if not given.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if given.readonly:
                raise TypeError(f"pack_into: the buffer is read-only ({type(buffer).__name__})")
            with given.cast("B") if given.nbytes else memoryview(bytearray()) as view:
                _check_offset(at, len(view))
                if size > len(view) - at:
                    raise errors.encode_no_room(size, at, len(view))
                view[at : at + size] = packed
        return at + size

    def append_to(self, record: object, target: bytearray) -> None:
        """Append the bytes of `record` to a bytearray."""
        if not isinstance(target, bytearray):
            raise TypeError(f"append_to: a bytearray is needed, not {type(target).__name__}")
        packed = self._pack(record)
        target += packed

    def size_of(self, record: object) -> int:
        """How many bytes `record` has."""
        return len(self._pack(record))

    def unpack(self, data: Buffer) -> Any:
        """The record that `data` is, all of it."""
        return self._unpack(data)

    def _unpacked(self, data: Buffer) -> Any:
        return self._reading(data, self._read_whole)

    def unpack_from(self, data: Buffer, offset: SupportsIndex = 0) -> tuple[Any, int]:
        """The record at `offset`, and where it ends."""
        at = to_index(offset)

        def read(view: bytes | memoryview, size: int) -> Any:
            _check_offset(at, size)
            return self.read(view, at, size, 1)

        return self._reading(data, read)  # type: ignore[no-any-return]

    def unpack_many(self, data: Buffer, count: SupportsIndex) -> list[Any]:
        """The `count` records that `data` is, all of it."""
        most = to_index(count)
        if most < 0:
            raise errors.bad_count(most)
        if self._least == 0:
            raise errors.record_uncountable(self.name)
        return self._reading(data, lambda view, size: self._read_many(view, size, most))  # type: ignore[no-any-return]

    def missing(self, data: Buffer, offset: SupportsIndex = 0) -> int:
        """How many bytes the record at `offset` lacks at least; 0 if it is whole."""
        at = to_index(offset)

        def skip(view: bytes | memoryview, size: int) -> Any:
            _check_offset(at, size)
            self.skip(view, at, size, 1)

        try:
            self._reading(data, skip)
        except More as more:
            return more.size
        return 0

    def _reading(self, data: Buffer, read: Callable[[bytes | memoryview, int], Any]) -> Any:
        """What `read` makes of the bytes of `data`, and their number; a fault as the error that it means."""
        view = data if type(data) is bytes else _bytes(data)
        try:
            return read(view, len(view))
        except Wrong as wrong:
            error = wrong.error(self.name)
        finally:
            _let_go(view)
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback

    def _read_whole(self, view: bytes | memoryview, size: int) -> Any:
        record, at = self.read(view, 0, size, 1)
        if at != size:
            raise Wrong(errors.BEHIND, at, size - at)
        return record

    def _read_many(self, view: bytes | memoryview, size: int, count: int) -> list[Any]:
        records: list[Any] = []
        at = 0
        try:
            while len(records) < count:
                record, at = self.read(view, at, size, 1)
                records.append(record)
        except Wrong as wrong:
            wrong.path.append(len(records))
            raise
        if at != size:
            raise Wrong(errors.BEHIND, at, size - at)
        return records

    def _packed(self, record: object) -> bytes:
        out = bytearray()
        try:
            if not issubclass(type(record), self.cls):
                raise TypeError(f"a {self.name} is needed, not {type(record).__name__}")
            self.write(record, out, 1)
            return bytes(out)
        except Refused as refused:
            error = refused.error(self.name)
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback


def construct(
    cls: type, names: tuple[str, ...], defaults: dict[str, tuple[Any, bool]], kw_only: bool
) -> None:
    """Have calls of the class do what its `__init__` does: `defaults` has (value, whether to copy it)."""


def _check_offset(at: int, size: int) -> None:
    if not 0 <= at <= size:
        raise errors.bad_offset(at, size)


def _bytes(data: Buffer) -> memoryview:
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _let_go(view: bytes | memoryview) -> None:
    if type(view) is memoryview:
        view.release()


def _lacking(widths: tuple[int, ...], first: int, at: int, size: int) -> tuple[int, Wrong]:
    """Which field of a run of fixed ones, from number `first` on, is not all there, and its fault."""
    for i, width in enumerate(widths):
        if at + width > size:
            return first + i, short(at, size, width)
        at += width
    raise AssertionError("the run is all there")


def _mend(error: AttributeError, record: object, name: str) -> Exception:
    """An unset field, or an AttributeError out of the user's own code."""
    if type(record) is tuple or getattr(record, name, _mend) is not _mend:
        return error
    return Refused(errors.record_unset)


def _source(fields: tuple[tuple[str, tuple[Any, ...]], ...], made: dict[str, Any]) -> str:
    """Source of `read`, `write` and `skip` of a record; `made` is to hold what it refers to."""
    slots = [(i, name) for i, (name, kind) in enumerate(fields) if kind[0] not in (CONST, PAD)]
    is_tuple = made["cls"] is tuple
    value = {i: f"record[{k}]" if is_tuple else f"record.{name}" for k, (i, name) in enumerate(slots)}
    read = ["def read(data, at, size, depth):", " step = 0", " try:", "  pass"]
    write = ["def write(record, out, depth):", " step = 0", " try:", "  pass"]
    skip = ["def skip(data, at, size, depth):", " step = 0", " try:", "  pass"]
    i = 0
    while i < len(fields):
        run = _run(fields, i)
        j = i + max(1, len(run))
        if len(run) > 1:
            order = next((code[0] for code in run if code[0]), ">")
            layout = struct.Struct(order + "".join(code[1] for code in run))
            widths = tuple(kind[1] for _, kind in fields[i:j])
            made |= {f"widths_{i}": widths, f"pack_{i}": layout.pack, f"unpack_{i}": layout.unpack_from}
            kept = [k for k in range(i, j) if fields[k][1][0] != PAD]
            targets = "".join(f"v{k}, " for k in kept)
            values = "*record" if is_tuple and len(kept) == len(slots) else ", ".join(value[k] for k in kept)
            read += [
                f"  if at + {layout.size} > size:",
                f"   step, wrong = lacking(widths_{i}, {i}, at, size)",
                "   raise wrong",
                *([f"  {targets}= unpack_{i}(data, at)"] if kept else []),
                f"  at += {layout.size}",
            ]
            write += ["  try:", f"   out += pack_{i}({values})"]
            write += ["  except (StructError, OverflowError, AttributeError):"]
            for k in range(i, j):
                write += [f"   step = {k}", f"   write_{k}({value.get(k)}, out, depth)"]
            skip += [f"  step = {j - 1}", f"  if at + {layout.size} > size:"]
            skip += [f"   raise More(at + {layout.size} - size)", f"  at += {layout.size}"]
        else:
            read += [f"  step = {i}", f"  v{i}, at = read_{i}(data, at, size, depth)"]
            write += [f"  step = {i}", f"  write_{i}({value.get(i)}, out, depth)"]
            skip += [f"  step = {i}", f"  at = skip_{i}(data, at, size, depth)"]
        i = j
    catch = [" except Wrong as wrong:", "  wrong.path.append(names[step])", "  raise"]
    fill = [f" set_{i}(record, v{i})" if made["frozen"] else f" record.{name} = v{i}" for i, name in slots]
    make = [" record = new(cls)", *fill]
    if is_tuple:
        make = [f" record = ({''.join(f'v{i}, ' for i, _ in slots)})"]
    read += [*catch, *make, " return record, at"]
    write += [
        " except AttributeError as error:",
        "  mended = mend(error, record, names[step])",
        "  if mended is error: raise",
        "  mended.path.append(names[step])",
        "  raise mended from None",
        " except Refused as refused:",
        "  refused.path.append(names[step])",
        "  raise",
    ]
    made["tails"] = [sum(kind[1] for _, kind in fields[i + 1 :]) for i in range(len(fields))]
    skip += ["  return at", *catch]
    skip += [" except More as more:", "  raise More(min(more.size + tails[step], FAR)) from None"]
    return "\n".join([*read, *write, *skip])


def _run(fields: tuple[tuple[str, tuple[Any, ...]], ...], first: int) -> list[tuple[str, str]]:
    """Byte order ("" for any) and letters of the fields from `first` on that one call of `struct` does."""
    run: list[tuple[str, str]] = []
    order = ""
    for _, kind in fields[first:]:
        code = ("", f"{kind[1]}x") if kind[0] == PAD else code_of(kind)
        if code is None:
            break
        mine = code[0] if kind[1] > 1 and kind[0] != PAD else ""
        if mine and order and mine != order:
            break
        order = mine or order
        run.append((mine, code[1]))
    return run
