"""Tokenizers and chat templates that attack: bounded, sandboxed, refused in one line."""

import json
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import call

from rlvr.config import TokenizerConfig
from rlvr.errors import EndedError, RlvrError
from rlvr.models import templates
from rlvr.models.templates import Conversation, try_template
from rlvr.models.tokenizer import build_tokenizer


def tree_of(folder: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text())
    return tree


def put(**changes: Any) -> Callable[[Path], None]:
    """Set keys of tokenizer.json."""

    def damage(folder: Path) -> None:
        (folder / "tokenizer.json").write_text(json.dumps({**tree_of(folder), **changes}))

    return damage


def put_model(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: put(model={**tree_of(folder)["model"], **changes})(folder)


def settings(**changes: Any) -> Callable[[Path], None]:
    """Set keys of tokenizer_config.json."""

    def damage(folder: Path) -> None:
        file = folder / "tokenizer_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return damage


def raw(content: bytes, name: str = "tokenizer.json") -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


REFUSED: dict[str, Callable[[Path], None]] = {
    "not JSON": raw(b"{"),
    "empty": raw(b""),
    "a list": raw(b"[]"),
    "null": raw(b"null"),
    "deep": raw(b"[" * 200_000),
    "bad UTF-8": raw(b"\xff\xfe{}"),
    "10 MB of noise": raw(b'{"a": "' + b"x" * 10_000_000 + b'"}'),
    "no model": put(model=None),
    "a model that is a text": put(model="x"),
    "an unknown kind of model": put_model(type="Evil"),
    "a vocabulary that is a list": put_model(vocab=["a"]),
    "negative ids": put_model(vocab={"a": -1}),
    "ids beyond all bounds": put_model(vocab={"a": 2**40}),
    "a pre-tokenizer of nonsense": put(pre_tokenizer={"type": "Evil"}),
    "a regex of nonsense": put(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}),
    "added tokens that are numbers": put(added_tokens=[1]),
    "a post-processor of nonsense": put(post_processor={"type": "TemplateProcessing", "single": 1}),
    "settings that are a list": raw(b"[]", "tokenizer_config.json"),
    "deep settings": raw(b"[" * 200_000, "tokenizer_config.json"),
    "an end token that is a number": settings(eos_token=7),
    "a class that is a number": settings(tokenizer_class=7),
    "added tokens of nonsense": settings(added_tokens_decoder={"x": 1}),
    "special tokens of nonsense": settings(extra_special_tokens=7),
    "a template that is a number": settings(chat_template=7),
    "a template that is a list": settings(chat_template=[1]),
}  # fmt: skip


@pytest.mark.check("R26")
@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_tokenizer_is_refused_in_one_line(
    name: str, folder: Path, config: Path, refused: Callable[..., str]
) -> None:
    REFUSED[name](folder)
    assert len(refused("eval", config)) < 2000


EVIL_PATTERN = {"type": "Split", "pattern": {"Regex": "(a|a|ab|(a+)+)+$|((0|1|0 | 1| )+)+x"}, "behavior": "Isolated", "invert": False}  # fmt: skip


@pytest.mark.check("R26")
def test_a_pattern_that_goes_back_and_forth_ends(folder: Path, config: Path, tmp_path: Path) -> None:
    put(pre_tokenizer=EVIL_PATTERN)(folder)
    started = time.perf_counter()
    answer = call("eval", config, "--run", tmp_path / "run")
    assert answer.code in (0, 2)
    assert time.perf_counter() - started < 30


@pytest.mark.check("R26")
def test_a_tokenizer_reads_no_file_outside(folder: Path, config: Path, tmp_path: Path) -> None:
    """What tokenizer_config.json says of files is not followed."""
    secret = tmp_path / "secret.json"
    secret.write_text("{not json")
    settings(tokenizer_file=str(secret), vocab_file="../secret.json", chat_template_file="/etc/passwd")(folder)
    answer = call("eval", config, "--run", tmp_path / "run")
    assert answer.code in (0, 2)
    assert "secret" not in answer.err
    assert "root:" not in answer.out + answer.err


# ------------------------------------------------------------------------------------------------- chat templates

