"""YAML files to configurations: ``extends``, ``--set``, and errors that name file, line, key, value and remedy."""

from __future__ import annotations

import io
import re
import stat
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from rlvr.config import PRESET_SOURCES, STAGES, RlConfig, StageConfig, stage_of
from rlvr.errors import RlvrError, did_you_mean

MAX_BYTES = 100_000
"""Of a configuration; pyyaml reads so many in half a second."""
DEEPEST = 50
"""Brackets in brackets."""

SET = "--set"
WEIGHT_TABLES = ("reward",)  # replaced whole by a child file: merging weights would change their meaning


class _Loader(yaml.SafeLoader):
    """Safe YAML whose plain values mean what they do in YAML 1.2: 1e-3 is a number; 010, 1:30, yes and 2020-01-01 are text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - pyyaml's own name

    def fetch_tag(self) -> None:
        """Refuse a tag where it stands: nothing here needs one, and some name code."""
        raise yaml.scanner.ScannerError(None, None, "a tag (!…)", self.get_mark())

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Refuse what the composer would refuse, before the scanner, whose time grows with the square of the depth."""
        if self.flow_level == DEEPEST:
            raise RecursionError
        super().fetch_flow_collection_start(token)


for _tag, _pattern, _first in (
    ("bool", r"true|True|false|False", "tTfF"),
    ("null", r"null|~|", "n~"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, ""])


def load(path: Path, settings: list[str], stage: str | None = None) -> tuple[str, StageConfig]:
    """Read a configuration: its parent, the file, then each ``--set KEY=VALUE``; validated for the stage.

    stage None: the stage that the file's keys show. Raises RlvrError for anything wrong with the input.
    """
    tree, lines = _read_with_parents(path, ())
    for setting in settings:
        _apply(tree, lines, setting)
    shown = stage_of(tree)
    stage = stage or shown
    try:
        return stage, STAGES[stage].model_validate(tree)
    except ValidationError as error:
        raise _explain(error, STAGES[stage], path, lines, stage, shown) from None


def dump(config: StageConfig) -> str:
    """The fully resolved configuration as YAML that loads again. Keys without a value (None) are left out.

    A preset stands below its paper and equation.
    """
    text = yaml.safe_dump(config.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)
    if not isinstance(config, RlConfig):
        return text
    return text.replace("\nalgo:\n  preset:", f"\nalgo:\n  # {PRESET_SOURCES[config.algo.preset]}\n  preset:", 1)


def resolved(config: StageConfig) -> dict[str, Any]:
    """The keys and values that reading its ``dump`` gives."""
    tree: dict[str, Any] = _parse(dump(config), "the configuration")[0]
    return tree


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """``key: old -> new`` for every leaf in which two resolved configurations differ."""
    found = []
    for key in [*old, *(k for k in new if k not in old)]:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {a} -> {b}")
    return found


# -------------------------------------------------------------------------------------------------- reading


