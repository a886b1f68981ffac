"""The page: what is in it, and that it works in a browser, at a desk, on a phone and by keys."""

import base64
import csv
import io
import json
import os
import shutil
import time
import zlib
from dataclasses import replace

import archives
import numpy as np
import pytest

from twobody.archive import read
from twobody.archive.container import Container
from twobody.benchmark.periodic import place
from twobody.elements import SYMBOLS
from twobody.encodings import get_encoding
from twobody.publish.page import LEVELS, page_content, script_json, write_page

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DESK = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}

in_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="chromium and chromedriver are not installed (Debian: chromium, chromium-driver)",
)


def unpacked(text, dtype, shape):
    data = zlib.decompress(base64.b64decode(text), wbits=-zlib.MAX_WBITS)
    return np.frombuffer(data, dtype).reshape(shape)


def report(archive, path):
    with Container(archive) as opened:
        write_page(path, opened)
    return path


@pytest.fixture(scope="module")
def page(archive, tmp_path_factory):
    return report(archive, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def members(archive):
    return archives.members(archive)


def value_of(members, label, pair):
    return archives.column(members, label)[archives.row(members, pair)]


def test_the_page_holds_every_number_exactly(archive, members):
    content = page_content(read(archive), "digest")
    for name, dtype, expected in (
        ("values", "<f8", members["label_values"].T),
        ("amplitudes", "<f8", members["image_amplitudes"]),
        ("basis", "<f4", members["image_basis"]),
        ("charges", "<f8", members["charges"]),
        ("bonds", "<f8", archives.metadata(members, "bond_length")),
    ):
        held = unpacked(content[name], dtype, expected.shape)
        np.testing.assert_allclose(held, expected, rtol=1e-7 if name == "bonds" else 0)


def levels_of(content, images):
    """Return the pixels that a page draws from its levels, as an independent reader would."""
    n, channels, size, _ = images.shape
    largest = unpacked(content["largest"], "<f4", (n, channels))
    drawn = np.empty(images.shape)
    for k, channel in enumerate(content["channels"]):
        half = size // 2 if channel["mirrored"] else 0
        levels = unpacked(content["pixels"][k], "i1", (n, size - half, size)).astype(float)
        levels[levels == -128] = np.nan
        whole = np.concatenate([levels[:, :0:-1][:, :half], levels], axis=1)
        if half:
            whole = np.concatenate([levels[:, ::-1], levels[:, size % 2 :]], axis=1)
        drawn[:, k] = whole * largest[:, k, None, None] / content["levels"]
    return drawn


def test_of_the_encoding_field_the_page_holds_pictures_good_to_a_hundredth(archive):
    pairs = read(archive).take(slice(None, None, 5))
    field = get_encoding("field")
    pairs = replace(pairs, encoding="field", images=field.encode(pairs)[:])
    content = page_content(pairs, "digest")
    images = pairs.images[:]
    largest = np.abs(images).max((2, 3), keepdims=True)
    error = np.abs(levels_of(content, images) - images)
    assert (error <= largest / (2 * LEVELS) * 1.001).all()
    matrices = [channel.matrix for channel in field.channels]
    assert [channel["spatial"] for channel in content["channels"]] == [not m for m in matrices]
    assert [channel["mirrored"] for channel in content["channels"]] == [not m for m in matrices]
    assert 5 * len(script_json(content)) < 4.95e6  # of all pairs; scripts and style come on top


def test_a_page_is_at_most_five_megabytes_and_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) < 1e6
    head, data, script = text.split("<script", 2)
    assert "default-src 'none'" in head
    for part in (head, data.split(">", 1)[0], script):
        assert "src=" not in part
        assert "http" not in part.replace("http-equiv", "").replace(
            "http://www.w3.org/2000/svg", ""
        )
    for mark in ("@DATA@", "@STYLE@", "@SCRIPT@"):
        assert mark not in text
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


