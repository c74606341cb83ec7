from collections.abc import Callable
from typing import Any

from typing_extensions import disjoint_base

from .._transport import Transport

__all__ = ["Stream"]

@disjoint_base
class Stream:
    timeout: float | None
    _trace: Callable[[str, Any], None] | None
    _closed: bool
    _connecting: bool
    _faulty: bool
    @property
    def _transport(self) -> Transport: ...
