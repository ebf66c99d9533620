"""The nouns every part of the program passes on, in the order in which data meets them.

    Problem --> Completion --> Rollout --> Sample --> Batch --> LossOutput

A *group* is the list of rollouts of one problem. A *mode* is a way of answering the same problem that its task can
both write and recognise. ``loss_mask`` is True on a token the model is trained to predict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

Split = Literal["train", "test"]
Metrics = dict[str, float]
"""Numbers by name, ``<group>/<name>``."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A question with its gold answer.

    >>> Problem(task="modsum", split="train", index=7, question="1 0 1 =", answer="0")  # doctest: +SKIP
    """

    task: str
    split: Split
    index: int
    question: str
    answer: str
    metadata: dict[str, Any] = field(default_factory=dict)


Message = dict[str, str]
"""``role`` (system, user or assistant) and ``content``, as chat templates have it."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A conversation whose last message is the assistant's. last_alone: of its turns that one alone is to be learnt, else all."""

    messages: tuple[Message, ...]
    last_alone: bool


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text to learn from: the response is what a model should write after the prompt.

    prompt: empty for plain text, which is then trained on whole.
    ends: False where the text was cut, so that no end token is to be learnt after it.
    chat: the whole conversation, of which prompt and response are the last turns; None if those are all.
    """

    source: str
    mode: str
    prompt: str
    response: str
    ends: bool = True
    chat: Chat | None = None


class StopReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """The model wrote a stop token or a stop string; what it wrote of it is the completion's end."""
    LENGTH = "length"
    """``max_new_tokens`` were written without either: the completion is truncated."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt to complete once per seed.

    prompt_ids: token ids of the prompt.
    seeds: one 64-bit integer per wanted completion; it alone decides that completion's randomness.
    begun: how many of the prompt's last tokens are the beginning of the completion already, where one is continued: they count
        among the tokens that it may and must have, and a stop string may begin in them.
    """

    prompt_ids: list[int]
    seeds: list[int]
    begun: int = 0


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to draw tokens, and when to end. temperature 0 means greedy.

    min_new_tokens: no stop token is drawn, and nothing else ends a completion, before this many tokens have been written.
    top_k: only this many of the most likely tokens are drawn from; None for all.
    top_p: only the fewest of the most likely tokens that together hold at least this share are drawn from, after ``top_k``
        and of what it left; None for all.
    ends: told the token ids of a completion after each of its tokens, says whether the last of them ends it; None where
        stop tokens alone do.
    """

    max_new_tokens: int
    temperature: float = 1.0
    min_new_tokens: int = 0
    top_k: int | None = None
    top_p: float | None = None
    ends: Callable[[list[int]], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What the model wrote after a prompt.

    token_ids: the completion's tokens, the stop token or all tokens of the stop string included.
    logprobs: log-probability of each token under the sampling policy at the sampling temperature (at temperature 1
        when greedy): of the softmax over all tokens, before ``min_new_tokens``, ``top_k`` and ``top_p`` rule any out. So it
        is what the trainer computes for the same token, and a difference means that the two are not the same policy.
    entropies: entropy (nats) of the same distribution at each token; None where it was not recorded.
    """

    prompt_ids: list[int]
    token_ids: list[int]
    logprobs: list[float]
    stop_reason: StopReason
    entropies: list[float] | None = None


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One scored attempt at a problem.

    rewards: each component's reward by name, unweighted; those that do not apply are absent. reasons: why, by name.
    reward: the weighted sum, which training goes by. oracle: the same without the noise that an experiment may add.
    correct: every answer component truly gave full marks.
    shaping: further reward at single tokens, aligned with the completion's; None for none.
    ref_logprobs: log-probability of each token under the reference policy; None without one.
    teacher_logprobs: log-probability of each token under the teacher; None without one.
    values: the reward that a value model expects before each token; None without one.
    returns: what it should have expected; None until estimated.
    trained: which of its tokens are trained; None means all.
    advantages: how much better each of the completion's tokens is than expected, in reward units or as the estimator
        says; None until estimated.
    """

    problem: Problem
    prompt: str
    completion: Completion
    text: str
    mode: str
    rewards: dict[str, float]
    reasons: dict[str, str]
    reward: float
    oracle: float
    correct: bool
    shaping: list[float] | None = None
    ref_logprobs: list[float] | None = None
    teacher_logprobs: list[float] | None = None
    values: list[float] | None = None
    returns: list[float] | None = None
    trained: list[bool] | None = None
    advantages: list[float] | None = None

    @property
    def length(self) -> int:
        """Number of tokens the model wrote."""
        return len(self.completion.token_ids)

    @property
    def truncated(self) -> bool:
        """Whether it ran out of tokens before it ended."""
        return self.completion.stop_reason is StopReason.LENGTH

    @property
    def shaped_reward(self) -> float:
        """The reward with what was added at its tokens."""
        return self.reward if self.shaping is None else self.reward + sum(self.shaping)

    @property
    def advantage(self) -> float | None:
        """The mean advantage of its tokens."""
        return None if self.advantages is None else sum(self.advantages) / len(self.advantages)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row of training data; every list is aligned with ``token_ids``.

    A rollout of prompt P and completion A with advantage a becomes
    ``token_ids=P+A, loss_mask=[False]*len(P)+[True]*len(A), advantages=[0.0]*len(P)+[a]*len(A),
    old_logprobs=[0.0]*len(P)+logprobs_A``. Documents have neither advantages nor old_logprobs.
    weight: what the loss of each of its tokens is multiplied by.
    """

    token_ids: list[int]
    loss_mask: list[bool]
    weight: float = 1.0
    advantages: list[float] | None = None
    old_logprobs: list[float] | None = None
    ref_logprobs: list[float] | None = None
    returns: list[float] | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a model reads the rows of a batch: T distinct tokens, at S places of blocks of rows of like length.

    A row is read up to the token before its last trained one. What rows have in common before their first trained token
    (the prompt of a group) is one and the same to the model, so its tokens are among the T once and at S places for each row.

    ids, positions: (T,) int64, each distinct token and where in its row it stands.
    read: (S,) int64, which of the T stands at each place, block after block and row after row; any at padded places.
    blocks: (rows, length) of each block; S is the sum of their products.
    first: (T,) int64, the first of the S places at which each distinct token stands.
    again: (R,) int64, the places, padded ones apart, at which one stands that stood before.
    before: (N,) int64, which of the T comes before each trained token, in row-major order of ``loss_mask``.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    read: torch.Tensor
    blocks: tuple[tuple[int, int], ...]
    first: torch.Tensor
    again: torch.Tensor
    before: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples padded on the right to one length L; B rows.

    input_ids: (B, L) int64. loss_mask: (B, L) bool, True on tokens to predict, never in column 0.
    layout: what of it a model reads, which has hardly any padding.
    advantages, old_logprobs: (B, L) float32, or None for documents. ref_logprobs: (B, L) float32; None without a reference.
    returns: (B, L) float32, what a value model should say before each token; None without one.
    weights: (B,) float32, what the losses of a row's tokens are multiplied by; None where all are 1.
    on_policy: the weights that are trained are still those that the rollouts were sampled from.
    """

    input_ids: torch.Tensor
    loss_mask: torch.Tensor
    layout: Layout
    advantages: torch.Tensor | None
    old_logprobs: torch.Tensor | None
    ref_logprobs: torch.Tensor | None = None
    returns: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    on_policy: bool = True


@dataclass(frozen=True, kw_only=True)
class Update:
    """What one optimizer update learns from: at least one batch.

    divisor: what the sum of all batches' losses is divided by; None means the count of their trained tokens.
    """

    batches: list[Batch]
    divisor: float | None = None


@dataclass(frozen=True, kw_only=True)
class StepData:
    """What one step learns from, and what there is to say about it. No updates: the step changes nothing."""

    updates: list[Update]
    metrics: Metrics


@dataclass(frozen=True, kw_only=True)
class LossOutput:
    """A loss as a SUM over the batch's trained tokens; the loop divides by the update's divisor, once.

    loss_sum: () float32, carries the gradient.
    sums: detached () tensors to be added over batches and divided by the count of trained tokens, by metric name.
    maxima: detached () tensors of which the largest over batches is kept, by metric name.
    """

    loss_sum: torch.Tensor
    sums: dict[str, torch.Tensor]
    maxima: dict[str, torch.Tensor]


Group = list[Rollout]
"""The rollouts of one problem."""
