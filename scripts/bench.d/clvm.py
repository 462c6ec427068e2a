#!/usr/bin/env python3
"""cLVM, in the guest: measures all contestants in turns and prints the figures as one JSON object. Progress goes to stderr."""

import argparse
import glob
import json
import os
import platform
import subprocess
import sys

import devices
from measure import HERE, OCF, PATH, Call, Taken, environment, median, say, version

VG, PV = "vgbench", "/dev/vdb"
EXTENT = 4  # MiB, and the size of an LV
# Nobody but the contestants activates anything; and a system id is what LVM-activate works with where no lock manager runs.
LVM_CONF = 'global { system_id_source = "uname"\n event_activation = 0 }\n'
CONF_FILE = "/etc/lvm/lvmlocal.conf"
RUNNING, STOPPED = 0, 7
DEEP = 10
READING = ("probe", "monitor", "deep", "validate-all")  # actions that change nothing
SLOW = ("activate", "lvm")
MANY = 100  # LVs; to make so many devices known to udev takes more than a minute without KVM

# LVs of the volume group, and how many mapped devices the machine has when it is active. Whichever comes first is measured in every action.
CASES = {
    "1 LV": (1, 1),
    "4 LVs": (4, 4),
    "100 LVs": (100, 100),
    "1 LV of 100 devices": (1, 100),
    "1 LV of 1,000 devices": (1, 1000),
}


class Agent:
    """One of the resource agents."""

    def __init__(self, path, many, is_first, has_deep=True, **params):
        self.path, self.many, self.params = path, many, params
        every = ("probe", "start", "monitor", "deep", "again", "validate-all", "stop")
        self.actions = [a for a in every if (is_first or a in ("start", "monitor", "deep", "stop")) and (has_deep or a != "deep")]

    def call(self, action):
        name = {"probe": "monitor", "deep": "monitor", "again": "start"}.get(action, action)
        agent = os.path.basename(self.path)
        params = dict(self.params)
        if action in ("monitor", "deep"):
            params["CRM_meta_interval"] = 10000
        env = environment(f"p_{'_'.join([agent.lower(), *self.params])}", agent, CRM_meta_name=name, **params)
        level = {"OCF_CHECK_LEVEL": str(DEEP)} if action == "deep" else {}
        return Call([self.path, name], env | level, STOPPED if action == "probe" else RUNNING)


class Floor:
    """The one LVM command that does it, told where to look."""

    actions = ("start", "stop")
    many = 1

    def call(self, action):
        return Call(["lvm", "vgchange", "-qq", "-ay" if action == "start" else "-an", "--devices", PV, VG])


