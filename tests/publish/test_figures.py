"""Figures of a pair and of a label: what is drawn, and where."""

import itertools
from dataclasses import replace

import archives
import numpy as np
import pytest

from twobody import ParseError
from twobody.archive import read
from twobody.check.describe import find_pair
from twobody.encodings import get_encoding
from twobody.encodings.published import PUBLISHED
from twobody.publish.figures import (
    colour_scale,
    element_matrix,
    map_figure,
    pair_figure,
    save_figure,
)

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def pairs(archive):
    return read(archive)


def panels(figure):
    """Return the axes that hold pictures, without those of the colour bars."""
    return [axes for axes in figure.axes if axes.images]


def symbols_of(panel):
    """Return the symbols along a map; every second one stands farther out, as a minor tick."""
    rows, columns = (
        [text.get_text() for pair in itertools.zip_longest(*ticks) for text in pair if text]
        for ticks in (
            [axis.get_ticklabels(minor=minor) for minor in (False, True)]
            for axis in (panel.yaxis, panel.xaxis)
        )
    )
    assert rows == columns
    return rows


def test_the_ten_channels_are_drawn_with_names_units_and_atoms(pairs):
    row = find_pair(pairs, "Ag_Al")
    figure = pair_figure(pairs, row)
    assert figure.get_suptitle() == "Ag–Al, bond length 2.6455 Å"
    axes = panels(figure)
    assert [panel.get_title() for panel in axes] == list(PUBLISHED.channel_names)
    assert "".join(panel.get_title(loc="left") for panel in axes) == "abcdefghij"
    for panel, image in zip(axes, pairs.images[row : row + 1][0], strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), image)
        assert [text.get_text() for text in panel.texts] == ["Ag", "Al"]
        marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in panel.lines]
        assert marks == [(11, 16), (21, 16)]
    bars = [panel.images[0].colorbar.ax.get_xlabel() for panel in axes]
    assert bars[0] == "value (e)"
    assert bars[1] == "zero everywhere"
    assert bars[6] == "value (0.1 e)"


def test_only_a_channel_of_both_signs_has_diverging_colours_symmetric_about_zero(pairs):
    axes = panels(pair_figure(pairs, find_pair(pairs, "Ag_Al")))
    maps = [panel.images[0].get_cmap().name for panel in axes]
    assert [k for k, name in enumerate(maps) if name == "RdBu_r"] == [5]
    low, high = axes[5].images[0].get_clim()
    assert low == -high


def test_other_encodings_have_as_many_panels_as_channels_and_atoms_where_there_is_space(toy, pairs):
    drawn = replace(pairs, encoding=toy.name, images=toy.encode(pairs))
    figure = pair_figure(drawn, find_pair(pairs, "Ag_Al"))
    assert [panel.get_title() for panel in panels(figure)] == ["charge", "length", "weight"]
    assert [len(panel.texts) for panel in panels(figure)] == [2, 0, 0]
    assert figure.get_size_inches().tolist() == [7, pytest.approx(2.05)]
    assert sum(not axes.get_visible() for axes in figure.axes) == 2


def test_the_channels_of_the_encoding_field_are_drawn_too(pairs):
    field = get_encoding("field")
    drawn = replace(pairs, encoding="field", images=field.encode(pairs))
    axes = panels(pair_figure(drawn, find_pair(pairs, "Cl_Na")))
    assert [panel.get_title() for panel in axes] == list(field.channel_names)
    assert [len(panel.texts) for panel in axes] == [2 * (not c.matrix) for c in field.channels]


@pytest.mark.parametrize(
    ("size", "ticks"), [(32, [0, 8, 16, 24, 31]), (64, [0, 16, 32, 48, 63]), (4, [0, 1, 2, 3])]
)
def test_ticks_are_pixels_of_the_image(pairs, size, ticks):
    panel = panels(
        pair_figure(replace(pairs.take(slice(1)), images=np.ones((1, 10, size, size))), 0)
    )[0]
    assert panel.get_xticks().tolist() == panel.get_yticks().tolist() == ticks


