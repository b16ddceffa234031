"""Mutate modules of the core, a random sample of all mutants each, and say which the tests kill.

    python -m benchmarks.mutation [--sample 40] [--seed 1] [--survivors] [--into build/mutants] [--cosmic-ray PATH] [module ...]

`make mutants` installs cosmic-ray beside and runs this. It works on a copy of the repository, as it is on the disk, under `--into`.
There cosmic-ray's session of each module stays (what is done is not done again, but for `--survivors`), and `survivors.txt` with what
was changed in each mutant that no test noticed. The kernels run as plain Python (`NUMBA_DISABLE_JIT=1`), against the tests of their
module, then against the oracle on twenty small worlds.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from benchmarks.table import show

EVERY = ("tests/test_core_edges.py", "tests/contract/test_detectors.py::test_it_says_what_the_definitions_say")
"""What every module is held to after the tests nearest to it."""
DETECTORS = sorted(path.stem for path in Path("monitor/detectors").glob("[a-z]*.py"))
NEAREST = {
    "motion": "tests/test_motion.py",
    "order": "tests/test_order.py",
    "episodes": "tests/test_episodes.py",
    "visits": "tests/test_visits.py",
    "silence": "tests/detectors/test_signal_lost.py",
    "anchor": "tests/detectors/test_after_hours_movement.py",
    "departure": "tests/detectors/test_after_hours_movement.py",
    "progress": "tests/detectors/test_wrong_way.py",
    "reconcile": "tests/test_reconcile.py",
    **{f"detectors/{name}": f"tests/detectors/test_{name}.py" for name in DETECTORS},
}
"""The tests nearest to a module; `watching` has none of its own."""
COPIED = ("monitor", "tests", "benchmarks", "config", "geofences", "docs", "pyproject.toml", "README.md")
UNSEEN = ("core/RemoveDecorator", "core/ReplaceComparisonOperator_Eq_Is", "core/ReplaceComparisonOperator_NotEq_IsNot")
"""Operators that change nothing: a kernel's decorator does nothing without the compiler, and equal numbers may be one object or two."""
TEST_SECONDS, RUN_SECONDS = 30, 600
CONFIDENT = 1.96
"""Standard deviations to each side of which a normal variable falls in 95 % of all cases."""


