"""What the benchmark's numbers look like: tables, a figure, where they are from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aejax import config

Rows = Sequence[Mapping[str, Any]]

HEADERS = (
    "workload", "system", "images/s", "steps/s", "lowest … highest",
    "of gemm", "compile s", "memory MB",
)  # fmt: skip


def _number(row: Mapping[str, Any], name: str, form: str = ",.0f") -> str:
    """A field, or a dash where it was not measured."""
    return f"{row[name]:{form}}" if row.get(name) else "–"


def cells(rows: Rows) -> list[list[str]]:
    """Of ``HEADERS``, a line per workload and system."""
    lines = []
    for row in rows:
        ends = f"{row['low']:,.4g} … {row['high']:,.4g}"
        lines.append(
            [
                row["workload"],
                row["system"],
                _number(row, "images_per_s"),
                _number(row, "steps_per_s", ",.4g")
                if "seconds" not in row
                else f"{row['seconds']:.1f} s",
                ends,
                _number(row, "gemm_fraction", ".2f"),
                _number(row, "compile_s", ".1f"),
                _number(row, "memory_mb"),
            ]
        )
    return lines


def by_workload(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """A row per workload, a column per system: images a second."""
    timed = [r for r in rows if r["system"] != "gemm" and "seconds" not in r]
    systems = list(dict.fromkeys(r["system"] for r in timed))
    ranges = ["aejax, lowest … highest", "torch, lowest … highest"]
    headers = ["images/s", *systems, *ranges, "aejax of gemm", "aejax compile s"]
    lines = []
    for name in dict.fromkeys(r["workload"] for r in timed):
        by = {r["system"]: r for r in timed if r["workload"] == name}
        if "aejax" not in by:
            continue
        ours = by["aejax"]
        size = ours["images_per_s"] / ours["steps_per_s"]
        ends = [
            f"{r['low'] * size:,.0f} … {r['high'] * size:,.0f}" if r else "–"
            for r in (ours, by.get("torch"))
        ]
        speeds = [_number(by.get(s, {}), "images_per_s") for s in systems]
        of_gemm = _number(ours, "gemm_fraction", ".2f")
        lines.append([name, *speeds, *ends, of_gemm, _number(ours, "compile_s", ".1f")])
    return headers, lines


def where(report: Mapping[str, Any]) -> str:
    """Device, versions and date."""
    versions = ", ".join(f"{n} {v}" for n, v in report["versions"].items())
    others = {r["system"]: r["version"] for r in report["rows"] if "version" in r}
    others = {n: v for n, v in others.items() if n in ("torch", "pythae")}
    more = "".join(f", {n} {v}" for n, v in others.items())
    return (
        f"{report['device']}, {report['cores']} cores ({report['machine']}), Python "
        f"{report['python']}, {versions}{more}; {report['date']}"
    )


def figure(rows: Rows) -> str:
    """SVG of steps per second, and of memory, against the number of members."""
    from aejax.report import canvas, table

    timed = [r for r in rows if r["system"] == "aejax"]
    ours = {
        r["members"]: r for r in timed if re.fullmatch(r"members_\d+", r["workload"])
    }
    if not ours:
        raise config.InputError("the file has no workload members_N to draw")
    torch = [
        r["steps_per_s"]
        for r in rows
        if (r["workload"], r["system"]) == ("digits_vae_members", "torch")
    ]
    memory = {n: r["memory_mb"] for n, r in ours.items() if "memory_mb" in r}
    guess = {n: m / ours[n]["memory_of_estimate"] for n, m in memory.items()}
    blue, red = table.PALETTE[:2]
    with canvas.style():
        fig, (left, right) = canvas.abreast(2.9, 2)
        curves = [("aejax", blue, [(n, r["steps_per_s"]) for n, r in ours.items()])]
        if torch:
            curves.append(("PyTorch", red, [(n, torch[0]) for n in ours]))
        left.set_ylim(0, 1.08 * max(y for *_, points in curves for _, y in points))
        canvas.lines(left, curves, log_x=True)
        left.set(title="Steps per second, all members together", xlabel="members")
        curves = [("measured", blue, list(memory.items()))] * bool(memory)
        curves += [("estimated", canvas.MUTED, list(guess.items()))] * bool(memory)
        right.set_ylim(0, 1.08 * max([1.0, *memory.values(), *guess.values()]))
        canvas.lines(right, curves, log_x=True)
        right.set(title="Memory beyond the idle program, MB", xlabel="members")
        return canvas.svg(fig)
