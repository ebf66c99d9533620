"""Take the results of ``rlvr claims run all`` over: into the program, docs/experiments.md and the tour's tables and pictures.

    .venv/bin/python scripts/ship_claims.py [--from runs/claims]

Only what was run in full is taken over. Between ``<!-- measured: ID -->`` or ``<!-- picture: CHART -->`` and ``<!-- end -->`` a chapter of
the tour holds what stands here, and nothing else is changed; so does docs/experiments.md between ``<!-- claims -->`` and the end.
"""

import argparse
import re
from pathlib import Path

from rlvr.claims import CLAIMS
from rlvr.claims.claim import Claim
from rlvr.claims.reproducing import runs_of
from rlvr.claims.results import SHIPPED, Result, file_of, read, shipped, write
from rlvr.claims.views import command_of, table_of
from rlvr.report.blocks import Chart, Table
from rlvr.report.figures import drawn

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS, TOUR = ROOT / "docs" / "experiments.md", ROOT / "docs" / "tour"
FILLED = r"(<!-- {mark} -->\n).*?(<!-- end -->)"


def main() -> None:
    """Take over what is there, claim by claim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, default=Path("runs/claims"))
    folder = parser.parse_args().folder
    for claim in CLAIMS:
        result = read(file_of(folder, claim.id, quick=False, changed=False))
        if result is not None:
            take_over(claim, result)
    results = [(claim, result) for claim in CLAIMS if (result := shipped(claim.id)) is not None]
    fill(EXPERIMENTS, "claims", "\n".join(experiment(claim, result) for claim, result in results))


def take_over(claim: Claim, result: Result) -> None:
    """A result into the program, its table and pictures into the tour."""
    charts = {chart.name: chart for chart in claim.charts(runs_of(result))}
    write(file_of(SHIPPED, claim.id, quick=False, changed=False), result)
    for chapter in sorted(TOUR.glob("*.md")):
        fill(chapter, f"measured: {claim.id}", f"\n{summary(result)}\n\n{markdown(table_of(result, None))}\n")
        for name in re.findall(r"<!-- picture: ([a-z0-9-]+) -->", chapter.read_text(encoding="utf-8")):
            if name in charts:
                fill(chapter, f"picture: {name}", picture(charts[name]))


def picture(chart: Chart) -> str:
    """Write a chart beside the chapters; the line that shows it."""
    file = TOUR / "pictures" / f"{chart.name}.svg"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(drawn(chart)[0])
    return f"\n![{chart.summary}](pictures/{file.name})\n"


def experiment(claim: Claim, result: Result) -> str:
    """The part of docs/experiments.md on a claim."""
    return f"\n### {claim.title}: {result.verdict}\n{claim.said}\n\n    {command_of(result)}\n\n{summary(result)}\n\n{markdown(table_of(result, None))}\n"


def summary(result: Result) -> str:
    """The verdict, and what it was made from, where and when."""
    runs = len({path for runs in result.runs for path in runs.values()})
    before = f", {result.earlier} of them before" if result.earlier else ""
    took = f"{runs} runs{before}, in {result.minutes:.0f} minutes"
    return f"**{result.verdict}** ({took} on {result.machine}, {result.date}; made from {result.made_from})"


def markdown(table: Table) -> str:
    """A table as Markdown has it."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def fill(file: Path, mark: str, text: str) -> None:
    """Put a text where a file has the mark for it, if it has."""
    old = file.read_text(encoding="utf-8")
    pattern = re.compile(FILLED.format(mark=re.escape(mark)), re.DOTALL)
    new = pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}" if text else found[0], old)
    if new != old:
        file.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
