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
    BITS,
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
    ONEOF,
    PAD,
    RECORD,
    REPEAT,
    REST,
    ROW,
    SIZE,
    STR,
    TEXT,
    TIERED,
    UINT,
    VIEW,
    WHEN,
    Either,
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
_MOST_DECIDERS = 8
_ENDLESS = 1 << 80
_U64 = (1 << 64) - 1
# Types with a number in front, or that are one: its spec is behind kind, least and plain.
_NUMBERED = frozenset((NUMBER, STR, BYTES, LIST, ARRAY, ENUM, TEXT, BINARY, VIEW, LISTED, ARRAYED))
_NUMBERED |= {ONEOF, BITS, SIZE}
# Where the type of the items is.
_ITEM_AT = {LIST: 6, ARRAY: 6, LISTED: 6, ARRAYED: 6, REPEAT: 4, ROW: 4}


class Layout:
    """What a record class knows of itself; `program` is None until it is lowered."""

    def __init__(self, names: tuple[str, ...], annotations: dict[str, Any], given: dict[str, Any]) -> None:
        self.base: Recorded | None = None  # where the fields come from that are not declared here
        self.own: frozenset[str] = frozenset()  # the fields that are
        self.names = names  # of the fields with a value
        self.annotations = annotations  # of all fields, in order
        self.given = given  # what stood right of `=`
        self.scope: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self.frozen = self.kw_only = self.extensible = self.little = False
        self.meant: dict[str, Any] = {}  # the annotations, of which some were strings
        self.types: tuple[Any, ...] = ()
        self.program: Any = None
        # (least size, whether it is the only one, whether no byte can be wrong)
        self.size: tuple[int, bool, bool] = (_ENDLESS, False, False)
        self.heeds = False  # whether it matters to it that the bytes end where it ends


class Recorded(type):
    """The class of record classes, as far as lowering knows it."""

    _layout: Layout


def is_record(given: object) -> bool:
    """Whether it is a record class, other than `Record`, which has no base."""
    return isinstance(given, Recorded) and given._layout.base is not None


def is_fixed(given: object) -> bool:
    """Whether the field has no value of its own."""
    return isinstance(given, FieldType) and given.kind in (CONST, PAD, SIZE)


def is_type(given: object) -> bool:
    return isinstance(given, (LengthType, FieldType))


def says_all(given: object) -> bool:
    """Whether it is a type that needs no annotation beside it."""
    if isinstance(given, FieldType):
        if given.kind == ENUM:
            return given.detail[0] is not None
        return given.kind not in (CONST, PAD, ONEOF, WHEN, BITS)
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
            kind = _lower_field(where, meant, given, scope, layout.little)
        else:
            meant, kind = layout.base._layout.meant[name], inherited[name]  # type: ignore[union-attr]
        layout.meant[name] = meant
        if (
            REST in (kind[0], kind[3][0] if kind[0] == WHEN else None)
            and name != list(layout.annotations)[-1]
        ):
            raise DeclarationError(f"{where}: rest must be the last field")
        types.append((name, kind))
    if sum(kind[0] == SIZE for _, kind in types) > 1:
        raise DeclarationError(f"{cls.__name__}: a record has one size, not two")
    layout.types = tuple(_join_bits(cls.__name__, types))


def _lower_field(
    where: str, annotation: Any, given: Any, scope: dict[str, Any], little: bool = False
) -> tuple[Any, ...]:
    what = given.kind if isinstance(given, FieldType) else None
    if what in (CONST, PAD):
        return _lower_fixed(where, annotation, given, scope, little)
    if what == WHEN:
        return _lower_when(where, annotation, given, scope, little)
    if what == ENUM and given.detail[0] is None:
        kind = _lower_enum(where, annotation, given, scope)
    elif what == BITS:
        kind = _lower_bits(where, annotation, given)
    elif what == SIZE:
        number = lower(where, given.length, scope)
        kind = SIZE, number[1], False, *number[3:], given.detail
    elif what == ONEOF:
        kind = lower(where, _with_choice(where, annotation, given, scope), scope)
    else:
        if isinstance(given, LengthType):
            _need_number(where, annotation, given, scope)
        kind = lower(where, given if is_type(given) else annotation, scope)
    return _little(kind) if little else kind


