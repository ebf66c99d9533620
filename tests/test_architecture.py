"""Rules of the code's shape that no linter here knows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "rlvr").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno + 1 <= 60, f"{file}:{node.lineno} {node.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_runs_or_unpickles_what_it_is_given(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {
                "eval",
                "exec",
                "torch.load",
                "pickle.load",
                "pickle.loads",
                "yaml.unsafe_load",
            }
            for keyword in node.keywords:
                value = ast.unparse(keyword.value)
                assert (keyword.arg, value) not in {
                    ("trust_remote_code", "True"),
                    ("use_safetensors", "False"),
                    ("shell", "True"),
                }


def test_public_functions_and_classes_have_docstrings() -> None:
    missing = []
    for file in FILES:
        for node in ast.parse(file.read_text()).body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and ast.get_docstring(node) is None:
                missing.append(f"{file.relative_to(ROOT)}: {node.name}")
    assert missing == []


def test_the_loop_names_no_stage() -> None:
    words = {"pretrain", "sft", "rl", "rollout", "reward", "document"}
    names = {
        node.id for node in ast.walk(ast.parse((ROOT / "rlvr/train/loop.py").read_text())) if isinstance(node, ast.Name)
    }
    assert not words & names
