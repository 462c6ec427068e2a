#!/usr/bin/env python3
"""The fail-overs of scripts/bench tickle, on the cluster that it has built; talks to the guests by scripts/lab.

usage: tickle.py SECRET [--events …] [--pings …] [--traffic …] [--tickle …] [--rounds N] [--json FILE]
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

LAB = pathlib.Path(__file__).resolve().parent.parent / "lab"
ADDRESS = "10.110.88.59"
LISTS = "/var/lib/ocf-san/tickle"
DISK = f"/dev/disk/by-path/ip-{ADDRESS}:3260-iscsi-iqn.2026-01.org.example:demo-lun-0"
PATIENCE = 90  # seconds for which a session may notice nothing after the address is up
TAKEOVER = 240  # seconds until the address must be up on the other node


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def lab(*words, limit=60):
    return subprocess.run([LAB, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, check=False)


def on(guest, command, limit=60):
    return lab("run", guest, command, limit=limit).stdout


def must(guest, command, limit=60):
    result = lab("run", guest, command, limit=limit)
    if result.returncode:
        sys.exit(f"bench: {guest}: {command}: {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def background(guest, command, output="/dev/null"):
    must(guest, f"setsid {command} </dev/null >{output} 2>&1 &")


def wait_for(what, seconds, look, pause=1.0):
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            sys.exit(f"bench: waited {seconds} s in vain for: {what}")
        time.sleep(pause)
    return found


def lead(guest):
    """By how many seconds the host's clock is ahead of the guest's: from the quickest of some questions."""
    answers = []
    for _ in range(5):
        begin = time.time()
        there = float(must(guest, "date +%s.%N"))
        end = time.time()
        answers.append((end - begin, (begin + end) / 2 - there))
    return min(answers)[1]


def holder(node):
    found = re.search(r"running on: (node[12])", on(node, "crm_resource --locate --resource p_vip 2>/dev/null"))
    return found and found[1]


def logged_in():
    return on("ini", "cat /sys/class/iscsi_session/session*/state").strip() == "LOGGED_IN"


def settle():
    """Both nodes whole and the initiator logged in; who is active, who is not."""
    pair = []

    def whole():
        active = holder("node1")
        pair[:] = [active, "node2" if active == "node1" else "node1"]
        return active and "Online: [ node1 node2 ]" in on(active, "crm_mon -1") and logged_in()

    wait_for("both nodes whole and the initiator logged in", 180, whole)
    return pair


def set_tickle(active, tickle):
    """The resource's parameters, and the lists that the cluster keeps with them."""
    parameters = [("tickle_dir", LISTS), ("sync_script", "/usr/local/sbin/tickle-sync")]
    for name, value in parameters if tickle else reversed(parameters):
        if tickle:
            must(active, f"crm_resource --resource p_vip --set-parameter {name} --parameter-value {value}")
        else:
            on(active, f"crm_resource --resource p_vip --delete-parameter {name}")
    on(active, "timeout 60 crm_resource --wait", 70)
    if not tickle:
        for node in ("node1", "node2"):
            must(node, f"mkdir -p {LISTS}; rm -f {LISTS}/*")
        return
    port = re.search(r"10\.110\.88\.20:(\d+)", must("ini", f"ss -Htn state established dst {ADDRESS}"))[1]
    for node in ("node1", "node2"):
        wait_for(f"port {port} in the list on {node}", 60, lambda node=node: f":{port}" in on(node, f"cat {LISTS}/{ADDRESS}"))


def address_up(node):
    """When the address came up, by the node's clock."""
    for line in on(node, "cat /root/address.log").splitlines():
        found = re.match(rf"\[([^]]*)\].* {re.escape(ADDRESS)}/", line)
        if found and "Deleted" not in line:
            return datetime.datetime.fromisoformat(found[1]).replace(tzinfo=datetime.timezone.utc).timestamp()
    return None


def states(lead_of_ini, since):
    lines = (line.split() for line in on("ini", "cat /root/session.log").splitlines())
    changes = [(float(moment) + lead_of_ini, state) for moment, state in lines]
    return [change for change in changes if change[0] > since]


