"""Code that is not ours: what it raises is told to whoever asked, and goes no further."""

from types import TracebackType
from typing import Self

PANIC = "PanicException"
"""What a library written in Rust raises where it gives up; no Exception, and no class that can be imported."""


class Foreign:
    """Keeps the exception that is raised inside, whatever it is: ``with Foreign() as call: …; call.error``."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception) or (kind is not None and kind.__name__ == PANIC):
            self.error = error if isinstance(error, Exception) else RuntimeError(str(error))
        return self.error is not None
