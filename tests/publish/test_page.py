"""The page: what is in it, and that it works in a real browser."""

import base64
import json
import os
import shutil
import zlib

import archives
import numpy as np
import pytest

from twobody.archive import read
from twobody.archive.container import Container
from twobody.publish.page import page_content, script_json, write_page

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

in_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="chromium and chromedriver are not installed (Debian: chromium, chromium-driver)",
)


def array(content, name, dtype, shape):
    data = base64.b64decode(content[name])
    return np.frombuffer(data, dtype).reshape(shape)


@pytest.fixture(scope="module")
def page(archive, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    with Container(archive) as opened:
        write_page(path, opened)
    return path


def test_the_page_holds_every_number_exactly(archive):
    members = archives.members(archive)
    content = page_content(read(archive), "digest")
    values = array(content, "label_values", "<f8", (2850, 36))
    np.testing.assert_array_equal(values, members["label_values"])
    amplitudes = array(content, "amplitudes", "<f8", (2850, 10, 2))
    np.testing.assert_array_equal(amplitudes, members["image_amplitudes"])
    basis = array(content, "basis", "<f4", (10, 2, 32, 32))
    np.testing.assert_array_equal(basis, members["image_basis"])
    geometries = array(content, "geometries", "<f4", (2850, 2, 4))
    np.testing.assert_array_equal(geometries, members["geometries"])


def pixels_of(content, pair):
    return zlib.decompress(base64.b64decode(content["pixels"][pair]), wbits=-15)


def test_the_page_of_the_encoding_field_holds_its_pixels_as_float16(small_raw_data, tmp_path):
    path = archives.build(small_raw_data, tmp_path / "field.npz", "--encoding", "field")
    content = page_content(read(path), "digest")
    assert content["pixel_type"] == "<f2"
    stored = archives.members(path)["images"]
    for pair in range(6):
        held = np.frombuffer(pixels_of(content, pair), "<f2").reshape(10, 32, 32)
        np.testing.assert_array_equal(held, stored[pair])
    assert [channel["spatial"] for channel in content["channels"]] == [
        *(True, True, False, False, False, True, False, False, True, True)
    ]
    assert len(content["atoms"]) == 6


@pytest.fixture
def small(small_raw_data, tmp_path):
    return archives.members(archives.build(small_raw_data, tmp_path / "built" / "small.npz"))


def test_the_images_of_the_original_project_are_fitted_to_the_last_bits(small, tmp_path):
    path = archives.write_original(tmp_path / "original.npz", small)
    content = page_content(read(path), "digest")
    fitted = {
        "image_amplitudes": array(content, "amplitudes", "<f8", (6, 10, 2)),
        "image_basis": array(content, "basis", "<f4", (10, 2, 32, 32)),
    }
    error = np.abs(archives.images(fitted) - small["images"]).max((0, 2, 3))
    assert (error <= 1e-6 * np.abs(small["images"]).max((0, 2, 3))).all()


def test_of_images_that_are_not_products_the_page_holds_the_pixels(small, tmp_path):
    small["images"][0, 0, 3, 3] += 5
    path = archives.write_original(tmp_path / "other.npz", small)
    content = page_content(read(path), "digest")
    assert "amplitudes" not in content
    assert pixels_of(content, 3) == small["images"][3].astype("<f4").tobytes()
    np.testing.assert_array_equal(
        array(content, "geometries", "<f4", (6, 2, 4))[0], small["geometries"][0]
    )


def test_text_from_the_file_cannot_end_the_script_element():
    hostile = "</script><script>alert(1)</script><!--&"
    text = script_json({"provenance": hostile})
    assert not set(text) & set("<>&")
    assert json.loads(text) == {"provenance": hostile}


def test_the_page_is_one_file_that_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    head, data, _plotly, script = text.split("<script", 3)
    assert "default-src 'none'" in head
    for part in (head, data.split(">", 1)[0], script):
        assert "src=" not in part
        assert "http" not in part.replace("http-equiv", "")
    assert "@DATA@" not in text
    assert "@PLOTLY@" not in text
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


def start_browser(folder):
    """Start a browser with a profile of its own; the caller quits it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={folder}", "--window-size=1280,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(DRIVER, log_output=os.devnull)
    return webdriver.Chrome(options=options, service=service)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    """Open the page at desktop width; afterwards it must have had nothing to complain of."""
    load(browser, page)
    yield browser
    assert browser.get_log("browser") == []


def load(browser, page):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.as_uri())
    WebDriverWait(browser, 30).until(
        lambda driver: driver.execute_script("return document.body.dataset.ready") == "true"
    )


def text_of(browser, name):
    return browser.find_element("id", name).text


def choose(browser, select, text):
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", select)).select_by_visible_text(text)


def point_of(browser, row, column):
    """Return where a cell of the map lies, from the middle of the map [pixels]."""
    return browser.execute_script(
        """
        const map = document.getElementById("map"), layout = map._fullLayout;
        const box = map.getBoundingClientRect();
        const at = [arguments[1], arguments[0]].map(
          (k, axis) => [layout.xaxis, layout.yaxis][axis].c2p(k) +
                       [layout.xaxis, layout.yaxis][axis]._offset);
        return [Math.round(at[0] - box.width / 2), Math.round(at[1] - box.height / 2)];
        """,
        row,
        column,
    )


def point_at(browser, row, column):
    from selenium.webdriver import ActionChains

    element = browser.find_element("id", "map")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return ActionChains(browser).move_to_element_with_offset(
        element, *point_of(browser, row, column)
    )


@in_browser
def test_a_label_is_chosen_and_a_pair_clicked_and_its_value_read(archive, opened):
    members = archives.members(archive)
    content = page_content(read(archive), "digest")
    choose(opened, "label", "distance_ang [Å]")
    assert text_of(opened, "meaning") == "bond length"
    row, column = (content["elements"].index(symbol) for symbol in ("Al", "N"))
    point_at(opened, row, column).click().perform()
    value = archives.column(members, "distance_ang")[archives.row(members, "Al_N")]
    assert text_of(opened, "value") == f"Al_N: distance_ang {float(f'{value:.8g}')} Å"
    labels = dict(
        line.rsplit(" ", 1) if line.startswith("metal_like") else line.split(" ", 1)
        for line in text_of(opened, "labels").splitlines()[1:]
    )
    assert labels["metal_like"] == "0"
    assert labels["distance_ang"] == f"{float(f'{value:.8g}')} Å"
    geometry = text_of(opened, "geometry").splitlines()[2:]
    assert [line.split()[0] for line in geometry] == ["Al", "N"]


@in_browser
def test_the_map_of_a_dipole_moment_turns_its_sign_with_the_order_of_the_atoms(opened):
    choose(opened, "label", "dipole_z_d [D]")
    drawn = opened.execute_script(
        "return document.getElementById('map').data[0].z.map(row => Array.from(row))"
    )
    elements = opened.execute_script("return data.elements")
    iron, potassium, manganese = (elements.index(symbol) for symbol in ("Fe", "K", "Mn"))
    assert drawn[potassium][manganese] == -drawn[manganese][potassium] < -13
    assert drawn[potassium][iron] == -drawn[iron][potassium] < -13


@in_browser
def test_the_page_inflates_the_pixels_of_the_encoding_field(browser, small_raw_data, tmp_path):
    path = archives.build(small_raw_data, tmp_path / "field.npz", "--encoding", "field")
    with Container(path) as opened:
        write_page(tmp_path / "field.html", opened)
    load(browser, tmp_path / "field.html")
    choose(browser, "pair", "H_Li")
    shown = browser.execute_async_script(
        "const done = arguments[0]; imagesOf(state.pair).then(done);"
    )
    members = archives.members(path)
    expected = members["images"][archives.row(members, "H_Li")]
    np.testing.assert_array_equal(np.array(shown, np.float32), expected)
    assert "rip_overlap_filled" in text_of(browser, "channels")


@in_browser
def test_hovering_shows_pair_and_value(archive, opened):
    from selenium.webdriver.support.ui import WebDriverWait

    point_at(opened, 0, 0).perform()
    hover = WebDriverWait(opened, 10).until(
        lambda driver: driver.find_elements("css selector", "#map .hovertext")
    )
    members = archives.members(archive)
    gap = archives.column(members, "e_g_ev")[archives.row(members, "H_H")]
    assert hover[0].text == f"H_H{gap:.8g} eV"


@in_browser
def test_the_page_renders_the_bits_of_the_images(archive, opened):
    members = archives.members(archive)
    choose(opened, "pair", "Ag_Al")
    drawn = opened.execute_script(
        "return Array.from({length: 10}, (_, k) => "
        "document.getElementById(`channel-${k}`).data[0].z.map(row => Array.from(row)))"
    )
    expected = members["images"][archives.row(members, "Ag_Al")]
    np.testing.assert_array_equal(np.array(drawn, np.float32), expected)


@in_browser
def test_the_arrow_keys_move_from_pair_to_pair(opened):
    from selenium.webdriver import Keys

    choose(opened, "pair", "H_H")
    element = opened.find_element("id", "map")
    element.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert text_of(opened, "value").startswith("H_Li: ")
    element.send_keys(Keys.ARROW_DOWN)
    assert text_of(opened, "value").startswith("He_Li: ")
    element.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert text_of(opened, "value").startswith("H_He: ")
    element.send_keys(Keys.ARROW_UP, Keys.ARROW_UP)
    assert text_of(opened, "value").startswith("H_H: ")


@in_browser
def test_a_missing_value_is_called_missing(opened):
    choose(opened, "label", "softness_evinv [1/eV]")
    choose(opened, "pair", "H_He")
    assert text_of(opened, "value") == "H_He: softness_evinv missing"
    assert text_of(opened, "statistics").startswith(
        "735 of 2850 pairs have it; mean 2.3727893 1/eV"
    )


@in_browser
@pytest.mark.parametrize(
    "label", ["metal_like", "n_atoms", "dipole_z_d [D]", "band_energy_ev [eV]"]
)
def test_labels_of_every_kind_can_be_shown(opened, label):
    choose(opened, "label", label)
    assert f": {label.split(' ')[0]} " in text_of(opened, "value")


@in_browser
def test_nothing_runs_over_at_phone_width(browser, page):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        load(browser, page)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        columns = browser.execute_script(
            "return getComputedStyle(document.getElementById('channels')).gridTemplateColumns"
        )
        assert len(columns.split()) == 2
        assert browser.get_log("browser") == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@in_browser
def test_hostile_provenance_is_shown_and_not_run(small, tmp_path, browser):
    provenance = json.loads(str(small["provenance"]))
    provenance["note"] = "</script><script>document.title = 'run'</script><img src=x onerror=run>"
    small["provenance"] = np.array(json.dumps(provenance))
    path = archives.write(tmp_path / "hostile.npz", small)
    with Container(path) as hostile:
        write_page(tmp_path / "report.html", hostile)
    load(browser, tmp_path / "report.html")
    assert browser.title == "hostile.npz"
    assert provenance["note"] in text_of(browser, "provenance")
    assert browser.get_log("browser") == []
