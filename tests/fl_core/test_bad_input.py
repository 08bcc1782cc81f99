"""What is wrong with a job, its data or its code is one sentence with the key, the value and the way out: exit code 2, and nothing is written."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fl_core.codec import encode_tensors
from fl_core.job import JOB_BYTES_MAX, Job
from pipelines.cli import main

GOOD: Mapping[str, Any] = {
    "format": 1,
    "name": "good",
    "program": "fl_core.programs.digits:program",
    "strategy": "fed_avg",
    "data": {"name": "digits", "partition": {"name": "iid", "clients": 4}},
    "rounds": 1,
    "optimizer": {"name": "SGD", "learning_rate": 0.5},
}
PARTS = """
import paddle
from paddle.nn import functional as F
from fl_core.program import Program
def model(): return paddle.nn.Linear(64, 10)
def loss(net, batch): return F.cross_entropy(net(batch[0]), batch[1])
"""
SITES = """
import numpy as np
from fl_core.types import Examples, FederatedData
def sites(names: list[str], sizes: list[int]):
    return FederatedData(names, sizes, lambda site: Examples(np.zeros((1, 64), np.float32), np.zeros(1, np.int64)))
"""
NAME = "a name is 1 to 63 letters, digits, '.', '_' or '-', and starts with a letter or digit."
ALL_KEYS = ", ".join(sorted(set(Job.model_fields) - {"code"}))


@dataclass(frozen=True)
class Bad:
    """The good job with some keys changed (or another text in its place), files beside it, words behind `fl run job.yaml --out run`, and the sentence.
    `{here}` in a sentence is the job's folder."""

    claim: str
    sentence: str
    job: Mapping[str, Any] | str = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def program(text: str, name: str = "program") -> dict[str, Any]:
    """The changes that make a user's file the job's program."""
    return {"job": {"program": f"my.py:{name}"}, "files": {"my.py": PARTS + text}}


def strategy(text: str) -> dict[str, Any]:
    return {"job": {"strategy": "my.py:mine"}, "files": {"my.py": text}}


def selection(text: str) -> dict[str, Any]:
    return {"job": {"selection": "my.py:mine"}, "files": {"my.py": text}}


def workers(*sections: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"job": {"federation": {"workers": list(sections)}, **more}}


def table(text: str, **options: Any) -> dict[str, Any]:
    """The changes that make a text the job's CSV file."""
    return {"job": {"data": {"name": "csv", "path": "my.csv", "label": "y", **options}}, "files": {"my.csv": text}}


