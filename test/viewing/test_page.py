# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page around Rerun's viewer: alone, and opened in the machine's own Chromium without a screen."""

import io
import json
import re
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest

pytest.importorskip("rerun")
from chromium import PATIENCE_MS, chromium, open_page  # noqa: E402
from live_view import free_port  # noqa: E402

from kpconv_ros.viewing.config import ViewConfig  # noqa: E402
from kpconv_ros.viewing.error import ViewError  # noqa: E402
from kpconv_ros.viewing.page import PageServer, check_ports, keep_here  # noqa: E402
from kpconv_ros.viewing.scene import Scene  # noqa: E402

ROAD, CAR = (255, 0, 255), (255, 255, 0)


@pytest.fixture(scope="module")
def view():
    """A served scene of two carpets, one of each class."""
    port = free_port()
    scene = Scene(ViewConfig(port=port))
    scene.set_classes({1: "road", 2: "car"}, {1: ROAD, 2: CAR})
    x, y = np.meshgrid(np.linspace(-6, 6, 60), np.linspace(-6, 6, 60))
    points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)
    scene.draw_scan(points, np.where(points[:, 1] > 0, 1, 2).astype(np.uint8), np.eye(4), "odom")
    scene.draw_number("latency/segment/total", 41.5)
    server = PageServer("127.0.0.1", port, scene.classes, scene.set_hidden, scene.redraw)
    yield f"http://127.0.0.1:{port}/", scene
    server.close()
    scene.close()


def ask(url, body=None):
    with urllib.request.urlopen(url, data=body) as answer:
        return answer.read()


def test_the_legend_is_told_and_a_class_is_hidden_and_shown(view):
    url, scene = view
    road, car = json.loads(ask(url + "classes"))
    assert road == {"label": 1, "name": "road", "color": [255, 0, 255], "hidden": False, "num_points": 1800}
    ask(url + "classes", b'{"label": 2, "hidden": true}')
    assert [entry["hidden"] for entry in json.loads(ask(url + "classes"))] == [False, True]
    ask(url + "classes", b'{"label": 2, "hidden": false}')
    assert not any(entry.hidden for entry in scene.classes())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"label": "2", "hidden": true}', b'{"label": 2, "hidden": 1}', b"\xff"])
def test_what_no_click_says_is_refused(view, body):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(view[0] + "classes", body)
    assert refusal.value.code == 400


@pytest.mark.parametrize("name", ["nothing", "viewer/nothing.js", "../view_node.py"])
def test_what_is_not_there_is_not_found(view, name):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(view[0] + name)
    assert refusal.value.code == 404


def test_the_viewer_comes_from_this_machine_and_its_page_names_no_other(view):
    page = ask(view[0] + "viewer/?url=x").decode()
    assert not re.findall(r"<(?:link|script)[^>]*https?://", page) and "window.fetch =" in page
    assert ask(view[0] + "viewer/re_viewer_bg.wasm").startswith(b"\0asm")


def test_links_to_other_machines_are_taken_out_and_others_stay():
    kept = b'<html><head><link rel="icon" href="favicon.ico" /><style></style></head></html>'
    link = b'<link\n rel="preconnect" href="https://fonts.example.org" crossorigin />'
    page = keep_here(kept.replace(b"<style>", link + b"<style>"))
    assert page.count(b"<script>") == 1 and b"example.org" not in page and b"favicon.ico" in page


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ViewError, match=f"port {port}, expected a free one: Address already in use"):
            check_ports("127.0.0.1", [port])


def pixels_of(page, color):
    """How many pixels of the page are nearly of a colour: those of the viewer are shaded."""
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(page.screenshot(timeout=PATIENCE_MS))).convert("RGB")).astype(int)
    return int((np.abs(image - color).max(axis=-1) < 70).sum())


def wait_for(page, is_there):
    for _ in range(60):
        if is_there():
            return
        page.wait_for_timeout(500)
    raise AssertionError("the page does not come to show it")


@pytest.mark.slow
def test_in_a_browser_the_map_is_drawn_and_a_click_on_a_class_hides_it(view):
    url, _ = view
    with chromium() as browser:
        page = open_page(browser, url, 700, 400)
        page.wait_for_selector("#legend button:nth-child(2)", timeout=PATIENCE_MS)
        wait_for(page, lambda: min(pixels_of(page, ROAD), pixels_of(page, CAR)) > 500)
        page.locator("#legend button", has_text="road").click()
        page.wait_for_selector("#legend button[aria-pressed=false]", timeout=PATIENCE_MS)
        wait_for(page, lambda: pixels_of(page, ROAD) < 50)
        assert pixels_of(page, CAR) > 500
        page.locator("#legend button", has_text="road").click()
        wait_for(page, lambda: pixels_of(page, ROAD) > 500)
        assert page.complaints == []
        here = ("http://127.0.0.1:", "data:", "blob:")
        assert [address for address in page.requests if not address.startswith(here)] == []
