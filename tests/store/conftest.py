"""An empty database of every kind, and a store on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store.store import Store
from tests.postgres import Server, postgres
from tests.store.samples import opened

__all__ = ["postgres"]

KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that holds every table, or none yet where it is a file, and no row."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'monitor.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    made = server.empty()
    yield made
    server.drop(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store on an empty database."""
    made = opened(url)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a file of a test of its own may lie."""
    return tmp_path / "monitor.db"


@pytest.fixture
def in_file(file: Path) -> Iterator[Store]:
    """A store on a file, for what only files have."""
    made = opened(f"sqlite:///{file}")
    yield made
    made.close()
