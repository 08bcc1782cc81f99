"""Figures of papers, each by a job file of benchmarks/published: trained in a kept folder, gone on with where it stopped, and set beside the paper's.

`fl bench published` runs what is not finished yet and reads what is. Hours of work are done in parts: `--only NAME --rounds-at-most N`.
"""

import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.data import MNIST
from benchmarks.experiments import SKEWED, TABLES, Row, Table, Trial
from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.outcome import METRIC, Outcome, best_of, load_outcomes, outcome_of, save_outcomes
from benchmarks.published_page import of_row, with_tables
from fl_core.errors import InputError, did_you_mean
from fl_core.job import Job, load_job
from fl_core.pool import Pool
from fl_core.run_folder import MANIFEST
from fl_core.runner import Progress, open_run, resume, run

ROOT = Path(__file__).parents[1]
JOBS = ROOT / "benchmarks" / "published"
RESULTS = ROOT / "benchmarks" / "results" / "published.json"
PAGE = ROOT / "docs" / "published.md"
KEPT = Path.home() / ".cache" / "paddlefl" / "published"
ROUNDS_MAX = 1_000_000


class Spent(Exception):
    """The call's rounds are done; the run stays as it is and is gone on with by the next call."""


class Budget:
    """How many rounds a call may still do; it has state because rounds are counted off."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds

    def spend(self, round: int, rounds: int, accuracy: float | None) -> None:
        """Counts a round off and says how it went; Spent after the last one, unless the job ends with it."""
        self.left -= 1
        if accuracy is not None:
            print(f"  round {round} of {rounds}: accuracy {accuracy:.4f}", file=sys.stderr, flush=True)
        if self.left <= 0 and round < rounds:
            raise Spent


def measure(quick: bool, only: str | None = None, out: Path | None = None, rounds_at_most: int | None = None, processes: int | None = None) -> Measured:
    """Goes on with the runs of all tables, or of the one table or row named, and writes results and page; quick: a round each, in a folder of no duration.

    Runs lie in `out`. `rounds_at_most` is for the whole call; what is not done by then is done by the next. Rows whose data are absent are skipped.
    """
    rows = [row for table in chosen(only) for row in table.rows]
    rounds = ROUNDS_MAX if rounds_at_most is None else rounds_at_most
    if not 0 <= rounds <= ROUNDS_MAX:
        raise InputError(f"--rounds-at-most is {rounds}; a call does at most {ROUNDS_MAX} rounds, and with 0 only reads.")
    with tempfile.TemporaryDirectory() as folder, Pool(processes) as pool:
        place = Path(folder) if quick else out or KEPT
        found: dict[str, Outcome] = {}
        budget = Budget(rounds)
        for row in rows:
            found |= _go_on_with(row, place, Budget(1) if quick else budget, pool, first_only=quick)
    if not quick:
        found = load_outcomes(RESULTS) | found
        save_outcomes(RESULTS, found)
        PAGE.write_text(with_tables(PAGE.read_text(), found))
    settings = {"runs": str(place), "only": only, "rounds_at_most": rounds_at_most, "seeds": sorted({one.seed for one in found.values()})}
    return Measured(settings, ratios_of(found), figures_of(found))


def chosen(only: str | None) -> list[Table]:
    """All tables; or the one of that name; or the row of that name, alone in its table."""
    if only is None:
        return list(TABLES)
    rows = [Table(table.name, table.paper, (row,)) for table in TABLES for row in table.rows if row.name == only]
    found = [table for table in TABLES if table.name == only] or rows
    if not found:
        names = [table.name for table in TABLES] + [row.name for table in TABLES for row in table.rows]
        raise InputError(f"--only is '{only}', which no published figure is called; {did_you_mean(only, names)}")
    return found


def job_of(row: Row, trial: Trial, *more: str) -> Job:
    """The job of a trial; `more` are overrides after its own."""
    place = (f"data.path={MNIST}",) if "mnist" in load_job(JOBS / f"{row.job}.yaml").data.name else ()
    return load_job(JOBS / f"{row.job}.yaml", (*place, *trial.overrides, *more))


def _go_on_with(row: Row, place: Path, budget: Budget, pool: Pool, *, first_only: bool) -> dict[str, Outcome]:
    found = {}
    for trial in row.trials[: 1 if first_only else None]:
        job = job_of(row, trial)
        if job.data.name == "mnist" and not MNIST.is_dir():
            print(f"{row.name}: skipped, there is no MNIST at {MNIST}; say where it is with FL_BENCH_MNIST.", file=sys.stderr)
            return {}
        outcome = go_on(job, place / trial.name, budget, pool)
        if outcome is not None:
            found[trial.name] = outcome
    return found


def go_on(job: Job, folder: Path, budget: Budget, pool: Pool) -> Outcome | None:
    """Trains the job in its folder as far as the budget reaches, from where it stopped; gives what it came to, None where it has not begun.

    InputError where another job was trained in the folder.
    """
    begun = (folder / MANIFEST).exists()
    done = open_run(folder).last_round() - 1 if begun else 0
    if begun and open_run(folder).job.digest != job.digest:
        raise InputError(f"{folder} was trained with another job than {job.name} is now; remove it, or keep runs elsewhere with --out.")
    if budget.left > 0 and not (folder / "summary.json").exists():
        print(f"{folder.name} …", file=sys.stderr, flush=True)

        def on_round(progress: Progress) -> None:
            if progress.round > done:
                budget.spend(progress.round, progress.rounds, progress.metrics.get(METRIC))

        try:
            if begun:
                resume(folder, pool=pool, on_round=on_round)
            else:
                run(job, out=folder, pool=pool, on_round=on_round)
        except Spent:
            print(f"{folder.name}: stopped here; call again to go on.", file=sys.stderr)
    return outcome_of(open_run(folder)) if (folder / MANIFEST).exists() else None


def figures_of(found: Mapping[str, Outcome]) -> dict[str, float]:
    """Each row's figure by its best run: rounds to the target, or the accuracy at the end; rows without one are left out."""
    figures: dict[str, float] = {}
    for row in (row for table in TABLES for row in table.rows):
        outcomes = of_row(row, found)
        name = best_of(outcomes)
        if name is None:
            continue
        one = outcomes[name]
        value = one.settled if one.target is None else one.reached
        if value is not None:
            figures[f"{row.name}_{'accuracy' if one.target is None else 'rounds'}"] = round(value, 4)
    return figures