def test_a_label_is_mapped_element_by_element_by_atomic_number(archive, pairs):
    figure = map_figure(pairs, "e_g_ev")
    (panel,) = panels(figure)
    drawn = panel.images[0].get_array()
    symbols = symbols_of(panel)
    assert drawn.shape == (75, 75)
    assert symbols[:4] == ["H", "He", "Li", "Be"]
    assert symbols[-2:] == ["Ra", "Th"]
    members = archives.members(archive)
    gap = archives.column(members, "e_g_ev")[archives.row(members, "Al_N")]
    assert drawn[symbols.index("Al"), symbols.index("N")] == gap
    assert drawn[symbols.index("N"), symbols.index("Al")] == gap
    assert drawn.mask[symbols.index("He"), symbols.index("He")]
    assert panel.images[0].colorbar.ax.get_ylabel() == "HOMO–LUMO gap (eV)"


def test_lines_part_the_periods(pairs):
    (panel,) = panels(map_figure(pairs, "e_g_ev"))
    symbols = symbols_of(panel)
    edges = sorted({line.get_xdata()[0] for line in panel.lines if line.get_ydata()[1] == 1})
    assert [symbols[int(edge + 0.5)] for edge in edges] == ["Li", "Na", "K", "Rb", "Cs", "Ra"]


def test_a_dipole_moment_has_diverging_colours_and_an_energy_has_not(pairs):
    for label, colours in (("dipole_z_d", "RdBu_r"), ("e_lumo_ev", "viridis")):
        (panel,) = panels(map_figure(pairs, label))
        assert panel.images[0].get_cmap().name == colours


def test_the_map_of_a_dipole_moment_has_its_sign_from_the_first_atom_to_the_second(pairs):
    (panel,) = panels(map_figure(pairs, "dipole_z_d"))
    drawn = panel.images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(drawn, -drawn.T + 2 * np.diag(np.diag(drawn)))
    at = symbols_of(panel).index
    # Potassium is the positive atom beside either metal, first in the name or not.
    assert drawn[at("K"), at("Mn")] == pairs.label("dipole_z_d")[find_pair(pairs, "K_Mn")] < -13
    assert drawn[at("Fe"), at("K")] == pairs.label("dipole_z_d")[find_pair(pairs, "Fe_K")] > 13
    assert drawn[at("K"), at("Fe")] < -13
    assert (panel.get_ylabel(), panel.get_xlabel()) == ("first atom", "second atom, at larger z")


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("dipole", "dipole_mag_d, dipole_x_d, dipole_y_d, dipole_z_d"),
        ("gap", "e_g_ev"),
        ("e_gap_ev", "e_g_ev"),
        ("e_gg_ev", "e_g_ev, e_lumo_ev, e_homo_ev"),
        ("", "total_energy_ev, .*, n_atoms"),
    ],
)
def test_a_label_that_is_not_there_is_refused_and_the_nearest_are_named(pairs, label, meant):
    with pytest.raises(ParseError, match=f"expected one of the labels {meant}, found '{label}'"):
        map_figure(pairs, label)


def test_a_text_is_not_mapped(pairs):
    with pytest.raises(ParseError, match="found 'system_id_guess'"):
        map_figure(pairs, "system_id_guess")


def test_a_label_that_no_pair_has_is_refused(small_archive, tmp_path):
    members = archives.members(small_archive)
    archives.column(members, "e_g_ev")[:] = np.nan
    path = archives.write(tmp_path / "empty.npz", members)
    with pytest.raises(ParseError, match="expected pairs with e_g_ev, found none"):
        map_figure(read(path), "e_g_ev")


def test_a_matrix_has_a_row_for_each_first_atom_and_is_missing_where_there_is_no_pair():
    values, swapped = np.array([2.0, 5.0]), np.array([-2.0, -5.0])
    numbers, matrix = element_matrix(np.array([[3, 1], [3, 3]]), values, swapped)
    assert numbers.tolist() == [1, 3]
    np.testing.assert_array_equal(matrix, [[np.nan, -2.0], [2.0, 5.0]])


