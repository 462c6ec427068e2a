#!/usr/bin/env python3
"""Makes markdown of what clvm.py measured: report_clvm.py RESULT.json BINARY MACHINE"""

import json
import os
import sys

from tables import mebibytes, millis, monitor_targets, ratio, seconds, table
from tables import targets as print_targets

WHO = {
    "ours": "**ocf-san cLVM**", "devices": "ocf-san cLVM, `devices`", "floor": "`vgchange`", "activate": "LVM-activate", "lvm": "LVM",
}
ACTIONS = {
    "monitor": "monitor", "deep": "monitor, level 10", "probe": "probe, not running", "start": "start", "again": "start, already running",
    "stop": "stop", "validate-all": "validate-all",
}


def row(name, who, f):
    return (name, who, duration(f["wall"]), duration(f["cpu"]), str(f["processes"]), str(f["execs"]), str(f["calls"]), mebibytes(f["memory"]))


def duration(value):
    return millis(value) if value < 1 else seconds(value)


def times(figures, ours):
    return f"{duration(figures['wall'])} ({ratio(figures['wall'] / ours['wall'])})"


def counts(figures):
    return f"{figures['processes']}, {figures['execs']}, {figures['calls']}"


def figures(taken, who, action):
    return taken.get(who, {}).get(action)


def by_case(cases, actions, contestants):
    """Wall time of these actions in every case."""
    rows = []
    for case, taken in cases.items():
        for action in actions:
            ours = taken["ours"][action]
            others = [times(f, ours) if (f := figures(taken, who, action)) else "–" for who in contestants[1:]]
            rows.append((case, ACTIONS[action], f"**{duration(ours['wall'])}**", *others))
    table(("", "action", "ocf-san cLVM", *[WHO[who] for who in contestants[1:]]), rows)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    binary, machine = sys.argv[2:4]
    cases, versions = result["cases"], result["versions"]
    name, first = next(iter(cases.items()))
    runs = ", ".join(f"{WHO[who].replace('*', '')} {actions['start']['runs']}" for who, actions in first.items())
    print(f"Linux {result['kernel']}, {result['cpus']} processors, {machine}; lvm2 {versions['lvm2']}, LVM-activate and LVM of "
          f"resource-agents {versions['resource-agents']}. Median of the runs ({runs}), the contestants in turns. The floor is the one "
          "command that does it, `lvm vgchange -ay --devices PV VG` or `-an`: no check, no record. `devices`: the agent's parameter of "
          "that name says which disks LVM looks at.\n")
    print(f"Every action, {name}:\n")
    rows = [row("an empty Rust program", "", result["empty"])]
    for action, text in ACTIONS.items():
        rows += [row(text, WHO[who], first[who][action]) for who in WHO if figures(first, who, action)]
    table(("action", "", "wall", "CPU", "processes", "execs", "system calls", "peak memory"), rows)

    print("\nMonitors by what is there, wall time; in brackets how many times ours that is:\n")
    contestants = [who for who in WHO if who in first]
    by_case(cases, ("monitor", "deep"), [who for who in contestants if who not in ("floor", "devices")])
    print("\nAnd their processes, execs and system calls:\n")
    agents = [who for who in contestants if who not in ("floor", "devices")]
    rows = []
    for case, taken in cases.items():
        for action in ("monitor", "deep"):
            rows.append((case, ACTIONS[action], *[counts(f) if (f := figures(taken, who, action)) else "–" for who in agents]))
    table(("", "action", *[WHO[who] for who in agents]), rows)
    print("\nStart and stop, wall time; in brackets how many times ours that is:\n")
    by_case(cases, ("start", "stop"), contestants)
    print(f"\nThe binary, with all its agents: {os.path.getsize(binary) / (1 << 20):.2f} MiB, static.\n")
    print_targets(monitor_targets(first["ours"]["monitor"]))


main()
