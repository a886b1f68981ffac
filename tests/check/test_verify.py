"""Layout, schema, basis and pixels of an archive; what the dicts and the CSV files repeat."""

import json
import os

import archives
import numpy as np
import pytest
from archives import row

from twobody import ParseError
from twobody.archive.container import Container
from twobody.archive.layout import made_again
from twobody.check.verify import checks_as_dicts, format_checks, has_errors, verify
from twobody.encodings.published import PUBLISHED


def verified(path):
    with Container(path) as opened:
        return verify(opened)


def broken(path):
    checks = verified(path)
    return {check.law: check.findings for check in checks if check.findings and not check.warning}


def changed(tmp_path, small):
    return archives.write(tmp_path / "changed.npz", small)


def test_a_built_archive_is_right(built):
    checks = verified(built)
    assert broken(built) == {}
    assert not has_errors(checks)
    assert len(checks) == 25


def test_an_archive_written_by_numpy_is_right_too(tmp_path, small):
    assert broken(changed(tmp_path, small)) == {}


def test_an_archive_without_what_follows_from_the_rest_is_right(tmp_path, small):
    for name in made_again(PUBLISHED):
        del small[name]
    path = changed(tmp_path, small)
    assert broken(path) == {}
    assert len(verified(path)) == 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("metadata_names"), "expected a member 'metadata_names', found none"),
        (
            lambda m: m.update(label_values=m["label_values"].astype(np.float32)),
            "expected dtype <f8 in member 'label_values', found <f4",
        ),
        (
            lambda m: m.update(geometries=m["geometries"][:, :, :3]),
            "expected shape [6, 2, 4] in member 'geometries', found [6, 2, 3]",
        ),
        (
            lambda m: m.update(pair_names=m["pair_names"][:5]),
            "expected shape [6] in member 'pair_names', found [5]",
        ),
    ],
    ids=["a member is missing", "another dtype", "another shape", "a pair too few"],
)
def test_a_wrong_layout_is_listed_and_nothing_else_is_looked_at(tmp_path, small, change, message):
    change(small)
    checks = verified(changed(tmp_path, small))
    assert [check.law for check in checks] == ["layout"]
    assert checks[0].findings == [(None, message)]


def test_every_fault_of_the_layout_is_listed(tmp_path, small):
    del small["channels"]
    del small["image_basis"]
    assert len(broken(changed(tmp_path, small))["layout"]) == 2


def test_a_member_that_no_dataset_has_is_a_fault_of_the_layout(tmp_path, small):
    small["weights"] = np.zeros(3)
    assert broken(changed(tmp_path, small)) == {
        "layout": [(None, "expected members of a dataset archive only, found 'weights'")]
    }


@pytest.mark.parametrize(
    ("member", "values", "message"),
    [
        ("label_names", {7: "e_gap_ev"}, "label_names differ in e_g_ev, e_gap_ev"),
        ("label_units", {7: "kcal"}, "label_units differ in kcal"),
        ("channels", {7: "c7"}, "channels differ in c7, com_orbital"),
        ("metadata_names", {3: "dipole_y", 4: "dipole_x"}, "metadata_names differ in their order"),
    ],
)
def test_names_and_units_are_those_of_the_schema(tmp_path, small, member, values, message):
    for position, value in values.items():
        small[member][position] = value
    assert broken(changed(tmp_path, small))["schema"] == [(None, message)]


def test_the_provenance_speaks_of_these_pairs(tmp_path, small):
    provenance = json.loads(str(small["provenance"]))
    small["provenance"] = np.array(json.dumps(provenance | {"pairs": {"kept": 5}}))
    assert broken(changed(tmp_path, small))["schema"] == [
        (None, "provenance speaks of 5 pairs, not 6"),
    ]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("encoding", "other", "one of the encodings .*published"),
        ("format_version", 99, "a format_version from 1 to 2"),
    ],
)
def test_what_this_version_does_not_know_cannot_be_checked(tmp_path, small, key, value, expected):
    provenance = json.loads(str(small["provenance"]))
    small["provenance"] = np.array(json.dumps(provenance | {key: value}))
    with pytest.raises(ParseError, match=f"expected {expected}"):
        verified(changed(tmp_path, small))


@pytest.mark.parametrize("text", ["{", "[1]", '"text"', "[" * 100_000])
def test_a_provenance_that_is_no_json_object_cannot_be_read(tmp_path, small, text):
    small["provenance"] = np.array(text)
    with pytest.raises(ParseError, match="JSON"):
        verified(changed(tmp_path, small))


def test_a_basis_image_that_is_not_its_formula_is_found(tmp_path, small):
    small["image_basis"][2, 0, 4, 4] += 1e-3
    small["images"] = archives.images(small)
    assert broken(changed(tmp_path, small)) == {
        "basis": [(None, "rip_gaf_sp is up to 0.001 away from its formula")]
    }


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (np.nan, ["is not finite"]),
        (np.inf, ["is not finite"]),
        (-1.0, ["is negative"]),
        (1.0, []),
    ],
)
def test_one_wrong_pixel_is_found(tmp_path, small, value, messages):
    small["images"][row(small, "H_Li"), 7, 20, 3] = value
    found = broken(changed(tmp_path, small))
    assert found.pop("amplitudes times basis") == [
        ("H_Li", "com_orbital is not amplitudes x basis")
    ]
    expected = [("H_Li", f"com_orbital {message}") for message in messages]
    assert found == ({"pixels": expected} if expected else {})


