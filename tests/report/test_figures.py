"""Charts as files: pictures that are whole, and tables that read back equal."""

import csv
import os
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rlvr.errors import RlvrError
from rlvr.report.blocks import Chart, Prose, Section, Table
from rlvr.report.figures import as_csv, write_figures
from rlvr.report.plots import Bar, Line, bars, lines

SVG = "{http://www.w3.org/2000/svg}"
NAME = "<script>alert(1)</script> & ]]>"
THIRD = [1, 1 / 3, 0.25, 0.5]


def chart(name: str = "reward") -> Chart:
    line = Line(name=NAME, x=[1, 2], values=[1 / 3, 0.1], low=[0.25, 0.0], high=[0.5, 0.2])
    other = Line(name="=1+1", x=[1, 2], values=[0.5, 0.75])
    return lines(name, "Reward", "It rose.", [line, other], y="reward")


def test_a_chart_becomes_three_files(tmp_path: Path) -> None:
    bar = bars("Ends/../here", "Ends", "One.", [Bar(category=NAME, value=0.5, low=0.25, high=0.75)], x="arm", y="share")
    folder = tmp_path / "made" / "here"
    written = write_figures([Section(name="a", title="A", blocks=[chart(), Prose(text="."), bar, chart()])], folder)
    stems = ["reward", "ends-here", "reward-2"]
    assert written == [folder / f"{stem}.{ending}" for stem in stems for ending in ("svg", "png", "csv")]
    assert sorted(written) == sorted(folder.iterdir())
    for file in written:
        content = file.read_bytes()
        if file.suffix == ".svg":
            root = ElementTree.fromstring(content)
            marks = [path for path in root.iter(f"{SVG}path") if path.get("stroke", "").upper().startswith("#0072B2")]
            filled = [path for path in root.iter(f"{SVG}path") if path.get("fill", "").upper().startswith("#0072B2")]
            assert marks or filled
            assert list(root.iter(f"{SVG}script")) == []
        elif file.suffix == ".png":
            assert content[:8] == b"\x89PNG\r\n\x1a\n"
            width, height = struct.unpack(">II", content[16:24])
            assert 1900 < width < 2100
            assert 1000 < height < 1600
    with (folder / "reward.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["step", NAME, f"{NAME}, from", f"{NAME}, to", "'=1+1"]
    assert [float(cell) for cell in rows[1][:4]] == pytest.approx(THIRD, rel=1e-5)


def test_numbers_keep_their_digits_and_only_texts_are_made_harmless() -> None:
    table = Table(columns=["a", "b"], rows=[[1 / 3, "@x"], [-0.1, 'two\nlines, "quoted"'], [None, "-x"]])
    rows = list(csv.reader(as_csv(table).decode().splitlines(keepends=True)))
    assert rows == [["a", "b"], [repr(1 / 3), "'@x"], ["-0.1", 'two\nlines, "quoted"'], ["", "'-x"]]


def test_files_that_are_there_are_written_over_but_never_through_a_link(tmp_path: Path) -> None:
    section = Section(name="a", title="A", blocks=[chart()])
    (tmp_path / "reward.csv").write_text("old, and longer than what comes\n" * 100)
    write_figures([section], tmp_path)
    assert (tmp_path / "reward.csv").read_bytes() == as_csv(chart().table)
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "reward.png").unlink()
    (tmp_path / "reward.png").symlink_to(mine)
    with pytest.raises(RlvrError, match=r"reward\.png: is a link"):
        write_figures([section], tmp_path)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("place", ["", "reward.svg"])
def test_what_cannot_be_written_is_one_line(place: str, tmp_path: Path) -> None:
    """A file where the folder should be; a pipe, which nobody reads, where a file should be."""
    folder = tmp_path / "folder"
    if place:
        folder.mkdir()
        os.mkfifo(folder / place)
    else:
        folder.write_text("")
    with pytest.raises(RlvrError, match="cannot be written") as caught:
        write_figures([Section(name="a", title="A", blocks=[chart()])], folder)
    assert "\n" not in str(caught.value)