@pytest.fixture
def small(small_archive):
    return archives.members(small_archive)


def test_the_images_of_the_original_project_are_fitted_to_the_last_bits(small, tmp_path):
    path = archives.write_original(tmp_path / "original.npz", small)
    content = page_content(read(path), "digest")
    fitted = {
        "image_amplitudes": unpacked(content["amplitudes"], "<f8", (6, 10, 2)),
        "image_basis": unpacked(content["basis"], "<f4", (10, 2, 32, 32)),
    }
    error = np.abs(archives.images(fitted) - small["images"]).max((0, 2, 3))
    assert (error <= 1e-6 * np.abs(small["images"]).max((0, 2, 3))).all()


def test_pixels_that_are_not_numbers_are_held_as_such(small, tmp_path):
    small["images"][0, 0, 3, 3] += 5
    small["images"][1, 2, 4, 5] = np.nan
    path = archives.write_original(tmp_path / "other.npz", small)
    content = page_content(read(path), "digest")
    assert "amplitudes" not in content
    drawn = levels_of(content, small["images"])
    assert np.argwhere(np.isnan(drawn)).tolist() == [[1, 2, 4, 5]]
    assert drawn[0, 0, 3, 3] == pytest.approx(small["images"][0, 0, 3, 3])


def test_text_from_the_file_cannot_end_the_script_element():
    hostile = "</script><script>alert(1)</script><!--&"
    text = script_json({"provenance": hostile})
    assert not set(text) & set("<>&")
    assert json.loads(text) == {"provenance": hostile}


