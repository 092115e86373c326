"""Tables of what was measured, in Markdown, and docs/performance.md with them.

``python -m bench.page FILE ...`` takes files that make bench and make bench-growth have written, and replaces what
stands between the page's markers; the prose around them is kept.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Spread, ratios, short
from bench.one_order import LAYERS

PAGE = Path(__file__).resolve().parent.parent / "docs/performance.md"
Results = Mapping[str, Any]
GROWS = 1.3  # a ratio that is above what noise explains
PART_NAMES = {"web": "web", "worker": "worker", "beat": "beat"}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns of figures are aligned to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def over(results: Results, *path: str) -> list[float]:
    """A figure of every round."""
    values = []
    for found in results["rounds"]:
        for name in path:
            found = found[name]
        values.append(float(found))
    return values


def spread(results: Results, *path: str) -> Spread:
    return Spread.of(over(results, *path))


# -- tables -----------------------------------------------------------------------------------------------------------
def run(results: Results) -> str:
    """What was measured, where and when."""
    foreign = [one["foreign"] for one in _stretches(results["rounds"])]
    peer = _stretches([one["peer"] for one in results["rounds"]])
    ours = _stretches([{**one, "peer": {}} for one in results["rounds"]])
    facts = {
        "measured": f"{results['when'][:10]}, commit {results['commit']}",
        "machine": ", ".join(results["machine"].values()),
        "versions": ", ".join(results["versions"]),
        "rounds": f"{results['plan']['rounds']}, of {results['plan']['seconds']} s for each number of clients",
        "others' load": f"{short(sum(foreign) / len(foreign))} cores on average, {short(max(foreign))} at most",
        "the disk keeps a commit in": f"{Spread.of([took for one in results['rounds'] for took in one['sync']])} ms",
        "the clients": f"{short(_clients_cpu(results))} CPU-ms for each order, on the same machine",
        "answers that were not expected": f"product {_others(ours)}, django-oscar {_others(peer)}",
        "audit": results["audit"],
    }
    return table(("", ""), facts.items()).replace("|--:|", "|---|")


def _clients_cpu(results: Results) -> float:
    return spread(results, "shop", "8", "load_cpu").median


def _stretches(found: Any) -> list[Mapping[str, Any]]:
    """Every stretch of load in what was found, at any depth."""
    if isinstance(found, Mapping):
        return [found] if "foreign" in found else _stretches(list(found.values()))
    return [stretch for inner in found for stretch in _stretches(inner)] if isinstance(found, list) else []


def _others(stretches: Iterable[Mapping[str, Any]]) -> str:
    return f"{sum(sum(one['others'].values()) for one in stretches):,}"


def orders(results: Results) -> str:
    """Orders a second and how long each takes, beside floor and peer, by number of clients."""
    rows = []
    for clients in results["rounds"][0]["shop"]:
        ours = over(results, "shop", clients, "rate")
        rows.append(
            (
                clients,
                Spread.of(ours),
                spread(results, "peer", clients, "rate"),
                spread(results, "floor", clients, "rate"),
                ratios(ours, over(results, "peer", clients, "rate")),
                ratios(over(results, "floor", clients, "rate"), ours),
                *(spread(results, "shop", clients, percent) for percent in ("p50", "p95", "p99")),
            )
        )
    head = ("clients", "orders/s", "django-oscar", "plain SQL", "× django-oscar", "plain SQL ×")
    return table((*head, "p50 ms", "p95 ms", "p99 ms"), rows)


def _clients(number: str) -> str:
    return "1 client" if number == "1" else f"{number} clients"


def waits(results: Results) -> str:
    """What peer and floor take for an order."""
    rows = [
        (f"{name}, {_clients(clients)}", *(spread(results, who, clients, percent) for percent in ("p50", "p95", "p99")))
        for who, name in (("peer", "django-oscar"), ("floor", "plain SQL"))
        for clients in results["rounds"][0][who]
    ]
    return table(("", "p50 ms", "p95 ms", "p99 ms"), rows)


def cpu(results: Results) -> str:
    """CPU-ms of an order by part."""
    first = results["rounds"][0]
    parts = list(first["shop"]["8"]["cpu"])
    rows: list[Sequence[object]] = []
    for who, name in (("shop", "the product"), ("peer", "django-oscar"), ("floor", "plain SQL")):
        for clients in first[who]:
            there = first[who][clients]["cpu"]
            if not there:  # on SQLite, plain SQL is written by the process that measures
                continue
            cells = [spread(results, who, clients, "cpu", part) if part in there else "" for part in parts]
            totals, ours = _totals(results, who, clients), _totals(results, "shop", clients)
            times = "1" if who == "shop" else ratios(totals, ours)
            mails = spread(results, who, clients, "mails") if "mails" in first[who][clients] else ""
            rows.append((f"{name}, {_clients(clients)}", *cells, Spread.of(totals), times, mails))
    return table(("CPU-ms an order", *parts, "total", "× the product", "mails"), rows)


def _totals(results: Results, *path: str) -> list[float]:
    """CPU-ms of all parts together, of every round."""
    rounds = []
    for found in results["rounds"]:
        for name in path:
            found = found[name]
        rounds.append(sum(found["cpu"].values()))
    return rounds


def _total(results: Results, *path: str) -> Spread:
    return Spread.of(_totals(results, *path))


def stock(results: Results) -> str:
    """One product that all want, what is sold out, and a real month, beside random products, at eight clients."""
    usual = over(results, "shop", "8", "rate")
    rows = [
        (name, spread(results, key, "rate"), ratios(over(results, key, "rate"), usual))
        + (spread(results, key, "p50"), spread(results, key, "p95"), _total(results, key))
        for key, name in (("hot", "one hot product"), ("refusals", "sold out: refusals"), ("month", "a real month"))
    ]
    random = ("random products", Spread.of(usual), "1", spread(results, "shop", "8", "p50"))
    rows.insert(0, (*random, spread(results, "shop", "8", "p95"), _total(results, "shop", "8")))
    lines = spread(results, "month", "lines_rate")
    each = Spread.of([one["month"]["lines"] / one["month"]["calls"] for one in results["rounds"]])
    note = f"The real month's orders have {each} lines on average: **{lines} lines a second**."
    return f"{table(('8 clients', 'a second', '× random', 'p50 ms', 'p95 ms', 'CPU-ms each'), rows)}\n\n{note}"


def reads(results: Results) -> str:
    rows = [
        (
            name,
            spread(results, "reads", name, "rate"),
            spread(results, "reads", name, "p50"),
            spread(results, "reads", name, "p95"),
            spread(results, "reads", name, "cpu", "web"),
            _total(results, "reads", name),
        )
        for name in results["rounds"][0]["reads"]
    ]
    head = ("8 clients, with a token", "a second", "p50 ms", "p95 ms", "CPU-ms web", "CPU-ms all")
    notes = [
        f"{name[0].upper()}{name[1:]}: {spread(results, 'reads', name, 'lines')} lines a page,"
        f" **{spread(results, 'reads', name, 'lines_rate')} lines a second**."
        for name, found in results["rounds"][0]["reads"].items()
        if "lines" in found
    ]
    return "\n\n".join([table(head, rows), *notes])


def resources(results: Results) -> str:
    """Memory of each process after the load, and what idleness costs."""
    rows: list[Sequence[object]] = [
        (part, ", ".join(short(each) for each in sizes[:4]) + (" …" if len(sizes) > 4 else ""), short(sum(sizes)))
        + (short(results["idle"][part]),)
        for part, sizes in results["memory"].items()
    ]
    own = [part for part in results["memory"] if part in PART_NAMES]
    for name, parts in (("web, worker, beat", own), ("everything", list(results["memory"]))):
        total = sum(sum(results["memory"][part]) for part in parts)
        idle = sum(results["idle"][part] for part in parts)
        rows.append((f"**{name}**", "", f"**{short(total)}**", f"**{short(idle)}**"))
    return table(("", "MB of each process", "MB in all", "idle: CPU-ms a second"), rows)


def statements(results: Results) -> str:
    """Statements and commits of one order's request, by context, and how often it waits for a database's answer."""
    found, ways = results["order"]["statements"], results["order"]["ways"]
    contexts = [context for context in found["1"] if any(found[lines][context]["statements"] for lines in found)]
    rows = []
    for lines, sums in found.items():
        order = f"{lines} {'line' if lines == '1' else 'lines'}"
        for what in ("statements", "commits"):
            counts = [sums[context][what] for context in contexts]
            rows.append((f"{order}: {what}", *counts, f"**{sum(counts)}**"))
        rows.append((f"{order}: waits for an answer", *[""] * len(contexts), f"**{ways[lines]}**"))
    return table(("", *contexts, "in all"), rows)


def parts(results: Results) -> str:
    """µs of processor time of one order by context and layer."""
    order = results["order"]
    found = order["parts"]
    layers = [layer for layer in LAYERS if any(layer in of for of in found.values())]
    rows: list[Sequence[object]] = [
        (context, *(short_of(of.get(layer, 0)) for layer in layers), short_of(sum(of.values())))
        for context, of in sorted(found.items(), key=lambda entry: -sum(entry[1].values()))
    ]
    sums = [sum(of.get(layer, 0) for of in found.values()) for layer in layers]
    rows.append(("**the request**", *(f"**{short_of(one)}**" for one in sums), f"**{short_of(sum(sums))}**"))
    servers = [
        (
            what,
            *(short_of(order[key][part]) for part in order[key]),
            short_of(sum(order[key].values())),
            short_of(order["calls"][key]),
        )
        for what, key in (("the request", "request"), ("its events and mails, afterwards", "after"))
    ]
    made_of = table(("µs of an order", *layers, "in all"), rows)
    return f"{made_of}\n\n{table(('µs of an order', *order['request'], 'in all', 'Python calls'), servers)}"


def short_of(microseconds: float) -> str:
    return f"{microseconds:,.0f}" if microseconds >= 0.5 else ""


def growth(found: Results) -> str:
    """What was measured on the small shop and on the large one, and what grew."""
    sizes = [
        f"{words}: {', '.join(f'{rows:,} {what}' for what, rows in size.items())}"
        for words, size in found["sizes"].items()
    ]
    filled = ", ".join(f"{name} in {short(seconds)} s" for name, seconds in found["filled"].items())
    lines = [f"{found['when'][:10]}, commit {found['commit']}, others' load {short(found['foreign'])} cores."]
    lines += [*sizes, f"Filled: {filled}.", *(f"{name}: {one}" for name, one in found["audit"].items())]
    rows, grown = [], []
    for what, sides in found["calls"].items():
        if refused := [one["refused"] for side in sides.values() for one in side if "refused" in one]:
            rows.append((f"`{what}`", refused[0][:60], "", "", "", "", ""))
            continue
        cells: list[object] = []
        grew = True
        for figure in ("cpu", "p50"):
            small, large = ([one[figure] for one in sides[name]] for name in ("small", "large"))
            ratio = ratios(large, small)
            cells += [Spread.of(small), Spread.of(large), ratio]
            grew = grew and ratio.median > GROWS
        rows.append((f"`{what}`", *cells))
        if grew:
            grown.append(f"`{what}`")
    head = ("", "CPU-ms small", "large", "ratio", "p50 ms small", "large", "ratio")
    chores = [(what, *_costs(sides["small"], sides["large"])) for what, sides in found["chores"].items()]
    sweep = [
        (
            f"{name}: {one['holds']:,} holds",
            short(one["wall"] / 1000),
            short(sum(one["cpu"].values()) / one["holds"] * 1000),
        )
        + (short(one["median_order_before"]), short(one["median_order"]), short(one["slowest_order"]))
        for name, one in found["sweep"].items()
    ]
    sweep_head = ("the sweep", "s", "CPU-ms for 1,000", "an order before, ms", "meanwhile, median", "slowest")
    return "\n\n".join(
        [
            "\n".join(f"- {line}" for line in lines),
            f"More than {GROWS} times the processor time and the wait: {', '.join(grown) or 'nothing'}.",
            table(head, rows),
            table(("one run of a task", "CPU-ms small", "large", "ratio", "ms small", "large", "ratio"), chores),
            table(sweep_head, sweep),
        ]
    )


def _costs(small: Sequence[Mapping[str, Any]], large: Sequence[Mapping[str, Any]]) -> Iterator[Spread]:
    for before, after in (
        ([sum(one["cpu"].values()) for one in side] for side in (small, large)),
        ([one["wall"] for one in side] for side in (small, large)),
    ):
        yield from (Spread.of(before), Spread.of(after), ratios(after, before))


SECTIONS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "run": ("The run", run),
    "orders": ("Placing orders", orders),
    "waits": ("What others take", waits),
    "cpu": ("What an order costs", cpu),
    "stock": ("One product, no product, a real month", stock),
    "reads": ("Reading", reads),
    "resources": ("Memory and idleness", resources),
    "statements": ("Statements and commits", statements),
    "parts": ("Where one order goes", parts),
}


def embedded(results: Results) -> str:
    """What differs most on SQLite files."""
    return "\n\n".join(make(results) for make in (run, orders, cpu, stock, reads, resources))


def tables(results: Results) -> str:
    return "\n\n".join(f"## {title}\n\n{make(results)}" for title, make in SECTIONS.values())


# -- the page ---------------------------------------------------------------------------------------------------------
def fill(text: str, blocks: Mapping[str, str]) -> str:
    """The text with these blocks between their markers. LookupError for a block without one."""
    for name, block in blocks.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, found = marked.subn(lambda match, block=block: f"{match[1]}\n{block}\n\n{match[2]}", text)
        if found != 1:
            raise LookupError(f"The page has the marker {name} {found} times.")
    return text


def main() -> int:
    blocks: dict[str, str] = {}
    for file in sys.argv[1:]:
        results = json.loads(Path(file).read_text())
        if "calls" in results:
            blocks["growth"] = growth(results)
        elif results["engine"] == "sqlite":
            blocks["sqlite"] = embedded(results)
        else:
            blocks |= {name: make(results) for name, (_, make) in SECTIONS.items()}
    PAGE.write_text(fill(PAGE.read_text(), blocks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