def ratios_of(found: Mapping[str, Outcome]) -> dict[str, float]:
    """How algorithms compare, where both sides were run: FedProx's accuracy less FedAvg's on the sets that are not IID (of which the paper's claim speaks),
    the same of FedOpt's best, SCAFFOLD's rounds to FedAvg's."""
    figures = figures_of(found)
    gains = [
        figures[ours] - figures[theirs]
        for set in SKEWED
        if (ours := f"synthetic_{set}_fed_prox_mu_1_accuracy") in figures and (theirs := f"synthetic_{set}_fed_avg_accuracy") in figures
    ]
    adaptive = [figures[name] for kind in ("adagrad", "adam", "yogi") if (name := f"fed_opt_fed_{kind}_accuracy") in figures]
    ratios = {"fed_prox_above_fed_avg": statistics.mean(gains)} if len(gains) == len(SKEWED) else {}
    if len(adaptive) == 3 and "fed_opt_fed_avg_accuracy" in figures:
        ratios["fed_opt_above_fed_avg"] = max(adaptive) - figures["fed_opt_fed_avg_accuracy"]
    for epochs in (1, 5, 10):
        ours, theirs = f"skew_scaffold_{epochs}_rounds", f"skew_fed_avg_{epochs}_rounds"
        if ours in figures and theirs in figures:
            ratios[f"scaffold_to_fed_avg_{epochs}"] = figures[ours] / figures[theirs]
    return {name: round(value, 4) for name, value in ratios.items()}


benchmark = Benchmark(
    "The figures of four papers come out of one command.",
    {f"{row.name}_rounds": Goal(most=row.goal) for table in TABLES for row in table.rows if row.goal is not None}
    | {"fed_prox_above_fed_avg": Goal(least=0.0), "fed_opt_above_fed_avg": Goal(least=0.0), "scaffold_to_fed_avg_5": Goal(most=1.0)},
    measure,
)
