"""The page and the figures of cmc-report: one whole safe file, readable everywhere."""

import html.parser
import os
import re
import struct

import numpy
import pandas
import pytest
from support_results import instruct_unit, make_folder, report, synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("report") / "run", synthetic())
    assert report(folder).returncode == 0
    return folder


def csv(folder, table):
    return pandas.read_csv(folder / "report/tables" / f"{table}.csv", keep_default_na=False, na_values=[""])


class Checker(html.parser.HTMLParser):
    """Every opened element is closed in order; collects ids, text and what would be loaded from elsewhere."""

    VOID = {"meta", "br", "img", "link", "hr", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads, self.text, self.counts = [], [], [], "", {}

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name == "src" or (name == "href" and tag != "a" and not (value or "").startswith("#")):
                self.loads.append(value)
            if name == "href" and tag == "a":
                assert not value.startswith("http")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:], self.getpos())
        self.open.pop()

    def handle_data(self, data):
        self.text += data


def test_page_is_one_whole_safe_file(run):
    folder = run
    page = (folder / "report/index.html").read_text()
    checker = Checker()
    checker.feed(page)
    assert not checker.open and not checker.loads
    assert len(checker.ids) == len(set(checker.ids)), "ids of the inline drawings must differ"
    assert checker.counts["svg"] == 6 and checker.counts["table"] >= 7 and checker.counts["script"] == 1
    assert "What is <b>0</b> & why?" in checker.text and "<script>alert(1)</script>" in checker.text, "texts from outside are shown as text"
    for needed in ("Real Authors", "2410.17599", "node1", "strengths = 0.5, 1, 1.5", "standard error"):
        assert needed in checker.text
    for link in re.findall(r'href="([^"#][^"]*)"', page):
        assert (folder / "report" / link).exists(), link


def test_page_fits_a_narrow_screen(run):
    folder = run
    page = (folder / "report/index.html").read_text()
    assert page.count("<table") == page.count("<div class=scroll><table"), "wide tables scroll by themselves"
    style = page.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"(?<!max-)(?<!min-)width:\d+(px|rem)", style) and not re.search(r"min-width:[1-9]\d+rem", style)
    for drawing in re.findall(r"<svg[^>]*>", page):
        assert "viewBox" in drawing and not re.search(r"\b(width|height)=", drawing)
    rows = re.findall(r"<tr><td class=text>(.*?)</td>(<td class=\"text key\">.*?)<td", page)
    assert rows and any("<span class=more>cmc · tiny · α 0.5</span>" in first for first, _ in rows)


def test_figures_are_drawn(run):
    folder = run
    figures = folder / "report/figures"
    names = {path.stem for path in figures.iterdir()}
    assert names == {"instruct_strength_1", "instruct_strength_2", "tofu_strength_1", "tofu_strength_2", "training_instruct", "training_unlearn"}
    for name in names:
        assert "<svg" in (figures / f"{name}.svg").read_text()
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        image = (figures / f"{name}.png").read_bytes()
        assert image.startswith(b"\x89PNG\r\n") and struct.unpack(">I", image[16:20])[0] == 1920
    script = (figures / "instruct_strength_1.gp").read_text()
    points = [line.split() for line in script.split("$data0 << END\n")[1].split("END")[0].strip().splitlines()]
    table = csv(folder, "instruct")
    gemma = table[table["Target"] == "gemma"]
    assert [float(p[0]) for p in points] == [0, 0.5, 1, 1.5]
    assert [float(p[1]) for p in points] == pytest.approx(gemma["Ref. nat/token"].tolist(), rel=1e-8)
    assert [float(p[2]) for p in points] == pytest.approx(gemma["Ref. nat/token standard error"].tolist(), rel=1e-8)


def test_a_page_that_no_report_wrote_stays(run, tmp_path):
    folder = run
    (tmp_path / "index.html").write_text("<html>mine</html>")
    done = report(folder, "--output", tmp_path)
    assert done.returncode == 77 and "index.html" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["index.html"] and "mine" in (tmp_path / "index.html").read_text()