def start_browser(folder):
    """Start a browser with a profile of its own; the caller quits it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(DRIVER, log_output=os.devnull)
    driver = webdriver.Chrome(options=options, service=service)
    downloads = {"behavior": "allow", "downloadPath": str(folder / "downloads")}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    driver.downloads = folder / "downloads"
    return driver


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    """Open the page at a desk; afterwards it must have had nothing to complain of."""
    load(browser, page)
    yield browser
    assert browser.get_log("browser") == []


def load(browser, page, address="", screen=DESK, scheme="light"):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get("about:blank")
    # A pointer that an earlier test left over the map would mark a cell.
    away = {"type": "mouseMoved", "x": 1, "y": 1}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", away)
    browser.get(page.as_uri() + address)
    WebDriverWait(browser, 30).until(
        lambda driver: driver.execute_script("return document.body.dataset.ready") == "true"
    )


def text_of(browser, name):
    return browser.find_element("id", name).text


def choose(browser, select, text):
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", select)).select_by_visible_text(text)


def enter(browser, name, text):
    from selenium.webdriver import Keys

    field = browser.find_element("id", name)
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(str(text), Keys.TAB)


def press(browser, selector):
    browser.find_element("css selector", selector).click()


def tile(browser, symbol):
    """Return the button of an element in the periodic table."""
    buttons = browser.find_elements("css selector", "#elements button[data-period]")
    (found,) = [button for button in buttons if button.text == symbol]
    return found


def place_of(browser, first, second):
    """Return where a cell of the map lies, from the upper left corner of the map [pixels]."""
    script = """
        const cell = mapCell(document.getElementById("map").clientWidth);
        return [...arguments].map((symbol) => MAP_EDGE + (rank.get(symbol) + 0.5) * cell);
    """
    y, x = browser.execute_script(script, first, second)
    return x, y


def point_at(browser, name, x, y):
    """Move the pointer to a place in an element, from its upper left corner [pixels]."""
    from selenium.webdriver import ActionChains

    element = browser.find_element("id", name)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    x, y = x - element.size["width"] / 2, y - element.size["height"] / 2
    return ActionChains(browser).move_to_element_with_offset(element, round(x), round(y))


def colour_at(browser, first, second):
    """Return red, green and blue of a cell of the map."""
    script = """
        const context = new OffscreenCanvas(1, 1).getContext("2d");
        const [x, y] = [...arguments].map((k) => Math.round(k * devicePixelRatio));
        context.drawImage(byId("map"), -x, -y);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    """
    return tuple(browser.execute_script(script, *place_of(browser, first, second)))


def downloaded(browser, name):
    """Return what was downloaded under a name; it is removed."""
    path = browser.downloads / name
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end, f"{name} was not downloaded"
        time.sleep(0.05)
    data = path.read_bytes()
    path.unlink()
    return data


@in_browser
def test_a_label_is_chosen_and_a_pair_clicked_and_its_card_read(members, opened):
    choose(opened, "label", "bond length (Å)")
    assert text_of(opened, "name") == "distance_ang"
    point_at(opened, "map", *place_of(opened, "Al", "N")).click().perform()
    value = value_of(members, "distance_ang", "Al_N")
    assert text_of(opened, "value") == f"Al–N: bond length {float(f'{value:.8g}')} Å"
    assert text_of(opened, "pair-heading") == "Al–N"
    card = text_of(opened, "card").splitlines()
    assert card[card.index("metal-like") + 1] == "no"
    ratio = value / (1.21 + 0.71)  # the covalent radii of aluminium and nitrogen
    assert f"{value:.4f} Å, {ratio:.2f} × the covalent radii" in card
    charge = members["charges"][archives.row(members, "Al_N")]
    drawn = text_of(opened, "molecule").split("\n")
    assert drawn == ["Al", "N", f"+{charge[0]:.3f} e", f"{value:.4f} Å", f"−{-charge[1]:.3f} e"]


@in_browser
def test_labels_stand_in_groups_with_meaning_and_unit(members, opened):
    enter(opened, "pair", "Ag_Al")
    text = text_of(opened, "labels").splitlines()
    groups = ["energy", "charge", "electronic", "dipole", "geometry", "convergence", "system"]
    assert [line for line in text if line in groups] == groups
    at = text.index("hardness")
    eta = value_of(members, "eta_ev", "Ag_Al")
    assert text[at + 1 : at + 3] == [f"{eta:.8g} eV", "eta_ev hardness E_g / 2"]
    assert len(opened.find_elements("css selector", "#label option")) == 36
    assert len(opened.find_elements("css selector", "#label optgroup")) == 7


@in_browser
@pytest.mark.parametrize("text", ["Al_Ag", "Ag_Al", "ag al", "AlAg", "al-Ag", "Ag–Al"])
def test_a_pair_is_found_however_it_is_written(opened, text):
    enter(opened, "pair", text)
    assert text_of(opened, "pair-heading") == "Ag–Al"


@in_browser
def test_a_pair_that_is_not_there_is_said_so_and_changes_nothing(opened):
    enter(opened, "pair", "Ag_Xx")
    assert text_of(opened, "value") == "There is no pair Ag_Xx."
    assert opened.find_element("id", "pair").get_attribute("aria-invalid") == "true"
    assert text_of(opened, "pair-heading") == "Cl–Na"


@in_browser
def test_a_dipole_moment_that_is_rounding_is_as_grey_as_0_and_written_as_it_is(members, opened):
    choose(opened, "label", "dipole moment (D)")
    assert (
        value_of(members, "dipole_mag_d", "Ag_Ag") == 0 < value_of(members, "dipole_mag_d", "Ba_Ba")
    )
    assert colour_at(opened, "Ba", "Ba") == colour_at(opened, "Ag", "Ag") == (213, 218, 224)
    enter(opened, "pair", "Ba_Ba")
    assert text_of(opened, "value") == "Ba–Ba: dipole moment 0.0000011946208 D"


@in_browser
def test_a_gap_of_0_is_grey_and_others_are_not_and_a_missing_one_is_open(members, opened):
    assert colour_at(opened, "Ag", "As") == (213, 218, 224)
    largest = members["pair_names"][np.nanargmax(archives.column(members, "e_g_ev"))]
    # Read in the other half of the map, away from the frame of the chosen pair.
    assert colour_at(opened, *largest.split("_")[::-1]) == (253, 231, 37)  # the end of viridis
    # 0.929 of 11.516 eV stand at 0.28 by the root, where a linear scale has 0.08 and near black.
    assert colour_at(opened, "Ag", "B") == (55, 90, 140)
    assert colour_at(opened, "He", "He") != colour_at(opened, "Ag", "As")


@in_browser
def test_a_flag_has_two_colours(opened):
    choose(opened, "label", "metal-like")
    assert colour_at(opened, "Ag", "As") == (217, 95, 2)
    assert colour_at(opened, "Ag", "Ag") == (207, 216, 227)


@in_browser
def test_the_map_of_a_dipole_moment_turns_its_sign_with_the_order_of_the_atoms(opened):
    choose(opened, "label", "dipole moment z (D)")
    value = "return valueIn(...[...arguments].map((symbol) => rank.get(symbol)))"
    for metal in ("Mn", "Fe"):
        there, back = (
            opened.execute_script(value, *order) for order in (("K", metal), (metal, "K"))
        )
        assert there == -back < -13
        (red, _, blue), (red_back, _, blue_back) = (
            colour_at(opened, *order) for order in (("K", metal), (metal, "K"))
        )
        assert blue > red
        assert red_back > blue_back
    assert "positive where the column's element is the positive end" in text_of(opened, "map-help")
    point_at(opened, "map", *place_of(opened, "Fe", "K")).click().perform()
    assert text_of(opened, "value").startswith("Fe–K: dipole moment z 13.")
    assert "(from Fe to K)" in text_of(opened, "card")
    point_at(opened, "map", *place_of(opened, "K", "Fe")).click().perform()
    assert text_of(opened, "value").startswith("K–Fe: dipole moment z −13.")


@in_browser
def test_the_periodic_table_picks_an_element_then_a_pair(members, opened):
    tile(opened, "Fe").click()
    assert text_of(opened, "shown") == "75 of 2,850 pairs"
    assert tile(opened, "Fe").get_attribute("aria-pressed") == "true"
    gap = value_of(members, "e_g_ev", "C_Fe")
    assert tile(opened, "C").get_attribute("title") == f"Fe–C: {gap:.4g} eV"
    tile(opened, "C").click()
    assert text_of(opened, "pair-heading") == "C–Fe"
    assert text_of(opened, "shown") == "75 of 2,850 pairs"
    tile(opened, "Fe").click()
    assert text_of(opened, "shown") == "2,850 of 2,850 pairs"


@in_browser
def test_the_periodic_table_has_every_element_in_its_place(opened):
    table = opened.execute_script("return TABLE")
    assert sorted(s for row in table for s in row if s != ".") == sorted(SYMBOLS)
    for z, symbol in enumerate(SYMBOLS, start=1):
        ((period, group),) = (
            (y, row.index(symbol) + 1) for y, row in enumerate(table, 1) if symbol in row
        )
        expected = place(z)
        if expected.block == "f":
            assert period == expected.period + 2  # below the others
        else:
            assert (period, group) == (expected.period, expected.group)


@in_browser
def test_a_group_is_picked_as_a_whole_and_pairs_may_lie_inside_or_touch_it(opened):
    press(opened, "#elements .group:nth-child(17)")
    halogens = 5
    touching = halogens * 70 + halogens * (halogens + 1) // 2
    assert text_of(opened, "shown") == f"{touching} of 2,850 pairs"
    choose(opened, "both", "both of those picked")
    assert text_of(opened, "shown") == "15 of 2,850 pairs"
    press(opened, "#clear")
    assert text_of(opened, "shown") == "2,850 of 2,850 pairs"


@in_browser
def test_a_range_keeps_the_pairs_with_values_in_it(members, opened):
    gap = archives.column(members, "e_g_ev")
    enter(opened, "low", 0.5)
    enter(opened, "high", 2)
    kept = int(((gap >= 0.5) & (gap <= 2)).sum())
    assert text_of(opened, "shown") == f"{kept} of 2,850 pairs"
    choose(opened, "label", "bond length (Å)")  # a range is of one label
    assert text_of(opened, "shown") == "2,850 of 2,850 pairs"


@in_browser
def test_dragging_over_the_bars_sets_the_range(opened):
    choose(opened, "label", "bond length (Å)")
    width = opened.find_element("id", "histogram").size["width"]
    drag = point_at(opened, "histogram", width * 0.3, 100).click_and_hold()
    drag.move_by_offset(round(width * 0.3), 0).release().perform()
    low, high = (
        float(opened.find_element("id", name).get_property("value")) for name in ("low", "high")
    )
    assert 1 < low < high < 5
    assert text_of(opened, "shown") != "2,850 of 2,850 pairs"


@in_browser
def test_a_point_of_one_label_against_another_is_its_pair(members, opened):
    choose(opened, "other", "LUMO (eV)")
    script = "return scatterPlaces.find(([pair]) => nameOf(pair) === 'F–H').slice(1)"
    point_at(opened, "scatter", *opened.execute_script(script)).click().perform()
    assert text_of(opened, "pair-heading") == "F–H"
    lumo = value_of(members, "e_lumo_ev", "F_H")
    tip = opened.find_element("id", "tip").text
    assert f"LUMO {lumo:.5g} eV".replace("-", "−") in tip
    assert opened.execute_script("return scatterPlaces.length") == 2847


@in_browser
def test_hovering_shows_pair_and_value(members, opened):
    point_at(opened, "map", *place_of(opened, "H", "H")).perform()
    gap = value_of(members, "e_g_ev", "H_H")
    assert text_of(opened, "tip") == f"H–H: HOMO–LUMO gap {gap:.5g} eV"


@in_browser
def test_the_table_is_sorted_and_missing_values_stand_last(members, opened):
    gap = archives.column(members, "e_g_ev")
    names = members["pair_names"]
    press(opened, "#table th:nth-child(2) button")
    press(opened, "#table th:nth-child(2) button")
    first = opened.find_element("css selector", "#table tbody tr").text
    most = int(np.nanargmax(gap))
    assert first.startswith(f"{names[most].replace('_', '–')} {gap[most]:.8g}")
    heading = opened.find_element("css selector", "#table th:nth-child(2)")
    assert heading.get_attribute("aria-sort") == "descending"
    last = opened.execute_script("return sorted(kept()).slice(-3).map(nameOf)")
    assert last == ["He–He", "He–Ne", "Ne–Ne"]
    press(opened, "#table tbody button")
    assert text_of(opened, "pair-heading") == names[most].replace("_", "–")


@in_browser
def test_the_table_is_downloaded_as_csv_with_every_digit(members, opened):
    tile(opened, "He").click()
    press(opened, "#csv")
    rows = list(csv.DictReader(io.StringIO(downloaded(opened, "pairs.csv").decode())))
    kept = [k for k, name in enumerate(members["pair_names"]) if "He" in name.split("_")]
    assert [row["pair_name"] for row in rows] == members["pair_names"][kept].tolist()
    for k, label in enumerate(members["label_names"]):
        held = [float(row[label] or "nan") for row in rows]
        np.testing.assert_array_equal(held, members["label_values"][kept, k])


@in_browser
@pytest.mark.parametrize("chart", ["map", "scatter"])
def test_a_picture_is_downloaded_fit_for_print(opened, chart):
    press(opened, f"[data-chart={chart}]")
    picture = downloaded(opened, f"e_g_ev_{chart}.png")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(picture[16:20]) == 2160  # pixels wide: 7 inches of 300


@in_browser
def test_the_address_says_what_is_shown_and_brings_it_back(browser, page, opened):
    choose(opened, "label", "dipole moment (D)")
    choose(opened, "other", "LUMO (eV)")
    enter(opened, "pair", "Fe_K")
    tile(opened, "Na").click()
    enter(opened, "low", 2.5)
    address = opened.execute_script("return location.hash")
    assert address == "#label=dipole_mag_d&other=e_lumo_ev&pair=Fe_K&elements=Na&low=2.5"
    shown = [text_of(opened, name) for name in ("label-heading", "value", "shown")]
    load(browser, page, address)
    assert [text_of(browser, name) for name in ("label-heading", "value", "shown")] == shown
    assert browser.execute_script("return location.hash") == address
    browser.execute_script("location.hash = '#pair=Al_N'")
    assert browser.execute_script("fromAddress(); show(); return 1")
    assert text_of(browser, "value").startswith("Al–N: HOMO–LUMO gap ")


@in_browser
@pytest.mark.parametrize("address", ["#label=no&pair=Xx_Yy&elements=,Zz&low=x&both=2", "#%E0%A4%A"])
def test_an_address_that_means_nothing_shows_the_page_as_it_opens(browser, page, address):
    load(browser, page, address)
    assert text_of(browser, "value").startswith("Cl–Na: HOMO–LUMO gap ")
    assert text_of(browser, "shown") == "2,850 of 2,850 pairs"
    assert browser.get_log("browser") == []


@in_browser
def test_a_dark_page_is_dark_and_may_be_made_light(browser, page):
    load(browser, page, scheme="dark")
    background = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(background) == "rgb(13, 17, 23)"
    assert colour_at(browser, "Ag", "As") == (61, 68, 77)
    press(browser, "#theme")
    assert browser.execute_script(background) == "rgb(246, 248, 250)"
    assert colour_at(browser, "Ag", "As") == (213, 218, 224)


@in_browser
def test_the_page_renders_the_bits_of_the_images(members, opened):
    row = archives.row(members, "Ag_Al")
    drawn = opened.execute_script(
        "return channels.map((_, k) => [...imageOf(arguments[0], k)])", row
    )
    expected = members["images"][row]
    np.testing.assert_array_equal(np.array(drawn, np.float32).reshape(expected.shape), expected)


@in_browser
def test_the_page_draws_the_pictures_of_the_encoding_field(browser, small_raw_data, tmp_path):
    path = archives.build(small_raw_data, tmp_path / "field.npz", "--encoding", "field")
    load(browser, report(path, tmp_path / "field.html"), "#pair=H_Li")
    members = archives.members(path)
    row = archives.row(members, "H_Li")
    drawn = browser.execute_script(
        "return channels.map((_, k) => [...imageOf(arguments[0], k)])", row
    )
    expected = members["images"][row]
    error = np.abs(np.reshape(drawn, expected.shape) - expected)
    assert (error <= np.abs(expected).max((1, 2), keepdims=True) / (2 * LEVELS) * 1.001).all()
    assert "rip_overlap_filled" in text_of(browser, "channels")
    assert text_of(browser, "precision").startswith(
        "Pictures only: pixels are rounded to within 1 %"
    )
    assert browser.get_log("browser") == []


@in_browser
def test_the_arrow_keys_move_from_pair_to_pair(opened):
    from selenium.webdriver import Keys

    enter(opened, "pair", "H_H")
    element = opened.find_element("id", "map")
    element.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert text_of(opened, "value").startswith("H–Li: ")
    element.send_keys(Keys.ARROW_DOWN)
    assert text_of(opened, "value").startswith("He–Li: ")
    element.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert text_of(opened, "value").startswith("He–H: ")
    element.send_keys(Keys.ARROW_UP, Keys.ARROW_UP)
    assert text_of(opened, "value").startswith("H–H: ")


@in_browser
def test_everything_is_reached_by_keys_and_the_periodic_table_is_one_stop(opened):
    from selenium.webdriver import ActionChains, Keys

    reached = []
    for _ in range(15):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        focus = opened.switch_to.active_element
        reached.append(focus.get_attribute("id") or focus.text)
    assert reached[:8] == [
        "theme",
        "label",
        "pair",
        "low",
        "high",
        "clear",
        "map",
        "Picture of the map",
    ]
    assert reached[8:12] == ["H", "other", "Picture of the points", "csv"]
    tile(opened, "H").send_keys(Keys.ARROW_DOWN)
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    focus = opened.switch_to.active_element
    assert focus.text == "Be"
    focus.send_keys(Keys.SPACE)
    assert text_of(opened, "shown") == "75 of 2,850 pairs"


@in_browser
def test_a_missing_value_is_called_missing(opened):
    choose(opened, "label", "softness (1/eV)")
    enter(opened, "pair", "H_He")
    assert text_of(opened, "value") == "H–He: softness missing"
    assert text_of(opened, "statistics").startswith("735 of 2,850 pairs have it; mean 2.3728 1/eV")


@in_browser
def test_every_label_can_be_shown(opened):
    shown = opened.execute_script("""
        return labels.map(({ title }, k) => {
          change({ label: k });
          return [title, byId("value").textContent];
        });
    """)
    assert len(shown) == 36
    assert [text for title, text in shown if not text.startswith(f"Cl–Na: {title} ")] == []


@in_browser
@pytest.mark.parametrize(
    ("screen", "scheme"),
    [
        (DESK, "light"),
        pytest.param(DESK, "dark", marks=pytest.mark.trust),
        pytest.param(PHONE, "light", marks=pytest.mark.trust),
        (PHONE, "dark"),
    ],
)
def test_a_screen_reader_finds_nothing_amiss(browser, page, screen, scheme):
    axe = pytest.importorskip("axe_core_python.selenium").Axe()
    load(browser, page, "#label=dipole_z_d&elements=Na&pair=Na_Cl", screen, scheme)
    found = axe.run(browser)
    assert [(rule["id"], rule["nodes"][0]["target"]) for rule in found["violations"]] == []
    assert {"button-name", "color-contrast", "label"} <= {rule["id"] for rule in found["passes"]}


@in_browser
def test_nothing_runs_over_on_a_phone_and_a_finger_finds_its_mark(browser, page):
    load(browser, page, screen=PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    columns = browser.execute_script(
        "return getComputedStyle(document.getElementById('channels')).gridTemplateColumns"
    )
    assert len(columns.split()) == 2
    low = [
        button.text
        for button in browser.find_elements("css selector", "button, select")
        if 0 < button.size["height"] < 18
    ]
    assert low == []
    assert tile(browser, "Fe").size["height"] >= 24
    tile(browser, "Fe").click()
    tile(browser, "O").click()
    assert text_of(browser, "pair-heading") == "Fe–O"
    assert browser.get_log("browser") == []


@in_browser
def test_an_archive_of_the_original_project_is_shown_too(small, tmp_path, browser):
    original = archives.write_original(tmp_path / "original.npz", small)
    load(browser, report(original, tmp_path / "report.html"), "#pair=H_Li")
    assert text_of(browser, "pair-heading") == "H–Li"
    assert len(browser.find_elements("css selector", "#labels dd.soft")) == 36
    assert browser.get_log("browser") == []


@in_browser
def test_hostile_provenance_is_shown_and_not_run(small, tmp_path, browser):
    provenance = json.loads(str(small["provenance"]))
    provenance["note"] = "</script><script>document.title = 'run'</script><img src=x onerror=run>"
    small["provenance"] = np.array(json.dumps(provenance))
    path = archives.write(tmp_path / "hostile.npz", small)
    load(browser, report(path, tmp_path / "report.html"))
    assert browser.title == "hostile.npz"
    assert provenance["note"] in text_of(browser, "provenance")
    assert browser.get_log("browser") == []
