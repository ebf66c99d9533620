"""Every check of what a run survives, as one table: check, result, tests, figure.

Usage: reliability.py [--only R6,R7] [--quick]

The checks are tests marked ``check`` with their numbers, most of them through the command line; ``scripts/test`` runs the fast ones and
``scripts/test --slow`` the others with few kills and a short soak. Here all run, with 20 kills a stage and 2,000 steps of soak unless ``--quick`` is
given. A test may say what it measured. Exit status 1 if a check fails or has no test; a check that cannot be made on this machine says why.
"""

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

CHECKS = {
    "R1": "kill -9 at random moments of rl, resumed: same weights, same metrics",
    "R2": "the same for pretrain, sft, and rl with several updates, accumulation, staleness, dynamic sampling",
    "R3": "kill -9 while a checkpoint is written: never a half one",
    "R4": "the same configuration twice, elsewhere: same weights, same metrics",
    "R5": "another number of threads is said to lose exactness",
    "R6": "a file of the newest checkpoint cut by a byte: stepped over, named",
    "R7": "a bit flipped in it: the same",
    "R8": "a file of it missing, empty and stray folders, leftovers: the same",
    "R9": "every checkpoint damaged: one line, nothing overwritten",
    "R10": "disk full while saving: the one before is whole",
    "R11": "an output that cannot be written: said before training",
    "R12": "SIGTERM while sampling, scoring, updating, saving, evaluating: saved, 143, exact",
    "R13": "SIGINT once: the same with 130; twice: at once, resumable",
    "R14": "a loss, gradient, reward or weight that is not finite: stopped before the update",
    "R15": "a reward that raises, or returns what is no number",
    "R16": "a reward that hangs",
    "R17": "too little memory: one line, checkpoint whole",
    "R18": "keep 1 and a save that fails: the old one is kept",
    "R19": "resumed with another configuration: what differs is named",
    "R20": "resumed when finished: no further step",
    "R21": "two processes on one run directory; a dead one's lock",
    "R22": "typos in a configuration: line, nearest key, at once",
    "R23": "hostile YAML",
    "R24": "pickles and remote code are never run",
    "R25": "hostile safetensors",
    "R26": "hostile tokenizers and chat templates",
    "R27": "paths that lead outside",
    "R28": "secrets of the environment are written nowhere",
    "R29": "terminal escapes, markup and odd characters in completions",
    "R30": "hostile rows of data: row and reason before the first step",
    "R31": "no connection is opened",
    "R32": "the verifiers' verdicts are the same in threads, processes and under load",
    "R33": "verifiers have no side effects",
    "R34": "auditors find nothing in the verifiers",
    "R35": "probes of the code sandbox earn nothing",
    "R36": "no sandbox: said, never run without",
    "R37": "an evaluation twice, in other batches and order: the same answers",
    "R38": "exit codes and streams of every command",
    "R39": "soak: memory, files, threads and descriptors do not grow",
    "R40": "time zones and locales change nothing",
    "R41": "a checkpoint in plain transformers: same logits, only safetensors and text",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One test. skipped: why it could not run here. figure: what it measured, if it says so."""

    name: str
    failed: bool
    skipped: str | None
    figure: str | None


def main() -> None:
    """Run the checks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="checks by number, separated by commas")
    parser.add_argument("--quick", action="store_true", help="few kills and a short soak")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name] or list(CHECKS)
    if unknown := [name for name in wanted if name not in CHECKS]:
        parser.error(f"no such check: {', '.join(unknown)}")
    found = run_tests(wanted, quick=options.quick)
    print("| check | what | result | tests | figures |\n|---|---|---|---|---|")
    bad = [name for name in wanted if print_row(name, found[name])]
    if bad:
        sys.exit(f"not held: {', '.join(bad)}")


def run_tests(wanted: list[str], *, quick: bool) -> dict[str, list[Outcome]]:
    """The outcome of every test of the wanted checks, by check."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "2",
            "--dist",
            "loadfile",
            "-m",
            "check",
            "--checks",
            ",".join(wanted),
        ]
        command += [f"--junitxml={report}", *([] if quick else ["--thorough"])]
        subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
        found = defaultdict(list)
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
            properties = [(each.get("name"), each.get("value")) for each in case.iter("property")]
            outcome = read_case(case, dict(properties).get("figure"))
            for name in {value for key, value in properties if key == "check"}:
                found[name].append(outcome)
        return found


def read_case(case: ElementTree.Element, figure: str | None) -> Outcome:
    """A test's element of the report."""
    skipped = case.find("skipped")
    failed = case.find("failure") is not None or case.find("error") is not None
    why = None if skipped is None else skipped.get("message")
    return Outcome(name=case.get("name") or "", failed=failed, skipped=why, figure=figure)


def print_row(name: str, outcomes: list[Outcome]) -> bool:
    """Print a check's row; whether it is not held."""
    failed = [each.name for each in outcomes if each.failed]
    ran = [each for each in outcomes if each.skipped is None]
    reasons = sorted({each.skipped for each in outcomes if each.skipped})
    if failed:
        result = f"FAIL ({', '.join(failed)})"
    elif ran:
        result = "pass" if not reasons else f"pass; not here: {'; '.join(reasons)}"
    else:
        result = f"not here: {'; '.join(reasons)}" if outcomes else "NO TEST"
    figures = "; ".join(each.figure for each in ran if each.figure)
    print(f"| {name} | {CHECKS[name]} | {result} | {len(outcomes)} | {figures} |")
    return bool(failed) or not outcomes


if __name__ == "__main__":
    main()
