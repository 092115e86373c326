"""What all processes of a service counted, added up and written as Prometheus reads it.

prometheus_client does that too, but takes each process's every key apart at each scrape and writes each line anew. Here
it writes a line once, and later ones get a new number. Whatever is counted may be added up: counters, histograms, and
gauges of the mode ``livesum``.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_KINDS = {"counter": "counter", "histogram": "histogram", "gauge_livesum": "gauge"}  # by how their files' names begin


def written(families: Iterable[Metric]) -> bytes:
    return generate_latest(_Families(families))


class _Families(Collector):
    """What is known already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families


def added_up(folder: Path) -> bytes:
    """What the processes counted in the files of this folder."""
    return "".join(_lines(folder)).encode()


def _lines(folder: Path) -> Iterator[str]:
    for files, kind in _KINDS.items():
        sums = _sums(folder.glob(f"{files}_*.db"))
        samples = sorted(((_sample(kind, key), value) for key, value in sums.items()), key=lambda one: one[0].place)
        head, below = "", 0.0
        for sample, value in samples:
            if sample.head != head:
                yield (head := sample.head)
            if sample.is_bucket:
                below = value = below + value
            number = floatToGoString(value)  # type: ignore[no-untyped-call]
            yield f"{sample.line}{number}\n"
            if sample.count:
                yield f"{sample.count}{number}\n"
                below = 0.0


def _sums(files: Iterable[Path]) -> dict[str, float]:
    """By prometheus_client's key, of which each process has the same."""
    sums: dict[str, float] = defaultdict(float)
    for file in files:
        try:
            values = MmapedDict.read_all_values_from_file(file)  # type: ignore[no-untyped-call]
        except FileNotFoundError:  # a process has ended, and its connections are forgotten
            continue
        for key, value, *_ in values:
            sums[key] += value
    return sums


@dataclass(frozen=True, slots=True)
class _Sample:
    """``line`` is all but its number. A bucket counts what is below its end; of the last one, ``count`` begins the line
    that says how many there are."""

    place: tuple[str, float, str]
    head: str
    line: str
    is_bucket: bool
    count: str


@cache
def _sample(kind: str, key: str) -> _Sample:
    family, name, labels, documentation = json.loads(key)
    series = {label: value for label, value in labels.items() if label != "le"}
    end = labels.get("le")
    metric = Metric(family, documentation, kind)
    metric.add_sample(name, labels, 0)
    if end == "+Inf":
        metric.add_sample(f"{family}_count", series, 0)
    about, called, line, *count = written([metric]).decode().splitlines(keepends=True)
    return _Sample(
        place=(f"{family} {sorted(series.items())}", float(end or math.inf), name),
        head=about + called,
        line=line.removesuffix("0.0\n"),
        is_bucket=end is not None,
        count="".join(count).removesuffix("0.0\n"),
    )
