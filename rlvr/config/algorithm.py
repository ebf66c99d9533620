"""The policy-gradient algorithm: fields that combine freely, and presets that name published combinations."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from rlvr.config.strict import Fraction, Strict

Share = Annotated[float, Field(gt=0.0, lt=1.0)]

GROUP_RELATIVE = ("group_mean", "leave_one_out", "group_standardised")
"""Estimators that give a group whose rollouts were all rewarded alike no advantage."""

BEYOND_REWARDS = ("gae", "teacher")
"""Estimators that need more than rewards: a value model, a teacher."""

UNSCALED = ("reward", "group_mean", "leave_one_out", "running_mean")
"""Estimators whose advantage is the reward minus a baseline."""

RATIO_FIELDS: dict[str, tuple[str, ...]] = {
    "policy_gradient": (),
    "clipped": ("ratio", "clip_low", "clip_high", "cap"),
    "truncated": ("ratio", "cap"),
}
"""The fields on importance ratios that each loss has."""

LOSS_DEFAULTS: dict[str, dict[str, Any]] = {
    "policy_gradient": {},
    "clipped": {"ratio": "token", "clip_low": 0.2, "clip_high": 0.28},
    "truncated": {"ratio": "token", "cap": 2.0},
}
"""The fields that each loss needs, with the values they have if nothing is said."""


class KlConfig(Strict):
    """A penalty on the distance to a reference policy, the model that the run started from."""

    coefficient: PositiveFloat
    estimator: Literal["k1", "k2", "k3"]
    """With d the log-ratio of policy to reference at a sampled token: d, d²/2, or exp(-d) - 1 + d; default k3 in the loss, k1 in
    the reward. In the loss only k2 has the gradient of the KL divergence in expectation, and k1 has none."""
    where: Literal["loss", "reward"] = "loss"
    reset_every: PositiveInt | None = None
    """Every so many steps the reference becomes the policy as it is then; None: never."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {"estimator": "k1" if fields.get("where") == "reward" else "k3", **fields}


class GaeConfig(Strict):
    """Generalised advantage estimation from a value model."""

    discount: Fraction = 1.0
    """γ: what a reward one token later is worth."""
    trace: Fraction = 0.95
    """λ: 0 trusts the value of the next token alone, 1 the rewards alone."""


class BranchesConfig(Strict):
    """Values of prefixes by sampling on from them."""

    every: PositiveInt = 8
    """Tokens between two prefixes."""
    samples: PositiveInt = 4
    """Completions from each prefix."""