def test_nothing_to_show_is_still_a_page(tmp_path):
    description = {**synthetic(), "units": [], "experiment": ""}
    folder = make_folder(tmp_path / "run", description)
    done = report(folder)
    assert done.returncode == 0 and "0 units" in (folder / "report/index.html").read_text()


def test_without_gnuplot_tables_still_come(run, tmp_path):
    folder = run
    done = report(folder, "--output", tmp_path / "out", env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 0
    assert "gnuplot" in done.stderr and "gnuplot-nox" in done.stderr
    assert (tmp_path / "out/tables/tofu.csv").exists() and "<svg" not in (tmp_path / "out/index.html").read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figures", "index.html", "tables"]


def test_names_from_outside_cannot_break_a_figure(tmp_path):
    description = synthetic()
    random = numpy.random.default_rng(0)
    nasty = "`touch owned` \"$x\" \\ %d {/Bold} <b> | & _"
    description["units"] = [
        {**instruct_unit(random, nasty, delta, [1.0], 0, 4)} for delta in ("", "tiny")
    ]
    folder = make_folder(tmp_path / "run", description)
    done = report(folder)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr
    checker = Checker()
    checker.feed((folder / "report/index.html").read_text())
    assert not checker.open and nasty in checker.text
    assert not list(tmp_path.rglob("owned"))
    assert csv(folder, "instruct")["Target"].iloc[0] == nasty


def test_a_long_title_is_broken_into_lines_that_fit(tmp_path):
    name = "the model of 135 million parameters that was tuned"
    description = synthetic()
    description["units"] = [instruct_unit(numpy.random.default_rng(0), name, delta, strengths, 0, 4)
                            for delta, strengths in (("", [1.0]), ("tiny", [0.5, 1.0]))]
    folder = make_folder(tmp_path / "run", description)
    assert report(folder).returncode == 0
    title = re.search(r'set title "(.*)" noenhanced', (folder / "report/figures/instruct_strength.gp").read_text())[1]
    lines = title.split("\\n")
    assert len(lines) > 1 and all(len(line) <= 52 for line in lines) and name in " ".join(lines)
    svg = (folder / "report/figures/instruct_strength.svg").read_text()
    assert all(f"<text>{line}</text>" in svg for line in lines)


class Tables(html.parser.HTMLParser):
    """{id of a table or figure: id of its section}, and of each table the values that its rows are sorted by."""

    def __init__(self):
        super().__init__()
        self.section, self.sections, self.figure, self.values, self.parts = None, {}, None, {}, {}

    def handle_endtag(self, tag):
        if tag == "figure":
            self.figure = None

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag == "section":
            self.section = told.get("id")
        if tag == "figure":
            self.figure = told["id"]
            self.sections[self.figure] = self.section
        if tag in ("thead", "tbody") and self.figure:
            self.parts.setdefault(self.figure, []).append(tag)
        if tag == "td" and "data-value" in told:
            self.values.setdefault(self.figure, []).append(float(told["data-value"]))


def test_figures_stand_beside_their_tables_which_can_be_sorted(run):
    tables = Tables()
    tables.feed((run / "report/index.html").read_text())
    for figure, section in tables.sections.items():
        if figure.startswith("figure-"):
            assert section == tables.sections["table-" + {"instruct": "instruct", "tofu": "tofu", "training": "training"}[figure[7:].split("_")[0]]]
    assert all(parts == ["thead", "tbody"] for figure, parts in tables.parts.items() if figure.startswith("table-"))
    tofu = csv(run, "tofu")
    shown = sorted(tables.values["table-tofu"])
    columns = [name for name in tofu.columns if name + " n" in tofu.columns or name + " standard error" in tofu.columns]
    exact = sorted(value for name in columns for value in tofu[name] if not numpy.isnan(value))
    assert shown == pytest.approx(exact, rel=1e-15), "a cell is sorted by its figure in full"


def test_the_first_screen_says_on_what(run):
    page = (run / "report/index.html").read_text()
    overview = page[page.index("<dl class=overview>"):page.index("<section id=findings>")]
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", overview))
    assert {"gemma", "smollm2"} <= set(told["Evaluated"].split(", ")) and told["Compared"].split(", ")[0] == "vanilla" and "cmc" in told["Compared"]
    assert "forget 40" in told["Items"] and "tiny" in told["Deltas"]
