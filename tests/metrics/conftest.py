import pytest

from support_probe import Probe


@pytest.fixture(scope="session")
def probe():
    running = Probe()
    yield running
    running.close()
