#!/usr/bin/env python3
"""Makes markdown of what drbd.py measured: report_drbd.py RESULT.json BINARY MACHINE"""

import json
import os
import sys

from tables import mebibytes, millis, monitor_targets, ratio, seconds, table
from tables import targets as print_targets

WHO = {"ours": "**ocf-san DRBD-helper**", "floor": "`drbdadm`", "linbit": "linbit:drbd"}
ACTIONS = {
    "monitor": "monitor", "monitor promoted": "monitor, promoted", "probe": "probe, not running", "start": "start", "promote": "promote",
    "demote": "demote", "stop": "stop", "notify": "notify", "validate-all": "validate-all",
}
CPU = 30  # so many times less for a monitor


def duration(value):
    return millis(value) if value < 1 else seconds(value)


def row(name, who, f):
    counted = [str(f[key]) if key in f else "–" for key in ("processes", "execs", "calls")]
    return (name, who, duration(f["wall"]), duration(f["cpu"]), *counted, mebibytes(f["memory"]))


def targets(first):
    ours, peer = first["ours"]["monitor"], first.get("linbit", {}).get("monitor")
    rows = monitor_targets(ours)
    if peer:
        times = peer["cpu"] / ours["cpu"]
        rows.append((f"monitor: at least {CPU} times less CPU than linbit:drbd", ratio(times), times >= CPU))
    return rows


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    binary, machine = sys.argv[2:4]
    cases = result["cases"]
    first = next(iter(cases.values()))
    runs = ", ".join(f"{WHO[who].replace('*', '')} {actions['start']['runs']}" for who, actions in first.items())
    print(f"Linux {result['kernel']}, {result['cpus']} processors, {machine}; DRBD {result['module']}, drbd-utils {result['utils']}. Median "
          f"of the runs ({runs}), the contestants in turns. The floor is the one `drbdadm up`, `primary`, `secondary` or `down` that does "
          "it. Pacemaker does not run: what an agent calls of it is a script that does nothing.\n")
    for case, taken in cases.items():
        print(f"{case}:\n")
        rows = [row("an empty Rust program", "", result["empty"])] if taken is first else []
        for action, text in ACTIONS.items():
            rows += [row(text, WHO[who], taken[who][action]) for who in WHO if action in taken.get(who, {})]
        table(("action", "", "wall", "CPU", "processes", "execs", "system calls", "peak memory"), rows)
        print()
    print("How many times the wall and the CPU time of ours linbit:drbd takes:\n")
    rows = []
    for case, taken in cases.items():
        for action, text in ACTIONS.items():
            ours, peer = taken["ours"].get(action), taken.get("linbit", {}).get(action)
            if ours and peer:
                rows.append((case, text, ratio(peer["wall"] / ours["wall"]), ratio(peer["cpu"] / ours["cpu"])))
    table(("", "action", "wall", "CPU"), rows)
    print(f"\nThe binary, with all its agents: {os.path.getsize(binary) / (1 << 20):.2f} MiB, static.\n")
    for case, taken in cases.items():
        print(f"{case}:\n")
        print_targets(targets(taken))
        print()


main()
