"""Jobs as values: their rates, and which of them may begin."""

from hypothesis import given
from hypothesis import strategies as st

from g4local.core.errors import G4Error
from g4local.core.progress import Progress
from g4tui.jobs import Jobs, Outcome, Pace, human_seconds


def at(done: int, stage: str = "download") -> Progress:
    return Progress(stage, done, 1000, "bytes")


def test_a_rate_is_that_of_the_last_moments() -> None:
    pace = Pace()
    for second in range(20):
        pace = pace.after(at(10 * second), float(second))
    assert pace.rate == 10
    for second in range(20, 40):
        pace = pace.after(at(190 + 40 * (second - 19)), float(second))
    assert pace.rate == 40


def test_another_stage_or_a_step_back_begins_anew() -> None:
    pace = Pace().after(at(0), 0.0).after(at(100), 1.0)
    assert pace.rate == 100
    assert pace.after(at(200, "hash"), 2.0).rate is None
    assert pace.after(at(50), 2.0).rate is None


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 10**12)), max_size=30))
def test_no_rate_is_ever_negative(steps: list[tuple[float, int]]) -> None:
    pace, now = Pace(), 0.0
    for elapsed, done in steps:
        now += elapsed
        pace = pace.after(at(done), now)
        assert pace.rate is None or pace.rate >= 0


def test_only_so_many_are_done_at_a_time_the_oldest_first() -> None:
    jobs = Jobs(2)
    first, second, third = (jobs.add("pull", name) for name in "abc")
    assert jobs.waiting() == [first, second]
    jobs.change(first.begun())
    assert jobs.waiting() == [second]
    jobs.change(second.begun())
    assert jobs.waiting() == []
    jobs.change(first.begun().ended(Outcome("is here")))
    assert jobs.waiting() == [third]
    assert [job.name for job in jobs.shown] == ["c", "b", "a"]


def test_a_pull_that_was_stopped_goes_on_and_another_job_is_over() -> None:
    jobs = Jobs(1)
    assert jobs.add("pull", "a").begun().stopped().state == "paused"
    assert jobs.add("convert", "b").begun().stopped().is_over


def test_what_is_over_is_forgotten_and_nothing_else() -> None:
    jobs = Jobs(1)
    over, paused = jobs.add("pull", "a"), jobs.add("pull", "b")
    jobs.change(over.broke_off(G4Error("no")))
    jobs.change(paused.stopped())
    assert jobs.busy() == {"b": "paused"}
    assert jobs.tidy() and not jobs.tidy()
    assert [job.name for job in jobs.shown] == ["b"]


def test_times_are_told_as_people_say_them() -> None:
    assert [human_seconds(each) for each in (4.2, 59, 90, 5400, 1e9)] == ["4 s", "59 s", "2 min", "1 h 30 min", "days"]
