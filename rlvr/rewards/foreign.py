"""Code that is not ours: what it raises is told to whoever asked, and goes no further."""

from types import TracebackType
from typing import Self


class Foreign:
    """Keeps the exception that is raised inside, whatever it is: ``with Foreign() as call: …; call.error``."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self.error = error
        return self.error is not None