def arrays(**named: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def idx(count: int, *more: int) -> bytes:
    """An IDX file of `count` zeros of shape `more`."""
    return struct.pack(f">{2 + len(more)}i", 0x0800 + 1 + len(more), count, *more) + bytes(count * int(np.prod(more)))


JOB_FILE = [
    Bad("a job that is no YAML", "The job file 'job.yaml' is not YAML at line 2: mapping values are not allowed here.", "format: 1\nname: a: b\n"),
    Bad("an empty job", "The job file 'job.yaml' is empty; a job holds keys and values.", "# nothing\n"),
    Bad("a list for a job", "The job file 'job.yaml' is a list; a job holds keys and values.", "- format: 1\n"),
    Bad("a key that is there twice", "The job file 'job.yaml' is not YAML at line 2: the key 'rounds' is there twice.", "rounds: 1\nrounds: 2\n"),
    Bad("a job that is too big", f"The job file 'job.yaml' has 70000 bytes; a job has at most {JOB_BYTES_MAX}.", "#" * 70000),
    Bad("a missing key", "'rounds' is missing; a job needs it.", "{format: 1, name: a, program: digits, data: digits}"),
    Bad(
        "no data at all",
        "'data' is missing; a job needs it, unless every worker of federation.workers names its own data.",
        "{format: 1, name: a, program: digits, rounds: 1}",
    ),
    Bad(
        "data without a loader",
        "'data.name' is missing; a job needs it, unless every worker of federation.workers names its own data.",
        {"data": {"path": "a.csv"}},
    ),
    Bad(
        "a worker's data without a loader", "'federation.workers.0.data.name' is missing; a job needs it.", **workers({"name": "a", "data": {"path": "a.csv"}})
    ),
    Bad("an older format", "The job file 'job.yaml' has format 0; this version reads format 1.", {"format": 0}),
    Bad("an unknown key", "'ronds' is no key of a job; did you mean 'rounds'?", {"ronds": 2}),
    Bad("an unknown key like none", f"'zebra' is no key of a job; known are {ALL_KEYS}.", {"zebra": "fast"}),
    Bad("an unknown key of evaluate", "'evaluate.every_round' is no key of a job; did you mean 'every_rounds'?", {"evaluate": {"every_round": 2}}),
    Bad("an unknown key of federation", "'federation.worker' is no key of a job; did you mean 'workers'?", {"federation": {"worker": 2}}),
    Bad("an unknown key of a worker", "'federation.workers.0.clinets' is no key of a job; did you mean 'clients'?", **workers({"name": "a", "clinets": []})),
    Bad("an unknown key of data", "data.heldout is not an option of 'digits'; did you mean 'held_out'?", {"data": {"name": "digits", "heldout": 0.2}}),
    Bad("a name for a file system's sake", f"name is 'a/b'; {NAME}", {"name": "a/b"}),
    Bad("a number for a name", "name is 3; it is text, so put it in quotes.", {"name": 3}),
    Bad("no round", "rounds is 0; a job has at least 1.", {"rounds": 0}),
    Bad("a word for rounds", "rounds is 'ten'; it is a whole number.", {"rounds": "ten"}),
    Bad("half a round", "rounds is 1.5; it is a whole number.", {"rounds": 1.5}),
    Bad("a number for a strategy", "strategy is 3; name one, such as fed_avg.", {"strategy": 3}),
    Bad("no data", "data is empty; name one, such as digits.", {"data": None}),
    Bad("a strategy without a name", "'strategy.name' is missing; a job needs it.", {"strategy": {"local_epochs": 1}}),
    Bad("a quorum above everyone", "quorum is 1.5; it is a share of the round's clients, from 0 to 1.", {"quorum": 1.5}),
    Bad("too many retries", "retries is 101; it is at most 100.", {"retries": 101}),
    Bad("no time", "deadline_seconds is 0; it is a number of seconds above 0, or null for none.", {"deadline_seconds": 0}),
    Bad("a seed below 0", "seed is -1; it is at least 0.", {"seed": -1}),
    Bad("updates kept for a while", "keep_updates is 'last'; it is 'all', 'last_round' or 'none'.", {"keep_updates": "last"}),
    Bad("states kept for a while", "keep_states is 'some'; it is a number of rounds from 1 on, all, or auto.", {"keep_states": "some"}),
    Bad("a goal that is no number", "stop_when.accuracy is nan; it is a number, neither NaN nor Inf.", {"stop_when": {"accuracy": float("nan")}}),
    Bad(
        "an endless number among a worker's options",
        "federation.workers.1.data.noise is inf; it is a number, neither NaN nor Inf.",
        **workers({"name": "a"}, {"name": "b", "data": {"name": "digits", "noise": float("inf")}}),
    ),
    Bad("a protection that is not there", "privacy is {{'epsilon': 1}}; this release offers no protection, leave it empty.", {"privacy": {"epsilon": 1}}),
]

COMMAND = [
    Bad("a job file that is not there", "The job file 'jobs.yaml' cannot be read: No such file or directory.", words=("jobs.yaml",)),
    Bad("an override without a value", "'--set rounds' is not of the form key.path=value.", words=("--set", "rounds")),
    Bad("an override below a number", "'--set rounds.most=3': 'rounds' holds no keys.", words=("--set", "rounds.most=3")),
    Bad(
        "an override that is no YAML",
        "The value of '--set name=[a' is not YAML at line 1: expected ',' or ']', but got '<stream end>'.",
        words=("--set", "name=[a"),
    ),
    Bad("an override of an unknown key", "'ronds' is no key of a job; did you mean 'rounds'?", words=("--set", "ronds=3")),
    Bad("a run's name that is a path", f"The run's name is 'a/b'; {NAME}", words=("--name", "a/b")),
    Bad("fewer than no processes", "processes is -1; a pool has at least 1.", words=("--processes", "-1")),
    Bad("no process", "processes is 0; a pool has at least 1.", words=("--processes", "0")),
    Bad(
        "a store of no known kind",
        "The store 'ftp://a' is of no known kind; write file://FOLDER or s3://BUCKET/PREFIX.",
        words=("--out=", "--store", "ftp://a"),
    ),
    Bad(
        "an output folder with something in it",
        "file://{here}/run exists; give the run another name, or go on with it with `fl resume`.",
        files={"run/notes.txt": "mine"},
    ),
    Bad("a file for an output folder", "{here}/run is a file; a run needs a folder of its own.", files={"run": "mine"}),
    Bad(
        "an output folder below a file",
        "The run cannot be written to {here}/a/run: {here}/a takes no folder (Not a directory); choose another place.",
        files={"a": "mine"},
        words=("--out", "a/run"),
    ),
    Bad(
        "an output folder that cannot be made",
        "The run cannot be written to /proc/run: /proc takes no folder (No such file or directory); choose another place.",
        words=("--out", "/proc/run"),
    ),
]

WORKERS = [
    Bad(
        "a word for workers", "federation.workers is 'two'; it is a number from 1 to 1000, or a list of workers with names.", {"federation": {"workers": "two"}}
    ),
    Bad("no worker", "federation.workers is 0; it is a number from 1 to 1000, or a list of workers with names.", {"federation": {"workers": 0}}),
    Bad("an empty list of workers", "federation.workers is []; it is a number from 1 to 1000, or a list of workers with names.", **workers()),
    Bad("two workers of one name", "federation.workers has two called 'a'; give each worker a name of its own.", **workers({"name": "a"}, {"name": "a"})),
    Bad("a worker's name with a space", f"federation.workers.0.name is 'a b'; {NAME}", **workers({"name": "a b"})),
    Bad(
        "a worker that lists a client whom nobody has",
        "Worker 'a' lists the client 'client-7', which the data do not have; did you mean 'client-3'?",
        **workers({"name": "a", "clients": ["client-7"]}),
    ),
    Bad(
        "two workers that list one client",
        "The client 'client-1' is held by two workers; a client belongs to one.",
        **workers({"name": "a", "clients": ["client-0", "client-1"]}, {"name": "b", "clients": ["client-1", "client-2"]}),
    ),
    Bad(
        "a federation without a client", "No worker of the federation holds a client; give at least one of them data.", **workers({"name": "a", "clients": []})
    ),
]

STRATEGY = [
    Bad("a misspelt strategy", "No strategy is called 'fedavg'; did you mean 'fed_avg'?", {"strategy": "fedavg"}),
    Bad(
        "a misspelt option",
        "strategy.local_epoch is not an option of 'fed_avg'; did you mean 'local_epochs'?",
        {"strategy": {"name": "fed_avg", "local_epoch": 1}},
    ),
    Bad("an option of a wrong type", "strategy.local_epochs is 'two'; it is a whole number.", {"strategy": {"name": "fed_avg", "local_epochs": "two"}}),
    Bad("an option out of range", "strategy.local_epochs is 0; it is at least 1.", {"strategy": {"name": "fed_avg", "local_epochs": 0}}),
    Bad(
        "an endless option", "strategy.mu is inf; it is a number, neither NaN nor Inf.", words=("--set", "strategy.name=fed_prox", "--set", "strategy.mu=.inf")
    ),
    Bad(
        "an option above all numbers",
        "strategy.mu is inf; it is a number, neither NaN nor Inf.",
        {"strategy": "fed_prox"},
        words=("--set", "strategy.mu=1e999"),
    ),
    Bad("an endless option in words", "strategy.mu is 'inf'; it is a number, neither NaN nor Inf.", {"strategy": {"name": "fed_prox", "mu": "inf"}}),
    Bad(
        "an option of a selection that is no number",
        "selection.deadline_seconds is nan; it is a number, neither NaN nor Inf.",
        {"selection": {"name": "deadline_aware", "clients_per_round": 2, "deadline_seconds": float("nan")}},
    ),
    Bad(
        "a device that is never done",
        "selection.devices.spread is 'inf'; it is a number, neither NaN nor Inf.",
        {"selection": {"name": "deadline_aware", "clients_per_round": 2, "deadline_seconds": 9, "devices": {"spread": "inf"}}},
    ),
    Bad(
        "an endless momentum",
        "optimizer.momentum is inf; it is a number, neither NaN nor Inf.",
        {"optimizer": {"name": "Momentum", "momentum": float("inf")}},
    ),
    Bad(
        "a server that steps backwards",
        "strategy.server_learning_rate is -1.0; it is above 0.",
        {"strategy": {"name": "fed_avg", "server_learning_rate": -1}},
    ),
    Bad(
        "no epoch of tuning",
        "strategy.fine_tune_epochs is 0; it is at least 1.",
        {"strategy": {"name": "local_fine_tuning", "fine_tune_epochs": 0}},
    ),
    Bad("no personal epoch", "strategy.personal_epochs is 0; it is at least 1.", {"strategy": {"name": "ditto", "personal_epochs": 0}}),
    Bad(
        "a strategy around one that does not sum",
        "strategy.around is a strategy that does not sum its clients' moves in one exchange; name one that does, such as fed_avg.",
        {"strategy": {"name": "top_k", "around": "krum"}},
    ),
    Bad(
        "a personal layer that is not there",
        "strategy.personal has 'zz', but no weight begins so; there are bias, weight.",
        {"strategy": {"name": "fed_per", "personal": ["zz"]}},
    ),
    Bad(
        "a function that gives no strategy",
        "The strategy 'my.py:mine' gives int; it is a function that returns an fl_core.strategy.Strategy.",
        **strategy("def mine(): return 3\n"),
    ),
    Bad("a strategy that raises", "The strategy 'my.py:mine' cannot be built: ZeroDivisionError: division by zero.", **strategy("def mine(): return 1 / 0\n")),
    Bad("a strategy that is no function", "The strategy 'my.py:mine' is int; name a function that builds it.", **strategy("mine = 3\n")),
    Bad("a strategy in a file that is no Python", "'my.py' cannot be imported: SyntaxError at line 2: expected ':'.", **strategy("\ndef mine() return 3\n")),
    Bad(
        "a strategy whose memory cannot be made",
        "The strategy 'my.py:mine' cannot make its first memory: KeyError: 'speed'.",
        **strategy(
            "from fl_core.strategies.fed_avg import fed_avg\nfrom dataclasses import replace\ndef mine(): return replace(fed_avg(), init=lambda w: w['speed'])"
        ),
    ),
    Bad("a misspelt selection", "No selection is called 'unifrom'; did you mean 'uniform'?", {"selection": "unifrom"}),
    Bad(
        "more clients a round than there are",
        "selection.clients_per_round is 5, but the federation has 4 clients; draw at most as many.",
        {"selection": {"name": "uniform", "clients_per_round": 5}},
    ),
    Bad(
        "a selection of several from data without a partition",
        "selection.clients_per_round is 5, but the federation has 1 clients; draw at most as many.",
        {"selection": {"name": "uniform", "clients_per_round": 5}, "data": "digits"},
    ),
    Bad(
        "a selection that raises",
        "The selection 'my.py:mine' fails in round 1: ZeroDivisionError: division by zero.",
        **selection("def mine(): return lambda draw: 1 / 0\n"),
    ),
    Bad(
        "a selection that is a class",
        "The selection 'my.py:Mine' is a class; name a function that builds it.",
        {"selection": "my.py:Mine"},
        {"my.py": "class Mine:\n    def __call__(self, draw): return draw.clients\n"},
    ),
    Bad(
        "a selection that builds a class",
        "The selection 'my.py:mine' gives Mine in round 1; it gives a list of clients' names.",
        **selection("class Mine:\n    def __init__(self, draw): pass\n    def __repr__(self): return 'Mine'\ndef mine(): return Mine\n"),
    ),
    Bad(
        "a selection that forgets to return",
        "The selection 'my.py:mine' gives None in round 1; it gives a list of clients' names.",
        **selection("def mine(): return lambda draw: None\n"),
    ),
    Bad(
        "a selection that draws lists",
        "The selection 'my.py:mine' gives [['client-0'], ['client-1']] in round 1; it gives a list of clients' names.",
        **selection("def mine(): return lambda draw: [[client] for client in draw.clients[:2]]\n"),
    ),
    Bad(
        "a selection that draws one name",
        "The selection 'my.py:mine' gives 'client-0' in round 1; it gives a list of clients' names.",
        **selection("def mine(): return lambda draw: draw.clients[0]\n"),
    ),
    Bad(
        "a selection that gives a word with a name",
        "The selection 'my.py:mine' gives 'client-0' with 'a' in round 1; a name comes alone, or with the number of the round it starts from.",
        **selection("def mine(): return lambda draw: {draw.clients[0]: 'a'}\n"),
    ),
    Bad(
        "a selection that draws twice",
        "The selection 'my.py:mine' drew a client twice in round 1; a client takes part once.",
        **selection("def mine(): return lambda draw: [draw.clients[0]] * 2\n"),
    ),
    Bad(
        "a selection that draws a stranger",
        "The selection 'my.py:mine' drew 'you', whom the federation does not have.",
        **selection("def mine(): return lambda draw: ['you']\n"),
    ),
]

PROGRAM = [
    Bad("a misspelt program", "No program is called 'digit'; did you mean 'digits'?", {"program": "digit"}),
    Bad("code that is not there", "The job names 'none.py', but it cannot be read from {here}: No such file or directory.", {"program": "none.py:program"}),
    Bad(
        "code outside of the job's folder",
        "The job names '../my.py', which does not lie in the folder of the job file or below; put it there.",
        {"program": "../my.py:program"},
    ),
    Bad("code that is too big", f"'my.py' has 70000 bytes; a file of a job has at most {JOB_BYTES_MAX}.", {"program": "my.py:p"}, {"my.py": "#" * 70000}),
    Bad("code that is no Python", "'my.py' cannot be imported: SyntaxError at line 1: invalid syntax.", {"program": "my.py:p"}, {"my.py": "def f(:\n"}),
    Bad(
        "code that raises on import",
        "'my.py' cannot be imported: ZeroDivisionError at line 2: division by zero.",
        {"program": "my.py:p"},
        {"my.py": "one = 1\none / 0\n"},
    ),
    Bad("code that leaves on import", "'my.py' cannot be imported: SystemExit at line 2: 0.", {"program": "my.py:p"}, {"my.py": "import sys\nsys.exit(0)\n"}),
    Bad(
        "code that imports what is not there",
        "'my.py' cannot be imported: ModuleNotFoundError at line 1: No module named 'helper'; a file of a job travels alone, so install what it needs "
        "or put it into the file.",
        {"program": "my.py:p"},
        {"my.py": "import helper\n", "helper.py": ""},
    ),
    Bad(
        "a module that is not there",
        "The program 'no.where:program' cannot be imported: No module named 'no'; is it installed, or is it a file such as my_program.py:program?",
        {"program": "no.where:program"},
    ),
    Bad("a misspelt attribute", "'my.py' has no 'porgram' for the program; did you mean 'program'?", **program("program = Program(model, loss)\n", "porgram")),
    Bad(
        "a program without a loss",
        "'my.py' cannot be imported: TypeError at line 7: Program.__init__() missing 1 required positional argument: 'loss'.",
        **program("program = Program(model)\n"),
    ),
    Bad(
        "a program whose loss is nothing",
        "The program 'my.py:program' has no loss; it is a function of the program.",
        **program("program = Program(model, None)\n"),
    ),
    Bad(
        "a function that gives no program",
        "The program 'my.py:program' gives int; it is an fl_core.program.Program, or a function that returns one.",
        **program("def program(): return 3\n"),
    ),
    Bad(
        "a model that cannot be built",
        "The program's model cannot be built: TypeError: Linear.__init__() missing 2 required positional arguments: 'in_features' and 'out_features'.",
        **program("program = Program(lambda: paddle.nn.Linear(), loss)\n"),
    ),
    Bad(
        "a model that is no layer",
        "The program's model gives int; it is a function that returns a paddle.nn.Layer.",
        **program("program = Program(lambda: 3, loss)\n"),
    ),
    Bad(
        "a loss that raises on the data",
        "The program's loss fails on a batch of x (2, 64) and y (2,): KeyError: 'label'.",
        **program("program = Program(model, lambda net, batch: {}['label'])\n"),
    ),
    Bad(
        "a loss that is no scalar",
        "The program's loss is 2 numbers on a batch of x (2, 64) and y (2,); it is one, such as the mean.",
        **program("program = Program(model, lambda net, batch: F.cross_entropy(net(batch[0]), batch[1], reduction='none'))\n"),
    ),
    Bad(
        "metrics that raise",
        "The program's metrics fail on a batch of x (2, 64) and y (2,): ZeroDivisionError: division by zero.",
        **program("program = Program(model, loss, metrics=lambda net, batch: {'a': 1 / 0})\n"),
    ),
    Bad(
        "metrics without names",
        "The program's metrics fail on a batch of x (2, 64) and y (2,): TypeError: 'int' object is not iterable.",
        **program("program = Program(model, loss, metrics=lambda net, batch: 3)\n"),
    ),
    Bad(
        "an option of a ready program",
        "program.width is not an option of 'digits', which is a ready Program; leave it out.",
        {"program": {"name": "digits", "width": 3}},
    ),
    Bad("an unknown optimizer", "optimizer.name is 'SDG', which Paddle does not have; did you mean 'SGD'?", {"optimizer": "SDG"}),
    Bad(
        "an optimizer that only looks private",
        "optimizer.name is 'Dpsgd', which is refused, because it gives no differential privacy; take another, such as SGD.",
        {"optimizer": {"name": "Dpsgd", "learning_rate": 0.1}},
    ),
    Bad(
        "a misspelt option of the optimizer",
        "optimizer.momentun is not an option of 'Momentum'; did you mean 'momentum'?",
        {"optimizer": {"name": "Momentum", "momentun": 0.9}},
    ),
    Bad(
        "an option that the optimizer refuses",
        "The optimizer 'Adam' does not take {{'beta1': 2.0}}: Invalid value of beta1, expect beta1 in [0,1).",
        {"optimizer": {"name": "Adam", "beta1": 2.0}},
    ),
    Bad(
        "an option that the optimizer finds wrong in its first step",
        "A step by the optimizer 'Momentum' with {{'momentum': 'x'}} fails: TypeError: momentum_(): argument (position 6) must be double, but got str.",
        {"optimizer": {"name": "Momentum", "momentum": "x"}},
    ),
    Bad(
        "a learning rate that is a word",
        "optimizer.learning_rate is 'fast'; it is a number from 0 on.",
        {"optimizer": {"name": "SGD", "learning_rate": "fast"}},
    ),
    Bad(
        "options of no optimizer",
        "optimizer.name is missing, but optimizer.learning_rate is set; name the optimizer, such as SGD.",
        {"optimizer": {"learning_rate": 0.1}},
    ),
    Bad("no optimizer at all", "optimizer.name is missing and the program brings no optimizer; name one, such as SGD.", {"optimizer": {}}),
    Bad("a goal that is not measured", "stop_when.auc is nothing that the program measures; known are accuracy, loss.", {"stop_when": {"auc": 0.9}}),
    Bad(
        "a goal without a direction",
        "Nobody said whether 'wonder' is better higher or lower; add it to the program's `better`, such as {{'wonder': 'higher'}}.",
        {"program": "my.py:program", "stop_when": {"wonder": 1}},
        {"my.py": PARTS + "program = Program(model, loss, metrics=lambda net, batch: {'wonder': loss(net, batch)})\n"},
    ),
    Bad("a goal that is a word", "stop_when.accuracy is 'high'; it is a number.", {"stop_when": {"accuracy": "high"}}),
    Bad(
        "an evaluation on what is not held out",
        "evaluate.on is held_out, but data.held_out is 0; set a share of each client's examples to hold out, such as 0.2.",
        {"evaluate": {"on": "held_out"}},
    ),
    Bad("a misspelt evaluation", "evaluate.on is 'tset'; did you mean 'test'?", {"evaluate": {"on": "tset"}}),
    Bad(
        "a start from nowhere",
        "start_from is '{here}/old', which cannot be read (No such file or directory); it is a run folder, a state or a model file.",
        {"start_from": "old"},
    ),
    Bad("a start from an empty folder", "start_from is '{here}/old', a folder without a run.", {"start_from": "old"}, {"old/notes.txt": ""}),
    Bad(
        "a start from another model's weights",
        "start_from is '{here}/old', which has no weight 'bias'; it was trained with another program.",
        {"start_from": "old"},
        {"old": encode_tensors({"weight": np.zeros((64, 10), np.float32)}, {})},
    ),
    Bad(
        "a start from weights of other shapes",
        "start_from is '{here}/old', whose 'bias' has shape (2,), not (10,); it was trained with another program.",
        {"start_from": "old"},
        {"old": encode_tensors({"weight": np.zeros((64, 10), np.float32), "bias": np.zeros(2, np.float32)}, {})},
    ),
]

DATA = [
    Bad("misspelt data", "No data is called 'digit'; did you mean 'digits'?", {"data": "digit"}),
    Bad("a misspelt partition", "No partition is called 'iids'; did you mean 'iid'?", {"data": {"name": "digits", "partition": "iids"}}),
    Bad("a partition without its option", "partition.clients is missing; 'iid' needs it.", {"data": {"name": "digits", "partition": "iid"}}),
    Bad("a partition for nobody", "partition.clients is 0; it is at least 1.", {"data": {"name": "digits", "partition": {"name": "iid", "clients": 0}}}),
    Bad(
        "a client for whom nothing is left",
        "partition.clients is 9, but there are 4 training examples; ask for at most 4 clients.",
        **table("x,y\n1,0\n2,1\n3,0\n4,1\n", partition={"name": "iid", "clients": 9}),
    ),
    Bad(
        "all held out",
        "data.held_out is 1.0; it is a share of each client's examples, from 0 up to 1.",
        {"data": {"name": "digits", "held_out": 1.0, "partition": {"name": "iid", "clients": 2}}},
    ),
    Bad(
        "data that are not there",
        "The data file '{here}/my.csv' cannot be read: No such file or directory.",
        {"data": {"name": "csv", "path": "my.csv", "label": "y"}},
    ),
    Bad("a table without its label", "data.label is 'y', which is no column of '{here}/my.csv'; known are a, b.", **table("a,b\n1,2\n")),
    Bad("a table without a row", "'{here}/my.csv' holds no examples; its first line names the columns, and each line below is one example.", **table("x,y\n")),
    Bad(
        "a ragged table",
        "'{here}/my.csv' has 3 cells at line 3, but its first line names 2 columns; quote cells that hold the delimiter.",
        **table("x,y\n1,0\n2,1,3\n"),
    ),
    Bad(
        "a word among numbers",
        "'{here}/my.csv' holds 'much' in column 'x' at line 3, where a number belongs; mend the cell or leave the column out.",
        **table("x,y\n1,0\nmuch,1\n"),
    ),
    Bad("a value that is not there", "The training set holds nan in row 1 of x; fill such values or leave their rows out.", **table("x,y\n1,0\nnan,1\n")),
    Bad("one class only", "The training set has one class: all 2 labels are 0; a model needs at least two classes.", **table("x,y\n1,a\n2,a\n")),
    Bad(
        "labels that do not match",
        "The training set has 3 rows of x and 2 of y; row i of y is the label of row i of x.",
        {"data": {"name": "npz", "path": "my.npz"}},
        {"my.npz": arrays(x=np.zeros((3, 64), np.float32), y=np.arange(2))},
    ),
    Bad(
        "arrays without labels",
        "'{here}/my.npz' has no array 'y'; known are x.",
        {"data": {"name": "npz", "path": "my.npz"}},
        {"my.npz": arrays(x=np.zeros((3, 64)))},
    ),
    Bad(
        "images that are cut off",
        "'{here}/mnist/train-images-idx3-ubyte' holds 1500 bytes, but its header promises 1584; copy it again.",
        {"data": {"name": "mnist", "path": "mnist"}},
        {"mnist/train-images-idx3-ubyte": idx(2, 28, 28)[:1500], "mnist/train-labels-idx1-ubyte": idx(2)},
    ),
    Bad(
        "a client without examples",
        "The client 'b' has no examples; leave it out.",
        {"data": {"name": "my.py:sites", "names": ["a", "b"], "sizes": [1, 0]}},
        {"my.py": SITES},
    ),
    Bad(
        "data without a test set",
        "evaluate.on is 'test', but the data of the first worker have no test set; give one, or evaluate on 'held_out'.",
        {"data": {"name": "my.py:sites", "names": ["a", "b"], "sizes": [1, 1]}},
        {"my.py": SITES},
    ),
    Bad(
        "data that do not fit the model",
        "The program's loss fails on a batch of x (2, 1) and y (2,): ValueError: In operator matmul, the [1] dimension of Input(X) must be equal to the [0] "
        "dimension of Input(Y). But receiving the [1]dimension of Input(X) is [1], and the [0] dimension of Input(Y) is [64].",
        **table("x,y\n1,0\n2,1\n", test_path="my.csv"),
    ),
    Bad(
        "options of a ready-made program that do not fit the data",
        "program.features is 3, but the data have 1; set it to 1.",
        {"program": {"name": "logistic", "features": 3}, **table("", test_path="my.csv")["job"]},
        {"my.csv": "x,y\n1,0\n2,1\n"},
    ),
    Bad(
        "a loader that raises",
        "The data 'my.py:mine' cannot be built: OSError: the disk is away.",
        {"data": "my.py:mine"},
        {"my.py": "def mine(): raise OSError('the disk is away')\n"},
    ),
]

TABLE = [*JOB_FILE, *COMMAND, *WORKERS, *STRATEGY, *PROGRAM, *DATA]


@pytest.fixture(autouse=True)
def in_an_empty_folder(warm: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def lay_out(bad: Bad, folder: Path) -> None:
    job = bad.job if isinstance(bad.job, str) else yaml.safe_dump({**GOOD, **bad.job}, sort_keys=False)
    for name, content in {"job.yaml": job, **bad.files}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def words_of(bad: Bad) -> list[str]:
    """The command's words; those of the case come later and win."""
    job = bad.words[0] if bad.words and bad.words[0].endswith(".yaml") else "job.yaml"
    return ["run", job, "--out", "run", *(word for word in bad.words if word != job)]


@pytest.mark.parametrize("bad", TABLE, ids=[bad.claim.replace(" ", "-") for bad in TABLE])
def test_it_is_refused_in_one_sentence_and_nothing_is_written(bad: Bad, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(bad, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code = main(words_of(bad))
    said = capsys.readouterr()
    assert said.err == bad.sentence.format(here=tmp_path) + "\n"
    assert code == 2
    assert said.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_the_good_job_that_they_are_made_of_is_trained(tmp_path: Path) -> None:
    lay_out(Bad("good", ""), tmp_path)
    assert main(["run", "job.yaml", "--out", "run"]) == 0
    assert (tmp_path / "run/summary.json").exists()


def test_each_wrong_thing_is_there_once() -> None:
    assert len({bad.claim for bad in TABLE}) == len(TABLE)
