"""A database on a server: what is said when it cannot be used, and that nothing is lost or doubled when the way to it breaks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from monitor.errors import ConfigurationError, ServiceError, StoreError
from monitor.fixes import Fleet
from monitor.store.journal import verify
from monitor.store.schema import fix
from monitor.store.store import Store, file_of
from tests.postgres import Server, free_port
from tests.store.proxy import Cut, Wire, wire
from tests.store.samples import DAY, PATIENCE, TRUCK, all_late, drive, none_late, opened, raised

SOON = timedelta(milliseconds=300)
PASSWORD = "hunter2 of the north"


@pytest.fixture
def base(postgres: Server) -> Iterator[str]:
    """The URL of an empty database on the server."""
    made = postgres.empty()
    yield made
    postgres.drop(made)


@pytest.fixture
def server_store(base: str) -> Iterator[Store]:
    """A store on it."""
    store = opened(base)
    yield store
    store.close()


@pytest.fixture
def wired(postgres: Server, base: str) -> Iterator[tuple[Store, Wire]]:
    """A store whose way to the server can be cut."""
    with wire(postgres.port) as way:
        store = opened(base.replace(f":{postgres.port}/", f":{way.port}/"))
        yield store, way
        store.close()


@pytest.fixture
def guarded(postgres: Server, base: str) -> str:
    """The URL of a database, for a user who has a password."""
    name = base.rpartition("/")[2]
    postgres.run("DROP ROLE IF EXISTS guarded")
    postgres.run(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    postgres.run(f"ALTER DATABASE {name} OWNER TO guarded")
    for what in ("TABLES", "SEQUENCES"):
        postgres.run(f"GRANT ALL ON ALL {what} IN SCHEMA public TO guarded", name)
    return base.replace("tests@", "guarded@")


def stored(store: Store) -> int:
    with store.read() as transaction:
        return transaction.connection.execute(select(func.count()).select_from(fix)).scalar_one()


def deliver(store: Store, fleet: Fleet, seconds: range, *, again: bool = False) -> int:
    """One delivery: fixes, a signal, an entry of the journal; gives how many fixes were new."""
    fixes = drive(fleet, TRUCK, seconds)
    with store.begin() as transaction:
        fresh = transaction.add_fixes(fleet, fixes, (all_late if again else none_late)(fixes))
        if len(fresh):
            transaction.apply_changes([raised()], DAY)
        transaction.record("ingest", "delivery", {"fixes": len(fresh)}, DAY)
    return len(fresh)


# using it


def test_a_server_has_no_file_and_a_url_without_the_password(guarded: str, tmp_path: Path) -> None:
    store = Store.open(guarded.replace("guarded@", "guarded:hunter2%20of%20the%20north@"), PATIENCE)
    assert store.file is None
    assert file_of(guarded) is None
    assert store.name == store.url == guarded
    store.close()


def test_the_password_may_lie_in_a_file(guarded: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\nthe rest is a note\n")
    store = Store.open(guarded, PATIENCE, password_file=str(file))
    with store.begin() as transaction:
        assert transaction.record("ana", "kind", {}, 1) == 1
    store.close()


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read: No such file"), ("", "its first line is empty")])
def test_a_password_file_that_holds_none_is_a_fault_of_the_configuration(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "password"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"store\.password_file = .*{said}"):
        Store.open("postgresql://db/monitor", SOON, password_file=str(file))


def test_a_password_is_neither_shown_nor_logged(guarded: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = guarded.replace("guarded@", "guarded:not-the-password@")
    with pytest.raises(StoreError, match=r"password authentication failed.*see store\.url and store\.password_file") as caught:
        Store.open(wrong, SOON)
    assert "not-the-password" not in str(caught.value) + caplog.text
    right = Store.open(guarded.replace("guarded@", "guarded:hunter2%20of%20the%20north@"), PATIENCE)
    with right.begin() as transaction:
        transaction.vehicle_id(TRUCK)
    assert "hunter2" not in caplog.text + repr(vars(right.database))
    right.close()


# what cannot be used


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(
        StoreError, match=r"^postgresql://tests@127\.0\.0\.1:\d+/x: the server is out of reach: .*refused"
    ) as caught:
        opened(f"postgresql://tests@127.0.0.1:{free_port()}/x", SOON)
    assert "\n" not in str(caught.value)


def test_a_database_that_is_not_there_is_one_line(postgres: Server) -> None:
    with pytest.raises(StoreError, match='database "nowhere" does not exist; it must be made first') as caught:
        opened(postgres.url("nowhere"), SOON)
    assert "\n" not in str(caught.value)


def test_a_database_that_nobody_has_used_is_not_made_by_a_command(postgres: Server) -> None:
    url = postgres.bare()
    with pytest.raises(StoreError, match="holds nothing of a monitor yet"):
        Store.open(url, SOON, create=False)
    postgres.drop(url)


def test_a_database_of_another_program_or_a_newer_release_is_left_alone(postgres: Server, base: str) -> None:
    other = postgres.bare()
    postgres.run("CREATE TABLE accounts (id int)", other.rpartition("/")[2])
    with pytest.raises(StoreError, match="is a database of another program"):
        opened(other)
    postgres.drop(other)
    postgres.run("UPDATE alembic_version SET version_num = '9999'", base.rpartition("/")[2])
    with pytest.raises(StoreError, match="made by a newer release"):
        opened(base)


def test_a_user_who_may_not_write_is_told_so(postgres: Server, base: str) -> None:
    postgres.run("DROP ROLE IF EXISTS reader")
    postgres.run("CREATE ROLE reader LOGIN")
    postgres.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", base.rpartition("/")[2])
    store = opened(base.replace("tests@", "reader@"))
    with pytest.raises(StoreError, match="may not be used by this user: permission denied"), store.begin() as transaction:
        transaction.vehicle_id(TRUCK)
    store.close()


def test_a_writer_of_another_process_is_waited_for_and_then_named(postgres: Server, base: str, server_store: Store) -> None:
    hasty = opened(base, SOON)
    with server_store.begin() as transaction:
        transaction.record("ana", "kind", {}, 1)
        with pytest.raises(StoreError, match="has held it locked for 300ms"), hasty.begin():
            pass
        with hasty.read() as reading:
            assert reading.vehicles() == []
    with hasty.begin() as transaction:
        assert transaction.record("bo", "kind", {}, 2) == 2
    hasty.close()


def test_what_the_server_puts_at_risk_is_told(server_store: Store, postgres: Server, base: str) -> None:
    with server_store.begin():
        pass
    assert any("fsync = off" in warning for warning in server_store.warnings)
    postgres.run(f"ALTER DATABASE {base.rpartition('/')[2]} SET synchronous_commit = off")
    store = opened(base)
    with store.begin() as transaction:
        assert transaction.run("SHOW synchronous_commit").scalar_one() == "on"
    assert any("switches it on" in warning for warning in store.warnings)
    store.close()


# what cannot be said


def test_text_that_the_server_cannot_carry_stops_nothing(server_store: Store) -> None:
    with server_store.begin() as transaction:
        transaction.connection.execute(raw := select(func.length("a\x00b")))
        assert transaction.connection.execute(raw).scalar_one() == len("a\\x00b")
        assert transaction.run("SELECT ?::text", ("a\udcff\x00",)).scalar_one() == "a\\udcff\\x00"


def test_a_broken_promise_of_novelty_stores_nothing_and_the_next_delivery_goes_on(server_store: Store) -> None:
    fleet = Fleet()
    deliver(server_store, fleet, range(0, 20, 10))
    with pytest.raises(IntegrityError):
        deliver(server_store, fleet, range(0, 40, 10))
    assert deliver(server_store, fleet, range(0, 40, 10), again=True) == 2


# a way that breaks


def test_a_connection_lost_between_transactions_is_not_noticed(wired: tuple[Store, Wire]) -> None:
    store, way = wired
    deliver(store, Fleet(), range(0, 20, 10))
    way.cut_all()
    assert stored(store) == 2
    way.cut_all()
    deliver(store, Fleet(), range(20, 40, 10))
    assert stored(store) == 4


def test_a_connection_lost_inside_a_transaction_undoes_it_and_is_one_line(wired: tuple[Store, Wire]) -> None:
    store, way = wired

    def write() -> None:
        with store.begin() as transaction:
            transaction.record("ana", "kind", {}, 1)
            way.cut_all()
            transaction.record("ana", "kind", {}, 1)

    with pytest.raises(StoreError, match="the server is out of reach") as caught:
        write()
    assert "\n" not in str(caught.value)
    with store.begin() as transaction:
        assert transaction.record("ana", "kind", {}, 2) == 1


def test_a_connection_lost_before_the_fixes_go_over_it_undoes_all(wired: tuple[Store, Wire]) -> None:
    """They go by a way of their own, past SQLAlchemy."""
    store, way = wired
    fleet = Fleet()
    fixes = drive(fleet, TRUCK, range(0, 20_000, 10))
    deliver(store, fleet, range(20_000, 20_010, 10))

    def write() -> None:
        with store.begin() as transaction:
            transaction.record("ana", "kind", {}, 1)
            ids = np.full(len(fixes), transaction.vehicle_id(TRUCK), dtype=np.int64)
            way.cut_all()
            transaction.database.put_fixes(transaction.connection, ids, fixes, none_late(fixes))

    with pytest.raises(StoreError, match="the server is out of reach") as caught:
        write()
    assert "\n" not in str(caught.value)
    assert deliver(store, fleet, range(0, 20_000, 10)) == 2000
    assert verify(store) is None


def test_a_commit_that_never_arrived_is_an_error_and_nothing_is_stored(wired: tuple[Store, Wire]) -> None:
    store, way = wired
    fleet = Fleet()
    deliver(store, fleet, range(0, 20, 10))
    way.cut = "before"
    with pytest.raises(StoreError):
        deliver(store, fleet, range(20, 40, 10))
    assert (way.cuts, stored(store)) == (1, 2)
    assert deliver(store, fleet, range(20, 40, 10)) == 2
    assert verify(store) is None


def test_a_commit_whose_answer_was_lost_is_a_commit(wired: tuple[Store, Wire]) -> None:
    """The caller goes on as if nothing had been: it must not deliver again what is stored, nor forget what it has learned of it."""
    store, way = wired
    fleet = Fleet()
    deliver(store, fleet, range(0, 20, 10))
    way.cut = "after"
    assert deliver(store, fleet, range(20, 40, 10)) == 2
    assert (way.cuts, stored(store)) == (1, 4)
    assert deliver(store, fleet, range(40, 60, 10)) == 2
    assert verify(store) is None


def test_others_who_commit_meanwhile_hide_nothing(wired: tuple[Store, Wire], base: str) -> None:
    """The lost commit's trace is its writer's own."""
    store, way = wired
    other, writing = opened(base), threading.Event()

    def write() -> None:
        for number in range(200):
            with other.begin() as transaction:
                transaction.record("other", "kind", {"n": number}, DAY)
            writing.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert writing.wait(60)
    fleet = Fleet()
    for begin in range(0, 100, 20):
        way.cut = "after"
        assert deliver(store, fleet, range(begin, begin + 20, 10)) == 2
    thread.join(60)
    assert (way.cuts, stored(store)) == (5, 10)
    assert verify(store) is None
    other.close()


def test_a_transaction_that_wrote_nothing_need_not_be_known_of(wired: tuple[Store, Wire]) -> None:
    store, way = wired
    way.cut = "after"
    with pytest.raises(StoreError, match="out of reach"), store.begin() as transaction:
        assert transaction.vehicles() == []
    with store.begin() as transaction:
        assert transaction.vehicles() == []


@pytest.fixture
def hasty(postgres: Server, base: str) -> Iterator[tuple[Store, Wire]]:
    """As `wired`, but it waits for nobody for long."""
    with wire(postgres.port) as way:
        store = opened(base.replace(f":{postgres.port}/", f":{way.port}/"), SOON)
        yield store, way
        store.close()


def test_what_became_of_a_commit_is_not_known_while_the_server_is_away(hasty: tuple[Store, Wire]) -> None:
    """It says so after `busy_timeout`; who begins anew then finds it."""
    store, way = hasty
    way.cut, way.leaves = "after", True
    with pytest.raises(StoreError, match="whether what was last written is on its disk is not known"):
        deliver(store, Fleet(), range(0, 20, 10))
    way.away = False
    assert stored(store) == 2


def test_who_insists_waits_until_it_is_known(hasty: tuple[Store, Wire]) -> None:
    """As long as the server is away, and as the program goes on."""
    store, way = hasty
    asked = threading.Event()

    def goes_on() -> bool:
        asked.set()
        return True

    def comes_back() -> None:
        assert asked.wait(60)
        way.away = False

    store.insist(goes_on)
    way.cut, way.leaves = "after", True
    thread = threading.Thread(target=comes_back)
    thread.start()
    assert deliver(store, Fleet(), range(0, 20, 10)) == 2
    thread.join(60)
    assert stored(store) == 2


# one monitor


def test_a_lock_that_was_lost_with_its_session_is_taken_again(wired: tuple[Store, Wire], base: str) -> None:
    store, way = wired
    other = opened(base)
    with store.hold():
        way.cut_all()
        deliver(store, Fleet(), range(0, 20, 10))
        with pytest.raises(StoreError, match="another monitor runs"):
            other.hold()
    other.close()


@pytest.mark.parametrize("ended", [False, True])
def test_a_monitor_that_another_took_over_from_writes_nothing_more(hasty: tuple[Store, Wire], base: str, ended: bool) -> None:
    """Whether that one still runs or has ended: what this one has in memory is no longer the newest."""
    store, _ = hasty
    other = opened(base)
    with store.hold():
        with closing(psycopg.connect(base)) as judge, judge.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'monitor%'")
        taken = other.hold()
        if ended:
            taken.close()
        with pytest.raises(ServiceError, match="another monitor has"), store.begin():
            pass
        taken.close()
    other.close()


def test_what_is_cut_can_be_either(wired: tuple[Store, Wire]) -> None:
    """The wire does what it says: without that the tests above would say nothing."""
    store, way = wired
    cuts: list[Cut] = ["before", "after"]
    for number, cut in enumerate(cuts, 1):
        way.cut = cut
        try:
            with store.begin() as transaction:
                transaction.record("ana", cut, {}, number)
        except StoreError:
            assert cut == "before"
    with store.read() as transaction:
        assert transaction.run("SELECT kind FROM journal").scalars().all() == ["after"]
