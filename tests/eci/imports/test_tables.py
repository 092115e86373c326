"""Files of every make: encodings, delimiters, headers, workbooks; and one clear sentence for what cannot be read."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from eci.imports import tables
from eci.imports.errors import BadFile
from eci.imports.tables import Table
from tests.support.imports import xlsx

pytestmark = pytest.mark.no_database

HEADER = ["sku", "name", "price"]
Opened = Callable[..., Table]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    files = ExitStack()

    def open_file(content: bytes, *, encoding: str = "", delimiter: str = "", sheet: str = "") -> Table:
        path = tmp_path / "file"
        path.write_bytes(content)
        file = files.enter_context(path.open("rb"))

        def recognised(rows: list[list[str]]) -> int:
            return max((len(set(HEADER) & set(row)) for row in rows), default=0)

        return tables.open_table(file, encoding=encoding, delimiter=delimiter, sheet=sheet, recognised=recognised)

    with files:
        yield open_file


def cells(table: Table) -> list[list[str]]:
    return [row for _, row in table.rows()]


TEXT = "sku,name,price\nA,Café à la crème,1\nB,„Größe“ – 5 €,2\n"


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        *(("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le")),
        *(("utf-16-be", "utf-16-be"), ("utf-32", "utf-32"), ("cp1252", "cp1252")),
    ],
)
def test_encodings_are_found(opened: Opened, encoding: str, found: str) -> None:
    table = opened(TEXT.encode(encoding))
    assert table.coding is not None
    assert table.coding.encoding == found
    assert cells(table) == [HEADER, ["A", "Café à la crème", "1"], ["B", "„Größe“ – 5 €", "2"]]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "sku,name\nA,Ołówek żółty źdźbło łąka\nB,Świąteczna gałąź\nC,Łyżka i nóż\n"),
        ("cp1251", "sku,name\nA,Карандаш жёлтый простой\nB,Тетрадь в клетку\nC,Ручка шариковая синяя\n"),
        ("cp932", "sku,name\nA,黄色い鉛筆です\nB,ノートと消しゴム\nC,ボールペンの替え芯\n"),
    ],
)
def test_other_alphabets_are_found(opened: Opened, encoding: str, text: str) -> None:
    table = opened(text.encode(encoding))
    assert table.coding is not None
    assert table.coding.readings, "so it is asked about"
    assert "".join(",".join(row) + "\n" for row in cells(table)) == text


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        *(("koi8_r", "Тетрадь в клетку"), ("cp866", "Ручка"), ("iso8859_2", "Mäkký ľahký stôl"), ("cp1254", "Şemsiye")),
        *(
            ("mac_roman", "Größe für Tür"),
            ("mac_roman", "Niño"),
            ("cp850", "Café Größe"),
            ("cp1257", "Žalias sąsiuvinis"),
        ),
        *(("gb18030", "笔记本和橡皮"), ("cp1253", "Κίτρινο μολύβι"), ("cp1255", "מחברת ומחק")),
    ],
)
def test_what_may_be_in_several_encodings_is_read_in_each_to_be_asked(opened: Opened, encoding: str, line: str) -> None:
    coding = opened(f"sku\tname\nA\t{line}\n".encode(encoding)).coding
    assert coding
    assert ", ".join(line.split()) in coding.readings.values()


_WESTERN = (
    "Rødgrød med fløde, Køleskab Ø 20 mm, Åben",
    "Smörgås, Knäckebröd, Šokolaad, Škoda",
    "Limões, três maçãs, coração, não",
    "Caffè, perché, città, più",
    "Marke™ Gold, Lindt®, 10 × 20 cm, ½ l",
    "MÜTZE, CRÈME BRÛLÉE, naïve, geïnteresseerd, Citroën C3",
)


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        *(("cp1251", "Чай"), ("koi8_r", "Чай"), ("cp866", "Хлеб"), ("cp1253", "Τσάι"), ("cp1255", "לחם")),
        *(("cp1256", "شاي"), ("cp1254", "Şişe"), ("cp1257", "Ąžuolas"), ("cp1257", "Gėlė")),
        *(("cp1250", word) for word in ("Čaj", "Hrnček", "Růže", "Měsíc", "Hřeben", "Śruba", "Ładowarka", "ręka")),
        *(("cp1250", word) for word in ("Cipő", "Bőrönd", "Fésű", "Cămaşă")),
        *(("cp852", word) for word in ("Čaj", "Świeca", "Cipő")),
        *(("cp850", word) for word in ("Äpfel", "Ölkanne", "Übertopf", "Größe", "weiß", "Fußball", "Crème")),
        *(("mac_roman", word) for word in ("Äpfel", "Löffel", "Käse", "Straße", "Fenêtre")),
    ],
)
def test_one_word_that_is_not_western_is_asked(opened: Opened, encoding: str, word: str) -> None:
    coding = opened(f"sku;name;price\nU5;{word};3,00\n".encode(encoding)).coding
    assert coding
    assert word in coding.readings.values()


def test_what_is_not_western_anywhere_is_asked(opened: Opened) -> None:
    """0x81 is no letter of cp1252, and stands behind all that tells its encoding."""
    content = b"sku,name\n" + b"A,Caf\xe9\n" * 60_000 + b"B,M\x81tze\n"
    table = opened(content)
    assert table.coding
    assert table.coding.readings, "so it is asked about"
    assert len(cells(table)) == 60_002, "and can be read until somebody answers"


def test_japanese_of_old_mail_programs_is_found(opened: Opened) -> None:
    text = "sku,name\nA,東京タワー\n"
    table = opened(text.encode("iso2022_jp"))
    assert (cells(table)[1], bool(table.coding and table.coding.sample)) == (["A", "東京タワー"], True)


@pytest.mark.parametrize(
    "line", ["Café à la crème", "Größe – 5 €", "¿Qué? Niño, l’été «fin» 5 m²", "ÉTÉ, Œuf, Ærø, naïf", *_WESTERN]
)
def test_western_letters_are_no_guess(opened: Opened, line: str) -> None:
    coding = opened(f"sku,name\nA,{line}\n".encode("cp1252")).coding
    assert coding
    assert (coding.encoding, coding.readings) == ("cp1252", {})


def test_an_encoding_may_be_given(opened: Opened) -> None:
    assert cells(opened("sku,name\nA,œ\n".encode("iso8859_15"), encoding="iso8859_15"))[1] == ["A", "œ"]


def test_one_broken_letter_does_not_change_all_others(opened: Opened) -> None:
    content = b"sku,name\n" + "A,Café Größe Crème\n".encode() * 10 + b"B,Caf\xe9\n"
    table = opened(content)
    assert cells(table)[1] == ["A", "Café Größe Crème"]
    assert cells(table)[-1] == ["B", "Caf\ufffd"]


def test_a_file_that_is_not_wholly_in_the_encoding_says_so(opened: Opened) -> None:
    with pytest.raises(BadFile, match="The file is not wholly in utf-8. Say which"):
        cells(opened(b"sku,name\nA,Caf\xe9\n", encoding="utf-8"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(opened: Opened, delimiter: str) -> None:
    lines = [HEADER, ["A", "Nuts; bolts, and | more", "1"], ["B", "B", "2"]]
    content = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    assert cells(opened(content.encode())) == lines


def test_lines_that_are_quoted_as_a_whole(opened: Opened) -> None:
    lines = ['"sku;name;price"', '"A;""Lamp; """"red"""""";1"', '"B;Bulb;2"']
    assert cells(opened("\n".join(lines).encode())) == [HEADER, ["A", 'Lamp; "red"', "1"], ["B", "Bulb", "2"]]
    assert cells(opened(b'"sku"\n"a;b"\n')) == [["sku"], ["a;b"]]


def test_a_file_of_one_column_has_no_delimiter(opened: Opened) -> None:
    assert cells(opened(b"sku\nA\nB\n")) == [["sku"], ["A"], ["B"]]


def test_excel_may_say_the_delimiter(opened: Opened) -> None:
    table = opened(b"sep=;\nsku;name\nA;B,C\n")
    assert list(table.rows()) == [(2, ["sku", "name"]), (3, ["A", "B,C"])]


def test_spaces_beside_quotation_marks_are_no_text(opened: Opened) -> None:
    lines = [b'"sku" ,"name" ,"price" ', b'A, "Lamp, red", 5', b'"B" ,"Two ""inches""" , "6"\r']
    assert cells(opened(b"\n".join(lines))) == [HEADER, ["A", "Lamp, red", "5"], ["B", 'Two "inches"', "6"]]


