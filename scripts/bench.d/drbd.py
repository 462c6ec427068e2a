#!/usr/bin/env python3
"""DRBD, in the guest: measures all contestants in turns and prints the figures as one JSON object. Progress goes to stderr.

The resource r0 and its other end, r0-far, are two resources of one kernel, joined over 127.0.0.1. Needs a mount namespace of its own."""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

from measure import HERE, OCF, PATH, Call, Taken, environment, median, say, version

RAM, MIB = "/dev/ram0", 1 << 20
SIZE = 8  # MiB, of one disk
TAIL = 128 * 1024  # more than DRBD's meta-data of such a disk, at its end
RUNNING, STOPPED, PROMOTED = 0, 7, 8
EVERY = ("probe", "start", "monitor", "promote", "monitor promoted", "notify", "demote", "stop", "validate-all")
READING = ("probe", "monitor", "monitor promoted", "notify", "validate-all")  # actions that change nothing
# How many resources the machine has, beside the far end. Whichever comes first is measured in every action.
CASES = {"1 resource": 1, "50 resources": 50}
CLONE = {
    "crm_feature_set": "3.16.2", "CRM_meta_on_node": os.uname().nodename, "CRM_meta_notify": "true",
    "CRM_meta_clone_max": 2, "CRM_meta_clone_node_max": 1, "CRM_meta_master_max": 1, "CRM_meta_master_node_max": 1,
    "CRM_meta_promoted_max": 1, "CRM_meta_promoted_node_max": 1, "drbd_resource": "r0",
}


class Agent:
    """One of the resource agents."""

    def __init__(self, path, many, is_first):
        self.path, self.many = path, many
        self.actions = EVERY if is_first else [a for a in EVERY if a not in ("probe", "notify", "validate-all")]

    def call(self, action):
        name = {"probe": "monitor", "monitor promoted": "monitor"}.get(action, action)
        params = dict(CLONE)
        if action.startswith("monitor"):
            params["CRM_meta_interval"] = 10000
        if action == "notify":
            params |= {"CRM_meta_notify_type": "post", "CRM_meta_notify_operation": "promote", "CRM_meta_notify_start_uname": ""}
        agent = os.path.basename(self.path)
        env = environment(f"p_{agent.lower()}", agent, CRM_meta_name=name, **params)
        expect = {"probe": STOPPED, "monitor promoted": PROMOTED}.get(action, RUNNING)
        return Call([self.path, name], env, expect)


class Floor:
    """The one command of drbd-utils that does it."""

    actions = ("start", "promote", "demote", "stop")
    many = 1

    def call(self, action):
        return Call(["drbdadm", {"start": "up", "promote": "primary", "demote": "secondary", "stop": "down"}[action], "r0"])


