"""What the packing desk prints, as PDF: packing slips, a pick list, labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from io import BytesIO
from itertools import groupby
from xml.sax.saxutils import escape

from font_manrope import Manrope, ManropeBold
from reportlab.graphics.barcode.code128 import Code128
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, KeepInFrame, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from config.desk.asking import address
from config.desk.packing import Parcel
from contexts.shipping.public.contracts import Shipment

LABEL = (100 * mm, 150 * mm)
_MARGIN = 5 * mm
_MISSING = "?"  # for a letter that no font has
_CJK = (
    ("HYSMyeongJo-Medium", "\uac00", "\ud7a3"),
    ("HeiseiKakuGo-W5", "\u3040", "\u30ff"),
    ("STSong-Light", "\u3000", "\uffef"),
)


def slips(parcels: Iterable[Parcel]) -> bytes:
    """A page or more for each parcel: what is in it and where it goes."""
    return _document("Packing slips", A4, _pages(slip, parcels), margin=15 * mm)


def labels(parcels: Iterable[Parcel]) -> bytes:
    """A page of 100 by 150 mm for each parcel: where it goes, and its tracking number as barcode and QR code."""
    return _document("Labels", LABEL, _pages(_label, parcels), margin=_MARGIN)


def _label(parcel: Parcel) -> list[Flowable]:
    """One page, however long the address is."""
    room = [side - 2 * _MARGIN - 12 for side in LABEL]  # a frame has 6 points of its own on each side
    return [KeepInFrame(*room, label(parcel), mode="shrink")]


def pick_list(parcels: Iterable[Parcel]) -> bytes:
    """One list of all units to fetch, by SKU, each with the parcels that it is for."""
    return _document("Pick list", A4, pick_page(parcels), margin=15 * mm)


PAPERS: dict[str, Callable[[Iterable[Parcel]], bytes]] = {"slips": slips, "labels": labels, "pick": pick_list}


# -- pages ------------------------------------------------------------------------------------------------------------


def slip(parcel: Parcel) -> list[Flowable]:
    shipment = parcel.shipment
    head = Table(
        [[[_line("Packing slip", size=18, bold=True), *_facts(shipment)], _qr(shipment.order_id, 30 * mm)]],
        colWidths=[145 * mm, 35 * mm],
    )
    rows = [(item.sku, item.name, str(item.units)) for item in parcel.items or ()]
    return [
        head,
        Spacer(0, 4 * mm),
        *_address(shipment, size=12),
        Spacer(0, 6 * mm),
        _table(("SKU", "Name", "Units"), rows, widths=(45, 110, 25)),
        Spacer(0, 6 * mm),
        *_barcode(shipment.tracking_no, 180 * mm),
    ]


def label(parcel: Parcel) -> list[Flowable]:
    shipment = parcel.shipment
    width = LABEL[0] - 2 * _MARGIN - 12
    return [
        _line(f"{shipment.carrier}, from {shipment.warehouse or 'us'}", size=10),
        Spacer(0, 4 * mm),
        *_address(shipment, size=14),
        Spacer(0, 6 * mm),
        *_barcode(shipment.tracking_no, width),
        Spacer(0, 3 * mm),
        _qr(shipment.tracking_no, 30 * mm),
        _line(f"{shipment.order_id}, shipment {shipment.shipment_id}", size=8),
    ]


def pick_page(parcels: Iterable[Parcel]) -> list[Flowable]:
    units: dict[tuple[str, str], int] = defaultdict(int)
    where: dict[tuple[str, str], list[str]] = defaultdict(list)
    parcels = list(parcels)
    for parcel in parcels:
        for item in parcel.items or ():
            units[item.sku, item.name] += item.units
            where[item.sku, item.name].append(f"{item.units} for {parcel.shipment.shipment_id}")
    rows = [(sku, name, str(units[sku, name]), ", ".join(where[sku, name])) for sku, name in sorted(units)]
    return [
        _line(f"Pick list for {len(parcels)} shipments", size=18, bold=True),
        Spacer(0, 4 * mm),
        _table(("SKU", "Name", "Units", "Shipments"), rows, widths=(40, 70, 18, 52)),
    ]


def _facts(shipment: Shipment) -> list[Flowable]:
    said = [
        f"Order {shipment.order_id}",
        f"Shipment {shipment.shipment_id} from {shipment.warehouse or 'us'}, {shipment.created_at:%Y-%m-%d}",
        f"{shipment.carrier}, {shipment.tracking_no}",
    ]
    return [_line(one, size=10) for one in said]


def _address(shipment: Shipment, *, size: int) -> list[Flowable]:
    to = shipment.ship_to
    return [_line(part, size=size, bold=part == to.name) for part in address(to)]


# -- parts ------------------------------------------------------------------------------------------------------------


def _pages(page: Callable[[Parcel], list[Flowable]], parcels: Iterable[Parcel]) -> Iterator[Flowable]:
    for index, parcel in enumerate(parcels):
        if index:
            yield PageBreak()
        yield from page(parcel)


def _document(title: str, size: tuple[float, float], story: Iterable[Flowable], *, margin: float) -> bytes:
    _fonts()
    file = BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), margin)
    SimpleDocTemplate(file, pagesize=size, title=title, **margins).build(list(story))
    return file.getvalue()


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, widths: tuple[int, ...]) -> Table:
    cells = [
        [_line(head, size=9, bold=True) for head in heads],
        *([_line(cell, size=10) for cell in row] for row in rows),
    ]
    style = TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.4, "#999999"), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return Table(cells, colWidths=[width * mm for width in widths], style=style, repeatRows=1, hAlign="LEFT")


def _line(text: str, *, size: int, bold: bool = False) -> Paragraph:
    _fonts()
    style = ParagraphStyle("line", fontName="Manrope", fontSize=size, leading=size * 1.25, splitLongWords=True)
    return Paragraph(_in_fonts(text, bold=bold), style)


def _qr(text: str, size: float) -> Drawing:
    drawing = Drawing(size, size, hAlign="LEFT")
    drawing.add(QrCodeWidget(text, barWidth=size, barHeight=size))
    return drawing


def _barcode(text: str, width: float) -> list[Flowable]:
    """Code 128 as wide as there is room, and the text under it. It knows ASCII only; the QR code knows all."""
    if not text.isascii():
        return [_line(text, size=10)]
    modules = 11 * len(text) + 35 + 20  # start, checksum and stop; quiet zones
    bars = Code128(text, barWidth=min(0.45 * mm, width / modules), barHeight=18 * mm, quiet=True)
    return [bars, _line(text, size=10)]


# -- fonts ------------------------------------------------------------------------------------------------------------


@cache
def _fonts() -> TTFont:
    regular = TTFont("Manrope", Manrope)
    registerFont(regular)
    registerFont(TTFont("Manrope-Bold", ManropeBold))
    for name, _, _ in _CJK:
        registerFont(UnicodeCIDFont(name))
    return regular


def _in_fonts(text: str, *, bold: bool) -> str:
    """The text as markup, each stretch in a font that has its letters. Those of East Asia are the reader's own."""
    known = _fonts().face.charToGlyph
    latin = "Manrope-Bold" if bold else "Manrope"

    def font(letter: str) -> str:
        if ord(letter) in known:
            return latin
        return next((name for name, first, last in _CJK if first <= letter <= last), "")

    def stretch(name: str, letters: Iterable[str]) -> str:
        said = "".join(letters)
        return f'<font name="{name or latin}">{escape(said) if name else _MISSING * len(said)}</font>'

    return "".join(stretch(name, letters) for name, letters in groupby(text, key=font))
