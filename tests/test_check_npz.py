"""The command line of check_npz.py: modes, exit statuses, and files that mean no good."""

import io
import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path

import archives
import numpy as np
import pytest
from click.testing import CliRunner

from check_npz import main
from twobody.archive.container import Container

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_without_an_option_it_gives_the_overview(built):
    result = run(built)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{built}\n  size ")
    assert json.loads(run(built, "--json").stdout)["pairs"] == 6


def test_the_default_file_is_the_one_that_a_build_writes(built, monkeypatch):
    built.rename(built.with_name("dataset_combined.npz"))
    monkeypatch.chdir(built.parent)
    assert run().stdout.startswith("dataset_combined.npz\n")


def test_one_pair_is_described(built):
    assert run(built, "--pair", "H_Li").stdout.startswith("H_Li (number 3)\n")
    assert json.loads(run(built, "--pair", "3", "--json").stdout)["pair"] == "H_Li"
    assert run(built, "--pair", "Li_H").stdout == run(built, "--pair", "H_Li").stdout


@pytest.mark.parametrize("written", ["li_h", "LiH", "HLi", "Li-H", "Li H"])
def test_an_unknown_pair_is_wrong_usage_and_the_nearest_is_named(built, written):
    result = run(built, "--pair", written)
    assert result.exit_code == 2
    assert result.stderr.endswith(f"found {written!r} (did you mean H_Li?)\n")


def test_verifying_a_good_archive_exits_0_and_a_wrong_one_1(built, tmp_path):
    assert run(built, "--verify").exit_code == 0
    members = archives.members(built)
    members["images"][3, 0, 0, 0] = -1
    path = archives.write(tmp_path / "wrong.npz", members)
    result = run(path, "--verify")
    assert result.exit_code == 1
    assert "           H_Li: o_map_radial is not amplitudes x basis\n" in result.stdout
    checks = json.loads(run(path, "--verify", "--json").stdout)
    assert [check["law"] for check in checks if check["findings"] and not check["warning"]] == [
        "amplitudes times basis"
    ]


