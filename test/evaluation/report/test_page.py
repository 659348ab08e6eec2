# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a report, opened in the machine's own Chromium without a screen."""

import numpy as np
import pytest
from chromium import PATIENCE_MS, chromium, open_page

from kpconv_ros.evaluation.report.page import write_page

pytest.importorskip("jinja2")
pytest.importorskip("plotly")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page_file(run, report, tmp_path_factory):
    """The page of the run."""
    return write_page(report, run, tmp_path_factory.mktemp("page"), map_points=1500)


@pytest.fixture(scope="module")
def page(page_file):
    """The opened page, with what it complained of and what it asked for."""
    with chromium() as browser:
        page = open_page(browser, page_file.as_uri(), 900, 700)
        page.wait_for_function("document.querySelector('#map canvas') !== null", timeout=PATIENCE_MS)
        page.wait_for_timeout(1500)  # the first frames are drawn
        yield page


def colors_of_map(page):
    """How many pixels of the map's canvas are not background, and of which colours there are how many."""
    image = page.evaluate(
        """async () => {
            const url = await Plotly.toImage('map', {format: 'png', width: 700, height: 500});
            const image = new Image();
            image.src = url;
            await image.decode();
            const canvas = document.createElement('canvas');
            canvas.width = 500; canvas.height = 500;
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            return Array.from(context.getImageData(0, 0, 500, 500).data);
        }"""
    )
    return np.array(image, np.uint8).reshape(500, 500, 4)[..., :3].astype(int)


def pixels_near(image, color, tolerance=12):
    return int((np.abs(image - color).max(axis=-1) < tolerance).sum())


def test_it_loads_without_an_error_and_asks_for_nothing_but_itself(page, page_file):
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("data:", "blob:"))] == [page_file.as_uri()]


def test_the_figures_of_the_report_are_on_it(page, report):
    text = page.inner_text("body")
    assert f"{report['segmentation']['miou']:.3f}" in text
    assert f"{report['registration']['ate_m']['rmse']:.3f}" in text
    assert f"{report['transmission']['bytes_per_point']:.3f}" in text
    for chart in (
        "bandwidth",
        "tiles",
        "rates",
        "iou",
        "reliability",
        "way",
        "latency-segmentation",
        "cpu_percent",
        "memory_mb",
    ):
        assert page.locator(f"#{chart} .plot-container").count() == 1, chart
    pictures = page.evaluate("Array.from(document.images).map(image => image.naturalWidth)")
    assert len(pictures) == 8 and min(pictures) > 300  # map, scan, three worst, confusion, link, error


def test_the_map_is_drawn_and_a_click_on_a_class_hides_it(page):
    names = page.evaluate("document.getElementById('map').data.map(trace => trace.name)")
    assert names[-1] == "way of the sensor" and "building" not in names and len(names) == 10
    road = names.index("road")
    color = np.array([255, 0, 255])
    before = pixels_near(colors_of_map(page), color)
    assert before > 100
    entry = page.locator("#map .legend .traces", has_text="road").locator(".legendtoggle")
    entry.click()
    page.wait_for_function(f"document.getElementById('map').data[{road}].visible === 'legendonly'", timeout=PATIENCE_MS)
    after = colors_of_map(page)
    assert pixels_near(after, color) < before / 20
    assert pixels_near(after, np.array([100, 150, 245])) > 100  # cars stay
    assert page.complaints == []


def test_the_map_is_thinned_to_what_was_asked_for(page):
    sizes = page.evaluate("document.getElementById('map')._fullData.map(trace => trace.x.length)")
    assert sum(sizes[:-1]) == 1500
