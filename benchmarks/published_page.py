"""The tables of docs/published.md, made of stored outcomes: the paper's figure, ours, how much was run, and the grid that it was chosen from."""

from collections.abc import Mapping

from benchmarks.experiments import TABLES, Row, Table
from benchmarks.outcome import Outcome, best_of, finished_of

HEAD = "| `--only` | paper | here | at | seed | run |\n|---|---|---|---|---|---|"


def with_tables(page: str, found: Mapping[str, Outcome]) -> str:
    """The page with each table between its two marks, and what is not finished by round below."""
    for table in TABLES:
        begin, end = f"<!-- {table.name}: written by fl bench published -->", f"<!-- end of {table.name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        outcomes = {trial.name: found[trial.name] for row in table.rows for trial in row.trials if trial.name in found}
        unfinished = [f"`{name}` so far, by round: {curve_text(one)}." for name, one in outcomes.items() if not one.finished]
        parts = [table_text(table, found), grid_text(table, found), *unfinished]
        page = "\n\n".join([f"{before}{begin}", *filter(None, parts), f"{end}{after}"])
    return page


def table_text(table: Table, outcomes: Mapping[str, Outcome]) -> str:
    """A Markdown table with a line for every row of the experiment, those too of which nothing was run."""
    return "\n".join([HEAD, *(_line(row, of_row(row, outcomes)) for row in table.rows)])


def of_row(row: Row, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes of a row's trials, as far as they were run."""
    return {trial.name: outcomes[trial.name] for trial in row.trials if trial.name in outcomes}


def grid_text(table: Table, outcomes: Mapping[str, Outcome]) -> str:
    """A line for each trial of the rows with a grid; empty where there is none."""
    rows = [row for row in table.rows if len(row.trials) > 1]
    if not rows:
        return ""
    lines = [
        f"| `{row.name}` | {trial.grid} | {_figure(outcomes[trial.name]) if trial.name in outcomes else 'not begun'} |" for row in rows for trial in row.trials
    ]
    return "\n".join(["| row | learning rates | here |", "|---|---|---|", *lines])


def curve_text(found: Outcome, steps: int = 10) -> str:
    """Some of the accuracies by round, the last among them."""
    every = max(1, -(-len(found.accuracies) // steps))
    chosen = list(found.accuracies[::-1][::every][::-1])
    return ", ".join(f"{round}: {value:.4f}" for round, value in chosen)


def _line(row: Row, found: Mapping[str, Outcome]) -> str:
    name = best_of(found)
    if name is None:
        return f"| `{row.name}` | {_paper(row)} | not begun | | | |"
    chosen = found[name]
    grid = next(trial.grid for trial in row.trials if trial.name == name)
    done = f"{chosen.rounds} of at most {chosen.rounds_max} rounds{'' if chosen.finished else ', not finished'}"
    several = f"; {finished_of(found.values())} of {len(row.trials)} runs of the grid finished" if len(row.trials) > 1 else ""
    return f"| `{row.name}` | {_paper(row)} | {_figure(chosen)} | {grid} | {chosen.seed} | {done}{several} |"


def _paper(row: Row) -> str:
    return "" if row.paper is None else f"{row.paper:g} rounds"


def _figure(found: Outcome) -> str:
    if found.target is not None:
        return f"{found.reached} rounds to {found.target:g}" if found.reached else f"{found.target:g} not reached; best {found.best:.4f}"
    return f"{found.settled:.4f}" if found.settled is not None else f"best so far {found.best:.4f}"
