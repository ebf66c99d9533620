"""What a model cost: tokens, FLOPs and time of every run that made it.

FLOPs are estimated: 6 N for each token that is trained on, 2 N for each that is sampled (Kaplan et al., arXiv:2001.08361, section
2.1), where N is the number of the model's parameters; they have those outside the embedding alone, here all are counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rlvr.errors import RlvrError
from rlvr.models.headers import read_header
from rlvr.report.blocks import Block, Prose, Section, Table
from rlvr.report.plots import Bar, bars
from rlvr.report.runs import Run, ancestry
from rlvr.report.wording import amount
from rlvr.runtime.metrics import Row

LEFT_OUT = (
    "FLOPs are estimated as 6 for each parameter and token that is trained on, and 2 for each parameter and token that is sampled "
    "(Kaplan et al., arXiv:2001.08361, section 2.1). Left out: attention over earlier tokens, prompts, evaluations, reference and "
    "value models."
)


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a run spent. trained: tokens that it read while training on them; sampled: tokens that it wrote.

    parameters: of its model; None if no weights are here. seconds: of all steps, evaluations apart.
    """

    name: str
    stage: str
    steps: int
    rollouts: int
    trained: float
    sampled: float
    seconds: float
    parameters: int | None

    @property
    def training_flops(self) -> float | None:
        """FLOPs of the passes forward and backward."""
        return None if self.parameters is None else 6.0 * self.parameters * self.trained

    @property
    def sampling_flops(self) -> float | None:
        """FLOPs of sampling."""
        return None if self.parameters is None else 2.0 * self.parameters * self.sampled


def spent_by(run: Run) -> Spent:
    """What one run spent."""
    offline = run.setting("algo", "offline") is not None  # its rollouts were another run's
    return Spent(
        name=run.path.absolute().name,
        stage=run.stage,
        steps=len(run.rows),
        rollouts=0 if offline else sum(map(rollouts_in, run.rows)),
        trained=sum(_first(row, "tokens/documents", "tokens/train") for row in run.rows),
        sampled=0.0
        if offline
        else sum(_first(row, "tokens/rollout") + _first(row, "tokens/branches") for row in run.rows),
        seconds=run.seconds(),
        parameters=parameters_of(run),
    )


def rollouts_in(row: Row) -> int:
    """How many rollouts a step sampled, by their tokens and their mean length."""
    tokens, length = row.get("tokens/rollout"), row.get("rollout/length_mean")
    return round(tokens / length) if tokens and length else 0


def parameters_of(run: Run) -> int | None:
    """Parameters of a run's newest checkpoint, by the headers of its weights; None if there are none to read."""
    folder = run.newest_checkpoint()
    files = [] if folder is None else sorted(file for file in folder.glob("model*.safetensors") if file.is_file())
    try:
        if folder is not None and not files:
            raise RlvrError(str(folder), "has no weights that can be read")
        tensors = {name: tensor for file in files for name, tensor in read_header(file).items()}
    except RlvrError as error:
        if run.gaps is not None:
            run.gaps.setdefault("checkpoints", f"{error}: the model's size is not known")
        return None
    return sum(math.prod(tensor.shape) for tensor in tensors.values()) or None


def _first(row: Row, *names: str) -> float:
    """The first of these metrics that a row has; 0 if it has none."""
    return max(0.0, next((value for name in names if (value := row.get(name)) is not None), 0.0))


def chain(run: Run) -> list[Run]:
    """The runs that made a run's model, the first one first, with the run itself if it trained."""
    made = [] if run.stage == "eval" else [run]
    return [*reversed(list(ancestry(run))), *made]


def spent(run: Run) -> Section | None:
    """Tokens, FLOPs, rollouts and seconds of every run that made the model; None if none is known."""
    members = chain(run)
    costs = [spent_by(each) for each in members if each.rows]
    for each in members:
        if each is not run:
            run.take_gaps_of(each)
    if not costs:
        return None
    blocks: list[Block] = [Prose(text=text) for text in _sentences(costs)]
    beginning = _beginning(members[0])
    blocks += [Prose(text=beginning)] if beginning else []
    blocks += [_table(costs), *_charts(costs), Prose(text=LEFT_OUT)]
    return Section(name="spent", title="Tokens, FLOPs and time spent", blocks=blocks)


def _sentences(costs: Sequence[Spent]) -> list[str]:
    """RL's share of what pretraining took, where both are known."""
    pretraining = [each for each in costs if each.stage == "pretrain"]
    learning = [each for each in costs if each.stage == "rl"]
    read = sum(each.trained for each in pretraining)
    if not learning or not read:
        return []
    trained, sampled = sum(each.trained for each in learning), sum(each.sampled for each in learning)
    text = (
        f"RL sampled {amount(sampled)} tokens and trained on {amount(trained)}: {100 * sampled / read:.1f} % and {100 * trained / read:.1f} % of the "
        f"{amount(read)} that pretraining trained on."
    )
    if all(each.parameters is not None for each in (*learning, *pretraining)):
        ours, theirs = sum(map(_flops, learning)), sum(map(_flops, pretraining))
        text += f" In FLOPs, sampling included, RL took {100 * ours / theirs:.1f} % of what pretraining took."
    return [text]


def _flops(each: Spent) -> float:
    return (each.training_flops or 0.0) + (each.sampling_flops or 0.0)


def _beginning(first: Run) -> str:
    """What is not known of the model that the first known run began from; nothing if it began from scratch."""
    model = first.config.get("model")
    if not isinstance(model, str):
        return ""
    return f"{model}, which {first.path.absolute().name} began from, was made by no run that is found here: what its training took is not known."


def _table(costs: Sequence[Spent]) -> Table:
    return Table(
        columns=[
            "run",
            "stage",
            "steps",
            "rollouts",
            "tokens sampled",
            "tokens trained on",
            "parameters",
            "FLOPs",
            "seconds",
        ],
        rows=[
            [
                each.name,
                each.stage,
                each.steps,
                each.rollouts,
                each.sampled,
                each.trained,
                each.parameters,
                None if each.parameters is None else float(f"{_flops(each):.3g}"),  # an estimate has no more digits
                each.seconds,
            ]
            for each in costs
        ],
    )


def _charts(costs: Sequence[Spent]) -> list[Block]:
    """Tokens, and FLOPs where all models are known, side by side for sampling and training."""
    labels = [f"{each.name} ({each.stage})" if each.name != each.stage else each.name for each in costs]
    pairs = list(zip(labels, costs, strict=True))
    tokens = [
        bar
        for label, each in pairs
        for bar in (
            Bar(category=label, value=each.trained, series="trained on"),
            Bar(category=label, value=each.sampled, series="sampled"),
        )
    ]
    summary = "; ".join(
        f"{label}: {amount(each.trained)} trained on, {amount(each.sampled)} sampled" for label, each in pairs
    )
    found: list[Block] = [bars("tokens-spent", "Tokens", f"Tokens by run: {summary}.", tokens, x="run", y="tokens")]
    flops = [
        bar
        for label, each in pairs
        if each.training_flops is not None and each.sampling_flops is not None
        for bar in (
            Bar(category=label, value=each.training_flops, series="training"),
            Bar(category=label, value=each.sampling_flops, series="sampling"),
        )
    ]
    if flops:
        summary = "; ".join(f"{label}: {amount(_flops(each))}" for label, each in pairs if each.parameters is not None)
        found.append(bars("flops-spent", "FLOPs", f"Estimated FLOPs by run: {summary}.", flops, x="run", y="FLOPs"))
    return found