def main() -> None:
    """Run what the command line asks for."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description="Mutation testing of the core.")
    asked.add_argument("modules", nargs="*", metavar="module", help=f"which ones (all, if none are named): {', '.join(NEAREST)}")
    asked.add_argument("--sample", type=int, default=40, help="mutants a module (40)")
    asked.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    asked.add_argument("--survivors", action="store_true", help="run again those that survived, after tests were added")
    asked.add_argument("--into", type=Path, default=Path("build/mutants"), help="folder for the copy and the sessions")
    asked.add_argument("--cosmic-ray", default="cosmic-ray", help="the program")
    told = asked.parse_args()
    if unknown := set(told.modules) - set(NEAREST):
        asked.error(f"no such module: {', '.join(sorted(unknown))}; there are {', '.join(NEAREST)}")
    program = shutil.which(told.cosmic_ray)
    if program is None:
        asked.error(f"--cosmic-ray = {told.cosmic_ray!r}: no such program; `pip install cosmic-ray` somewhere, and say where")
    program, into = str(Path(program).absolute()), told.into.resolve()
    tree = copied(into / "tree")
    rows, survivors = [], []
    for name in told.modules or NEAREST:
        config, session = configured(into, tree, name), into / f"{name.replace('/', '-')}.sqlite"
        if not session.exists():
            subprocess.run([program, "init", config, session], cwd=tree, check=True)
            drawn(session, tree / source(name), random.Random(f"{told.seed} {name}"), told.sample)
        forgotten(session, survivors=told.survivors)
        subprocess.run([program, "baseline", config], cwd=tree, check=True)  # what fails without a mutant kills none
        subprocess.run([program, "exec", config, session], cwd=tree, check=True)
        killed, survived = outcome(session)
        survivors += [f"{name}\n{diff}" for diff in survived]
        rows.append((name, killed, killed + len(survived)))
        print(f"{name}: {killed} of {killed + len(survived)} killed", file=sys.stderr, flush=True)
    (into / "survivors.txt").write_text("\n".join(survivors), encoding="utf-8")
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    show(
        f"mutants of the core, at most {told.sample} a module, seed {told.seed}",
        ("module", "sample", "killed", "share", "95 % interval"),
        [(name, n, killed, f"{killed / n:.0%}", "{:.0%} to {:.0%}".format(*interval(killed, n))) for name, killed, n in rows],
    )


def source(name: str) -> Path:
    """Where a module lies in the repository."""
    return Path("monitor") / f"{name}.py"


def copied(tree: Path) -> Path:
    """Make a fresh copy of the repository, without compiled files: they could be older than a mutant of the same second."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in COPIED:
        if Path(name).is_dir():
            shutil.copytree(name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(name, tree / name)
    return tree


def configured(into: Path, tree: Path, name: str) -> Path:
    """Write cosmic-ray's configuration of one module."""
    tests = [path for path in (NEAREST[name], *EVERY) if (tree / path.partition("::")[0]).exists()]
    options = f"-x -q -n 0 -p no:cacheprovider -p benchmarks.mutation.bounded --timeout={TEST_SECONDS}"
    command = ["env", "NUMBA_DISABLE_JIT=1", "MONITOR_TESTS=quick", sys.executable, "-m", "pytest", *options.split(), *tests]
    lines = (
        "[cosmic-ray]",
        f'module-path = "{source(name).as_posix()}"',
        f"timeout = {RUN_SECONDS}.0",
        "excluded-modules = []",
        f"test-command = {json.dumps(shlex.join(command))}",
        '[cosmic-ray.distributor]\nname = "local"',
    )
    config = into / f"{name.replace('/', '-')}.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def drawn(session: Path, module: Path, chance: random.Random, sample: int) -> None:
    """Leave a random sample in a session, of the mutants that change what is run: annotations are not."""
    hints = type_hints(ast.parse(module.read_text(encoding="utf-8")))
    with closing(sqlite3.connect(session)) as database:
        spec = "operator_name, occurrence, start_pos_row, start_pos_col"
        mutants = database.execute(f"SELECT job_id, {spec} FROM mutation_specs ORDER BY {spec}, operator_args").fetchall()
        real = [job for job, operator, _, row, column in mutants if operator not in UNSEEN and not hint(hints, row, column)]
        chance.shuffle(real)
        chosen = set(real[:sample])  # so that a larger sample contains a smaller one
        for table in ("mutation_specs", "work_items"):
            database.executemany(f"DELETE FROM {table} WHERE job_id = ?", [(row[0],) for row in mutants if row[0] not in chosen])
        database.commit()
    print(f"{module.name}: {len(chosen)} of {len(real)} mutants", file=sys.stderr, flush=True)


def type_hints(tree: ast.AST) -> list[ast.expr]:
    """All type hints of a module."""
    nodes = list(ast.walk(tree))
    hints = [node.annotation for node in nodes if isinstance(node, ast.AnnAssign | ast.arg)]
    hints += [node.returns for node in nodes if isinstance(node, ast.FunctionDef)]
    return [hint for hint in hints if hint is not None]


def hint(hints: list[ast.expr], row: int, column: int) -> bool:
    """Whether a place in the source lies in one of them."""
    return any(
        (one.lineno, one.col_offset) <= (row, column) < (one.end_lineno or 0, one.end_col_offset or 0) for one in hints
    )  # fmt: skip


def forgotten(session: Path, *, survivors: bool) -> None:
    """Forget what could not be run, or was interrupted, so that it is run again; and what survived, if asked to."""
    ended = "test_outcome = 'KILLED' AND (output LIKE '%failed%' OR output LIKE '%error%' OR output = 'timeout')"
    kept = ended if survivors else f"{ended} OR test_outcome = 'SURVIVED'"
    with closing(sqlite3.connect(session)) as database:
        database.execute(f"DELETE FROM work_results WHERE NOT ({kept})")
        database.commit()


def outcome(session: Path) -> tuple[int, list[str]]:
    """How many mutants were killed, and what those were that were not."""
    with closing(sqlite3.connect(session)) as database:
        results = database.execute("SELECT test_outcome, diff FROM work_results ORDER BY job_id").fetchall()
    return sum(test == "KILLED" for test, _ in results), [diff for test, diff in results if test == "SURVIVED"]


def interval(killed: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a share seen in a sample."""
    z2 = CONFIDENT**2
    middle, half = (killed + z2 / 2) / (n + z2), CONFIDENT * math.sqrt(killed * (n - killed) / n + z2 / 4) / (n + z2)
    return middle - half, middle + half


if __name__ == "__main__":
    main()
