"""Records as text: `u8 version, u16[u8] ports, digits(5) size, u8 kind = 7`.

A field is a type, a name, and what stands right of `=` in a class. A type is a name (of a field type, `bool`,
or one that is given, of a record class), a call as it is written in Python, types in parentheses, which are a
tuple, or a type with brackets: `T[u16]` is a list counted by a u16, `T[8]` are eight of them. `rows` takes
text apart and `layout_text` writes it. Nothing in the text is run: only what is listed here is understood.
"""

from __future__ import annotations

import ast
import re

from . import _backend, fields, sequences, structure
from ._lowering import default_of, is_fixed, lower_row, lowered, says_all
from .errors import DeclarationError
from .fields import ARRAY, ENUM, LIST, REPEAT, SIZE, Either, FieldType, LengthType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    Row: TypeAlias = tuple[Any, str, Any]

_TOKEN = re.compile(
    r"""\s*\|\s*|\s+|[,=]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\[({]|[\])}]|[^\s,='"\[\](){}]+|."""
)
_SCOPE: dict[str, Any] = {name: getattr(fields, name) for name in fields.__all__}
_SCOPE |= {name: getattr(sequences, name) for name in sequences.__all__}
_SCOPE |= {name: getattr(structure, name) for name in structure.__all__}
_SCOPE |= {kind.__name__: kind for kind in (bool, bytes, int, str, float, list, memoryview, object)}
for _class in ("FieldType", "LengthType"):
    del _SCOPE[_class]


def row_of(name: str, given: list[Row]) -> tuple[Any, Any]:
    """The class that stands for a row of fields without names, and these as a backend gets them."""
    row: list[tuple[str | int, Any, Any]] = []
    at = 0
    for kind, _, value in given:
        # Only a value has a number.
        row.append((at, kind, None) if value is ... else (repr(value), kind, value))
        at += value is ...
    return lower_row(name, row)


