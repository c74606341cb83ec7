"""From a record class to the field program that runs it.

`lower` turns an annotation, or what stands right of `=`, into a type tuple; `resolve` does so for all fields
of a class. A record may name another one that is declared behind it, so a class is lowered on first use, with
all records inside of it: `lowered` measures them, builds their programs and gives each class its program's
calls. Nothing here reads or writes a byte.
"""

from __future__ import annotations

import sys
from _thread import RLock
from types import MemberDescriptorType

from . import _backend, errors
from .errors import DeclarationError
from .fields import (
    ARRAY,
    ARRAYED,
    BINARY,
    BOOL,
    BYTES,
    CODEC,
    CONST,
    CSTR,
    ENUM,
    FIXED,
    FLOAT,
    LIST,
    LISTED,
    NUMBER,
    PAD,
    RECORD,
    REPEAT,
    REST,
    ROW,
    STR,
    TEXT,
    TIERED,
    UINT,
    VIEW,
    FieldType,
    LengthType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_lowering = RLock()
_MOST_LISTS = 3
_MOST_BYTES = (1 << 31) - 1
_SCALARS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Layout:
    """What a record class knows of itself; `program` is None until it is lowered."""

    def __init__(self, names: tuple[str, ...], annotations: dict[str, Any], given: dict[str, Any]) -> None:
        self.base: Recorded | None = None  # where the fields come from that are not declared here
        self.own: frozenset[str] = frozenset()  # the fields that are
        self.names = names  # of the fields with a value
        self.annotations = annotations  # of all fields, in order
        self.given = given  # what stood right of `=`
        self.scope: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self.frozen = self.kw_only = False
        self.meant: dict[str, Any] = {}  # the annotations, of which some were strings
        self.types: tuple[Any, ...] = ()
        self.program: Any = None
        self.size: tuple[int, bool, bool] | None = None  # what measure says


class Recorded(type):
    """The class of record classes, as far as lowering knows it."""

    _layout: Layout


def is_record(given: object) -> bool:
    """Whether it is a record class, other than `Record`, which has no base."""
    return isinstance(given, Recorded) and given._layout.base is not None


def is_fixed(given: object) -> bool:
    return isinstance(given, FieldType) and given.kind in (CONST, PAD)


def is_type(given: object) -> bool:
    return isinstance(given, (LengthType, FieldType))


def says_all(given: object) -> bool:
    """Whether it is a type that needs no annotation beside it."""
    if isinstance(given, FieldType):
        return given.kind not in (CONST, PAD) and not (given.kind == ENUM and given.detail[0] is None)
    return isinstance(given, LengthType)


def default_of(given: object) -> object:
    """The default of a field with this to the right of `=`; `...` if it has none."""
    if isinstance(given, FieldType):
        return given.default
    return ... if isinstance(given, LengthType) else given


def resolve(cls: Recorded, layout: Layout, names: dict[str, Any]) -> None:
    """Lower the annotations to types, in which RECORD still holds a class.

    NameError or AttributeError for what is not there yet."""
    outer = sys.modules[cls.__module__].__dict__ if cls.__module__ in sys.modules else {}
    scope = {**layout.scope[0], **outer, **layout.scope[1], **names, cls.__name__: cls}
    inherited: dict[str, Any] = {}
    if layout.base is not None and is_record(layout.base):
        # What a name means is told where it was written, not where it is inherited.
        if len(layout.base._layout.types) != len(layout.base._layout.annotations):
            resolve(layout.base, layout.base._layout, {})
        inherited = dict(layout.base._layout.types)
    types = []
    for name, annotation in layout.annotations.items():
        where = f"{cls.__name__}.{name}"
        if name in layout.own:
            given = layout.given.get(name)
            # An annotation that only a checker can read (`array[int]`) is in nobody's way.
            meant = annotation if says_all(given) else _evaluated(annotation, scope)
            kind = _lower_field(where, meant, given, scope)
        else:
            meant, kind = layout.base._layout.meant[name], inherited[name]  # type: ignore[union-attr]
        layout.meant[name] = meant
        if kind[0] == REST and name != list(layout.annotations)[-1]:
            raise DeclarationError(f"{where}: rest must be the last field")
        types.append((name, kind))
    layout.types = tuple(types)


def _lower_field(where: str, annotation: Any, given: Any, scope: dict[str, Any]) -> tuple[Any, ...]:
    if is_fixed(given):
        return _lower_fixed(where, annotation, given, scope)
    if isinstance(given, FieldType) and given.kind == ENUM and given.detail[0] is None:
        return _lower_enum(where, annotation, given, scope)
    return lower(where, given if is_type(given) else annotation, scope)


def _evaluated(annotation: Any, scope: dict[str, Any]) -> Any:
    while isinstance(annotation, str):
        annotation = eval(annotation, scope)
    return annotation


def lower(where: str, annotation: Any, scope: dict[str, Any], lists: int = 0) -> tuple[Any, ...]:
    """The type tuple of an annotation: (kind, least, plain, ...) with, behind these,

    NUMBER: spec of LengthType, least and greatest value; STR, BYTES: the same of the size; LIST: the same of
    the count, type of the items; ARRAY: the same, type of the items, their `array` typecode; FLOAT: width,
    little; CONST: bytes; ENUM: as NUMBER, name, members by number, whether it has no others; RECORD: the
    class, in whose place a backend finds its program; TEXT, BINARY, VIEW: as NUMBER of the size, encoding or
    "" for bytes, the multiple up to which they are padded, limits; LISTED, ARRAYED: as LIST, ARRAY, limits;
    CSTR: encoding, most bytes or -1; FIXED: encoding, padding or b""; REPEAT, ROW: number, type of the items,
    for ROW their typecode; CODEC: its two functions. Limits are (greatest size, how much more the number is,
    the number that means None or None, whether that greatest size was given).
    `least` and `plain` are -1 and False where a record decides: `lowered` knows them."""
    if isinstance(annotation, LengthType):
        if annotation.spec[0] == TIERED and annotation.spec[10][1]:
            raise DeclarationError(f"{where}: {annotation!r} has bytes that belong to a header (follow)")
        low = -annotation.maximum - 1 if annotation.spec[3] else 0
        plain = annotation.spec[0] == UINT
        return NUMBER, annotation.narrowest, plain, annotation.spec, low, annotation.maximum
    if annotation is bool:
        return BOOL, 1, True
    if is_record(annotation):
        return RECORD, -1, False, annotation
    if not isinstance(annotation, FieldType) or annotation.kind in (CONST, PAD):
        shown = getattr(annotation, "__name__", None) or repr(annotation)
        raise DeclarationError(f"{where}: {shown} does not say how it is packed: use u32, f64, str_u16 ...")
    kind = annotation.kind
    if kind == FLOAT:
        width, little = annotation.detail
        return FLOAT, width, True, width, little
    if kind == REST:
        return REST, 0, False
    if kind == NUMBER:
        return lower(where, annotation.length, scope)
    if kind == ENUM:
        return _lower_enum(where, annotation.detail[0], annotation, scope)
    if kind >= TEXT:
        return _lower_sequence(where, annotation, scope, lists)
    assert annotation.length is not None
    count = lower(where, annotation.length, scope)
    if kind in (STR, BYTES):
        return kind, count[1], False, *count[3:]
    if annotation.detail is None:
        raise DeclarationError(f"{where}: {annotation!r} of what? Write {annotation!r}[u32]")
    item = _lower_item(where, annotation.detail, scope, lists)
    if kind == LIST:
        return LIST, count[1], False, *count[3:], item
    return ARRAY, count[1], False, *count[3:], item, _typecode(where, item)


def _lower_item(where: str, annotation: Any, scope: dict[str, Any], lists: int) -> tuple[Any, ...]:
    if lists == _MOST_LISTS:
        raise DeclarationError(f"{where}: lists within lists, more than {_MOST_LISTS} deep")
    item = lower(where, _evaluated(annotation, scope), scope, lists + 1)
    if item[0] == REST:
        raise DeclarationError(f"{where}: rest cannot be in a list")
    return item


def _typecode(where: str, item: tuple[Any, ...]) -> str:
    """That of the `array` of such items."""
    typecode = {2: "", 4: "f", 8: "d"}[item[3]] if item[0] == FLOAT else ""
    if item[0] == NUMBER and item[3][0] == UINT:
        typecode = _SCALARS.get(item[1], "")
        typecode = typecode.lower() if item[3][3] else typecode
    if not typecode:
        raise DeclarationError(f"{where}: an array is of integers of 1, 2, 4 or 8 bytes, f32 or f64")
    return typecode


def _lower_sequence(where: str, given: FieldType, scope: dict[str, Any], lists: int) -> tuple[Any, ...]:
    """What sequences.py declares."""
    kind, detail = given.kind, given.detail
    if kind == CSTR:
        encoding, most = detail
        return CSTR, 2 if encoding.startswith("utf-16") else 1, False, encoding, most
    if kind == FIXED:
        size, encoding, pad = detail
        return FIXED, size, True, encoding, pad
    if kind == CODEC:
        pack, unpack_from, least = detail
        return CODEC, least, False, pack, unpack_from
    if kind in (REPEAT, ROW):
        item, count = _lower_item(where, detail[0], scope, lists), detail[1]
        code = (_typecode(where, item),) if kind == ROW else ()
        return _sized(where, (kind, -1, False, count, item, *code))
    number = lower(where, given.length, scope)
    if kind in (TEXT, BINARY, VIEW):
        return kind, number[1], False, *number[3:], *detail
    item = _lower_item(where, detail[0], scope, lists)
    code = (_typecode(where, item),) if kind == ARRAYED else ()
    return kind, number[1], False, *number[3:], item, *code, detail[1]


def _sized(where: str, kind: tuple[Any, ...]) -> tuple[Any, ...]:
    """REPEAT and ROW with the least size that comes of their items."""
    count, item = kind[3:5]
    if count * item[1] > _MOST_BYTES:
        raise DeclarationError(f"{where}: {count} items of {item[1]} bytes are more than {_MOST_BYTES} bytes")
    return kind[0], -1 if item[1] < 0 else count * item[1], item[2], *kind[3:]


def _lower_fixed(where: str, annotation: Any, given: Any, scope: dict[str, Any]) -> tuple[Any, ...]:
    if given.kind == PAD:
        return PAD, given.detail, True
    value = given.detail
    if annotation is not bytes:
        # A program of its own packs the value once, and says what is wrong with it.
        single: Any = type("const", (), {"__slots__": ("value",)})()
        single.value = value
        program = _backend.records.Program("const", type(single))
        program.build((("value", lower(where, annotation, scope)),))
        try:
            value = program.pack(single)
        except errors.EncodeError as error:
            raise DeclarationError(f"{where}: {error}") from None
    if not isinstance(value, bytes) or not value:
        raise DeclarationError(f"{where}: a constant must be some bytes, not {value!r}")
    return CONST, len(value), False, value


def _lower_enum(where: str, annotation: Any, given: FieldType, scope: dict[str, Any]) -> tuple[Any, ...]:
    # `Kind | int` is the true type of an open one.
    choices = getattr(annotation, "__args__", (annotation,))
    cls: Any = next((one for one in choices if hasattr(one, "__members__") and issubclass(one, int)), None)
    if cls is None or any(base.__name__ == "Flag" for base in cls.__mro__):
        raise DeclarationError(f"{where}: {given!r} needs an IntEnum as annotation, not {annotation!r}")
    members = {int(member): member for member in cls}
    number = lower(where, given.length, scope)
    return ENUM, number[1], False, *number[3:], cls.__name__, members, not given.detail[1]


# --- lowering a class -----------------------------------------------------------------------------------


def lowered(cls: Recorded) -> Layout:
    """The layout of `cls`, with its program and those of all records inside of it."""
    if cls._layout.program is None:
        if not is_record(cls):
            raise DeclarationError("Record: declare a class of your own with it as base")
        with _lowering:
            _lower_classes(cls)
    return cls._layout


def _lower_classes(cls: Recorded) -> None:
    found: list[Recorded] = []
    queue = [cls]
    while queue:
        one = queue.pop()
        if one in found or one._layout.program is not None:
            continue
        found.append(one)
        if len(one._layout.types) != len(one._layout.annotations):
            try:
                resolve(one, one._layout, {})
            except (NameError, AttributeError) as error:
                raise DeclarationError(f"{one.__name__}: {error}") from None
            one._layout.scope = {}, {}
        queue += [inner for _, kind in one._layout.types for inner in _inner(kind)]
        # Backends make instances without asking, and reach for the values in their slots.
        object.__new__(one)  # type: ignore[arg-type]
        for name in one._layout.names:
            member = getattr(one, name, None)
            if type(member) is not MemberDescriptorType or member.__objclass__ not in one.__mro__:
                raise DeclarationError(f"{one.__name__}.{name}: something else has the name of this field")
    for one in found:
        measure(one)
    programs = {one: _backend.records.Program(one.__name__, one) for one in found}
    for one in found:
        types = one._layout.types
        programs[one].build(tuple((n, _final(f"{one.__name__}.{n}", kind, programs)) for n, kind in types))
    for one in found:
        one._layout.program = programs[one]
        for name, call in programs[one].calls().items():
            setattr(one, name, call)


def lower_row(where: str, row: list[tuple[str | int, Any, Any]]) -> tuple[Recorded, Any]:
    """A class that stands for a row of (name, type, given), and its fields as a backend gets them.

    The names stand in errors, in which a number is an index. The program is the caller's to build."""
    layout = Layout((), {}, {})
    layout.base = Recorded("Row", (), {"_layout": layout})
    layout.types = tuple(
        (name, _lower_field(f"{where}.{name}", kind, given, {})) for name, kind, given in row
    )
    for name, kind in layout.types:
        if kind[0] == REST and name != row[-1][0]:
            raise DeclarationError(f"{where}.{name}: rest must be the last field")
        for inner in _inner(kind):
            lowered(inner)
    cls = Recorded(where, (), {"_layout": layout})
    measure(cls)
    fields = tuple((name, _final(f"{where}.{name}", kind, {})) for name, kind in layout.types)
    return cls, fields


def _inner(kind: tuple[Any, ...]) -> list[Recorded]:
    """The record class in a type, if there is one."""
    if kind[0] in (LIST, LISTED):
        return _inner(kind[6])
    if kind[0] == REPEAT:
        return _inner(kind[4])
    return [kind[3]] if kind[0] == RECORD else []


def measure(cls: Recorded, outer: tuple[Recorded, ...] = ()) -> tuple[int, bool, bool]:
    """(least size, whether it is the only one, whether no byte can be wrong) of a record."""
    if cls in outer:
        raise DeclarationError(f"{cls.__name__}: it contains itself, so it has no end: use a list")
    layout = cls._layout
    if layout.size is not None:
        return layout.size
    least, fixed, plain = 0, True, True
    for name, kind in layout.types:
        size, is_fixed, is_plain = _measure(kind, (*outer, cls))
        if kind[0] == RECORD and _ends_open(kind[3]) and name != layout.types[-1][0]:
            raise DeclarationError(f"{cls.__name__}.{name}: what ends with rest must be the last field")
        least, fixed, plain = least + size, fixed and is_fixed, plain and is_plain
    layout.size = least, fixed, plain
    return layout.size


def _measure(kind: tuple[Any, ...], outer: tuple[Recorded, ...]) -> tuple[int, bool, bool]:
    """What measure says, of a type."""
    if kind[0] == RECORD:
        return measure(kind[3], outer)
    if kind[0] == REPEAT:
        least, fixed, plain = _measure(kind[4], outer)
        return kind[3] * least, fixed, plain
    if kind[0] in (NUMBER, ENUM):
        return kind[1], kind[3][0] in (UINT, 6, 8), kind[2]
    return kind[1], kind[2] or kind[0] == CONST, kind[2]


def _ends_open(cls: Recorded) -> bool:
    last: tuple[Any, ...] = cls._layout.types[-1][1] if cls._layout.types else (NUMBER,)
    return last[0] == REST or (last[0] == RECORD and _ends_open(last[3]))


def _final(where: str, kind: tuple[Any, ...], programs: Mapping[Recorded, Any]) -> tuple[Any, ...]:
    """The type as a backend gets it."""
    if kind[0] == RECORD:
        least, _, plain = measure(kind[3])
        return RECORD, least, plain, programs.get(kind[3]) or kind[3]._layout.program
    if kind[0] not in (LIST, LISTED, REPEAT):
        return kind
    at = 4 if kind[0] == REPEAT else 6
    if kind[at][0] == RECORD and _ends_open(kind[at][3]):
        raise DeclarationError(f"{where}: rest cannot be in a list")
    item = _final(where, kind[at], programs)
    if kind[0] == REPEAT:
        return _sized(where, (*kind[:4], item))
    if item[1] == 0 and not (kind[0] == LISTED and kind[7][3]):
        # Or four bytes of a hostile peer would ask for four billion of them.
        raise DeclarationError(f"{where}: its items have no bytes, so nothing limits their number (max=)")
    return *kind[:6], item, *kind[7:]
