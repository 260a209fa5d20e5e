"""Structs of which some members may hold any JSON: those are converted, the rest is decoded strictly. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from .coercion import Builder, Coercer, OnCoerced, is_never_empty, is_scalar

_MOST_MEMBERS: Final = 16
"""Members of one struct; a response with others is coerced as a whole."""


class Relaxed:
    """A struct of which some members may hold any JSON.

    `twin` is decoded instead of it: a subclass that adds no field, so that its objects can become the struct's.

    Args:
        struct: The struct; any other type has no members that can be relaxed.
        empty: Names in JSON of the members that Zoho sends as empty text, relaxed from the start.
        coercer: Converts values of another type.
    """

    __slots__ = ("_coercer", "_members", "_names", "_struct", "empty", "twin")

    def __init__(self, struct: Any, empty: Collection[str], coercer: Coercer) -> None:
        self._struct = struct
        self._coercer = coercer
        self._names: dict[str, None] = {}
        self._members: list[tuple[str, str, Any, Builder, bool]] = []
        self.twin = struct
        self.empty: frozenset[str] = frozenset()
        """Those of `empty` that can hold no text."""
        if empty and isinstance(struct, type) and issubclass(struct, msgspec.Struct):
            fields = msgspec.structs.fields(struct)
            self.empty = frozenset(
                it.encode_name for it in fields if it.encode_name in empty and is_never_empty(it.type)
            )
            self.relax(self.empty)

    def relax(self, names: Collection[str]) -> bool:
        """Relax more members, by their names in JSON; whether `twin` is another one now."""
        added = [name for name in names if name not in self._names][: _MOST_MEMBERS - len(self._names)]
        if not added or not _can_have_twin(self._struct):
            return False
        self._names.update(dict.fromkeys(added))
        wanted = [field for field in msgspec.structs.fields(self._struct) if field.encode_name in self._names]
        self._members = [
            (
                field.name,
                f".{field.encode_name}",
                field.default,
                self._builder(field),
                field.encode_name in self.empty and field.default is not msgspec.NODEFAULT,
            )
            for field in wanted
        ]
        self.twin = msgspec.defstruct(
            self._struct.__name__,
            [(field.name, Any, _definition(field)) for field in wanted],
            bases=(self._struct,),
            module=self._struct.__module__,
            kw_only=True,
        )
        return True

    def restore(self, records: Sequence[Any], path: str, on_coerced: OnCoerced) -> None:
        """Convert the relaxed members of decoded twins, which then are objects of the struct.

        Args:
            records: The objects.
            path: Their path in the response.
            on_coerced: Called with the path of every value of another type.

        Raises:
            Exception: A caller's own type cannot hold a value.
        """
        if not self._members:
            return
        change, struct = msgspec.structs.force_setattr, self._struct
        for record in records:
            change(record, "__class__", struct)
        for name, suffix, default, build, silent in self._members:
            place = path + suffix
            for record in records:
                value = getattr(record, name)
                if value is not default:
                    change(record, name, default if silent and value == "" else build(value, place, on_coerced))

    def _builder(self, field: msgspec.structs.FieldInfo) -> Builder:
        """Conversion of a member; of one that holds objects strictly where that is possible, for it is faster."""
        build = self._coercer.member(field)
        if field.type == date | None:
            return _dates_first(build)
        if is_scalar(field.type):
            return build
        holder: Any = msgspec.defstruct("Holder", [("value", field.type)])

        def strictly_first(value: Any, path: str, on_coerced: OnCoerced) -> Any:
            try:
                return msgspec.convert({"value": value}, holder).value
            except Exception:  # noqa: BLE001 - also what a caller's own type raises
                return build(value, path, on_coerced)

        return strictly_first


def _dates_first(build: Builder) -> Builder:
    def date_first(value: Any, path: str, on_coerced: OnCoerced) -> Any:
        try:
            return msgspec.convert(value, date)
        except msgspec.ValidationError:
            return build(value, path, on_coerced)

    return date_first


def _can_have_twin(struct: Any) -> bool:
    """Whether it is a struct whose subclass has no effects of its own."""
    return (
        type(struct) is type(msgspec.Struct)
        and not hasattr(struct, "__post_init__")
        and not struct.__struct_config__.array_like
        and "__func__" not in dir(struct.__init_subclass__)
    )


def _definition(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory, name=field.encode_name)
    return msgspec.field(default=field.default, name=field.encode_name)
