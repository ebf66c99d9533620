"""A scoring process: reads one JSON line, answers one JSON line (``python -m rlvr.rewards.worker``, started by Scorer)."""

import faulthandler
import json
import os
import resource
import signal
import sys
import traceback
from typing import Any, TextIO

from rlvr.config import RewardConfig
from rlvr.errors import RlvrError
from rlvr.gym_entries import require_gym
from rlvr.rewards.attempt import Attempt
from rlvr.rewards.components import Components
from rlvr.rewards.gym import refuse_while_scoring
from rlvr.rewards.own import OwnError
from rlvr.rewards.verdict import Verdict
from rlvr.runtime.foreign import Foreign
from rlvr.runtime.signals import end_with_parent

MEMORY_BYTES = 4 << 30
"""What a library whose memory has no bound may use."""

GRACE_SECONDS = 30.0
"""A call that is so much later than its limit ends the process by itself: whoever started it is gone."""


def main() -> None:
    """Answer until standard input ends, or until the process that started this one does, whatever is being called then."""
    end_with_parent(signal.SIGKILL)  # where that does nothing, GRACE_SECONDS has to do
    # What graders print must not stand between the answers, nor may they read the questions.
    questions, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    components: Components | None = None
    with open(os.devnull, "r+", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 0)
        for line in questions:
            question = json.loads(line)
            faulthandler.dump_traceback_later(question["seconds"] + GRACE_SECONDS, exit=True, file=nowhere)
            if components is None:
                made, reply = _started(question["reward"])
                components = made
            else:
                reply = _reply(components, question["component"], Attempt(**question["attempt"]))
            faulthandler.cancel_dump_traceback_later()
            _send(answers, reply)
            if components is None:
                return


def _send(answers: TextIO, reply: dict[str, Any]) -> None:
    answers.write(json.dumps(reply) + "\n")
    answers.flush()


def _started(reward: dict[str, Any]) -> tuple[Components | None, dict[str, Any]]:
    config = RewardConfig.model_validate(reward)
    if config.math is not None and config.math.verifier == "math_verify" and config.code is None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        if config.gym is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
            require_gym("reward.gym")  # imports it, which a verdict has no time for
            refuse_while_scoring()
        return Components(config), {"ready": True}
    except RlvrError as error:
        return None, {"refused": str(error)}


def _reply(components: Components, name: str, attempt: Attempt) -> dict[str, Any]:
    """One of: the verdict, what is wrong with the gold answer, with the input, with the user's function, or with us."""
    verdict: Verdict | None = None
    with Foreign() as call:
        verdict = components.verdict(name, attempt)
    error = call.error
    if isinstance(error, OwnError):
        return {"failed": str(error)}
    if isinstance(error, ValueError):
        return {"gold": str(error)}
    if isinstance(error, RlvrError):
        return {"refused": str(error)}
    if error is not None:
        return {"bug": "".join(traceback.format_exception(error))}
    if verdict is None:
        return {"verdict": None}
    return {
        "verdict": {"reward": verdict.reward, "reason": verdict.reason.value, "extracted": verdict.extracted},
    }


if __name__ == "__main__":
    main()