def sh(command):
    run = subprocess.run(["bash", "-ec", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    if run.returncode:
        sys.exit(f"{run.stdout}bench: {command}: {run.returncode}")
    return run.stdout


def disk(name):
    return f"/dev/mapper/drbdbench-{name}"


def configuration(name, minor, port, other):
    """Of one resource, with an end on this host and one on another."""
    ends = [(os.uname().nodename, f"device minor {minor}; disk {disk(name)}", port), ("other", f"device minor {minor}; disk /dev/null", other)]
    on = "\n".join(f"  on {host} {{ {what}; address 127.0.0.1:{at}; meta-disk internal; }}" for host, what, at in ends)
    return f"resource {name} {{\n{on}\n}}\n"


def state():
    """What the kernel says of r0: its connection, and both roles; nothing when it is not there."""
    for line in pathlib.Path("/proc/drbd").read_text(encoding="ascii").splitlines():
        if line.strip().startswith("0: ") and "Unconfigured" not in line:
            words = dict(word.split(":", 1) for word in line.split()[1:] if ":" in word)
            return words["cs"], words["ro"]
    return None


def prepare(number):
    """Disks with meta-data that is in sync, and configurations; r0-far is up."""
    names = ["r0", "r0-far", *[f"r{n}" for n in range(1, number)]]
    sh(f"modprobe drbd; [ -b {RAM} ] || modprobe brd rd_nr=1 rd_size={(SIZE * len(names) + 1) * 1024}")
    for n, name in enumerate(names):
        sh(f"dmsetup create drbdbench-{name} --table '0 {SIZE * 2048} linear {RAM} {n * SIZE * 2048}'")
    pathlib.Path("/etc/drbd.d/global_common.conf").write_text("global { usage-count no; }\ncommon {}\n", encoding="ascii")
    for n, name in enumerate(["r0", *names[2:]]):
        ports = (7000, 7001) if n == 0 else (7100 + 2 * n, 7101 + 2 * n)
        pathlib.Path(f"/etc/drbd.d/{name}.res").write_text(configuration(name, n, *ports), encoding="ascii")
    far = configuration("r0-far", 900, 7001, 7000)
    pathlib.Path("/run/drbdbench-far.conf").write_text("global { usage-count no; }\n" + far, encoding="ascii")
    far_admin = "drbdadm -c /run/drbdbench-far.conf"
    sh(f"drbdadm create-md --force r0; {far_admin} create-md --force r0-far; drbdadm up r0; {far_admin} up r0-far")
    while state() != ("Connected", "Secondary/Secondary"):
        time.sleep(0.2)
    sh("sleep 1; drbdadm -- --clear-bitmap new-current-uuid r0; drbdadm down r0; drbdadm apply-al r0")
    if number > 1:
        # Making meta-data fifty times would take longer than all the rest.
        sh(f"dd if={disk('r0')} of=/run/drbdbench-md iflag=direct bs={TAIL} skip={SIZE * MIB // TAIL - 1} count=1 status=none")
        for n, name in enumerate(names[2:], 1):
            sh(f"dd if=/run/drbdbench-md of={disk(name)} oflag=direct bs={TAIL} seek={SIZE * MIB // TAIL - 1} status=none")
            sh(f"drbdsetup new-resource {name}; drbdsetup new-minor {name} {n} 0; drbdsetup attach {n} {disk(name)} {disk(name)} internal;"
               f"drbdsetup connect {name} 127.0.0.1:{7100 + 2 * n} 127.0.0.1:{7101 + 2 * n} --protocol=C")


def tidy():
    subprocess.run(["bash", "-c", "for r in r0 r0-far r{1..49}; do drbdsetup down $r; done; rm -f /etc/drbd.d/*.res /run/drbdbench*;"
                    "for d in $(dmsetup ls | awk '/^drbdbench-/ { print $1 }'); do dmsetup remove $d; done; rmmod brd"],
                   check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stand_ins():
    """Pacemaker does not run here: its two programs for scores cost one exec and do nothing. Configurations are the bench's own."""
    path = "/run/drbdbench-crm"
    pathlib.Path(path).write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
    os.chmod(path, 0o755)
    sh(f"mount --make-rprivate /; mount --bind {path} /usr/sbin/crm_attribute; mount --bind {path} /usr/sbin/crm_master;"
       "mount -t tmpfs none /etc/drbd.d")


def check(who, action):
    """Nothing is measured that did not do its work."""
    role = {"start": "Secondary", "promote": "Primary", "demote": "Secondary"}.get(action)
    now = state()
    if (action == "stop" and now) or (role and not (now and now[1].startswith(f"{role}/"))):
        sys.exit(f"bench: after {action} of {who}: {now}")


def once(taken, who, contestant, is_traced):
    """All actions of one contestant, in an order that leaves nothing behind."""
    for action in contestant.actions:
        call = contestant.call(action)
        taken.note(who, action, call.measure(contestant.many if action in READING else 1))
        if is_traced and action in READING:
            taken.note_trace(who, action, call.trace())
        check(who, action)


def trace_changes(taken, who, contestant):
    for action in contestant.actions:
        if action not in READING:
            taken.note_trace(who, action, contestant.call(action).trace())
            check(who, action)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", default=f"{OCF}/resource.d/san/DRBD-helper")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow-runs", type=int, default=2, help="of the shell agent")
    parser.add_argument("--cases", default=";".join(CASES), help="separated by semicolons")
    parser.add_argument("--only", default="", help="contestants, separated by commas")
    options = parser.parse_args()
    os.environ["PATH"] = PATH
    cases = [name.strip() for name in options.cases.split(";")]
    if unknown := [name for name in cases if name not in CASES]:
        sys.exit(f"bench: no case is called {unknown[0]!r}; there are: {'; '.join(CASES)}")
    wanted = options.only.split(",") if options.only else ("ours", "floor", "linbit")
    module = pathlib.Path("/sys/module/drbd/version")
    result = {"kernel": platform.release(), "cpus": os.cpu_count(), "utils": version("drbd-utils"), "cases": {}}
    empty, empties = Call([f"{HERE}/empty"]), []
    stand_ins()
    for case in cases:
        tidy()
        try:
            prepare(CASES[case])
            result["module"] = module.read_text(encoding="ascii").strip()
            is_first = not result["cases"]
            say(f"{case}: ready")
            taken = Taken(case)
            every = {"ours": Agent(options.ours, 20, is_first), "floor": Floor(), "linbit": Agent(f"{OCF}/resource.d/linbit/drbd", 2, is_first)}
            group = {who: contestant for who, contestant in every.items() if who in wanted}
            for run in range(options.runs):
                empties.append(empty.measure(50))
                for who, contestant in group.items():
                    if run < options.slow_runs or who != "linbit":
                        once(taken, who, contestant, run == 0)
            if is_first:
                for who, contestant in group.items():
                    trace_changes(taken, who, contestant)
            result["cases"][case] = taken.result()
        finally:
            tidy()
    result["empty"] = median(empties) | empty.trace()
    json.dump(result, sys.stdout, indent=1)


main()
