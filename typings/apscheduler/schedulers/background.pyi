"""The part of APScheduler 3 that the project uses, typed (it ships no annotations)."""

from collections.abc import Callable

class BackgroundScheduler:
    running: bool
    def __init__(self, *, timezone: str = ...) -> None: ...
    def add_job(
        self,
        func: Callable[[], object],
        trigger: str,
        *,
        seconds: float = ...,
        hour: str = ...,
        minute: str = ...,
        timezone: str = ...,
        id: str = ...,  # noqa: A002
        max_instances: int = ...,
        coalesce: bool = ...,
        misfire_grace_time: int = ...,
    ) -> object: ...
    def reschedule_job(self, job_id: str, *, trigger: str, seconds: float = ...) -> object: ...
    def start(self) -> None: ...
    def shutdown(self, wait: bool = ...) -> None: ...
