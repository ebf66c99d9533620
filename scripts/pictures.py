"""Make the README's two pictures of a report: its top, and the token view. Usage: pictures.py REPORT.html [FOLDER=docs/pictures]

Needs Playwright and a chromium on the path. The token view shows, of the right rollouts that were studied, the one whose credit moved most.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

TELLING = """() => {
  const moved = ({ study }) => {
    const right = study?.credit?.right ?? [];
    return Math.max(0, ...right.slice(1).map((value, number) => Math.abs(value - right[number])));
  };
  const worth = (attempt) => [attempt.study ? 1 : 0, attempt.correct ? 1 : 0, moved(attempt), attempt.length];
  const before = (a, b) => a.map((value, number) => b[number] - value).find((difference) => difference !== 0) ?? 0;
  const order = data.readers[0].map((attempt, number) => [worth(attempt), number]);
  return order.sort(([a], [b]) => before(a, b))[0][1];
}"""


def main() -> None:
    report, folder = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(offline=True, viewport={"width": 1280, "height": 1320}).new_page()
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        page.screenshot(path=folder / "report.png")
        token_view(page, folder / "tokens.png")
        browser.close()


def token_view(page: Any, file: Path) -> None:
    """From what is said of the rollout to the end of its tokens, at the first of them."""
    reader = page.locator(".reader").first
    reader.locator(".rollouts button").nth(page.evaluate(TELLING)).click()
    reader.locator("[role=option]").first.focus()
    page.set_viewport_size({"width": 1280, "height": 2400})
    top, bottom = reader.locator(".about").bounding_box(), reader.locator(".tokens").bounding_box()
    margin = 16
    clip = {
        "x": top["x"] - margin,
        "y": top["y"] - margin,
        "width": top["width"] + 2 * margin,
        "height": bottom["y"] + bottom["height"] - top["y"] + 2 * margin,
    }
    page.screenshot(path=file, clip=clip)


if __name__ == "__main__":
    main()
