from collections.abc import Callable
from typing import Any, final

from typing_extensions import Buffer

from .records import Program

__all__ = ["Codec"]

@final
class Codec:
    def __init__(
        self,
        name: str,
        tag: Program | None,
        rows: list[tuple[int, bytes, type]],
        lower: Callable[[Any], Program],
    ) -> None: ...
    @property
    def _packs(self) -> object: ...
    def encode(self, message: Any, /) -> bytes: ...
    def decode(self, data: Buffer, /) -> Any: ...
