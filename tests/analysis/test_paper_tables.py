"""The paper's layout: which systems stand in which table, and that the figures are those of the table of all."""

import numpy
import pandas
import pytest
from support_results import EXPERIMENT, instruct_unit, make_folder, report, synthetic

SYSTEM = ["Target", "Method", "Delta", "α"]


def of(unit, **task):
    return {**unit, "task": {**unit["task"], **task}}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Table name → frame, of two targets: a main delta, a larger one, another fusion mode, and proxy tuning."""
    random = numpy.random.default_rng(4)
    description = synthetic()
    strengths = [0.25, 0.9, 1.2]
    text = EXPERIMENT.replace("instruct = tiny", "instruct = zulu, alpha")  # the first is not the first by name
    description["experiment"] = text.replace("strengths = 0.5, 1, 1.5", "strengths = " + ", ".join(map(str, strengths)))
    units = []
    for target in ("smollm2", "gemma"):
        steered = [instruct_unit(random, target, delta, strengths, 0, 6) for delta in ("zulu", "alpha", "zulu", "zulu", "zulu", "zulu")]
        units += [instruct_unit(random, target, "", [0], 0, 6), *steered[:2], of(steered[2], mode="raw_sum"), of(steered[3], method="proxy_tuning")]
        units.append(of(instruct_unit(random, target, "", [0], 0, 6), method="lora"))
        units.append(of(steered[4], map_method="one_to_many", top=100, unmapped="zero"))
        units.append(of(steered[5], map_method="pm_mined", top=0, unmapped="minimum"))
        units.append(of(instruct_unit(random, target, "zulu", [0.9], 0, 6), mode="both_normalized"))  # as the stages plan variants
    description["units"] = units
    folder = make_folder(tmp_path_factory.mktemp("paper") / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    frames = {file.stem: pandas.read_csv(file, keep_default_na=False, dtype=str) for file in (folder / "report/tables").glob("*.csv")}
    figures = {file.stem: file.read_text() for file in (folder / "report/figures").glob("*.gp")}
    return frames, figures, done.stdout, (folder / "report/index.html").read_text()


def systems(frame, target="gemma"):
    return [tuple(row) for row in frame[frame["Target"] == target][SYSTEM[1:]].itertuples(index=False)]


def test_methods_stand_side_by_side_at_the_strength_nearest_to_1(tables):
    frames, _, _, _ = tables
    assert systems(frames["table1"]) == [("vanilla", "", ""), ("lora", "", ""), ("proxy_tuning", "zulu", "0.9"), ("cmc", "zulu", "0.9")]


def test_deltas_are_compared_with_the_usual_fusion(tables):
    frames, _, _, _ = tables
    assert systems(frames["table3"]) == [("vanilla", "", ""), ("cmc", "alpha", "0.9"), ("cmc", "zulu", "0.9")]


def test_variants_are_compared_with_the_main_delta(tables):
    frames, _, _, _ = tables
    assert systems(frames["table4"]) == [
        ("cmc", "zulu", "0.9"), ("cmc (both_normalized)", "zulu", "0.9"), ("cmc (one_to_many of the top 100)", "zulu", "0.9"),
        ("cmc (raw_sum)", "zulu", "0.9"), ("cmc (unmapped: minimum)", "zulu", "0.9")]


def test_one_strength_is_no_curve(tables):
    _, figures, _, _ = tables
    gemma = figures["instruct_strength_1"]
    assert 'title "zulu (raw_sum)"' in gemma and "both_normalized" not in gemma


def test_excerpts_repeat_the_table_of_all(tables):
    frames, _, shown, page = tables
    whole = frames["instruct"].set_index(SYSTEM)
    assert len(whole) == 2 * (1 + 1 + 6 * 3 + 1)
    for name in ("table1", "table3", "table4"):
        excerpt = frames[name].set_index(SYSTEM)
        assert not excerpt.empty
        pandas.testing.assert_frame_equal(excerpt, whole.loc[excerpt.index])
    assert "Table 1" in shown and "Table 3" in shown and "Table 4" in shown
    assert page.index('id="table-table1"') < page.index("<details class=table>") < page.index('id="table-instruct"')
