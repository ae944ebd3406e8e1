import pytest

from keras_kd.evaluation.latency import measure_latency

pytestmark = pytest.mark.core


class Clock:
    """Stands for the time that calls take, so that no test depends on the machine."""

    def __init__(self, monkeypatch, durations):
        self.now, self.durations = 0.0, iter(durations)
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def __call__(self):
        self.now += next(self.durations)


def test_median_and_95th_percentile_are_in_milliseconds_and_leave_the_warm_up_out(monkeypatch):
    run = Clock(monkeypatch, [9.0, 9.0, *(k / 1000 for k in range(1, 102))])
    latency = measure_latency(run, warmup=2, repeats=101)
    assert latency.median == pytest.approx(51.0)
    assert latency.p95 == pytest.approx(96.0)


def test_slow_calls_are_repeated_less_often_when_time_is_limited(monkeypatch):
    run = Clock(monkeypatch, [1.0, 1.0, 1.0, 3.0])
    assert measure_latency(run, warmup=1, repeats=50, max_seconds=1.5).median == pytest.approx(1000)
    assert next(run.durations) == 3.0  # one warm-up, two counted


def test_one_call_is_counted_whatever_the_limit(monkeypatch):
    run = Clock(monkeypatch, [7.0])
    assert measure_latency(run, warmup=0, max_seconds=0.1).p95 == pytest.approx(7000)


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"warmup": -1}])
def test_numbers_of_calls_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="Received: repeats="):
        measure_latency(lambda: None, **wrong)
