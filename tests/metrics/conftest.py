import pytest

from line_probe import LineProbe


@pytest.fixture(scope="session")
def probe():
    running = LineProbe("probe_metrics")
    yield running
    running.close()