def test_the_last_bit_of_a_pixel_counts(tmp_path, small):
    pixel = small["images"][row(small, "H_Li"), 7]
    pixel[16, 11] = np.nextafter(pixel[16, 11], np.float32(0))
    assert list(broken(changed(tmp_path, small))) == ["amplitudes times basis"]


@pytest.mark.parametrize(
    ("channel", "atom", "name"),
    [
        (0, 0, "o_map_radial of atom 1"),
        (2, 0, "rip_gaf_sp of atom 1"),
        (4, 0, "rip_mtf_dipole of atom 1"),
        (5, 0, "rip_mtf_quadrupole of atom 1"),
        (6, 1, "com_charge of atom 2"),
        (7, 1, "com_orbital of atom 2"),
    ],
)
def test_an_amplitude_that_is_not_made_of_the_numbers_is_found(
    tmp_path, small, channel, atom, name
):
    small["image_amplitudes"][row(small, "H_Li"), channel, atom] += 0.01
    small["images"] = archives.images(small)
    found = broken(changed(tmp_path, small))
    assert list(found) == ["amplitudes"]
    assert found["amplitudes"][0].pair == "H_Li"
    assert found["amplitudes"][0].message.startswith(f"{name} is ")


def test_an_array_in_a_dict_is_no_value(tmp_path, small):
    small["labels"][row(small, "H_Li")]["e_g_ev"] = np.zeros(3)
    assert broken(changed(tmp_path, small))["dicts"] == [
        ("H_Li", "the dict of labels differs in e_g_ev")
    ]


def test_dicts_that_say_something_else_are_found(tmp_path, small):
    small["labels"][row(small, "H_Li")]["e_g_ev"] = 1.0
    small["labels"][row(small, "H_H")]["extra"] = None
    small["metadata"][row(small, "H_He")]["num_atoms"] = 3
    small["metadata"][row(small, "He_He")] = None
    assert broken(changed(tmp_path, small)) == {
        "dicts": [
            ("H_H", "the dict of labels differs in extra"),
            ("H_Li", "the dict of labels differs in e_g_ev"),
            ("H_He", "the dict of metadata differs in num_atoms"),
            ("He_He", "metadata is not a dict"),
        ]
    }


def test_a_value_of_the_csv_files_that_the_archive_does_not_have_is_found(built):
    labels = built.parent / "analysis" / "all_labels.csv"
    text = labels.read_text(encoding="utf-8")
    text = text.replace("\nH_Li,-", "\nH_Li,-1").replace(",He_He\n", ",He\n")
    labels.write_text(text, encoding="utf-8")
    findings = broken(built)["analysis"]
    assert [pair for pair, _ in findings] == ["H_Li", "He_He"]
    assert findings[0].message == (
        "total_energy_ev in all_labels.csv is -113.29294224162906, not -13.292942241629065"
    )
    assert findings[1].message == "system_id_guess in all_labels.csv is He, not He_He"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_in_the_place_of_a_csv_file_is_not_waited_for(built):
    path = built.parent / "analysis" / "geometry_data.csv"
    path.unlink()
    os.mkfifo(path)
    with Container(built) as archive:
        (finding,) = next(c.findings for c in verify(archive) if c.law == "analysis")
    assert "geometry_data.csv cannot be read: " in finding.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("x1", "x0", 1), "geometry_data.csv has other columns"),
        (lambda text: text.replace("\nH_Li,H,Li,", "\nH_Li,H,Li,1,"), "has other columns"),
        (lambda text: text.replace("\nH_Li,", "\nH_Na,"), "has other pairs"),
        (lambda text: text[: text.rindex("\nN_Na")] + "\n", "has other pairs"),
        (lambda text: text.replace("\nH_Li,H,Li,", "\nH_Li,H,Li,a"), "cannot be read"),
        (lambda _: "", "cannot be read"),
        (lambda _: 'a,"b', "cannot be read"),
    ],
)
def test_a_csv_file_that_is_not_the_table_is_found(built, change, message):
    file = built.parent / "analysis" / "geometry_data.csv"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    (finding,) = broken(built)["analysis"]
    assert finding.pair is None
    assert message in finding.message


def test_what_the_archive_of_the_original_project_lacks_is_not_looked_for(tmp_path, small):
    path = archives.write_original(tmp_path / "original.npz", small)
    assert broken(path) == {}
    assert "pixels" in {check.law for check in verified(path)}
    small["images"][row(small, "H_Li"), 7, 20, 3] = -1
    small["labels"][row(small, "Al_N")]["chi_ev"] += 1
    found = broken(archives.write_original(tmp_path / "original.npz", small))
    assert found["pixels"] == [("H_Li", "com_orbital is negative")]
    assert {pair for pair, _ in found["label formulas"]} == {"Al_N"}


def test_images_without_amplitudes_are_not_said_to_be_products(tmp_path, small):
    checks = verified(archives.write_original(tmp_path / "original.npz", small))
    assert "amplitudes times basis" not in {check.law for check in checks}
    assert not any("amplitudes" in line for line in format_checks(checks))


def test_the_text_lists_every_error_but_only_the_first_of_each_warning(archive):
    checks = verified(archive)
    lines = list(format_checks(checks))
    assert max(map(len, lines)) <= 100
    assert "           and 469 more (--json lists all)" in lines
    assert lines[-1] == "25 checks: 0 errors, 480 warnings"
    listed = {check["law"]: check for check in checks_as_dicts(checks)}["short bonds"]["findings"]
    assert len(listed) == 474
    assert listed[0] == {"pair": "Ag_Co", "message": "1.838 Å, 0.68 of the sum"}
