"""What `fl bench published` runs: tables of rows, and of each row the runs of which the best counts (a grid of learning rates, or one run)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

LOCAL, SERVER = "optimizer.learning_rate", "strategy.server_learning_rate"
RATES = {LOCAL: "local", SERVER: "server"}
SYNTHETIC = {"iid": ("data.iid=true",), "0_0": ("data.alpha=0.0", "data.beta=0.0"), "05_05": ("data.alpha=0.5", "data.beta=0.5"), "1_1": ()}
SKEWED = ("0_0", "05_05", "1_1")


@dataclass(frozen=True)
class Trial:
    """One run: its folder's name, and what is overridden in the job file of its row; `grid` tells it from the other trials of the row."""

    name: str
    overrides: tuple[str, ...] = ()
    grid: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a table: a job file of benchmarks/published, and the paper's figure for it, in rounds where the job has a target, else as a share."""

    name: str
    job: str
    trials: tuple[Trial, ...]
    paper: float | None = None
    goal: float | None = None


@dataclass(frozen=True)
class Table:
    name: str
    paper: str
    rows: tuple[Row, ...]


def _one(job: str, paper: float | None = None, goal: float | None = None) -> Row:
    """A job file as it is."""
    return Row(job, job, (Trial(job),), paper, goal)


def _grid(name: str, job: str, overrides: tuple[str, ...], rates: Mapping[str, Iterable[float]]) -> Row:
    """A job file with overrides, once for each choice of one value a key."""
    trials = []
    for values in product(*rates.values()):
        chosen = dict(zip(rates, values, strict=True))
        words = [f"{RATES[key]} {value:g}" for key, value in chosen.items()]
        file = "-".join([name, *(f"{value:g}" for value in values)])
        trials.append(Trial(file, (*overrides, *(f"{key}={value:g}" for key, value in chosen.items())), ", ".join(words)))
    return Row(name, job, tuple(trials))


def _fed_prox(set: str, overrides: tuple[str, ...]) -> list[Row]:
    rows = [Row(f"synthetic_{set}_fed_avg", "synthetic_fed_avg", (Trial(f"synthetic_{set}_fed_avg", overrides),))]
    for mu in (0, 1):
        name = f"synthetic_{set}_fed_prox_mu_{mu}"
        rows.append(Row(name, "synthetic_fed_prox", (Trial(name, (*overrides, f"strategy.mu={mu}.0")),)))
    return rows


def _fed_opt(strategy: str, local: Iterable[float], server: Iterable[float]) -> Row:
    return _grid(f"fed_opt_{strategy}", "fed_opt", (f"strategy.name={strategy}",), {LOCAL: local, SERVER: server})


def _scaffold(strategy: str, epochs: int) -> Row:
    overrides = (f"strategy.name={strategy}", f"strategy.local_epochs={epochs}")
    return _grid(f"skew_{strategy}_{epochs}", "scaffold", overrides, {LOCAL: (0.03, 0.1, 0.3, 1.0)})


TABLES = (
    Table(
        "fed_avg",
        "McMahan et al. 2017",
        (
            _one("mnist_2nn_iid", 87, 87),
            _one("mnist_2nn_shards", 664, 664),
            _one("mnist_cnn_iid", 20, 25),
            _one("mnist_cnn_shards", 229, 458),
            _one("mnist_cnn_shards_one_epoch", 350, 700),
            _one("mnist_by_writer"),
        ),
    ),
    Table("fed_prox", "Li et al. 2020", tuple(row for set, overrides in SYNTHETIC.items() for row in _fed_prox(set, overrides))),
    Table(
        "fed_opt",
        "Reddi et al. 2021",
        (
            _fed_opt("fed_avg", (0.03, 0.1, 0.3, 1.0), (1.0,)),
            _fed_opt("fed_adagrad", (0.03, 0.1), (0.03, 0.1)),
            _fed_opt("fed_adam", (0.03, 0.1), (0.003, 0.01)),
            _fed_opt("fed_yogi", (0.03, 0.1), (0.003, 0.01)),
        ),
    ),
    Table("scaffold", "Karimireddy et al. 2020", tuple(_scaffold(strategy, epochs) for epochs in (1, 5, 10) for strategy in ("fed_avg", "scaffold"))),
)
