"""Measurements in several processes: every result arrives, errors do too, and nothing is left running."""

import multiprocessing
import subprocess
import sys
import time
from math import sqrt

import pytest

from flowrl_kb.side_by_side import results


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_result_arrives_with_its_function(jobs):
    tasks = [(sqrt, (n,)) for n in (1, 4, 9)] + [(divmod, (7, 3))]
    assert sorted(map(str, results(tasks, jobs))) == sorted(str((f, f(*a))) for f, a in tasks)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_is_raised_here(jobs):
    with pytest.raises(ValueError, match="math domain error|nonnegative"):
        list(results([(sqrt, (-1.0,)), (sqrt, (-2.0,))], jobs))


def test_whoever_stops_listening_stops_the_work():
    began = time.monotonic()
    for _, result in results([(sqrt, (4.0,)), (time.sleep, (600,)), (time.sleep, (600,))], 2):
        assert result == 2.0
        break
    while multiprocessing.active_children() and time.monotonic() < began + 60:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_no_task_needs_no_process():
    assert list(results([], 2)) == []


def test_the_processes_end_with_the_one_that_started_them():
    """Even if that is killed and can clean nothing up."""
    code = """
from flowrl_kb.side_by_side import results
import os, time
for _, pid in results([(os.getpid, ()), (time.sleep, (600,)), (time.sleep, (600,))], 2):
    print(pid, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        parent.stdout.readline()
        parent.kill()
        parent.communicate(timeout=60)  # the output ends when nobody is left who could write to it
