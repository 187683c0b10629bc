"""What the parts' numbers are held to: one table. Standard library alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments import goals
from experiments.accelerator import parts as plan

HEADERS = ("part", "what", "got", "target", "")
DEVIATION = 1e-4  # of losses and gradients from the CPU's
MEMBERS, COST = 64, 4.0  # so many members cost at most so much of one


def rows(parts: Mapping[str, Mapping[str, Any]], tiny: bool) -> list[list[str]]:
    """A line per number, with "ok" or "MISS" where it has a target.

    A ``tiny`` suite has smaller workloads by the same names: it is held to nothing.
    """
    table = []
    for name, part in ((p.name, parts[p.name]) for p in plan.PARTS if p.name in parts):
        lines = _LINES.get(name, lambda rows: ())(part["rows"])
        if tiny and name == "suite":
            words = {"ok": "(tiny)", "MISS": "(tiny)"}
            lines = [(*line[:3], words.get(line[3], line[3])) for line in lines]
        table += [[name, *line] for line in lines]
        if part["status"] not in ("done", "running"):
            why = part.get("why", "").strip().splitlines() or [""]
            table.append([name, "–", "–", "", f"{part['status']}: {why[-1][:120]}"])
    return table


def text(report: Mapping[str, Any]) -> str:
    """The table in plain text."""
    lines = [HEADERS, *rows(report["parts"], report["tiny"])]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADERS))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _line(what: str, got: float | None, bound: str = "", good: bool | None = None):
    number = "–" if got is None else f"{got:.3g}"
    verdict = "" if good is None else "ok" if good else "MISS"
    return what, number, bound, verdict if got is not None else "not measured"


def _gradients(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for kind in ("float32", "tf32"):
        some = [r for r in rows if r["precision"] == kind]
        if not some:
            continue
        largest = {
            n: max(r[f"{n}_deviation"] for r in some) for n in ("loss", "gradient")
        }
        for what, value in largest.items():
            target = (
                (f"≤ {DEVIATION:g}", value <= DEVIATION) if kind == "float32" else ()
            )
            yield _line(
                f"{what} from the CPU's, {kind}, most of {len(some)}", value, *target
            )


def _members(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for r in sorted(rows, key=lambda r: (r["model"], r["members"])):
        what, got = f"{r['model']}: {r['members']} members, × one", r["times_one"]
        target = r["members"] == MEMBERS
        yield _line(what, got, *((f"≤ {COST:g}", got <= COST) if target else ()))


def _suite(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    timed = [r for r in rows if "system" in r]
    for workload, what, got, bound, verdict in goals.table(timed, "accelerator")[1]:
        yield f"{workload}: {what}", got, bound, verdict
    for r in rows:
        if "missing" in r:
            yield r["missing"], "–", "", r["why"].splitlines()[0][:120]


def _profile(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for r in rows:
        share = r["product_share"]
        yield _line(f"{r['members']} members: kernel time in matrix products", share)
        busy = r["kernel_s"] / r["span_s"] if r["span_s"] else None
        yield _line("kernel time over the time they span", busy)


def _precision(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for r in rows[1:]:
        yield _line(f"{r['precision']}: steps/s, × float32", r["times_float32"])
        yield _line(f"{r['precision']}: test loss, nats apart", r["test_loss_apart"])


def _convolution(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for r in rows:
        if r["way"] == "patches":
            what = f"{r['members']} members: patches' steps/s, × lax.conv"
            yield _line(what, r["times_lax"])


def _memory(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for r in rows:
        if "workload" not in r:
            yield r.get("missing", "–"), "–", "", r["why"].splitlines()[0][:120]
            continue
        of = f", of {r['limit_mb']:,.0f} MB" if "limit_mb" in r else ""
        what = f"{r['workload']}{of}: {r['batches']} × {r['vmap']} members"
        yield _line(f"{what}, memory / estimate", r.get("memory_of_estimate"))


def _resume(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple]:
    for r in rows:
        equal = r["rows_equal"] and r["parameters_equal"]
        target = (
            ("equal", "ok" if equal else "MISS") if r["run"] == "resumed" else ("",) * 2
        )
        got = "equal" if equal else f"{r['deviation']:.3g} apart"
        yield f"{r['run']}: rows and parameters", got, *target


_LINES = {
    "gradients": _gradients,
    "members": _members,
    "suite": _suite,
    "profile": _profile,
    "precision": _precision,
    "convolution": _convolution,
    "memory": _memory,
    "resume": _resume,
}
