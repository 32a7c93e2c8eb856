import pytest

from probe_metrics import Probe


@pytest.fixture(scope="session")
def probe():
    running = Probe()
    yield running
    running.close()
