"""Problems from files: where they are, what their columns are called, and how a question is made of them."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from rlvr.config.strict import Fraction, Strict

HUB = "hub:"
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
"""What a file holds, by the end of its name."""

FIELD = re.compile(r"\{\{(?P<kept>[^\W\d][\w.-]*)\}\}|\{(?P<name>[^\W\d][\w.-]*)\}")
"""A column's name in a template; between two pairs of braces it stands for itself. All other braces are plain text."""


def format_of(path: str) -> str | None:
    """hub, or what the end of a file's name says; None if it says nothing."""
    return "hub" if path.startswith(HUB) else FORMATS.get(PurePath(path).suffix.lower())


def fields_of(template: str) -> list[str]:
    """The columns that a template names, each once, in order."""
    return list(dict.fromkeys(found["name"] for found in FIELD.finditer(template) if found["name"] is not None))


class ColumnsConfig(Strict):
    """Where a file has what a problem is made of; a dotted path leads into objects and lists (``messages.0.content``)."""

    question: str | None = None
    """None: ``question``, in MATH's layout ``problem``."""
    answer: str | None = None
    """None: ``answer``."""
    solution: str | None = None
    """None: ``solution``; but in GSM8K's layout it is a part of the answer."""


class ProblemsConfig(Strict):
    """Questions and answers from a file: JSON lines, JSON, CSV, parquet, or a Hugging Face data set."""

    name: Literal["problems"]
    path: str
    """A file, a folder that ``datasets`` saved, or a data set on the hub, ``hub:owner/name``."""
    subset: str | None = None
    """Of a data set on the hub, which one where it has several."""
    split: str | None = None
    """Of a data set, which split is read; None: ``train``."""
    revision: str | None = None
    """Of a data set on the hub, the commit, branch or tag; None: the newest."""
    layout: Literal["auto", "plain", "gsm8k", "math"] = "auto"
    """Where the final answer stands. plain: in a column of its own; gsm8k: after #### in the answer's last line; math: in the
    solution's last \\boxed{…}; auto: whichever is recognised."""
    columns: ColumnsConfig | None = None
    """None: they are called as the layout calls them."""
    template: str | None = None
    """The question put to the model, with ``{question}`` and other columns by name; None: the question as it is."""
    on_bad_line: Literal["stop", "skip"] = "stop"
    duplicates: Literal["keep", "drop"] = "keep"
    """drop: of questions that are the same but for case and spaces, only the first is kept."""
    max_tokens: PositiveInt | None = None
    """Questions of more tokens are left out and counted; what a chat template adds to them is not."""
    tokenizer: str | None = None
    """Whose tokens ``max_tokens`` counts: a directory with a tokenizer.json, or a run."""
    test_fraction: Fraction = 0.1
    """Share of the questions, chosen by a hash of their text, kept from training."""
    test_path: str | None = None
    """Where the test split is, if it is not a part of ``path``."""
    test_split: str | None = None
    """Of a data set, the split that is tested on; None, with test_path: ``test``."""
    contamination: Literal["warn", "drop", "stop"] | None = None
    """What to do about training problems that are also in the test split, whole or for 13 words in a row; drop: leave them out
    of training. None: warn if the test split is apart, else it is not looked for."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("path", "test_path"):
            value = getattr(self, key)
            if value is not None and value.startswith(HUB) and not _HUB_NAME.fullmatch(value.removeprefix(HUB)):
                raise ValueError(f"{key} {value!r} names no data set on the hub; write hub:owner/name")
        self._check_splits()
        self._check_template()
        if self.layout == "gsm8k" and self.columns is not None and self.columns.solution is not None:
            raise ValueError("columns.solution has no effect in layout gsm8k, whose answers hold it; remove it")
        if (self.max_tokens is None) != (self.tokenizer is None):
            raise ValueError("max_tokens and tokenizer belong together: how many tokens, and whose; give both")
        return self

    @property
    def has_test(self) -> bool:
        """Whether the test split is apart from what is trained on."""
        return self.test_path is not None or self.test_split is not None

    @property
    def files(self) -> list[str]:
        """The files and folders that are read, without what is on the hub."""
        return [path for path in (self.path, self.test_path) if path is not None and not path.startswith(HUB)]

    def _check_splits(self) -> None:
        formats = [format_of(path) for path in (self.path, self.test_path) if path is not None]
        if "hub" not in formats:
            self.refuse_set(("subset", "revision"), "without a data set on the hub (path: hub:owner/name)")
        if formats[0] in FORMATS.values():
            self.refuse_set(("split",), "for a file, which has no splits")
        if formats[-1] in FORMATS.values():
            self.refuse_set(("test_split",), "for a file, which has no splits; name another with test_path")
        if self.has_test:
            self.refuse_set(("test_fraction",), "where the test split is apart (test_path, test_split)")
            if (self.path, self.split or "train") == (self.test_path or self.path, self.test_split or "test"):
                raise ValueError(f"test_split {self.test_split} is what is trained on; name another")
            if self.path == self.test_path and formats[0] in FORMATS.values():
                raise ValueError(f"test_path {self.test_path} is the file that is trained on; use test_fraction")
        elif self.test_fraction in (0.0, 1.0):
            self.refuse_set(
                ("contamination",), f"with test_fraction {self.test_fraction}, which leaves one split empty"
            )

    def _check_template(self) -> None:
        if self.template is None:
            return
        fields = fields_of(self.template)
        if not fields:
            raise ValueError("template names no column, so that all questions are the same; write {question} into it")
        if told := [name for name in fields if name in ("answer", "solution")]:
            raise ValueError(
                f"template: {{{told[0]}}} would tell the model the answer; remove it (or write {{{{{told[0]}}}}} for the text itself)"
            )
