"""How a database of an earlier release becomes one of this release, one revision a file, run when a store is opened.

A revision is frozen once released: it spells its tables out and imports nothing of `schema.py`. Every revision runs inside the
transaction of the opener, so that a database is migrated whole or not at all.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

FOLDER = Path(__file__).parent


def revision_of(connection: Connection) -> str | None:
    """The revision that a database is at; None for one that no revision has touched."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def is_empty(connection: Connection) -> bool:
    """Whether a database has no tables at all."""
    return not inspect(connection).get_table_names()


def revisions() -> list[str]:
    """Every revision that this release knows, oldest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()][::-1]


def upgrade(connection: Connection) -> None:
    """Bring a database to the newest revision, inside the transaction of `connection`."""
    from alembic import command, config

    settings = config.Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    command.upgrade(settings, "head")
