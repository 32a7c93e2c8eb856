"""What was evaluated on held-out examples as a training went, in table, figures and results.h5, against numpy."""

import h5py
import numpy
import pandas
import pytest
from support_results import double, integer, make_folder, report, synthetic

EVERY = {"instruct": 30, "unlearn": 20}  # of 120 and 80 steps


def evaluated(seed=1):
    """(description, {kind: rows}): the two trainings of synthetic() with four evaluations each."""
    description, rows = synthetic(seed), {}
    random = numpy.random.default_rng(seed)
    for unit in description["units"]:
        kind = unit["task"].get("kind")
        if unit["stage"] != "train":
            continue
        loss = numpy.array([3.0, 1.5, 1.5, 2.0]) + (random.random() if kind == "unlearn" else 0)
        retain = random.random(4) if kind == "unlearn" else numpy.zeros(4)
        rows[kind] = {"step": EVERY[kind] * numpy.arange(1, 5), "loss": loss, "examples": loss + 0.25, "retain": retain}
        unit["datasets"] += [
            integer("held_out_step", rows[kind]["step"], ("evaluation",)),
            double("held_out_loss", loss, ("evaluation",)),
            double("held_out_examples_loss", loss + 0.25, ("evaluation",)),
            double("held_out_retain_loss", retain, ("evaluation",)),
            integer("held_out_best", [0, 1, 0, 0], ("evaluation",), width="int32"),
        ]
    return description, rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    description, rows = evaluated()
    folder = make_folder(tmp_path_factory.mktemp("held_out") / "run", description)
    done = report(folder)
    assert done.returncode == 0, done.stderr
    return folder, rows


def test_table(run):
    folder, rows = run
    table = pandas.read_csv(folder / "report/tables/held_out.csv").set_index("For")
    assert table.index.tolist() == ["instruct", "unlearn"] and table["Trained"].tolist() == ["tiny", "tiny"]
    for kind, of in rows.items():
        row = table.loc[kind]
        best = int(numpy.argmin(of["loss"]))
        assert best == 1 and row["Best step"] == of["step"][best] == 2 * EVERY[kind]
        assert row["Loss, best"] == pytest.approx(of["loss"][best]) and row["Loss, last"] == pytest.approx(of["loss"][-1])
        assert row["CE of examples, best"] == pytest.approx(of["examples"][best])
    assert row["CE of retained, best"] == pytest.approx(rows["unlearn"]["retain"][1])
    assert numpy.isnan(table.loc["instruct", "CE of retained, best"]), "nothing is retained: a dash"
    assert "Best step" in (folder / "report/index.html").read_text()


def curves(script):
    """{title: [(x, y)]} of a figure's gnuplot script."""
    points = [numpy.array([line.split()[:2] for line in part.split("\nEND")[0].splitlines()], float)
              for part in script.split(" << END\n")[1:]]
    titles = [part.split('"')[0] for part in script.split("plot $data0")[1].split("\nset ")[0].split('title "')[1:]]
    return dict(zip(titles, points, strict=True))


def test_figures_hold_training_and_held_out_losses(run):
    folder, rows = run
    figures = folder / "report/figures"
    drawn = curves((figures / "training_instruct.gp").read_text())
    assert set(drawn) == {"tiny", "tiny, held out"} and len(drawn["tiny"]) == 120
    assert drawn["tiny, held out"] == pytest.approx(numpy.column_stack([rows["instruct"]["step"], rows["instruct"]["loss"]]))
    parts = curves((figures / "training_unlearn.gp").read_text())
    assert set(parts) == {"tiny: forget", "tiny: retain", "tiny: forget, held out", "tiny: retain, held out"}
    assert parts["tiny: forget, held out"][:, 1] == pytest.approx(rows["unlearn"]["examples"])
    assert parts["tiny: retain, held out"][:, 1] == pytest.approx(rows["unlearn"]["retain"])
    whole = curves((figures / "training_objective_unlearn.gp").read_text())
    assert set(whole) == {"tiny", "tiny, held out"} and len(whole["tiny"]) == 80
    assert whole["tiny, held out"][:, 1] == pytest.approx(rows["unlearn"]["loss"])
    assert (figures / "training_objective_unlearn.svg").exists() and not (figures / "training_objective_instruct.gp").exists()


def test_summary_of_the_file(run):
    folder, rows = run
    with h5py.File(folder / "results.h5") as file:
        names = file["metrics/name"].asstr()[:].tolist()
        codes, values = file["measurements/metric"][:], file["measurements/value"][:]
        best = sorted(values[codes == names.index("held_out_best_loss")])
    assert best == pytest.approx(sorted(of["loss"].min() for of in rows.values()))


def test_without_evaluations_there_is_no_table(tmp_path):
    """As units of earlier versions are."""
    folder = make_folder(tmp_path / "run", synthetic())
    assert report(folder).returncode == 0
    assert not (folder / "report/tables/held_out.csv").exists()
    assert not list((folder / "report/figures").glob("training_objective*"))
