"""Text that a model, a data set or a configuration wrote goes through the whole command and stands on the page as it is."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import call
from read_pages import Page, read_page
from run_folders import CONFIG, evaluation, measured, rl_run, rollout, row, write_lines

TEXTS = {
    "script": "</script><img src=x onerror=alert(1)><script>alert(2)</script>",
    "comment": "<!--<script>-->]]></pre></table></main>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "template": "{{7*7}} {% for x in y %} ${7*7}",
    "escape": "\x1b[31mred\x1b]0;title\x07\x00\x08",
    "markup": "[red]no colour[/red] [/] :smile:",
    "direction": "\u202eolleh\u2066 \u200b\ufeff",
    "surrogate": "half a letter \ud800 and \udfff",
    "lines": "a\nb\r\n\u2028c\x85d",
}


def hostile(path: Path, text: str) -> Path:
    """A run in which the model, its modes, its task and its notes say this wherever they may."""
    run, name, rows = rl_run(path), text.replace("/", ""), []
    for step in range(1, 7):
        plain = row(step, step / 8)
        renamed = {key.replace("cot", name): value for key, value in plain.items()}
        rows.append(renamed | measured(name, step / 8) | {f"reward/{name}": 0.5, f"eval/{name}/loss": 1.0})
    write_lines(run / "metrics.jsonl", rows)
    for step in (1, 3, 6):
        made = [
            rollout(index, right, mode=mode, completion=text, question=text, prompt=text, answer=text, task=text,
                    rewards={text: 1.0}, reasons={text: text}, reward=1.0, stop_reason=text)
            for index in (0, 1) for right in (True, False) for mode in (text, "direct")
        ]  # fmt: skip
        write_lines(run / "rollouts" / f"step_{step:06d}.jsonl", made)
    studies = [json.loads(line) for line in (run / "study" / "step_000006.jsonl").read_text().splitlines()]
    for each in studies:
        each |= {"policy": text, "against": text}
        each["alternatives"] = [[{"id": 5, "text": text, "probability": 0.5, "against": 0.5}]] * 3
    write_lines(run / "study" / "step_000006.jsonl", studies)
    write_lines(run / "explanations.jsonl", [{"step": 2, "kind": text, "sentence": text}])
    (run / "warnings.json").write_text(json.dumps([text]))
    (run / "environment.json").write_text(json.dumps({"command": ["rlvr", text], "versions": {text: text}, text: text}))
    (run / "inputs.json").write_text(json.dumps({text: text}))
    if "surrogate" not in path.name:
        named = {**CONFIG, "model": text, "task": {"name": text}, "algo": {"preset": text, "advantage": text}}
        (run / "config.yaml").write_text(yaml.safe_dump(named))
    return run


def shape(page: Page) -> Counter[tuple[str, tuple[str, ...]]]:
    """How often each element stands there, by its name and those of its attributes."""
    return Counter((tag, tuple(sorted(given))) for tag, given in page.elements)


def seen(text: str) -> str:
    """A text as the page shows it: every control character in sight."""
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The same run of which nothing is hostile."""
    run = hostile(tmp_path_factory.mktemp("plain") / "run", "plain words")
    assert call("report", run).code == 0
    return read_page(run / "report.html")


@pytest.mark.parametrize("kind", TEXTS)
def test_hostile_text_is_shown_literally_and_does_nothing(kind: str, plain: Page, tmp_path: Path) -> None:
    text = TEXTS[kind]
    run = hostile(tmp_path / kind, text)
    answer = call("report", run)
    assert answer.code == 0, answer
    assert not [c for c in answer.out + answer.err if not (c.isprintable() or c == "\n")]
    assert "Traceback" not in answer.err
    page = read_page(run / "report.html")
    if kind != "surrogate":  # no YAML can hold one, so its configuration is not hostile
        assert shape(page) == shape(plain)
    assert seen(text) in page.said("samples")
    assert seen(text) in page.said("notes")
    assert seen(text) in page.said("origin")
    written, data = (run / "report.html").read_text("utf-8").split('<script type="application/json"')
    assert all(c.isprintable() or c == "\n" for c in written)
    assert data.split("</script>")[0].isascii()
    [attempts] = page.data["readers"]
    assert any(seen(text).replace("\n", "") in each["prompt"].replace("\n", "") for each in attempts)


@pytest.mark.parametrize("kind", ["script", "escape", "direction"])
def test_a_folder_with_a_hostile_name_is_named_literally(kind: str, tmp_path: Path) -> None:
    name = TEXTS[kind].replace("/", "").replace("\0", "")
    run = rl_run(tmp_path / name)
    (run / "warnings.json").write_text("{")
    answer = call("report", run)
    assert answer.code == 0, answer
    assert seen(str(run)) in answer.err
    assert "\x1b" not in answer.err
    page = read_page(run / "report.html")
    assert "img" not in {tag for tag, _ in page.elements}


@pytest.mark.parametrize("kind", ["script", "escape", "surrogate"])
def test_evaluations_and_comparisons_are_literal_too(kind: str, tmp_path: Path) -> None:
    text = TEXTS[kind]
    runs = [
        evaluation(tmp_path / name, model, {text: [True, False], "2 =": [True, True]})
        for name, model in (("a", "owner/one"), ("b", "owner/two"))
    ]
    for paths in (runs[:1], runs):
        answer = call("report", *paths, "--out", tmp_path / "page.html")
        assert answer.code == 0, answer
        elements = {tag for tag, _ in read_page(tmp_path / "page.html").elements}
        assert "img" not in elements
    assert "\x1b" not in (tmp_path / "page.html").read_text("utf-8")