@pytest.mark.parametrize("change", ["channels", "members", "provenance"])
def test_an_archive_of_another_version_is_refused(built, tmp_path, change):
    members = archives.members(built)
    provenance = json.dumps({**json.loads(str(members["provenance"])), "format_version": 99})
    members |= {"channels": members["channels"][::-1]} if change == "channels" else {}
    members |= {"weights": np.zeros(3)} if change == "members" else {}
    members |= {"provenance": np.array(provenance)} if change == "provenance" else {}
    path = archives.write(tmp_path / "later.npz", members)
    modes = [[], ["--pair", "0"], ["--compare", built], ["--draw", tmp_path / "a.png"]]
    checking = [["--verify"], ["--against", tmp_path]]
    if change == "provenance":
        modes += checking
    else:  # the format is known, so that it can be said what is wrong
        for arguments in checking:
            result = run(path, *arguments)
            assert result.exit_code == 1
            assert "FAILED   schema" in result.stdout or "FAILED   layout" in result.stdout
    for arguments in modes:
        result = run(path, *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: {path}: expected ")
        assert len(result.stderr.splitlines()) == 1


def test_a_picture_in_the_place_of_a_loop_of_links_is_one_error(built, tmp_path):
    for option, name in (("--draw", "loop.png"), ("--report", "loop.html")):
        (tmp_path / name).symlink_to(name)
        result = run(built, option, tmp_path / name)
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert str(tmp_path / name) in line
        assert (tmp_path / name).is_symlink()


def test_against_the_raw_files_every_check_is_run_too(built, small_raw_data):
    result = run(built, "--against", small_raw_data)
    assert result.exit_code == 0
    assert "ok       pixels" in result.stdout
    assert "ok       raw values" in result.stdout
    labels = small_raw_data / "dftb_ptbp_combined.csv"
    text = labels.read_text(encoding="utf-8")
    labels.write_text(text.replace("\nH_Li,-13.29", "\nH_Li,-13.39"), encoding="utf-8")
    assert run(built, "--against", small_raw_data).exit_code == 1
    assert run(built, "--against", small_raw_data / "none").exit_code == 2


def test_comparing_exits_0_when_equal_and_1_when_not(built, tmp_path):
    members = archives.members(built)
    original = archives.write_original(tmp_path / "original.npz", members)
    for first, second in ((built, built), (built, original), (original, built)):
        assert run(first, "--compare", second).exit_code == 0
    members["labels"][0]["e_g_ev"] += 1
    other = archives.write_original(tmp_path / "other.npz", members)
    result = run(built, "--compare", other)
    assert result.exit_code == 1
    assert result.stdout.endswith("not equal\n")
    assert json.loads(run(built, "--compare", other, "--json").stdout)["equal"] is False


def test_a_pair_a_label_and_a_page_are_drawn(built, tmp_path):
    for name, arguments in {
        "pair.png": ["--draw", tmp_path / "pair.png", "--pair", "H_Li"],
        "map.pdf": ["--draw", tmp_path / "map.pdf", "--label", "distance_ang"],
        "gap.svg": ["--draw", tmp_path / "gap.svg"],
        "page.html": ["--report", tmp_path / "page.html"],
    }.items():
        result = run(built, *arguments)
        assert (result.exit_code, result.output) == (0, "")
        assert (tmp_path / name).stat().st_size > 10_000


def test_names_that_look_like_formulas_are_drawn_as_they_are(built, tmp_path):
    members = archives.members(built)
    members["pair_names"] = members["pair_names"].astype("U20")
    members["pair_names"][0] = r"$\frac$_$x_{"
    members["label_names"][0] = r"$\frac{"
    path = archives.write(tmp_path / "formula.npz", members)
    for arguments in (["--pair", "0"], ["--label", r"$\frac{"]):
        result = run(path, "--draw", tmp_path / "picture.png", *arguments)
        assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--verify", "--compare", "x.npz"],
        ["--pair", "H_H", "--verify"],
        ["--draw", "x.png", "--report", "x.html"],
        ["--label", "e_g_ev"],
        ["--label", "e_g_ev", "--verify"],
        ["--draw", "x.png", "--pair", "H_H", "--label", "e_g_ev"],
        ["--draw", "x.png", "--json"],
        ["--report", "x.html", "--json"],
        ["--draw", "x.png", "--label", "no_such_label"],
        ["--draw", "no_such_folder/x.png"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(built, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = run(built, *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert not list(tmp_path.glob("x.*"))


def test_control_characters_from_the_file_do_not_reach_the_terminal(built, tmp_path):
    members = archives.members(built)
    provenance = json.loads(str(members["provenance"])) | {"note": "\x1b[31m"}
    members["provenance"] = np.array(json.dumps(provenance))
    members["pair_names"] = members["pair_names"].astype("U20")
    members["pair_names"][0] = "\x1b[31mAl_N"
    path = archives.write(tmp_path / "coloured.npz", members)
    for arguments in ([path], [path, "--pair", "0"], [path, "--verify"]):
        assert "\x1b" not in run(*arguments).output


def test_half_a_surrogate_pair_is_escaped(built, tmp_path):
    members = archives.members(built)
    provenance = json.loads(str(members["provenance"])) | {"note": "\ud800"}
    members["provenance"] = np.array(json.dumps(provenance))
    path = archives.write(tmp_path / "half.npz", members)
    assert run(path).exit_code == 0
    assert json.loads(run(path, "--json").stdout)["provenance"]["note"] == "\ud800"


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_it_ends_quietly_where_nobody_reads_on(built, arguments):
    command = [sys.executable, "check_npz.py", str(built), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        process.stdout.close()  # as `head` does, before anything has come
        assert process.stderr.read() == b""
    assert process.returncode in (0, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("write", [archives.write, archives.write_original])
def test_values_that_are_not_finite_are_errors_and_break_nothing(built, tmp_path, value, write):
    members = archives.members(built)
    for name in ("label_values", "image_amplitudes", "metadata_values", "geometries", "images"):
        with np.errstate(over="ignore"):
            members[name][:] = value
    members["labels"], members["metadata"] = members["labels"][::-1], members["metadata"][::-1]
    path = write(tmp_path / "numbers.npz", members)
    assert run(path, "--verify").exit_code == 1
    assert run(path, "--compare", built).exit_code == 1
    for arguments in ([], ["--pair", "0"], ["--verify"], ["--compare", built]):
        result = run(path, *arguments, "--json")
        assert isinstance(result.exception, SystemExit | None), result.exception
        json.loads(result.stdout, parse_constant=pytest.fail)


@pytest.mark.parametrize("write", [archives.write, archives.write_original])
def test_pixels_that_are_not_finite_are_drawn(built, tmp_path, write):
    members = archives.members(built)
    for k, value in enumerate([np.nan, np.inf, -np.inf, 1e308]):  # a channel of each
        with np.errstate(over="ignore"):
            members["image_amplitudes"][:, k] = members["images"][:, k] = value
    path = write(tmp_path / "numbers.npz", members)
    assert run(path, "--draw", tmp_path / "out.png", "--pair", "0").exit_code == 0


def test_an_archive_of_the_original_project_may_lack_labels_and_metadata(built, tmp_path):
    members = archives.members(built)
    names = ("images", "geometries", "elements", "pair_names")
    path = archives.write(tmp_path / "bare.npz", {name: members[name] for name in names})
    for arguments in ([], ["--verify"], ["--pair", "H_Li"]):
        assert run(path, *arguments).exit_code == 0


# Files that are damaged, hostile or foreign, each made from a good one by a function of its path.


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


def rewrite(path, change):
    """Write the members again, as `change` gives them: pairs of name and bytes."""
    with zipfile.ZipFile(path) as file:
        entries = {info.filename: file.read(info) for info in file.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in change(entries):
            file.writestr(name, data)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(description, shape):
    text = f"{{'descr': '{description}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def replaced(name, data):
    return lambda path: rewrite(path, lambda entries: {**entries, f"{name}.npy": data}.items())


def doubled(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewrite(path, lambda entries: [*entries.items(), ("images.npy", entries["images.npy"])])


@cache
def bomb():
    """Make a file of 300 kB that claims to be, and is, 270 MB of zeros when unpacked."""
    n = 1 << 16
    zeros = bytes(1 << 12)  # the pixels of a channel
    archive = io.BytesIO()
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("images.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy_header("<f4", (n // 10, 10, 32, 32)))
        for _ in range(n // 10):
            member.write(10 * zeros)
    return archive.getvalue()


class Command:
    """Pickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def commanding(path):
    objects = np.empty(6, object)
    objects[:] = [Command(path.with_name("executed"))] * 6
    rewrite(path, lambda entries: {**entries, "labels.npy": npy(objects)}.items())


def commanding_original(path):
    members = archives.members(path)
    members["labels"][:] = [Command(path.with_name("executed"))] * 6
    archives.write_original(path, members)


def folder(path):
    path.unlink()
    path.mkdir()


BAD = {
    "cut in the middle": lambda path: cut(path, 0.5),
    "cut near the end": lambda path: cut(path, 0.999),
    "cut near the beginning": lambda path: cut(path, 0.001),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("label,value\n", encoding="utf-8"),
    "a folder": folder,
    "missing": lambda path: path.unlink(),
    "a picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "a plain array": lambda path: path.write_bytes(npy(np.zeros(3))),
    "a zip file of something else": lambda path: rewrite(path, lambda _: [("a.txt", b"text")]),
    "no members": lambda path: rewrite(path, lambda _: []),
    "a member twice": doubled,
    "a member that leaves the folder": replaced("../../escape", npy(np.zeros(3))),
    "a shape larger than the data": replaced("label_values", npy_header("<f8", (6, 36)) + bytes(8)),
    "a shape beyond memory": replaced("images", npy_header("<f4", (1 << 40, 10, 32, 32))),
    "a shape that overflows": replaced("images", npy_header("<f4", (1 << 62, 1 << 62, 0, 4))),
    "a negative shape": replaced("images", npy_header("<f4", (-1, 10, 32, 32)) + bytes(40960)),
    "a header that is code": replaced("channels", npy_header("<f8' + exit() + '", (1,))),
    "a header without an end": replaced("channels", b"\x93NUMPY\1\0\xff\xff{"),
    "a structured dtype": replaced("channels", npy(np.zeros(10, "f8,i4"))),
    "a deflate bomb": lambda path: path.write_bytes(bomb()),
    "an element that is none": replaced("elements", npy(np.full((6, 2), "Xx"))),
    "a pair that comes twice": replaced("pair_names", npy(np.full(6, "H_H"))),
    "no pairs": lambda path: archives.write_original(
        path, {name: values[:0] for name, values in archives.members(path).items() if values.ndim}
    ),
    "text that is none": replaced(
        "pair_names", npy_header("<U5", (6,)) + struct.pack("<I", 0x110000) * 30
    ),
}


@pytest.mark.parametrize("mode", [[], ["--verify"], ["--pair", "0"]], ids=["", "verify", "pair"])
@pytest.mark.parametrize("damage", BAD.values(), ids=BAD)
def test_a_bad_file_gets_one_line_and_status_2(built, damage, mode):
    damage(built)
    result = run(built, *mode)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {built}")
    assert "expected" in line
    assert "found" in line


def assert_refused(path, good, message, modes):
    """Let every mode name what is wrong with `path`, also where it is one of two."""
    commands = [[path, *mode] for mode in modes]
    for arguments in [*commands, [path, "--compare", good], [good, "--compare", path]]:
        result = run(*arguments)
        assert isinstance(result.exception, SystemExit), result.exception
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"Error: {path}: expected {message}"), arguments


QUICK = ([], ["--json"], ["--verify"], ["--pair", "0"])


def pictures(folder):
    picture, page = folder / "picture.png", folder / "page.html"
    return (["--draw", picture], ["--draw", picture, "--pair", "0"], ["--report", page])


def test_a_flipped_byte_anywhere_in_the_data_is_named_by_every_mode(built, tmp_path):
    good, data = tmp_path / "good.npz", built.read_bytes()
    good.write_bytes(data)
    with zipfile.ZipFile(built) as file:
        entries = {info.filename: info for info in file.infolist()}
    for name, entry in entries.items():
        start = entry.header_offset + 30 + len(name) + 20  # 20: the zip64 field
        flip(built, start + entry.compress_size // 2)
        member = name.removesuffix(".npy")
        modes = (*QUICK, *pictures(tmp_path)) if member in ("images", "labels") else QUICK
        refused = run(built, "--verify").stderr.removeprefix(f"Error: {built}: expected ")
        assert f"in member '{member}', found " in refused
        assert_refused(built, good, refused.split(",")[0], modes)
        built.write_bytes(data)


@pytest.mark.parametrize("damage", [commanding, commanding_original])
def test_a_pickle_that_runs_commands_runs_none_and_is_named_by_every_mode(built, tmp_path, damage):
    good = tmp_path / "good.npz"
    good.write_bytes(built.read_bytes())
    damage(built)
    modes = (*QUICK, *pictures(tmp_path))
    assert_refused(built, good, "plain data in member 'labels', found ", modes)
    assert not built.with_name("executed").exists()


@pytest.mark.trust
@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_every_mode_reads_what_it_opened_once(built, small_raw_data, tmp_path, monkeypatch):
    """A build may put another archive in its place meanwhile."""
    good, data = tmp_path / "good.npz", built.read_bytes()
    good.write_bytes(data)
    opening = Container.__init__

    def open_and_remove(archive, path):
        opening(archive, path)
        if archive.path == built:
            built.unlink()

    monkeypatch.setattr(Container, "__init__", open_and_remove)
    against = ["--against", small_raw_data]
    for arguments in (*QUICK, against, ["--compare", good], *pictures(tmp_path)):
        built.write_bytes(data)
        result = run(built, *arguments)
        assert (result.exit_code, result.stderr) == (0, ""), arguments
        assert not built.exists()


@pytest.mark.parametrize("name", ["a deflate bomb", "a shape beyond memory"])
def test_nothing_much_is_allocated_for_a_file_that_lies_about_its_size(built, name):
    BAD[name](built)
    tracemalloc.start()
    try:
        assert run(built, "--verify").exit_code == 2
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_without_the_extra_a_picture_says_what_to_install(built, tmp_path):
    code = "import sys; sys.modules['matplotlib.figure'] = None; import check_npz; check_npz.main()"
    command = [sys.executable, "-c", code, str(built), "--draw", str(tmp_path / "out.png")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert 'python -m pip install "twobody-dataset[plot]"' in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()


def test_a_page_needs_no_extra(built, tmp_path):
    code = "import sys; sys.modules['matplotlib'] = None; import check_npz; check_npz.main()"
    command = [sys.executable, "-c", code, str(built), "--report", str(tmp_path / "out.html")]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "out.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("option", "name"),
    [("--draw", "small.npz"), ("--draw", "picture.jpg"), ("--report", "small.npz")],
)
def test_a_picture_or_page_never_takes_the_place_of_an_archive(built, option, name):
    before = built.read_bytes()
    path = built.with_name(name)
    result = CliRunner().invoke(main, [str(built), option, str(path)])
    assert result.exit_code == 2
    assert f"{path}: expected a new file with the suffix" in result.stderr
    assert built.read_bytes() == before
