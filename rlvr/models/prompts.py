"""What a question becomes where no chat template is used. No torch."""

from rlvr.config import PromptConfig

R1 = """A user asks a question, and an assistant answers it. The assistant first thinks about how to find the answer, and then gives it. \
What it thinks stands between <think> and </think>, and what it answers between <answer> and </answer>.
"""
"""In the manner of table 1 of DeepSeek-R1 (arXiv:2501.12948), in other words."""


def plain_prompt(question: str, config: PromptConfig) -> str:
    """The text that ends where the model's answer begins; after a new line wherever anything is put around the question."""
    examples = config.examples or []
    if config.style == "r1":
        turns = [f"User: {each.question}\nAssistant:\n{each.answer}\n" for each in examples]
        return "".join([R1, *turns, f"User: {question}\nAssistant:\n"])
    if not examples:
        return question
    shown = [f"Question: {each.question}\nAnswer:\n{each.answer}\n\n" for each in examples]
    return "".join([*shown, f"Question: {question}\nAnswer:\n"])