def test_a_zero_inflated_label_is_drawn_by_its_root_and_what_is_exactly_0_in_grey(pairs):
    figure = map_figure(pairs, "e_g_ev")
    (panel,) = panels(figure)
    values, zeros = (image.get_array() for image in panel.images)
    assert panel.images[0].norm.gamma == 0.5
    np.testing.assert_array_equal(zeros.filled(1) == 0, values.filled(1) == 0)
    assert panel.images[1].get_cmap()(0)[:3] == (0.82, 0.82, 0.82)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == [
        "exactly 0: 2,112 pairs",
        "missing: 3 pairs",
    ]


def test_a_dipole_moment_or_charge_that_is_rounding_is_drawn_as_0(pairs):
    """By symmetry a homonuclear pair has neither; the calculation gives some of them 1e-6 D."""
    row = find_pair(pairs, "Ba_Ba")
    assert 0 < pairs.label("dipole_mag_d")[row] < 2e-6
    for label, text in (
        ("dipole_mag_d", "below 1e-05 D: 76 pairs"),
        ("q_absmean", "below 5e-07 e: 76 pairs"),
    ):
        figure = map_figure(pairs, label)
        (panel,) = panels(figure)
        assert (np.diag(panel.images[0].get_array()) == 0).all()
        assert not np.ma.getmaskarray(np.diag(panel.images[1].get_array())).any()
        assert figure.legends[0].texts[0].get_text() == text
        assert panel.images[0].get_array().max() == pairs.label(label).max()
    (panel,) = panels(map_figure(pairs, "dipole_z_d"))
    assert (np.diag(panel.images[0].get_array()) == 0).all()


def test_a_flag_has_two_colours_with_names(pairs):
    (panel,) = panels(map_figure(pairs, "metal_like"))
    image = panel.images[0]
    assert image.get_cmap().N == 2
    assert image.to_rgba(0) != image.to_rgba(1)
    ticks = image.colorbar.ax.get_yticklabels()
    assert [text.get_text() for text in ticks] == ["no", "yes"]


@pytest.mark.parametrize(
    ("label", "values", "scale"),
    [
        ("metal_like", [0, 1, 1], "flag"),
        ("geom_converged", [1, 1, 1], "flag"),
        ("dipole_z_d", [-3, 0, 2], "diverging"),
        ("dipole_z_d", [1, 2, 2], "linear"),
        ("e_lumo_ev", [-3, 0, 2], "linear"),
        ("e_g_ev", [0, 0, 0, 4, np.nan], "root"),
        ("electrophilicity_ev", [1, 2, 17], "root"),
        ("electrophilicity_ev", [1, 2, 16], "linear"),
        ("e_g_ev", [0, 0], "linear"),
        ("e_g_ev", [np.nan], "linear"),
        ("a label of others", [0, 0, 1], "root"),
    ],
)
def test_the_scale_follows_from_the_values_and_what_the_label_is(label, values, scale):
    assert colour_scale(label, np.array(values, float)) == scale


@pytest.mark.parametrize("figure", ["pair", "field", "e_g_ev", "dipole_z_d", "metal_like"])
def test_a_figure_fits_two_columns_of_a_journal_and_can_be_read_there(pairs, figure):
    from matplotlib.text import Text

    if figure in pairs.label_names:
        drawn = map_figure(pairs, figure)
    else:
        pairs = pairs.take(slice(3))
        if figure == "field":
            pairs = replace(pairs, encoding="field", images=get_encoding("field").encode(pairs))
        drawn = pair_figure(pairs, 0)
    drawn.draw_without_rendering()
    assert drawn.get_figwidth() == 7
    written = [text for text in drawn.findobj(Text) if text.get_text()]
    assert len(written) > 50
    assert min(text.get_fontsize() for text in written) >= 6


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_figure_is_written_whole_and_twice_the_same(pairs, tmp_path, suffix):
    pairs = pairs.take((pairs.atomic_numbers <= 10).all(axis=1))
    names = [f"a.{suffix}", f"b.{suffix}"]
    for name in names:
        save_figure(map_figure(pairs, "e_g_ev"), tmp_path / name)
    first, second = ((tmp_path / name).read_bytes() for name in names)
    assert first.startswith({"png": PNG, "pdf": b"%PDF-", "svg": b"<?xml"}[suffix])
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    if suffix == "svg":
        assert "HOMO–LUMO gap (eV)</text>" in first.decode()
