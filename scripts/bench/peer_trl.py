"""TRL's GRPOTrainer on the same step, in an environment that has TRL. Arguments: MODEL SHORT_TENTHS NEW_TOKENS RATE FOLDER.

A turn goes from the beginning of one step to the beginning of the next: generation, rewards, advantages, the update, logging.
"""

import re
import sys
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from bench.worker import Turns
from bench.works import GROUP, PROBLEMS, answer_tokens, questions

MANY = 1_000_000


class Paced(TrainerCallback):
    """Begins a step when told. written: tokens of the completions that were rewarded since."""

    def __init__(self, turns: Turns, expected: int) -> None:
        self.turns, self.expected, self.written = turns, expected, 0

    def on_step_begin(self, *_given: object, **_more: object) -> None:
        """The step before is told of first."""
        assert self.written in (0, self.expected), f"{self.expected} tokens were expected, not {self.written}"
        self.turns.wait(self.written)
        self.written = 0


def main() -> None:
    """Train, a step a turn."""
    turns = Turns()  # before the trainer writes to standard output
    model, tenths, new, rate, folder = sys.argv[1:]
    paced = Paced(turns, answer_tokens(int(tenths), int(new)))

    def last_number(
        completions: list[str], answer: list[str], completion_ids: list[list[int]], **_: Any
    ) -> list[float]:
        """1 if the last number is the answer."""
        paced.written += sum(len(ids) for ids in completion_ids)
        found = [re.findall(r"\d+", text) for text in completions]
        return [float(numbers[-1:] == [right]) for numbers, right in zip(found, answer, strict=True)]

    rows = [{"prompt": row["question"], "answer": row["answer"]} for row in questions(int(tenths))]
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=last_number,
        args=settings(int(new), float(rate), folder),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model),
        callbacks=[paced],
    )
    trainer.train()


def settings(new: int, rate: float, folder: str) -> GRPOConfig:
    """The same step as ours, with all that would only make this side slower left out."""
    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=PROBLEMS * GROUP,
        num_generations=GROUP,
        max_completion_length=new,
        temperature=1.0,
        learning_rate=rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        beta=0.0,
        max_steps=MANY,
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=False,
        model_init_kwargs={"dtype": "float32"},
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


if __name__ == "__main__":
    main()
