import pytest
from line_probe import LineProbe


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    running = LineProbe("probe_ifeval", tmp_path_factory.mktemp("ifeval") / "input_data.jsonl")
    yield running
    running.close()