TEMPLATES = {
    "a class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "{{ raise_exception.__globals__['os'].system('touch MARKER') }}",
    "an import": "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}",
    "attr filter": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "an include": "{% include '/etc/passwd' %}",
    "an import of a template": "{% import '/etc/passwd' as x %}",
    "a long range": "{% for i in range(10**9) %}x{% endfor %}",
    "ranges in ranges": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 10**10 }}",
    "a text of 2 MB": "{{ 'a' * 2 * 10**6 }}",
    "a great power": "{{ 9**9**9**9 }}",
    "padding": "{{ 'a'.center(10**11) }}",
    "a format of a great width": "{{ '%99999999999d' % 1 }}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "it raises": "{{ raise_exception('no') }}",
    "undefined": "{{ nothing.at.all }}",
    "division": "{{ 1 // 0 }}",
    "an open block": "{% for m in messages %}",
    "10 MB": "x" * 10_000_000,
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
}


@pytest.mark.check("R26")
@pytest.mark.parametrize(
    ("name", "place"), [*((name, "file") for name in TEMPLATES), ("a class", "settings"), ("10 MB", "settings")]
)
def test_a_hostile_template_is_refused_in_one_line(
    name: str, place: str, folder: Path, config: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    template = TEMPLATES[name].replace("MARKER", str(tmp_path / "marker"))
    if place == "file":
        (folder / "chat_template.jinja").write_text(template)
    else:
        settings(chat_template=template)(folder)
    started = time.perf_counter()
    answer = call("eval", config, "--run", tmp_path / "run")
    assert time.perf_counter() - started < 30
    assert not (tmp_path / "marker").exists()
    assert "root:" not in answer.out + answer.err
    if answer.code != 0:
        assert answer.code == 2
        [line] = [line for line in answer.err.splitlines() if not line.startswith("warning: ")]
        assert "template" in line or ".jinja" in line or "empty prompt" in line


@pytest.mark.check("R26")
def test_what_a_template_may_not_reach_is_an_error_or_empty(folder: Path, config: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ ''.__class__ }}{{ messages[0].content }}")
    answer = call("eval", config, "--run", tmp_path / "run")
    assert (answer.code, "SecurityError" in answer.err) in ((2, True), (0, False))


@pytest.mark.check("R26")
def test_the_style_plain_leaves_a_hostile_template_alone(folder: Path, config: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").write_text(TEMPLATES["a great power"])
    answer = call("eval", config, "--run", tmp_path / "run", "--set", "prompt.style=plain")
    assert answer.code == 0, answer.err


ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.check("R26")
@pytest.mark.parametrize("role", ["assistant", "system"])
def test_a_template_is_tried_on_every_kind_of_conversation(
    role: str, folder: Path, config: Path, refused: Callable[..., str]
) -> None:
    """One that behaves until an assistant has spoken, or a system prompt is given, is refused as any other."""
    (folder / "chat_template.jinja").write_text(
        f"? {{% if '{role}' in messages|map(attribute='role') %}}{ENDLESS}{{% endif %}}"
    )
    assert "it does not end" in refused("eval", config, "--set", "prompt.system=Think.")


@pytest.mark.check("R26")
def test_a_signal_leaves_no_template_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> None:
        raise EndedError(15)

    tokenizer = build_tokenizer(TokenizerConfig(), ["0 1"], max_length=8)
    tokenizer.chat_template = ENDLESS
    monkeypatch.setattr(select, "select", ended)
    with pytest.raises(EndedError):
        try_template(tokenizer, [Conversation([{"role": "user", "content": "?"}], asking=True)])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.check("R26")
def test_a_template_is_tried_where_the_system_does_not_tell_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "STATM", Path("/nowhere"))
    tokenizer = build_tokenizer(TokenizerConfig(), ["0 1"], max_length=8)
    asked = [Conversation([{"role": "user", "content": "?"}], asking=True)]
    tokenizer.chat_template = "{{ messages[0].content }}"
    try_template(tokenizer, asked)
    tokenizer.chat_template = "{{ messages[9].content.nothing }}"
    with pytest.raises(RlvrError):
        try_template(tokenizer, asked)