def _little(kind: tuple[Any, ...]) -> tuple[Any, ...]:
    """The type with the least significant byte first, where it has plain integers and floats."""
    if kind[0] == FLOAT:
        return *kind[:4], True
    if kind[0] in _NUMBERED and kind[3][0] == UINT and kind[3][1] > 1:
        kind = *kind[:3], (*kind[3][:2], True, *kind[3][3:]), *kind[4:]
    at = _ITEM_AT.get(kind[0])
    return kind if at is None else (*kind[:at], _little(kind[at]), *kind[at + 1 :])


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
    ONEOF: as NUMBER of the tag, ((tag, class) ...); SIZE:
    as NUMBER, what else it counts; BITS: as NUMBER of the integer, but the greatest value is that of the
    bits, how far they are from the lowest, whether they are the first and the last of it, and None for an
    int, True for a bool, or what ENUM has; WHEN: the type, where the number is that decides (indices of
    fields, from the outermost record on), the bits to look at, which number they must be (None: not 0), name.
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
        raise _untold(where, annotation)
    kind = annotation.kind
    if kind == FLOAT:
        width, little = annotation.detail
        return FLOAT, width, True, width, little
    if kind == REST:
        return REST, 0, False
    if kind in (WHEN, BITS, SIZE):
        raise DeclarationError(f"{where}: {annotation!r} can only stand right of =, as a field")
    if kind == ONEOF:
        return _lower_choice(where, annotation, scope)
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


def _untold(where: str, annotation: Any) -> DeclarationError:
    """The error for an annotation that says what a value is, but not how it is packed."""
    shown = getattr(annotation, "__name__", None) or repr(annotation)
    use = "u32, f64, str_u16 ..."
    if getattr(annotation, "__origin__", annotation) is list:
        use, shown = "list_u16[...], = list_of(...) or = repeat(...)", "list"
    elif _enum(annotation) is not None:
        use = "= enumerated(u8)"
    elif {None, type(None)} & set(getattr(annotation, "__args__", ())):
        use, shown = "= when(...), or a type with null=", repr(annotation)
    return DeclarationError(f"{where}: {shown} does not say how it is packed: use {use}")


def _need_number(where: str, annotation: Any, given: LengthType, scope: dict[str, Any]) -> None:
    """Refuse an annotation for values that a plain number never gives."""
    try:
        annotation = _evaluated(annotation, scope)
    except Exception:  # noqa: BLE001 what only a checker can read
        return
    if annotation is bool:
        raise DeclarationError(f"{where}: {given!r} gives no bool: the annotation alone is one byte")
    if (what := _enum(annotation)) is not None:
        raise DeclarationError(f"{where}: {given!r} gives no {what[0]}: use enumerated({given!r})")


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


def _lower_fixed(
    where: str, annotation: Any, given: Any, scope: dict[str, Any], little: bool
) -> tuple[Any, ...]:
    if given.kind == PAD:
        return PAD, given.detail, True
    value = given.detail
    if annotation is not bytes:
        # A program of its own packs the value once, and says what is wrong with it.
        single: Any = type("const", (), {"__slots__": ("value",)})()
        single.value = value
        program = _backend.records.Program("const", type(single))
        program.build((("value", _lower_field(where, annotation, None, scope, little)),))
        try:
            value = program.pack(single)
        except errors.EncodeError as error:
            raise DeclarationError(f"{where}: {error}") from None
    if not isinstance(value, bytes) or not value:
        raise DeclarationError(f"{where}: a constant must be some bytes, not {value!r}")
    return CONST, len(value), False, value


def _lower_enum(where: str, annotation: Any, given: FieldType, scope: dict[str, Any]) -> tuple[Any, ...]:
    enum = _enum(annotation)
    if enum is None:
        raise DeclarationError(f"{where}: {given!r} needs an IntEnum as annotation, not {annotation!r}")
    number = lower(where, given.length, scope)
    return ENUM, number[1], False, *number[3:], *enum[:2], not given.detail[1]


def _enum(annotation: Any) -> tuple[str, dict[int, Any], bool] | None:
    """Name and members of the IntEnum in an annotation, and whether it stands alone there; None if none."""
    # `Kind | int` is the true type of an open one.
    choices = getattr(annotation, "__args__", (annotation,))
    cls: Any = next((one for one in choices if hasattr(one, "__members__") and issubclass(one, int)), None)
    if cls is None or any(base.__name__ == "Flag" for base in cls.__mro__):
        return None
    return cls.__name__, {int(member): member for member in cls}, int not in choices


# --- fields that decide about others --------------------------------------------------------------------