def test_lines_are_counted_as_an_editor_does(opened: Opened) -> None:
    assert list(opened(b'sku,name\r\nA,"two\r\nlines"\r\n\r\nB,B\r\n').rows()) == [
        *((1, ["sku", "name"]), (2, ["A", "two\r\nlines"]), (4, []), (5, ["B", "B"])),
    ]


def test_quotation_marks_between_tabs_are_letters_unless_they_enclose(opened: Opened) -> None:
    assert cells(opened(b'sku\tname\nA\t"Best" of 5"\n'))[1] == ["A", '"Best" of 5"']
    assert cells(opened(b'sku\tname\nA\t"5"" wide"\n'))[1] == ["A", '5" wide']


def test_a_quotation_mark_that_is_never_closed(opened: Opened) -> None:
    content = b'sku,name\nA,"oops\n' + b"B,fine\n" * 60_000
    with pytest.raises(BadFile, match="Line 2: a cell has more than 200,000 characters. Is a quotation mark opened"):
        cells(opened(content))


@pytest.mark.parametrize(
    ("lines", "taken", "torn"),
    [
        (['A,"half', "B,b", "C,c"], [], (2, "of lines 2 to 4, of which nothing is taken,")),
        (['A,"half', "B,b", 'C,"c"', "D,d"], [(5, ["D", "d"])], (2, "of lines 2 to 4, of which nothing is taken,")),
        (['A,"27" wide"', "B,b"], [(3, ["B", "b"])], (2, "of this row")),
    ],
)
def test_rows_whose_quotation_marks_do_not_pair_are_named(
    opened: Opened, lines: list[str], taken: list[object], torn: tuple[int, str]
) -> None:
    line, about = torn
    sentence = f"The quotation marks {about} do not pair. Within a cell that has some around it, one is written twice."
    assert list(opened("\n".join(["sku,name", *lines, ""]).encode()).rows())[1:] == [(line, [sentence]), *taken]