def first_read(lead_of_ini, since):
    """When the first read that had to wait for `since` was answered."""
    for line in on("ini", "cat /root/reads.log").splitlines():
        end = float(line.split()[1]) + lead_of_ini
        if end > since:
            return end
    return None


def fail_over(event, active, standby):
    if event == "cut":
        lab("cut", active)
    else:
        must(standby, f"crm_resource --move --resource g_tgt --node {standby}")


def repair(event, gone, active):
    if event == "cut":
        lab("up", gone, limit=240)
        must(gone, "systemctl start corosync pacemaker", 120)
    else:
        must(active, "crm_resource --clear --resource g_tgt")


def trial(event, traffic):
    active, standby = settle()
    on(standby, "rm -f /root/address.log")
    background(standby, "timeout 400 ip -ts -o monitor address", "/root/address.log")
    on("ini", "rm -f /run/session.stop /root/reads.log")
    if traffic == "read":
        background("ini", f"/root/session read {DISK}")
        time.sleep(3)
    lead_ini, lead_standby = lead("ini"), lead(standby)
    begun = time.time()
    fail_over(event, active, standby)
    up = wait_for("the address on the other node", TAKEOVER, lambda: address_up(standby)) + lead_standby
    seen = {"begin_to_up": up - begun, "noticed": None, "again": None, "read": None, "late_read": None}
    while time.time() < up + PATIENCE:
        changes = states(lead_ini, begun)
        lost = [moment for moment, state in changes if state != "LOGGED_IN"]
        back = [moment for moment, state in changes if state == "LOGGED_IN" and moment > up]
        if lost and back:
            seen["noticed"], seen["again"] = lost[0] - up, back[0] - up
            break
        time.sleep(2)
    if traffic == "read":
        seen["read"] = wait_for("a read", 60, lambda: first_read(lead_ini, up)) - up
        on("ini", "touch /run/session.stop")
    elif seen["again"] is None:
        begin = time.time()
        must("ini", f"dd if={DISK} of=/dev/null bs=4k count=1 skip=99 iflag=direct 2>/dev/null", 200)
        seen["late_read"] = time.time() - begin
    repair(event, active, standby)
    return seen


def cell(results):
    """The medians of one combination: from the address up to the session, and to a read, if there was one."""
    def median(key):
        values = [result[key] for result in results if result[key] is not None]
        return f"{statistics.median(values):.1f}" if values else None

    again, read, late = median("again"), median("read"), median("late_read")
    text = f"{again} s" if again else f"not within {PATIENCE} s"
    if late:
        text += f"; a read then {late} s"
    return text if read is None else f"{text}; read {read} s"


def table(results, options):
    print("| event | pings | traffic | begin to address up | session again without tickle | with tickle |")
    print("|---|---|---|---|---|---|")
    for event in options.events:
        for pings in options.pings:
            for traffic in options.traffic:
                of = {t: [r for r in results if r["key"] == [event, pings, traffic, t]] for t in options.tickle}
                up = statistics.median(r["begin_to_up"] for rs in of.values() for r in rs)
                cells = [cell(of[t]) if t in of else "–" for t in ("0", "1")]
                every = f"every {pings} s" if pings != "0" else "none"
                print(f"| {event} | {every} | {traffic} | {up:.1f} s | {cells[0]} | {cells[1]} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("secret")
    for name, default in (("events", "move cut"), ("pings", "5 0"), ("traffic", "idle read"), ("tickle", "0 1")):
        parser.add_argument(f"--{name}", type=str.split, default=default.split())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    background("ini", "/root/session watch")
    results = []
    for pings in options.pings:
        settle()
        must("ini", f"/root/initiator login {options.secret} {pings}", 90)
        for tickle in options.tickle * options.rounds:
            for event in options.events:
                for traffic in options.traffic:
                    set_tickle(settle()[0], tickle == "1")
                    seen = trial(event, traffic)
                    seen["key"] = [event, pings, traffic, tickle]
                    say(json.dumps(seen))
                    results.append(seen)
                    if options.json:
                        pathlib.Path(options.json).write_text(json.dumps(results, indent=1), encoding="ascii")
    table(results, options)


if __name__ == "__main__":
    os.environ.setdefault("OCF_SAN_LAB", "bench")
    main()
