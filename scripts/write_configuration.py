"""Write docs/configuration.md from the schema. Usage: write_configuration.py [OUT]; a test holds the page to its output."""

import ast
import inspect
import sys
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rlvr import config

INTRO = """# Configuration

Every key of every stage; `scripts/write_configuration.py` writes this page from `rlvr/config/`. Unknown keys are refused, and so
is a key that would have no effect. `extends: FILE` takes over another file: sections are merged key by key, tables of weights
(`mixture`, `reward`) and a task of another name are replaced. `--set a.b=VALUE` overrides one key. `1e-3` is a number.
"""


def page() -> str:
    """The whole page."""
    notes = attribute_notes()
    parts = [INTRO]
    for stage, model in config.STAGES.items():
        parts.append(f"## rlvr {stage}\n\n{table(model, notes)}")
    sections = [value for value in vars(config).values() if isinstance(value, type) and issubclass(value, BaseModel)]
    for model in sections:
        if model not in (
            BaseModel,
            config.Strict,
            config.StageConfig,
            config.DocumentStageConfig,
            *config.STAGES.values(),
        ):
            parts.append(f"### {model.__name__}\n\n{inspect.cleandoc(model.__doc__ or '')}\n\n{table(model, notes)}")
    presets = "\n".join(
        f"| `{name}` | {config.PRESET_SOURCES[name]} | {', '.join(f'`{key}: {value}`' for key, value in fields.items())} |"
        for name, fields in config.PRESETS.items()
    )
    parts.append(f"### Presets\n\n| preset | | fields |\n|---|---|---|\n{presets}\n")
    return "\n".join(parts)


def table(model: type[BaseModel], notes: dict[tuple[str, str], str]) -> str:
    """One line a key: type, default, what it means."""
    lines = ["| key | type | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        note = next((notes[c.__name__, name] for c in model.__mro__ if (c.__name__, name) in notes), "")
        bounds = ", ".join(words for bound in field.metadata if (words := bound_in_words(bound)))
        kind = f"{type_name(field.annotation)}{f' ({bounds})' if bounds else ''}".replace("|", "or")
        lines.append(f"| `{name}` | {kind} | {default(field)} | {note} |")
    return "\n".join(lines) + "\n"


def bound_in_words(bound: Any) -> str:
    """A constraint on a value as a person writes it; empty for what is none."""
    signs = {
        "gt": "> {}",
        "ge": "≥ {}",
        "lt": "< {}",
        "le": "≤ {}",
        "min_length": "at least {} long",
        "max_length": "at most {} long",
    }
    return ", ".join(
        sign.format(getattr(bound, name)) for name, sign in signs.items() if getattr(bound, name, None) is not None
    )


def default(field: Any) -> str:
    """A field's default as it would be written in a file."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    return "" if value is None or value is PydanticUndefined else f"`{value}`"


def type_name(annotation: Any) -> str:
    """An annotation in words; sections by their names."""
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(type_name(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) in (list, dict):
        return f"{get_origin(annotation).__name__} of {type_name(get_args(annotation)[-1])}"
    if hasattr(annotation, "__metadata__"):
        return type_name(get_args(annotation)[0])
    if get_args(annotation):
        return " | ".join(f"`{value}`" for value in get_args(annotation))
    return getattr(annotation, "__name__", str(annotation))


def attribute_notes() -> dict[tuple[str, str], str]:
    """The text under each attribute of the schema's classes, by (class, attribute)."""
    notes = {}
    source = "\n".join(file.read_text(encoding="utf-8") for file in sorted(Path(config.__file__).parent.glob("*.py")))
    for node in ast.walk(ast.parse(source.replace("from __future__ import annotations", ""))):
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                ):
                    notes[node.name, ast.unparse(field.target)] = " ".join(str(after.value.value).split())
    return notes


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "configuration.md"
    out.write_text(page(), encoding="utf-8")