@pytest.mark.parametrize("line", [b"a," * 1_100_000, b"x" * 2_100_000])
def test_a_line_without_end(opened: Opened, line: bytes) -> None:
    with pytest.raises(BadFile, match="Line 2 has more than 2,000,000 characters. Is this a table"):
        cells(opened(b"sku,name\n" + line))


def test_a_workbook_is_read_as_it_is_shown(opened: Opened) -> None:
    content = xlsx(
        ["sku", "n"], ["0017", 17], [1.5, 90.75], [True, None], ["x", 0.1 + 0.2], [12345678901234567890, -3.0]
    )
    assert cells(opened(content)) == [
        *(["sku", "n"], ["0017", "17"], ["1.5", "90.75"], ["TRUE"], ["x", "0.3"]),
        ["1.23456789012346e+19", "-3"],
    ]
    assert opened(content).total() == 6


def stored(*rows: bytes) -> bytes:
    """A workbook whose sheet has these rows, as XML."""
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx(["sku"]))) as made, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as book:
        for name in made.namelist():
            content = made.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = re.sub(rb"<sheetData>.*</sheetData>", b"<sheetData>%s</sheetData>" % b"".join(rows), content)
            book.writestr(name, content)
    return whole.getvalue()


HEAD = b'<row r="1"><c r="A1" t="inlineStr"><is><t>sku</t></is></c></row>'