class EntropyMaskConfig(Strict):
    """Train on a share of a step's tokens, chosen by the entropy of the sampling policy there; exactly one key."""

    top: Share | None = None
    """The most uncertain tokens."""
    bottom: Share | None = None
    """The most certain ones."""
    random: Share | None = None
    """Any, drawn anew at each step."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.shares) != 1:
            raise ValueError("give exactly one of top, bottom, random")
        return self

    @property
    def shares(self) -> list[float]:
        """Those that are given."""
        return [share for share in (self.top, self.bottom, self.random) if share is not None]

    @property
    def share(self) -> float:
        """The share of tokens that are trained."""
        return self.shares[0]


class AlgoConfig(Strict):
    """Policy gradient. The preset fills in the fields that are not set beside it; what it says of ratios and clipping
    holds only while they can matter (``updates_per_batch`` above 1, or ``staleness``)."""

    preset: Literal[
        "reinforce",
        "rloo",
        "grpo",
        "dr_grpo",
        "dapo",
        "gspo",
        "cispo",
        "reinforce++",
        "ppo",
        "star",
        "raft",
        "opd",
    ] = "reinforce"
    advantage: Literal[
        "reward",
        "group_mean",
        "leave_one_out",
        "running_mean",
        "group_standardised",
        "batch_standardised",
        "positive",
        "gae",
        "teacher",
    ]
    """How much better a rollout is than expected: the reward itself; minus the group's mean, the mean of the others, or the
    mean of all steps before; divided by the group's or after centring by the batch's deviation; the reward if positive;
    or by token, from the values of a value model (gae), or its log-probability under the teacher minus its own."""
    gae: GaeConfig | None = None
    teacher: str | None = None
    """Of advantage teacher: a model as under ``model``, with the same tokenizer."""
    credit: Literal["sequence", "oracle", "branches"] = "sequence"
    """A rollout's advantage goes to all its tokens, to those that the task knows to matter, or is parted by branches."""
    branches: BranchesConfig | None = None
    overlong_buffer: Fraction = 0.0
    """In the last share of max_new_tokens an answer's reward falls linearly, by 1 at the end."""
    drop_zero_variance: bool
    """Leave out groups whose rollouts were all rewarded alike; default: where they have no advantage anyway."""
    max_refills: NonNegativeInt = 0
    """Rounds of sampling that a step may add until it has problems_per_step groups that are not dropped."""
    loss: Literal["policy_gradient", "clipped", "truncated"]
    """What corrects for rollouts of another policy: nothing, the clipped ratio, or a ratio truncated from above."""
    ratio: Literal["token", "sequence", "geometric"] | None = None
    """Of each token, the product over its rollout's trained tokens, or the product's root by their number; default token."""
    clip_low: Fraction | None = None
    """The clipped ratio is at least 1 - clip_low; default 0.2."""
    clip_high: PositiveFloat | None = None
    """The clipped ratio is at most 1 + clip_high; default 0.28."""
    cap: PositiveFloat | None = None
    """The truncated ratio is at most this, default 2; the clipped one where the advantage is negative, by default not at all."""
    aggregation: Literal["token", "sequence", "constant"]
    """The mean over all tokens; over rollouts of their mean; over rollouts of their sum / max_new_tokens."""
    updates_per_batch: PositiveInt = 1
    """Optimizer updates on one step's rollouts."""
    parts: PositiveInt = 1
    """Into how many parts, one for each update in turn, a step's groups are split: 1 is passes over all of them."""
    staleness: NonNegativeInt = 0
    """Rollouts are sampled from the policy of so many steps ago; that many copies of the weights are kept in memory."""
    offline: str | None = None
    """Learn from the rollouts that another run recorded, one of its files a step, with the log-probabilities of then."""
    kl: KlConfig | None = None
    entropy_bonus: NonNegativeFloat = 0.0
    """Entropy (nats) of the policy at a token times this is taken from the token's loss."""
    entropy_mask: EntropyMaskConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, fields: Any) -> Any:
        """Fields of the preset and defaults that follow from other fields, so that the resolved file says everything."""
        name = fields.get("preset", "reinforce") if isinstance(fields, dict) else None
        if not isinstance(name, str) or name not in PRESETS:
            return fields
        preset = PRESETS[name]
        if "updates_per_batch" in fields:  # then the preset's way to split a batch is not meant
            preset = {key: value for key, value in preset.items() if key != "parts"}
        filled = {**preset, **fields}
        if "loss" not in fields and not _off_policy(filled):
            filled["loss"] = "policy_gradient"
        if filled["loss"] != preset["loss"]:  # then what belongs to the preset's own loss is not meant
            filled = {
                key: value for key, value in filled.items() if key not in RATIO_FIELDS["clipped"] or key in fields
            }
        defaults: dict[str, Any] = {"drop_zero_variance": filled["advantage"] in GROUP_RELATIVE}
        drops = filled.get("drop_zero_variance", defaults["drop_zero_variance"])
        if "max_refills" not in fields and (not drops or filled.get("offline") is not None):
            filled.pop("max_refills", None)
        if "overlong_buffer" not in fields and filled["advantage"] == "teacher":
            filled.pop("overlong_buffer", None)
        if filled["advantage"] == "gae":
            defaults["gae"] = {}
        if fields.get("credit") == "branches":
            defaults["branches"] = {}
        if isinstance(filled["loss"], str):
            defaults |= LOSS_DEFAULTS.get(filled["loss"], {})
        return {**defaults, **filled}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.advantage == "positive" and self.drop_zero_variance:
            raise ValueError(
                "drop_zero_variance: true throws away groups that are all correct, which positive imitates"
            )
        self._check_advantage()
        on_policy = "" if self.off_policy else " (while updates_per_batch is 1 and staleness 0 the ratio is 1)"
        unused = tuple(field for field in RATIO_FIELDS["clipped"] if field not in RATIO_FIELDS[self.loss])
        self.refuse_set(unused, f"for loss {self.loss}{on_policy}")
        if not self.off_policy and self.loss != "policy_gradient":
            raise ValueError(
                f"loss {self.loss} has no effect while updates_per_batch is 1 and staleness 0: the ratio is 1; "
                "remove it, or raise one of them"
            )
        if self.offline is not None:
            self.refuse_set(("staleness", "max_refills", "branches"), "with offline, which samples nothing")
            if self.entropy_mask is not None and self.entropy_mask.random is None:
                raise ValueError("entropy_mask by entropy cannot be had with offline: entropies are not recorded")
        if self.updates_per_batch % self.parts:
            raise ValueError(
                f"updates_per_batch {self.updates_per_batch} must be a multiple of parts {self.parts}: each part is used equally often"
            )
        return self

    def _check_advantage(self) -> None:
        """Refuse what the advantage or its credit makes no use of."""
        for field in ("gae", "teacher"):
            if self.advantage != field:
                self.refuse_set((field,), f"for advantage {self.advantage}")
        if self.advantage == "teacher" and self.teacher is None:
            raise ValueError("advantage teacher needs teacher, the model to learn from")
        if self.advantage == "teacher" and self.kl is not None and self.kl.where == "reward":
            raise ValueError("kl.where reward has no effect for advantage teacher, which looks at no reward; remove it")
        if self.advantage == "teacher":
            self.refuse_set(("overlong_buffer",), "for advantage teacher, which looks at no reward")
        if self.credit != "branches":
            self.refuse_set(("branches",), f"for credit {self.credit}")
        elif self.advantage not in UNSCALED:
            raise ValueError(
                f"credit branches parts a reward minus a baseline, which advantage {self.advantage} is not; "
                f"allowed: {', '.join(UNSCALED)}"
            )
        if not self.drop_zero_variance:
            self.refuse_set(("max_refills",), "without drop_zero_variance")

    @property
    def off_policy(self) -> bool:
        """Whether some update learns from rollouts of a policy before it."""
        return _off_policy(self.model_dump(include={"updates_per_batch", "staleness", "offline"}))


