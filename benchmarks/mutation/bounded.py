"""A pytest plugin for runs against mutants: what fails fails at once and every time, and what never ends is ended.

Hypothesis draws the same examples each time and does not shrink them: of a mutant only whether a test fails is asked. A loop that
a mutant makes endless may also grow without end, so that memory is bounded too.
"""

from __future__ import annotations

import resource

from hypothesis import Phase, settings

MEMORY = 6 * 2**30

settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None, deadline=None)
settings.load_profile("mutants")
resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