def test_rows_that_a_sheet_leaves_out_are_not_made_up(opened: Opened) -> None:
    content = stored(HEAD, b'<row r="1048576"><c r="B1048576"><v>5</v></c></row>')
    assert list(opened(content).rows()) == [(1, ["sku"]), (1_048_576, ["", "5"])]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            b'<row r="99999999"><c r="A99999999"><v>5</v></c></row>',
            "has a row 99,999,999, and a sheet ends at 1,048,576",
        ),
        (b'<row r="2"><c r="XFD2"><v>5</v></c></row>', "Line 2 has more than 1,000 columns"),
        (b'<row r="2">' + b"<c/>" * 250_001 + b"</row>", "more cells than a sheet has columns"),
    ],
)
def test_what_no_sheet_can_have_is_not_read(opened: Opened, row: bytes, sentence: str) -> None:
    with pytest.raises(BadFile, match=sentence):
        cells(opened(stored(HEAD, row)))


def test_of_several_sheets_one_is_read(opened: Opened) -> None:
    content = xlsx(["sku"], ["A"], More=[["sku"], ["B"]])
    assert opened(content).sheets == ["Sheet", "More"]
    assert cells(opened(content, sheet="More")) == [["sku"], ["B"]]
    with pytest.raises(BadFile, match="There is no sheet 'Other' in this workbook. Its sheets: Sheet, More"):
        opened(content, sheet="Other")


def test_of_several_sheets_the_one_whose_columns_are_known_is_read(opened: Opened) -> None:
    content = xlsx(["Instructions"], Notes=[["sku"], ["?"]], Products=[["as of today"], HEADER, ["A", "B", 1]])
    assert opened(content).sheet == "Products"
    assert opened(xlsx(["a"], More=[["b"]])).sheet == "Sheet"


def packed(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"xl/workbook.xml": b"<workbook/>", **parts}.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"an old Excel workbook \(.xls\)"),
        (b"%PDF-1.7", "This is a PDF"),
        (b"\x1f\x8b\x08\x00", "This file is packed"),
        (b"\x89PNG\r\n\x1a\n", "This is a picture"),
        (b"<html><table><tr><td>sku</td></tr></table></html>", "This is a web page, XML or JSON"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><products/>', "This is a web page, XML or JSON"),
        (b'[{"sku": "A", "name": "B"}]', "This is a web page, XML or JSON"),
        (packed(**{"content.xml": b"<x/>"}).replace(b"xl/workbook.xml", b"xl/workbook.xm_"), "no Excel workbook"),
        (packed(), "no Excel workbook that can be read"),
        (b"PK\x03\x04 and nothing more", "no Excel workbook that can be read"),
        (packed(**{"xl/sharedStrings.xml": b"<!DOCTYPE lol [<!ENTITY a 'b'>]>"}), "defines entities"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(opened: Opened, content: bytes, sentence: str) -> None:
    with pytest.raises(BadFile, match=sentence) as refusal:
        opened(content)
    assert str(refusal.value).endswith(".")


def test_a_workbook_that_would_burst_is_not_unpacked(opened: Opened) -> None:
    with pytest.raises(BadFile, match=r"packed more tightly than tables are.*\.$"):
        opened(packed(**{"xl/worksheets/sheet1.xml": b" " * 70_000_000}))


def test_a_damaged_workbook(opened: Opened) -> None:
    whole = xlsx(["sku"], *([f"S{n}", "x" * 50, n] for n in range(3_000)))
    at = whole.index(b"xl/worksheets/sheet1.xml") + 2_000
    with pytest.raises(BadFile, match="damaged|no Excel workbook"):
        cells(opened(whole[:at] + b"\0" * 200 + whole[at + 200 :]))
