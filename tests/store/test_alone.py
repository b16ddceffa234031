"""One monitor a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.store.store import alone


def test_a_second_monitor_on_one_database_is_refused(tmp_path: Path) -> None:
    """Two would not know of each other's fixes; once the first has ended the next may run."""
    file = tmp_path / "monitor.db"
    first = alone(file)
    with pytest.raises(StoreError, match="another monitor runs on this database"):
        alone(file)
    first.close()
    alone(file).close()
