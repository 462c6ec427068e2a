#!/usr/bin/env python3
"""Makes markdown of what lio.py measured: report_lio.py RESULT.json BINARY ACCELERATOR"""

import json
import os
import sys

from tables import mebibytes, ratio, seconds
from tables import targets as print_targets


def cell(figures, ours):
    return f"{seconds(figures['wall'])} ({ratio(figures['wall'] / ours['wall'])})"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    binary, accelerator = sys.argv[2:4]
    print(f"Linux {result['kernel']}, {result['cpus']} processors, {accelerator}; wall time, median of the runs, all contestants in "
          "turns in one guest. In brackets: how many times ours that is. The floor is one thread that does the same mkdir, symlink and "
          "write calls in a flat loop, and nothing else.\n")
    print("| LUNs × initiators | action | ocf-san | floor | targetctl | iSCSITarget + iSCSILogicalUnit | runs |")
    print("|---|---|---|---|---|---|---|")
    for size, taken in result["layouts"].items():
        for action in ("start", "stop"):
            ours = taken["ours"][action]
            cells = [cell(taken[who][action], ours) if who in taken else "–" for who in ("floor", "targetctl", "agents")]
            runs = ", ".join(f"{who}: {actions[action]['runs']}" for who, actions in taken.items())
            runs = runs if len({a[action]["runs"] for a in taken.values()}) > 1 else str(ours["runs"])
            print(f"| {size.replace('x', ' × ')} | {action} | **{seconds(ours['wall'])}** | {' | '.join(cells)} | {runs} |")
    print("\nPeak memory of the greatest process, and CPU time:\n")
    print("| LUNs × initiators | action | ocf-san | floor | targetctl |")
    print("|---|---|---|---|---|")
    for size, taken in result["layouts"].items():
        for action in ("start", "stop"):
            cells = [
                f"{mebibytes(taken[who][action]['memory'])}, {seconds(taken[who][action]['cpu'])}" if who in taken else "–"
                for who in ("ours", "floor", "targetctl")
            ]
            print(f"| {size.replace('x', ' × ')} | {action} | {' | '.join(cells)} |")
    print(f"\nMonitor, check level 0, {next(iter(result['layouts'])).replace('x', ' × ')}:\n")
    print("| | wall | CPU | processes | execs | system calls | peak memory |")
    print("|---|---|---|---|---|---|---|")
    names = {
        "empty": "an empty Rust program", "ours": "**ocf-san LIO**, hang check included", "shell": "shell agent that reads `enable`",
        "agents": "iSCSITarget and its iSCSILogicalUnits, together",
    }
    for who, name in names.items():
        if who in result["monitor"]:
            m = result["monitor"][who]
            print(f"| {name} | {m['wall'] * 1e3:.1f} ms | {m['cpu'] * 1e3:.1f} ms | {m['processes']} | {m['execs']} | {m['calls']} | "
                  f"{mebibytes(m['memory'])} |")
    print(f"\nThe binary: {os.path.getsize(binary) / (1 << 20):.2f} MiB, static.\n")
    print_targets(targets(result, os.path.getsize(binary)))


def targets(result, size):
    """What was promised, what came out, whether that is enough."""
    rows = []
    for name, taken in result["layouts"].items():
        luns, acls = map(int, name.split("x"))
        label = f"{luns} × {acls}"
        for action in ("start", "stop"):
            ours = taken["ours"][action]
            if luns * acls >= 1000 and "floor" in taken:
                value = ours["wall"] / taken["floor"][action]["wall"]
                rows.append((f"{label} {action} within 1.3 × the floor", ratio(value), value <= 1.3))
            rows.append((f"{label} {action} in 5 MiB", mebibytes(ours["memory"]), ours["memory"] <= 5 << 10))
        if name == "64x16" and "targetctl" in taken:
            value = taken["targetctl"]["start"]["wall"] / taken["ours"]["start"]["wall"]
            rows.append((f"{label} start 10 × faster than targetctl", ratio(value), value >= 10))
    ours, empty = result["monitor"]["ours"], result["monitor"]["empty"]
    rows.append(("monitor: 2 processes, no exec", f"{ours['processes']}, {ours['execs']}", ours["processes"] <= 2 and not ours["execs"]))
    rows.append(("monitor: 300 system calls", str(ours["calls"]), ours["calls"] <= 300))
    value = ours["cpu"] / empty["cpu"]
    rows.append(("monitor: CPU within 3 × an empty program", ratio(value), value <= 3))
    rows.append(("binary below 4 MiB", f"{size / (1 << 20):.2f} MiB", size < 4 << 20))
    return rows


main()
