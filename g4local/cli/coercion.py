"""What the words of a command line become: Typer asks pydantic, which takes longer to import than Typer itself."""

from dataclasses import dataclass
from typing import Any

from typer import _coercion, core
from typer._click.core import ParameterSource


def prepare() -> None:
    """Let pydantic be imported only for what is typed and becomes anything but text."""
    core.build_runtime_param = _sparing  # type: ignore[attr-defined]


def _sparing(descriptor: _coercion.TypeDescriptor) -> _coercion.RuntimeParam:
    return _Sparing(descriptor.parameter_info, descriptor.annotation, descriptor)


@dataclass(frozen=True)
class _Sparing(_coercion.RuntimeParam):
    """A default is what it should be already, and text is text."""

    descriptor: _coercion.TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        is_default = ctx.get_parameter_source(param.name) is ParameterSource.DEFAULT
        is_text = self.annotation in (str, list[str]) and self.parameter_info.parser is None
        if is_default or is_text:
            return value
        return _coercion.build_runtime_param(self.descriptor).coerce(value, param, ctx)
