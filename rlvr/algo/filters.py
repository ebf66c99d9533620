"""Which groups carry a signal."""

from rlvr.types import Group


def has_variance(group: Group) -> bool:
    """Whether the rollouts of a group were rewarded differently; else their advantages within the group are all zero."""
    return any(rollout.reward != group[0].reward for rollout in group)


def chosen(groups: list[Group], *, drop_zero_variance: bool, imitate: bool) -> list[Group]:
    """The rollouts to train on, by group; groups left without any are gone.

    drop_zero_variance: leave out whole groups whose rollouts were all rewarded alike.
    imitate: leave out single rollouts without a positive advantage, which there is nothing to imitate in.
    """
    kept = [group for group in groups if not drop_zero_variance or has_variance(group)]
    if imitate:
        kept = [[rollout for rollout in group if (rollout.advantage or 0.0) > 0.0] for group in kept]
    return [group for group in kept if group]
