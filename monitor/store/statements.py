"""The SQL text of the hot inserts and look-ups of a transaction, written as `database.Database` says."""

from __future__ import annotations

from monitor.fixes import UNPOSITIONED
from monitor.store.codec import FIX_COLUMNS, SIGNAL_FIELDS

LATE, WAITING = 1, 2
"""What is said of a fix that came at or before its vehicle's frontier; and of one so late that it waits to be judged."""

PRESENT = """
SELECT {key} FROM {asked} CROSS JOIN fix AS f ON f.vehicle_id = {n0} AND f.time = {n1} AND f.digest = {n2}
"""
VEHICLES = "SELECT {key}, v.id FROM {asked} CROSS JOIN vehicle AS v ON v.carrier = {t0} AND v.name = {t1}"
FIXES_OF = f"""
SELECT ?, {FIX_COLUMNS} FROM fix AS f WHERE f.vehicle_id = ? AND f.time > ? AND f.time <= ? AND f.late < {WAITING} ORDER BY f.time, f.digest
"""  # noqa: S608 (the names of columns, from this program)
FIXES_BETWEEN = f"""
SELECT f.vehicle_id, {FIX_COLUMNS} FROM vehicle AS v CROSS JOIN fix AS f ON f.vehicle_id = v.id AND f.time >= ? AND f.time < ?
"""  # noqa: S608 (likewise)
NEWEST_POSITION = f"""
SELECT lon, lat FROM fix WHERE vehicle_id = ? AND quality & {int(UNPOSITIONED)} = 0 ORDER BY time DESC, digest LIMIT 1
"""  # noqa: S608 (a number, from this program)
EVER = (-(2**63), 2**63 - 1)
"""Before and after every instant."""

INSERT_REJECT = "INSERT INTO reject (received, carrier, vehicle, topic, reason, payload, device) VALUES (?, ?, ?, ?, ?, ?, ?)"

SAVE_CHECKPOINT = (
    "INSERT INTO checkpoint (vehicle_id, frontier, body) VALUES (?, ?, ?) "
    "ON CONFLICT (vehicle_id, frontier) DO UPDATE SET body = excluded.body"
)
CHECKPOINT_BEFORE = "SELECT frontier, body FROM checkpoint WHERE vehicle_id = ? AND frontier < ? ORDER BY frontier DESC LIMIT 1"
NEWEST_CHECKPOINTS = """
SELECT v.carrier, v.name, c.frontier, c.body FROM vehicle AS v CROSS JOIN checkpoint AS c ON c.vehicle_id = v.id
AND c.frontier = (SELECT max(newest.frontier) FROM checkpoint AS newest WHERE newest.vehicle_id = v.id)
"""
PRUNE_CHECKPOINTS = """
DELETE FROM checkpoint WHERE vehicle_id = ? AND frontier <
(SELECT max(kept.frontier) FROM checkpoint AS kept WHERE kept.vehicle_id = ? AND kept.frontier <= ?)
"""

_READ = ", ".join(f's."{name}"' for name in SIGNAL_FIELDS)
SIGNALS_FROM = f"""
SELECT s.vehicle_id, s.id, s.state, {_READ} FROM {{asked}} CROSS JOIN signal AS s ON s.vehicle_id = {{value}} AND s.state = 'open'
UNION ALL
SELECT s.vehicle_id, s.id, s.state, {_READ} FROM {{asked}} CROSS JOIN signal AS s
ON s.vehicle_id = {{n0}} AND s.state = 'closed' AND s.decided > {{n1}}
ORDER BY 2
"""  # noqa: S608 (likewise)