def _off_policy(fields: dict[str, Any]) -> bool:
    return bool(
        fields.get("updates_per_batch", 1) != 1 or fields.get("staleness", 0) != 0 or fields.get("offline") is not None
    )


PRESETS: dict[str, dict[str, Any]] = {
    "reinforce": {"advantage": "group_mean", "loss": "policy_gradient", "aggregation": "token"},
    "rloo": {"advantage": "leave_one_out", "loss": "policy_gradient", "aggregation": "token"},
    "grpo": {
        "advantage": "group_standardised", "loss": "clipped", "clip_low": 0.2, "clip_high": 0.2, "aggregation": "sequence",
    },
    "dr_grpo": {
        "advantage": "group_mean", "loss": "clipped", "clip_low": 0.2, "clip_high": 0.2, "aggregation": "constant",
    },
    "dapo": {
        "advantage": "group_standardised", "loss": "clipped", "clip_low": 0.2, "clip_high": 0.28, "aggregation": "token",
        "updates_per_batch": 4, "parts": 4, "max_refills": 9, "overlong_buffer": 0.2,
    },
    "gspo": {
        "advantage": "group_standardised", "loss": "clipped", "ratio": "geometric", "clip_low": 3e-4, "clip_high": 4e-4,
        "aggregation": "sequence", "updates_per_batch": 4, "parts": 4,
    },
    "cispo": {
        "advantage": "group_standardised", "loss": "truncated", "cap": 5.0, "aggregation": "token",
        "updates_per_batch": 4, "parts": 4,
    },
    "reinforce++": {
        "advantage": "batch_standardised", "loss": "clipped", "clip_low": 0.2, "clip_high": 0.2, "aggregation": "token",
    },
    "ppo": {
        "advantage": "gae", "loss": "clipped", "clip_low": 0.2, "clip_high": 0.2, "aggregation": "token",
        "updates_per_batch": 4,
    },
    "star": {"advantage": "positive", "loss": "policy_gradient", "aggregation": "token"},
    "raft": {
        "advantage": "positive", "loss": "clipped", "clip_low": 0.2, "clip_high": 0.2, "aggregation": "token",
    },
    "opd": {"advantage": "teacher", "loss": "policy_gradient", "aggregation": "token"},
}  # fmt: skip

PRESET_SOURCES = {
    "reinforce": (
        "Williams 1992, theorem 1, with the group's mean as baseline (Dr. GRPO, arXiv:2503.20783, section 3.2)."
    ),
    "rloo": ("RLOO: the baseline is the mean of the other rollouts, arXiv:2402.14740, section 2.2; Kool et al. 2019."),
    "grpo": (
        "GRPO: arXiv:2402.03300, equation 3, one update a batch as there. Its KL of 0.04 is left out, as most "
        "have since."
    ),
    "dr_grpo": "Dr. GRPO: no deviation, no length in the divisor, arXiv:2503.20783, section 3.2.",
    "dapo": (
        "DAPO: clip-higher, a mean over tokens (arXiv:2503.14476, equation 8), groups sampled until enough "
        "differ (equation 11), and a soft penalty in the last fifth of the length (equation 13)."
    ),
    "gspo": (
        "GSPO: one ratio a sequence, its length's root, arXiv:2507.18071, equations 5 to 7; the clips and 4 "
        "parts of section 5.1."
    ),
    "cispo": (
        "CISPO: truncated weights without a gradient, no lower bound, arXiv:2506.13585, equations 4 and 5; "
        "cap as in ScaleRL."
    ),
    "reinforce++": (
        "REINFORCE++: standardised over the batch, not the group, arXiv:2501.03262; its KL in the reward is left out."
    ),
    "ppo": "PPO: arXiv:1707.06347, equation 7, on advantages by arXiv:1506.02438, equation 16; four epochs.",
    "star": "STaR, arXiv:2203.14465, on-policy: sample, keep the correct, imitate them.",
    "raft": (
        "RAFT, arXiv:2304.06767, as positive samples alone (arXiv:2504.11343, section 3); used again, it clips: RAFT++."
    ),
    "opd": (
        "On-policy distillation: the reverse KL to a teacher at each sampled token, arXiv:2306.13649, "
        "equation 3; needs `teacher`."
    ),
}
"""What each preset is: its paper and equation, and where it differs. Written beside it in a run's config.yaml."""
