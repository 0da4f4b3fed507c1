"""Few rows are computed by as many threads as pay."""

from __future__ import annotations

import torch

from git_copilot.assistant.backend.thread_chooser import ThreadChooser


class Machine:
    """A clock that a pass advances by ``seconds[threads]``."""

    def __init__(self, **seconds):
        self.time, self.seconds = 0.0, {int(k[1:]): v for k, v in seconds.items()}
        self.chooser = ThreadChooser(2, lambda: self.time)

    def run(self, passes, rows=1):
        """How many of the passes got two threads."""
        both = 0
        for _ in range(passes):
            chosen = self.chooser.choose(rows)
            with self.chooser.threads_for(rows):
                self.time += self.seconds[chosen]
            both += chosen == 2
        return both


def test_more_threads_are_used_where_they_save_time():
    assert Machine(_1=1.0, _2=0.6).run(100) > 90


def test_one_thread_is_used_where_more_do_not_pay():
    assert Machine(_1=1.0, _2=0.98).run(100) < 10
    assert Machine(_1=1.0, _2=9.0).run(100) < 10


def test_the_choice_follows_the_load_of_the_machine():
    machine = Machine(_1=1.0, _2=0.6)
    machine.run(50)
    machine.seconds[2] = 8.0  # something else has begun on the second core
    assert machine.run(100) < 20
    machine.seconds[2] = 0.6
    machine.run(150)  # noticed by the passes that try again
    assert machine.run(100) > 80


def test_numbers_of_rows_are_chosen_for_separately():
    machine = Machine(_1=1.0, _2=0.6)
    machine.run(50, rows=8)
    machine.seconds = {1: 0.5, 2: 0.6}
    assert machine.run(50, rows=1) < 10
    machine.seconds = {1: 1.0, 2: 0.6}
    assert machine.run(50, rows=8) > 40


def test_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    chooser = ThreadChooser()
    for _ in range(12):
        with chooser.threads_for(1):
            assert torch.get_num_threads() in (1, before)
        assert torch.get_num_threads() == before


def test_one_core_has_no_choice():
    chooser = ThreadChooser(1)
    assert [chooser.choose(1) for _ in range(3)] == [1, 1, 1]
