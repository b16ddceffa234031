"""Escalation: who is rung next and when, as a value. A policy never ends in silence: its last step repeats until a person acts.

Definitions
    A *policy* is a list of steps, each a wait after the step before and the contacts to ring, and the wait between repetitions of
    the last step. Only a policy for notes may have no repetition.
    A *run* is one incident's way through a policy, with a copy of the policy as it stood when the run began: editing the policy
    does not touch it. Its version counts the rings and restarts of the incident, so that no two rings share one.
Instants and waits are whole milliseconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from monitor.alerts.incident import Incident, State


@dataclass(frozen=True, slots=True)
class Step:
    """Ring these contacts `after` so many milliseconds."""

    after: int
    contacts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is rung in which order; `repeat` is None where the last step is the end (notes)."""

    name: str
    steps: tuple[Step, ...]
    repeat: int | None

    def as_json(self) -> dict[str, Any]:
        """The snapshot that is stored with a run."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Policy:
        """Read a stored snapshot."""
        steps = tuple(Step(step["after"], tuple(step["contacts"])) for step in body["steps"])
        return cls(body["name"], steps, body["repeat"])


class RunState(StrEnum):
    """Whether a run still rings."""

    RUNNING = "running"
    STOPPED = "stopped"  # by a person, or because the incident is over
    EXHAUSTED = "exhausted"  # a note's: recorded, and nothing more to do


@dataclass(frozen=True, slots=True)
class Run:
    """One incident's way through a policy: `step` is the next to ring, at `next_at` (None where nothing follows)."""

    incident: int
    policy: Policy
    step: int
    next_at: int | None
    loops: int = 0
    """How often the last step was rung."""
    state: RunState = RunState.RUNNING
    version: int = 1


class Ring(NamedTuple):
    """One step that is due: whom to ring, and which ring of the run it is."""

    contacts: tuple[str, ...]
    step: int
    loops: int
    version: int


def start(incident: int, policy: Policy, now: int, before: Run | None = None) -> Run:
    """Begin a policy at its first step; after an earlier run of the incident its version goes on."""
    version = before.version + 1 if before is not None else 1
    return Run(incident, policy, 0, now + policy.steps[0].after, version=version)


def stop(run: Run) -> Run:
    """Ring no more."""
    return dataclasses.replace(run, next_at=None, state=RunState.STOPPED, version=run.version + 1)


def due(run: Run, incident: Incident, now: int) -> tuple[list[Ring], Run]:
    """What a run has to ring at `now`, at most one step, and the run after it.

    An incident that is not open rings nobody and stops its run. After a downtime one step is rung, not all that were missed, and
    the next follows its whole wait later.
    """
    if incident.state is not State.OPEN:
        return [], run if run.state is not RunState.RUNNING else stop(run)
    if run.state is not RunState.RUNNING or run.next_at is None or run.next_at > now:
        return [], run
    last = len(run.policy.steps) - 1
    ring = Ring(run.policy.steps[run.step].contacts, run.step, run.loops, run.version)
    if run.step < last:
        wait: int | None = run.policy.steps[run.step + 1].after
    else:
        wait = run.policy.repeat
    after = dataclasses.replace(
        run,
        step=min(run.step + 1, last),
        loops=run.loops + (run.step == last),
        next_at=None if wait is None else _later(run.next_at, wait, now),
        state=RunState.EXHAUSTED if wait is None else RunState.RUNNING,
        version=run.version + 1,
    )
    return [ring], after


def _later(planned: int, wait: int, now: int) -> int:
    """In step with the plan, unless the plan has passed."""
    return planned + wait if planned + wait > now else now + wait