def lvm(*args, lines=None):
    run = subprocess.run(["lvm", *args], input=lines, stdin=None if lines else subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        sys.exit(f"{run.stdout}bench: lvm {' '.join(args)}: {run.returncode}")


def active():
    """How many LVs of the volume group are mapped."""
    count = 0
    for file in glob.glob("/sys/block/dm-*/dm/name"):
        with open(file, encoding="ascii") as name:
            count += name.read().startswith(f"{VG}-")
    return count


def carve(have, wanted):
    """So many LVs, none of them active. One process makes them all, for without KVM each takes a second."""
    if wanted < have:
        lines = [f"lvremove -qq -y {VG}/lv{n:03}" for n in range(wanted, have)]
    else:
        lines = [f"lvcreate -qq -an -Wn -Zn -l 1 -n lv{n:03} {VG}" for n in range(have, wanted)]
    if lines:
        lvm(lines="\n".join(lines) + "\n")


def others(number):
    """The devices that are not of the volume group: every second one is an LV of another one."""
    foreign = "f" * 32
    return [(f"vgother-lv{n:04}", f"LVM-{foreign}{n:032}") if n % 2 else (f"bench{n:04}", "") for n in range(number)]


def remove_others(but):
    every = others(max(mapped for _, mapped in CASES.values()))
    devices.remove({name for name, _ in every[but:]} & set(devices.names()))


def once(taken, who, contestant, lvs, traced):
    """All actions of one contestant, in an order that leaves nothing behind. Nothing is measured that did not do its work."""
    for action in contestant.actions:
        call = contestant.call(action)
        taken.note(who, action, call.measure(contestant.many if action in READING else 1))
        if action in traced:
            taken.note_trace(who, action, call.trace())
        if action in ("start", "stop") and active() != (lvs if action == "start" else 0):
            sys.exit(f"bench: after {action} of {who}: {active()} of {lvs} LVs are active")


def contestants(options, is_first):
    heartbeat = f"{OCF}/resource.d/heartbeat"
    wanted = options.only.split(",") if options.only else ("ours", "devices", "floor", "activate", "lvm")
    every = {
        "ours": Agent(options.ours, 20, is_first, vgname=VG),
        "devices": Agent(options.ours, 20, is_first, vgname=VG, devices=PV),
        "floor": Floor(),
        "activate": Agent(f"{heartbeat}/LVM-activate", 2, is_first, vgname=VG, vg_access_mode="system_id"),
        "lvm": Agent(f"{heartbeat}/LVM", 2, is_first, has_deep=False, volgrpname=VG),
    }
    return {who: contestant for who, contestant in every.items() if who in wanted}


def measure(case, options, is_first, empty):
    lvs, mapped = CASES[case]
    devices.make(others(mapped - lvs))
    say(f"{case}: {lvs} LVs, {mapped - lvs} other devices")
    taken = Taken(case)
    group = contestants(options, is_first)
    empties = []
    for run in range(options.runs):
        empties.append(empty.measure(50))
        for who, contestant in group.items():
            if run < options.slow_runs or not (who in SLOW or lvs >= MANY):
                once(taken, who, contestant, lvs, READING if run == 0 else ())
    # A start of the shell agents below strace takes minutes, so starts and stops are traced in one case only.
    if is_first:
        for who, contestant in group.items():
            taken.trace(who, contestant, [action for action in contestant.actions if action not in READING])
    return taken.result(), empties


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", default=f"{OCF}/resource.d/san/cLVM")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--slow-runs", type=int, default=1, help="of the shell agents, and of everything with 100 LVs")
    parser.add_argument("--cases", default=";".join(CASES), help="separated by semicolons")
    parser.add_argument("--only", default="", help="contestants, separated by commas")
    options = parser.parse_args()
    os.environ["PATH"] = PATH
    cases = [name.strip() for name in options.cases.split(";")]
    if unknown := [name for name in cases if name not in CASES]:
        sys.exit(f"bench: no case is called {unknown[0]!r}; there are: {'; '.join(CASES)}")

    versions = {package: version(package) for package in ("resource-agents", "lvm2")}
    result = {"kernel": platform.release(), "cpus": os.cpu_count(), "versions": versions, "cases": {}}
    with open(CONF_FILE, encoding="utf-8") as file:
        before = file.read()
    empty, empties, have = Call([f"{HERE}/empty"]), [], 0
    try:
        with open(CONF_FILE, "w", encoding="utf-8") as file:
            file.write(LVM_CONF)
        lvm("vgcreate", "-qq", "-s", f"{EXTENT}M", VG, PV)
        lvm("vgchange", "-qq", "--setautoactivation", "n", VG)
        for case in cases:
            carve(have, CASES[case][0])
            have = CASES[case][0]
            remove_others(CASES[case][1] - have)  # an earlier case may have had more
            result["cases"][case], took = measure(case, options, not result["cases"], empty)
            empties += took
        result["empty"] = median(empties) | empty.trace()
    finally:
        subprocess.run(["lvm", "vgremove", "-qq", "-ff", "-y", VG], check=False, stdin=subprocess.DEVNULL)
        subprocess.run(["lvm", "pvremove", "-qq", "-y", PV], check=False, stdin=subprocess.DEVNULL)
        remove_others(0)
        with open(CONF_FILE, "w", encoding="utf-8") as file:
            file.write(before)
    json.dump(result, sys.stdout, indent=1)


main()
