import pytest

from support_checkpoint import Probe


@pytest.fixture(scope="module")
def probe():
    running = Probe()
    yield running
    running.close()
