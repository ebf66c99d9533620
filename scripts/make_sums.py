"""Write sums in words as problems. Usage: make_sums.py OUT.jsonl [COUNT=128]

Each line: {"question": "What is three plus eight? Answer with a number.", "answer": "11"}, all questions different.
"""

import json
import random
import sys
from pathlib import Path

SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def main() -> None:
    out, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 128
    pairs = random.Random(0).sample([(a, b) for a in range(1, 13) for b in range(1, 13)], count)
    rows = [
        {"question": f"What is {SMALL[a]} plus {SMALL[b]}? Answer with a number.", "answer": str(a + b)}
        for a, b in pairs
    ]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