def _lower_when(
    where: str, annotation: Any, given: FieldType, scope: dict[str, Any], little: bool
) -> tuple[Any, ...]:
    path, mask, equals, inner = given.detail
    choices = [one for one in getattr(annotation, "__args__", (annotation,)) if one not in (None, type(None))]
    rest = choices[0] if len(choices) == 1 else Either(tuple(choices))
    if is_fixed(inner) or (isinstance(inner, FieldType) and inner.kind in (WHEN, BITS)):
        raise DeclarationError(f"{where}: type={inner!r} is no type of a field that may not be there")
    kind = _lower_field(where, rest, inner, scope, little)
    # Which fields the path leads to is known once all classes are.
    return WHEN, 0, False, kind, path, mask, equals


def _with_choice(where: str, annotation: Any, given: FieldType, scope: dict[str, Any]) -> FieldType:
    """The annotation with `given`, a oneof, in place of the union that it decides about."""
    if isinstance(annotation, FieldType) and annotation.kind == LIST:
        inner = _with_choice(where, _evaluated(annotation.detail, scope), given, scope)
        return FieldType(annotation.call, annotation.kind, annotation.length, inner)
    told = [_evaluated(cls, scope) for _, cls in given.detail]
    if set(getattr(annotation, "__args__", (annotation,))) != set(told):
        names = " | ".join(getattr(cls, "__name__", repr(cls)) for cls in told)
        raise DeclarationError(f"{where}: the annotation must be the classes of {given!r}: {names}")
    return given


def _lower_choice(where: str, given: FieldType, scope: dict[str, Any]) -> tuple[Any, ...]:
    tag = lower(where, given.length, scope)
    rows = tuple((number, _evaluated(cls, scope)) for number, cls in given.detail)
    seen: list[Any] = []
    for number, cls in rows:
        if not is_record(cls):
            raise DeclarationError(f"{where}: the tag {number} must have a record class, not {cls!r}")
        if cls in seen:
            raise DeclarationError(f"{where}: {cls.__name__} has two tags")
        if not isinstance(number, int) or not tag[4] <= number <= tag[5]:
            raise DeclarationError(f"{where}: the tag {number!r} is not in {tag[4]}..{tag[5]}")
        seen.append(cls)
    return ONEOF, tag[1], False, *tag[3:], tuple((int(number), cls) for number, cls in rows)


def _lower_bits(where: str, annotation: Any, given: FieldType) -> tuple[Any, ...]:
    """For _join_bits: kind, least, plain, spec of the integer or None, (name, bits, what they are)."""
    count: int = given.detail
    what: Any = True if annotation is bool else None
    if what and count != 1:
        raise DeclarationError(f"{where}: a bool is one bit, not {count}")
    if annotation is not bool and annotation is not int and not isinstance(annotation, LengthType):
        what = _enum(annotation)
        if what is None:
            raise DeclarationError(f"{where}: bits are a bool, an int or an IntEnum, not {annotation!r}")
    return BITS, 0, False, given.length.spec if given.length else (0,), (where, count, what)


def _join_bits(name: str, types: list[tuple[str, tuple[Any, ...]]]) -> list[tuple[str, tuple[Any, ...]]]:
    """The fields, each of bits with its place in the integer that it shares with its neighbours."""
    joined = list(types)
    first, left = 0, 0
    end: Any = ("", (-1,))
    for i, (field, kind) in enumerate([*types, end]):
        ours = kind[0] == BITS and len(kind) == 5
        if left > 0 and not (ours and kind[3][0] == 0):
            where, last = types[first][1][4][0], types[i - 1][0]
            raise DeclarationError(f"{where}: the bits up to {last} are {left} too few for the integer")
        if not ours:
            continue
        spec = kind[3]
        where, count, what = kind[4]
        if spec[0] == 0:
            if not left:
                raise DeclarationError(f"{where}: of= must say which integer these bits are the first of")
            spec = types[first][1][3]
        else:
            first, left = i, 8 * spec[1]
        left -= count
        if left < 0:
            raise DeclarationError(f"{where}: the bits up to here are {-left} too many for the integer")
        width = spec[1] if i == first else 0
        plain = not (isinstance(what, tuple) and what[2])
        place = (left, i == first, left == 0, what)
        joined[i] = field, (BITS, width, plain, spec, 0, (1 << count) - 1, *place)
    return joined


