"""What the benchmark of stages reads out of logs and journals; nothing here measures."""

from benchmarks.stages import job_of, live_rounds, own_seconds, tasks_in, trained_seconds

LOG = """\
23:59:58.250 - INFO - Running pipeline: \x1b[95m'stages'\x1b[0m
23:59:58.500 - INFO - Executing task \x1b[96m'generate-job'\x1b[0m
23:59:58.501 - INFO - Streamed logs:
    a line of the stage: Executing task 'nothing'
23:59:59.000 - INFO - Task \x1b[96m'generate-job'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
23:59:59.001 - INFO - Task \x1b[96m'generate-job'\x1b[0m outputs:
23:59:59.500 - INFO - Executing task \x1b[96m'train-worker-2'\x1b[0m
00:00:01.750 - INFO - Task \x1b[96m'train-worker-2'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
"""
EVENTS = [
    {"event": "stage", "stage": "select", "round": 1, "seconds": 0.1},
    {"event": "done", "stage": "train", "round": 1, "seconds": 1.0},
    {"event": "done", "stage": "train", "round": 1, "seconds": 2.0},
    {"event": "stage", "stage": "select", "round": 2, "seconds": 0.3},
    {"event": "done", "stage": "train", "round": 2, "seconds": 4.0},
    {"event": "closed", "stage": "close", "round": 2},
]


def test_a_task_lasts_from_its_start_to_its_end_also_over_midnight() -> None:
    (first, begun, ended), (second, later, last) = tasks_in(LOG)
    assert (first, ended - begun) == ("generate-job", 0.5)
    assert (second, last - later) == ("train-worker", 2.25)


def test_training_is_added_up_by_round_and_stages_have_their_median() -> None:
    assert trained_seconds(EVENTS) == {1: 3.0, 2: 4.0}
    assert own_seconds(EVENTS) == {"select": 0.2}


def test_a_live_round_lasts_from_close_to_close_and_its_workers_train_at_the_same_time() -> None:
    closes = [{"event": "stage", "stage": "close", "round": round, "time": f"2026-01-01T00:00:{second:02d}+00:00"} for round, second in ((1, 10), (2, 17))]
    rounds, longest = live_rounds([*EVENTS, *closes])
    assert (rounds, longest) == ({2: 7.0}, {1: 2.0, 2: 4.0})


def test_each_worker_trains_its_clients_as_one_part() -> None:
    job = job_of(rounds=3)
    assert (len(job.workers), job.federation.parts, job.rounds) == (2, 1, 3)