def need_names(where: str, names: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The classes that a text names; TypeError for what is no mapping, such as a second text."""
    if names is not None and not hasattr(names, "keys"):
        raise TypeError(f"{where}: names must be a mapping of record classes, not {type(names).__name__}")
    return names or {}


def rows(where: str, text: str, names: Mapping[str, Any] | None, named: bool) -> list[Row]:
    """(annotation, name, what stands right of `=` or `...`) of each field; types alone if not `named`."""
    if not isinstance(text, str):
        raise TypeError(f"{where}: the fields must be a str, not {type(text).__name__}")
    scope = {**_SCOPE, **need_names(where, names)}
    found: list[Row] = []
    for words in _fields(where, text, named):
        given: Any = ...
        if "=" in words:
            at = words.index("=")
            given = _meaning(where, "".join(words[at + 1 :]), scope)
            words = words[:at]
        if len(words) != 1 + named:
            wanted = "a type and a name" if named else "a type"
            raise DeclarationError(f"{where}: {' '.join(words)!r} is not {wanted}")
        kind = _grouped(where, _meaning(where, words[0], scope))
        if is_fixed(kind) and given is ...:
            kind, given = bytes, kind
        found.append((kind, words[1] if named else "", given))
    return found


def _fields(where: str, text: str, named: bool) -> list[list[str]]:
    """The words of each field, parted by spaces outside of brackets; `=` and all behind it are words."""
    found: list[list[str]] = [[]]
    depth, parted = 0, True
    for token in _TOKEN.findall(text):
        token = "|" if token.strip() == "|" else token
        depth += (token in "[({") - (token in "])}")
        ends = not named and token.isspace() and "=" not in found[-1]
        if depth == 0 and (token == "," or ends):
            if not found[-1] and token == ",":
                raise DeclarationError(f"{where}: there is no field in front of a comma in {text!r}")
            found += [[]] if found[-1] else []
            parted = True
        elif depth == 0 and (token.isspace() and "=" not in found[-1]):
            parted = True
        elif parted or (depth == 0 and token == "="):
            found[-1].append(token)
            parted = token == "="
        else:
            found[-1][-1] += token
    return found if found[-1] else found[:-1]


def _meaning(where: str, text: str, scope: Mapping[str, Any]) -> Any:
    """The value of an expression of names, literals, calls and brackets."""
    try:
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            raise DeclarationError(f"{where}: {text!r} is no type") from None
        return _value(where, text, node, scope)
    except (RecursionError, MemoryError):  # the parser has either
        raise DeclarationError(f"{where}: {text[:40]!r}... has too many brackets or signs") from None


def _value(where: str, text: str, node: ast.AST, scope: Mapping[str, Any]) -> Any:
    def value(one: ast.AST | None) -> Any:
        assert one is not None
        return _value(where, text, one, scope)

    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in scope:
            raise DeclarationError(f"{where}: there is no type {node.id}")
        return scope[node.id]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = value(node.left), value(node.right)
        if not all(
            one is None or isinstance(one, (type, LengthType, FieldType, Either)) for one in (left, right)
        ):
            raise DeclarationError(f"{where}: {text!r} is no type")
        return left | right
    if isinstance(node, ast.Subscript):
        return _bracketed(where, text, value(node.value), value(node.slice))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        made = value(node.func)
        if isinstance(made, (type, str, LengthType, FieldType)) or not callable(made):
            raise DeclarationError(f"{where}: {node.func.id} takes no arguments")
        return made(*map(value, node.args), **{one.arg or "": value(one.value) for one in node.keywords})
    if isinstance(node, (ast.Tuple, ast.List)):
        items = [value(one) for one in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items
    if isinstance(node, ast.Dict):
        return {value(key): value(one) for key, one in zip(node.keys, node.values)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = value(node.operand)
        if isinstance(number, (int, float)):
            return -number
    raise DeclarationError(f"{where}: {text!r} is no type")


def _grouped(where: str, kind: Any) -> Any:
    """A type; that of a tuple, for types in parentheses."""
    if not isinstance(kind, tuple):
        return kind
    kinds = [_grouped(where, one) for one in kind]
    cls, made = row_of("tuple", [(bytes, "", one) if is_fixed(one) else (one, "", ...) for one in kinds])
    cls._layout.program = _backend.packers.Row("tuple", made).program
    cls.__name__ = f"({', '.join(map(shown, kinds))}{',' * (len(kinds) == 1)})"
    return cls


def _bracketed(where: str, text: str, kind: Any, inside: Any) -> Any:
    """`T[count]`, or an item type for what is waiting for one (`list_u8[T]`)."""
    kind = _grouped(where, kind)
    if isinstance(kind, FieldType) and kind.kind in (LIST, ARRAY) and kind.detail is None:
        return kind[_grouped(where, inside)]
    if isinstance(inside, LengthType):
        known: FieldType | None = _SCOPE.get(f"list_{inside!r}")
        return known[kind] if known else FieldType(f"{shown(kind)}[{inside!r}]", LIST, inside, kind)
    if isinstance(inside, int):
        return sequences.repeat(kind, inside)
    raise DeclarationError(f"{where}: {text!r}: in brackets stands a number, or the type of one, such as u16")


# --- writing --------------------------------------------------------------------------------------------


def shown(kind: Any) -> str:
    """A type as text."""
    if isinstance(kind, FieldType) and kind.kind == LIST and kind.detail is not None:
        item = shown(kind.detail)
        return f"({item})[{kind.length!r}]" if " | " in item else f"{item}[{kind.length!r}]"
    if isinstance(kind, FieldType) and kind.kind == REPEAT:
        detail: Any = kind.detail
        item, count = detail
        return f"{shown(item)}[{count}]"
    choices: Any = getattr(kind, "__args__", ())
    if getattr(kind, "__origin__", None) is list:
        return "list"
    if str(kind) == "typing.Any":
        return "object"
    if choices:
        return " | ".join(["None" if one is type(None) else shown(one) for one in choices])
    return str(getattr(kind, "__name__", kind))


def layout_text(cls: Any) -> str:
    """The fields of a record class as text."""
    layout = lowered(cls)
    return ", ".join(
        [_field_text(name, kind, layout.given.get(name, ...)) for name, kind in layout.meant.items()]
    )


def _field_text(name: str, annotation: Any, given: Any) -> str:
    if isinstance(given, FieldType) and given.kind == ENUM:
        given = _with_class(annotation, given)
    if says_all(given) or (is_fixed(given) and (annotation is bytes or given.kind == SIZE)):
        annotation, given = given, default_of(given)
    # A member of an enumeration is the number that it is.
    value: Any = given
    if hasattr(type(given), "__members__"):
        value = int(value)
    said = repr(value)
    if isinstance(given, FieldType) and given.default is not ...:
        said = f"{said[:-1]}, default={given.default!r})"
    return f"{shown(annotation)} {name}" + ("" if given is ... else f" = {said}")


def _with_class(annotation: Any, given: FieldType) -> Any:
    """The type of an enumeration that names its class, which may stand beside it."""
    kind, is_open = given.detail
    choices = getattr(annotation, "__args__", (annotation,))
    kind = kind or next(one for one in choices if hasattr(one, "__members__"))
    return fields.enumerated(given.length, kind, open=is_open, default=given.default)  # type: ignore[arg-type]
