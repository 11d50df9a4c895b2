"""The report's charts are well-formed and draw what they are given."""

from xml.etree import ElementTree

import numpy as np

from edgefed.demo.charts import NARROW, WIDTH, bars, lines, score_histogram

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_long_as_their_values() -> None:
    root = ElementTree.fromstring(bars([("a <b>", 0.5, "local"), ("c", 1.0, "federated")], low=0.5))
    short, long = (float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect"))
    assert short == 2.0 and long == WIDTH - 190 - 70
    assert [text.text for text in root.iter(f"{SVG}text") if text.attrib.get("class") == "value"] == ["0.500", "1.000"]


def test_histogram_draws_both_kinds_and_the_threshold() -> None:
    root = ElementTree.fromstring(score_histogram(np.zeros(5), np.ones(3), 0.5))
    tall = [float(bar.attrib["height"]) for bar in root.iter(f"{SVG}rect") if float(bar.attrib["height"]) > 0]
    assert tall == [120.0, 120.0]
    (line,) = [line for line in root.iter(f"{SVG}line") if line.attrib["class"] == "threshold"]
    assert abs(float(line.attrib["x1"]) - NARROW / 2) < 1


def test_histogram_of_equal_scores_does_not_divide_by_zero() -> None:
    assert "nan" not in score_histogram(np.ones(3), np.ones(2), None)


def test_lines_share_one_scale_and_leave_out_what_is_missing() -> None:
    drawn = lines([([1.0, 2.0, 3.0], "a"), ([3.0, float("nan"), 1.0], "b")], width=200, height=60, title="t")
    rising, falling = ElementTree.fromstring(drawn).iter(f"{SVG}polyline")
    assert [point.split(",")[1] for point in rising.attrib["points"].split()] == ["50.0", "30.0", "10.0"]
    assert [point.split(",")[1] for point in falling.attrib["points"].split()] == ["10.0", "50.0"]


def test_a_line_of_one_value_is_drawn() -> None:
    assert "nan" not in lines([([0.05], "a")], width=200, height=60, title="t")