def _read_with_parents(path: Path, children: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The merged tree of a file and its parents, and where each key stands (``file:line``)."""
    if path.resolve() in children:
        raise RlvrError(str(path), "extends itself", remedy="break the circle of extends")
    tree, lines = _read(path)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree, lines
    if not isinstance(parent, str) or "\0" in parent:
        raise RlvrError(f"{path}: extends", "must be one file", got=parent)
    base, base_lines = _read_with_parents(path.parent / parent, (*children, path.resolve()))
    return _merge(base, tree), {**base_lines, **lines}


def _merge(base: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """Sections are merged key by key; tables of weights, and a task of another name, are replaced whole."""
    merged = dict(base)
    for key, value in child.items():
        old = base.get(key)
        other_name = key == "task" and isinstance(value, dict) and value.get("name", _name(old)) != _name(old)
        if isinstance(value, dict) and isinstance(old, dict) and key not in WEIGHT_TABLES and not other_name:
            merged[key] = {**old, **value}
        else:
            merged[key] = value
    return merged


def _name(section: Any) -> Any:
    return section.get("name") if isinstance(section, dict) else None


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of one file, as they stand there. RlvrError if it is no plain YAML."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    tree, lines = _parse(read_text(path, MAX_BYTES), str(path))
    if tree is None:
        raise RlvrError(str(path), "is empty", remedy="see configs/quickstart for examples")
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise RlvrError(str(path), "must be a mapping of keys to values", got=tree)
    return tree, lines


def _parse(text: str, source: str, *, numbered: bool = True) -> tuple[Any, dict[str, str]]:
    """The value of a YAML text, and where each key stands (``source:line``); numbered: errors name the line too."""
    lines: dict[str, str] = {}
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _refuse_surprises(node, source, lines)
            return (loader.construct_document(node) if node is not None else None), lines
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark and numbered else source
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RlvrError(where, f"not plain YAML: {what}", remedy="write plain keys and values") from None
    except RecursionError:
        raise RlvrError(source, "is nested too deeply", remedy="write at most a few levels") from None
    except ValueError as error:
        raise RlvrError(source, f"holds a value that YAML cannot read: {error}") from None


def read_text(path: Path, max_bytes: int | None = None) -> str:
    """The text of a file that the user named; RlvrError says why it cannot be read."""
    try:
        return io.TextIOWrapper(io.BytesIO(read_bytes(path, max_bytes)), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise RlvrError(str(path), f"is not UTF-8 text (byte {error.start})") from None


def read_bytes(path: Path, max_bytes: int | None = None) -> bytes:
    """The contents of a file that the user named; RlvrError says why it cannot be read."""
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise RlvrError(str(path), "is a device or a pipe, not a file")  # it may have no end
        if max_bytes is not None and status.st_size > max_bytes:
            raise RlvrError(str(path), f"is larger than {max_bytes} bytes, too large for this kind of file")
        return path.read_bytes()
    except FileNotFoundError:
        near = did_you_mean(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise RlvrError(str(path), "no such file", remedy=near or "check the path") from None
    except OSError as error:
        raise RlvrError(str(path), f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RlvrError(repr(str(path)), f"is no path: {error}") from None


def _refuse_surprises(node: yaml.Node | None, source: str, lines: dict[str, str]) -> None:
    """Refuse duplicate keys and aliases, and note the line of every key."""
    seen: set[int] = set()

    def walk(node: yaml.Node, prefix: str) -> None:
        if id(node) in seen:
            raise RlvrError(
                f"{source}:{node.start_mark.line + 1}", "YAML aliases are not supported", remedy="write the value out"
            )
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, f"{prefix}{index}.")
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name, where = f"{prefix}{key.value}", f"{source}:{key.start_mark.line + 1}"
                if name in lines:
                    raise RlvrError(where, f"{name}: given twice", remedy=f"keep one (the first: {lines[name]})")
                lines[name] = where
                walk(value, f"{name}.")

    if node is not None:
        walk(node, "")


def _apply(tree: dict[str, Any], lines: dict[str, str], setting: str) -> None:
    """Set one ``a.b=VALUE``; the value is read as YAML."""
    name, equals, text = setting.partition("=")
    if not equals or not name:
        raise RlvrError("--set", "must look like section.key=VALUE", got=setting)
    value, _ = _parse(text, f"--set {name}", numbered=False)
    *sections, last = name.split(".")
    for section in sections:
        if not isinstance(tree.setdefault(section, {}), dict):
            raise RlvrError(
                f"--set {name}", f"{section} is not a section", got=tree[section], remedy="set the whole of it"
            )
        tree[section] = dict(tree[section])
        tree = tree[section]
    tree[last] = value
    for key in [key for key in lines if key.startswith(f"{name}.")]:
        del lines[key]
    lines[name] = SET


# --------------------------------------------------------------------------------------------------- errors


def _explain(
    error: ValidationError, model: type[BaseModel], path: Path, lines: dict[str, str], stage: str, shown: str
) -> RlvrError:
    """The first of pydantic's errors in our words."""
    errors = error.errors(include_url=False)
    unknown = [one for one in errors if one["type"] == "extra_forbidden"]
    first = min(unknown, key=lambda one: len(one["loc"])) if unknown else errors[0]
    known, location, sections = _locate(model, first["loc"])
    name = ".".join(str(part) for part in location)
    line = _line(name, lines, rule=first["type"] == "value_error") or str(path)
    where = f"--set {name}" if line == SET else f"{line}: {name}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if stage != shown:
        more += f"; by its keys this file is for: rlvr {shown}"
    kind, got = first["type"], first.get("input")
    if kind == "extra_forbidden":
        top = {key for stage in STAGES.values() for key in stage.model_fields} if len(location) == 1 else known
        guess = did_you_mean(str(location[-1]), top)
        prefix = ".".join(str(part) for part in (*location[:-1], ""))
        guess = guess.replace("Did you mean ", f"Did you mean {prefix}")
        return RlvrError(where, "unknown key", remedy=(guess + more).strip() or None, allowed=", ".join(sorted(known)))
    if kind in ("union_tag_invalid", "literal_error"):
        context = first.get("ctx", {})
        allowed = str(context.get("expected_tags") or context.get("expected")).replace("'", "").replace(" or ", ", ")
        value = got.get("name") if kind == "union_tag_invalid" and isinstance(got, dict) else got
        return RlvrError(
            where,
            "unknown value",
            got=value,
            allowed=allowed,
            remedy=(did_you_mean(str(value), allowed.split(", ")) + more).strip() or None,
        )
    if kind == "union_tag_not_found":
        allowed = ", ".join(tag for model in sections for tag in get_args(model.model_fields["name"].annotation))
        return RlvrError(f"{where}.name", "is missing", allowed=allowed, remedy=more.strip() or None)
    if kind == "model_type":
        return RlvrError(where, "must be a section of keys and values", got=got, remedy=more.strip() or None)
    if kind == "missing":
        return RlvrError(where, "is missing", remedy=f"set it in the file or with --set {name}=VALUE{more}")
    if kind == "value_error":
        return RlvrError(where.rstrip(": "), first["msg"].removeprefix("Value error, ") + more)
    message = first["msg"][0].lower() + first["msg"][1:]
    return RlvrError(where, message, got=got, remedy=more.strip() or None)


def _line(name: str, lines: dict[str, str], *, rule: bool) -> str | None:
    """Where a key stands: itself, else the first key below it, else the nearest section around it.

    rule: what is wrong is how keys of this section go together; one that was set on the command line then comes first.
    """
    below = [key for key in lines if key.startswith(f"{name}.")]
    if rule and any(lines[key] == SET for key in below):
        return SET
    around = [key for key in lines if name.startswith(f"{key}.")]
    nearest = [name] if name in lines else below[:1] or sorted(around, key=len)[-1:]
    return lines[nearest[0]] if nearest else None


def _locate(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[list[str], list[int | str], list[type[BaseModel]]]:
    """The keys allowed at the end of an error's location, the location without pydantic's union tags, and the sections
    that may stand there."""
    location: list[int | str] = []
    current: Any = model
    known: list[str] = []
    for part in loc:
        if get_origin(current) is dict:
            location.append(part)
            current = get_args(current)[1]
            known = []
            continue
        members = _models(current)
        tagged = [m for m in members if len(members) > 1 and part in get_args(m.model_fields["name"].annotation)]
        if tagged:
            current = tagged[0]
            continue
        location.append(part)
        fields = members[0].model_fields if members else {}
        known = list(fields)
        if part in fields:
            current = fields[str(part)].annotation
    return known, location, _models(current)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, list, dict) or hasattr(annotation, "__metadata__"):
        return [model for argument in get_args(annotation) for model in _models(argument)]
    return []