def _source_of(
    where: str, cls: Recorded, before: int, path: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """Where the number is that decides whether field number `before` is there, as indices, and its type."""
    text = ".".join(path)
    steps: list[int] = []
    kind: tuple[Any, ...] = RECORD, 0, False, cls
    for part in path:
        if kind[0] != RECORD:
            raise DeclarationError(f"{where}: when({text!r}): what has {part!r} must be a record")
        layout = kind[3]._layout
        names = [name for name, _ in layout.types]
        if part not in (names if steps else names[:before]):
            raise DeclarationError(f"{where}: when({text!r}): there is no {part!r} further up")
        steps.append(names.index(part))
        kind = layout.types[steps[-1]][1]
        kind = kind[3] if kind[0] == WHEN else kind
        if layout.extensible and steps[-1] >= _required(layout):
            default = default_of(layout.given[part])
            if kind[0] == RECORD or not isinstance(default, (int, type(None))):
                raise DeclarationError(f"{where}: when({text!r}): the default of {part!r} must be a number")
    if kind[0] not in (NUMBER, BOOL, ENUM, BITS):
        raise DeclarationError(f"{where}: when({text!r}): {path[-1]!r} is no number")
    return tuple(steps), kind


def _decided(where: str, cls: Recorded, before: int, kind: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of a WHEN: where the number is that decides, the bits to look at, which number, and its name."""
    path, mask, equals = kind[4:]
    steps, source = _source_of(where, cls, before, path)
    low, high = (0, 1) if source[0] == BOOL else source[4:6]
    text = ".".join(path)
    if equals is not None and not low <= equals <= high:
        raise DeclarationError(f"{where}: when({text!r}): equals={int(equals)} is not in {low}..{high}")
    if mask is not None and low == 0 and mask > high:
        raise DeclarationError(f"{where}: when({text!r}): mask={int(mask):#x} has bits that {text} has not")
    bits = _U64 if mask is None else int(mask)
    return steps, bits, None if equals is None else int(equals) & bits, text


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
    _measure(found)
    programs = {one: _backend.records.Program(one.__name__, one) for one in found}
    for one in found:
        layout = one._layout
        fields = []
        for i, (name, kind) in enumerate(layout.types):
            fields.append((name, final(f"{one.__name__}.{name}", kind, programs, one, i)))
        ways = {kind[4] for _, kind in fields if kind[0] == WHEN}
        if len(ways) > _MOST_DECIDERS:
            raise DeclarationError(
                f"{one.__name__}: more than {_MOST_DECIDERS} fields that decide about others"
            )
        defaults = tuple(default_of(layout.given.get(name, ...)) for name, _ in layout.types)
        required = _required(layout) if layout.extensible else -1
        programs[one].build(tuple(fields), layout.heeds, required, defaults)
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
        if kind[0] in (WHEN, BITS, SIZE):
            raise DeclarationError(f"{where}.{name}: what decides about other fields needs a record class")
        for inner in _inner(kind):
            lowered(inner)
    cls = Recorded(where, (), {"_layout": layout})
    _measure([cls])
    fields = tuple(
        (name, final(f"{where}.{name}", kind, {}, cls, i)) for i, (name, kind) in enumerate(layout.types)
    )
    return cls, fields


def _inner(kind: tuple[Any, ...]) -> list[Recorded]:
    """The record classes in a type."""
    if kind[0] in _ITEM_AT:
        return _inner(kind[_ITEM_AT[kind[0]]])
    if kind[0] == WHEN:
        return _inner(kind[3])
    if kind[0] == ONEOF:
        return [cls for _, cls in kind[6]]
    return [kind[3]] if kind[0] == RECORD else []


def _required(layout: Layout) -> int:
    """How many of the fields an extensible record has at least: the others have defaults, to the end."""
    last = len(layout.types)
    while last > 0:
        name, kind = layout.types[last - 1]
        bare = kind[0] not in (CONST, PAD) and default_of(layout.given.get(name, ...)) is ...
        if kind[0] == SIZE or bare:
            break
        last -= 1
    while last < len(layout.types) and layout.types[last][1][0] == BITS and not layout.types[last][1][7]:
        last += 1
    return last


def may_lack(layout: Layout, i: int) -> bool:
    """Whether a record need not have its field number i, where the bytes end before that."""
    kind = layout.types[i][1]
    return layout.extensible and i >= _required(layout) and (kind[0] == BITS or least_of(kind) > 0)


def _measure(found: list[Recorded]) -> None:
    """Give each class its size, and find out whether it heeds the end.

    Records may contain each other, so this is repeated until nothing changes."""
    changed = True
    while changed:
        changed = False
        for cls in found:
            layout = cls._layout
            types = layout.types[: _required(layout) if layout.extensible else None]
            least = min(sum(least_of(kind) for _, kind in types), _ENDLESS)
            inner = any(one._layout.heeds for _, kind in layout.types for one in _inner(kind))
            heeds = (layout.extensible or inner) and not _is_sized(layout)
            changed |= (least, heeds) != (layout.size[0], layout.heeds)
            layout.size, layout.heeds = (least, False, False), heeds
    for cls in found:
        if cls._layout.size[0] >= _ENDLESS:
            raise DeclarationError(f"{cls.__name__}: it contains itself, so it has no end: use a list")
    for cls in found:
        layout = cls._layout
        for name, kind in layout.types[:-1]:
            if _ends_open(kind):
                raise DeclarationError(f"{cls.__name__}.{name}: what ends with rest must be the last field")
        fixed = not layout.extensible and all(is_steady(kind) for _, kind in layout.types)
        layout.size = layout.size[0], fixed, fixed and all(_is_plain(kind) for _, kind in layout.types)


def _is_sized(layout: Layout) -> bool:
    return any(kind[0] == SIZE for _, kind in layout.types)


def least_of(kind: tuple[Any, ...]) -> int:
    """The fewest bytes of a type."""
    if kind[0] == RECORD:
        return kind[3]._layout.size[0]  # type: ignore[no-any-return]
    if kind[0] == ONEOF:
        return min(kind[1] + cls._layout.size[0] for _, cls in kind[6])  # type: ignore[no-any-return]
    if kind[0] == REPEAT:
        return kind[3] * least_of(kind[4])  # type: ignore[no-any-return]
    return kind[1]  # type: ignore[no-any-return]


def is_steady(kind: tuple[Any, ...]) -> bool:
    """Whether all values of a type have as many bytes."""
    if kind[0] == RECORD:
        layout = kind[3]._layout
        return not layout.extensible and all(is_steady(one) for _, one in layout.types)
    if kind[0] == REPEAT:
        return is_steady(kind[4])
    if kind[0] in (NUMBER, ENUM, SIZE):
        return kind[3][0] in (UINT, 6, 8)
    return kind[2] or kind[0] in (CONST, BITS)


def _is_plain(kind: tuple[Any, ...]) -> bool:
    """Whether no byte of a type can be wrong."""
    if kind[0] == RECORD:
        return all(_is_plain(one) for _, one in kind[3]._layout.types)
    if kind[0] == REPEAT:
        return _is_plain(kind[4])
    return kind[2]  # type: ignore[no-any-return]


def _ends_open(kind: tuple[Any, ...], outer: tuple[Recorded, ...] = ()) -> bool:
    """Whether it goes on to the end, wherever that is."""
    if kind[0] == WHEN:
        return _ends_open(kind[3], outer)
    inner = _inner(kind) if kind[0] in (RECORD, ONEOF) else []
    return kind[0] == REST or any(
        _ends_open(one._layout.types[-1][1], (*outer, one))
        for one in inner
        if one not in outer and one._layout.types and not _is_sized(one._layout)
    )


def final(
    where: str, kind: tuple[Any, ...], programs: Mapping[Recorded, Any], cls: Recorded, index: int
) -> tuple[Any, ...]:
    """The type as a backend gets it."""
    if kind[0] == RECORD:
        least, _, plain = kind[3]._layout.size
        return RECORD, least, plain, programs.get(kind[3]) or kind[3]._layout.program
    if kind[0] == ONEOF:
        rows = tuple((tag, programs.get(one) or one._layout.program) for tag, one in kind[6])
        return ONEOF, least_of(kind), False, *kind[3:6], rows
    if kind[0] == WHEN:
        inner = final(where, kind[3], programs, cls, index)
        return WHEN, 0, False, inner, *_decided(where, cls, index, kind)
    if kind[0] not in (LIST, LISTED, REPEAT):
        return kind
    at = _ITEM_AT[kind[0]]
    if _ends_open(kind[at]):
        raise DeclarationError(f"{where}: rest cannot be in a list")
    item = final(where, kind[at], programs, cls, index)
    if kind[0] == REPEAT:
        return _sized(where, (*kind[:4], item))
    if item[1] == 0 and not (kind[0] == LISTED and kind[7][3]):
        # Or four bytes of a hostile peer would ask for four billion of them.
        raise DeclarationError(f"{where}: its items have no bytes, so nothing limits their number (max=)")
    return *kind[:6], item, *kind[7:]
