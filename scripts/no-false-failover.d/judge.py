#!/usr/bin/env python3
"""What scripts/no-false-failover has seen, and its verdict on ours.

usage: judge.py judge DIRECTORY KEY=VALUE...   one stack: writes DIRECTORY/record.json
       judge.py table SEEN STACK...            the code is 0 if each of these stacks was watched, and ours had nothing to do with a failure
       judge.py json SEEN

DIRECTORY holds of each node log-NODE (pacemaker.log, with the executor's debug lines), times-NODE (what `stopwatch` said), load-NODE and
left-NODE (what `load` said first and last), and cluster (crm_mon), report, verified (the writer), seconds, failures and notes (a sentence a
line). The keys are stack, minutes, active and now (where the group ran first and last). Judging errs to red.
"""
import json
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "drill.d"))
from report import answer, figure, lines_of, reasons_in  # noqa: E402

RESOURCES = ("p_drbd", "p_lvm", "p_lio", "p_vip")
NODES = ("node1", "node2")
WHOLE = {"loops": 4}
# The executor's line at the end of each run: it exited with a status, could not be executed (Timed Out, for one), or was cancelled.
RUN = re.compile(r"\b(p_[a-z]+)(?::\d+)? monitor \(call (\d+)(?:, PID (\d+))?\) "
                 r"(?:exited with status (\d+)|could not be executed: ([^(]*[^( ])|cancelled)")
# The controller's line when a result is new.
RESULT = re.compile(r"Result of (\w+) operation for (p_[a-z]+)(?::\d+)? on \w+: (.*?)(?: \| .*?call=(\d+).*)?$")
FAIL_COUNT = re.compile(r"\* (p_[a-z]+)(?::\d+)?: .*fail-count=(\w+)")
LOST = re.compile(r"Node (\w+) state is now lost")
SUCCESS = {0, 8, 190, 191}  # running, promoted; degraded is said and not recovered from
NEW_SUCCESS = ("ok", "promoted", "degraded", "ocf_degraded", "cancelled")


def seconds_of(lines):
    """{pid: [(seconds, what took long below it), …]} in the order in which the processes ended."""
    found = {}
    for line in lines:
        pid, seconds, *long = line.split()
        found.setdefault(pid, []).append((float(seconds), long))
    return found


def monitors_in(log, times):
    """{resource: {"runs", "failed", "timed_out", "seconds": […]}} of one node, without probes."""
    seen = {name: {"runs": 0, "failed": 0, "timed_out": 0, "seconds": []} for name in RESOURCES}
    results = [match.groups() for match in map(RESULT.search, log) if match]
    probes = {(resource, call) for action, resource, _, call in results if action == "probe"}
    for resource, call, pid, status, otherwise in (match.groups() for match in map(RUN.search, log) if match):
        took = times.get(pid, [])
        seconds = took.pop(0) if took else None
        is_cancelled = (otherwise or "").lower() == "cancelled"
        if resource not in seen or (resource, call) in probes or (status is None and otherwise is None) or is_cancelled:
            continue
        row = seen[resource]
        row["runs"] += 1
        if otherwise is not None and "timed out" in otherwise.lower():
            row["timed_out"] += 1
        elif otherwise is not None or int(status) not in SUCCESS:
            row["failed"] += 1
        if seconds is not None:
            row["seconds"].append(seconds)
    return seen


def new_results(log):
    """The controller's view: sentences about monitors that failed, {resource: starts and promotions}, nodes that were lost."""
    wrong, starts, lost = [], dict.fromkeys(RESOURCES, 0), []
    for line in log:
        if match := LOST.search(line):
            lost.append(f"{match[1]} was lost to the cluster")
        if not (match := RESULT.search(line)):
            continue
        action, resource, outcome, _ = match.groups()
        if action == "monitor" and not outcome.lower().startswith(NEW_SUCCESS):
            wrong.append(f"{resource} monitor: {outcome}")
        if action in ("start", "promote") and resource in starts:
            starts[resource] += 1
    return wrong, starts, lost


def resources_of(directory):
    """The figures of each resource over both nodes, and what the controllers say."""
    rows = {name: {"monitors": 0, "failed": 0, "timed_out": 0, "starts": 0} for name in RESOURCES}
    seconds, wrong, notes = {name: [] for name in RESOURCES}, [], []
    for node in NODES:
        log = lines_of(directory / f"log-{node}")
        for name, seen in monitors_in(log, seconds_of(lines_of(directory / f"times-{node}"))).items():
            rows[name]["monitors"] += seen["runs"]
            rows[name]["failed"] += seen["failed"]
            rows[name]["timed_out"] += seen["timed_out"]
            seconds[name] += seen["seconds"]
        failures, starts, lost = new_results(log)
        wrong += [f"{sentence} (on {node})" for sentence in failures]
        notes += [sentence for sentence in lost if sentence not in notes]
        for name, count in starts.items():
            rows[name]["starts"] += count
    for name, took in seconds.items():
        rows[name]["median_s"] = statistics.median(alone for alone, _ in took) if took else None
        rows[name]["slowest_s"], rows[name]["slowest_below"] = max(took) if took else (None, [])
    return rows, wrong, notes


def load_of(directory, node):
    """What the load was at first and at last, and whether it was whole."""
    first, last = (answer("".join(lines_of(directory / f"{when}-{node}"))) for when in ("load", "left"))
    is_whole = bool(first and last) and all(last[key] == first[key] == value for key, value in WHOLE.items())
    is_whole = is_whole and last["taken_mib"] >= 0.95 * first["taken_mib"] > 0
    return {"first": first, "last": last, "is_whole": is_whole}


def what_is_wrong(record, minutes):
    """Sentences; none if all was as it must be."""
    for name, row in record["resources"].items():
        # Of twelve that are due, a machine under load may not come to half.
        if row["monitors"] < 6 * minutes:
            yield f"{name}: {row['monitors']} monitors were seen in {minutes:g} minutes"
        if row["failed"] or row["timed_out"]:
            yield f"{name}: {row['failed']} monitors failed and {row['timed_out']} timed out, of {row['monitors']}"
        if row["starts"]:
            yield f"{name}: started or promoted {row['starts']} times"
    yield from record["failed_results"]
    yield from (f"{name} has a fail count of {count}" for name, count in record["fail_counts"].items())
    yield from (f"failed resource action: {sentence}" for sentence in record["failed_actions"])
    if record["now"] != record["active"]:
        yield f"the group runs on {record['now'] or 'no node'}, not on {record['active']}"
    for node, load in record["load"].items():
        if not load["is_whole"]:
            yield f"the load on {node} was not whole: first {load['first'] or 'no answer'}, last {load['last'] or 'no answer'}"
    if record["io_errors"] != 0:
        yield f"{figure(record['io_errors'])} I/O errors at the initiator"
    if record["acknowledged_lost"] != 0 or not record["read_back"]:
        yield f"{figure(record['acknowledged_lost'])} of {figure(record['read_back'])} acknowledged writes lost"


def judged(directory, given):
    resources, failed_results, notes = resources_of(directory)
    cluster = lines_of(directory / "cluster")
    report, verified = (answer("".join(lines_of(directory / name))) for name in ("report", "verified"))
    record = {
        "stack": given["stack"], "minutes": float(given["minutes"]), "active": given["active"], "now": given["now"], "resources": resources,
        "failed_results": failed_results, "failed_actions": reasons_in(line for line in cluster if "degraded" not in line.lower()),
        "fail_counts": {match[1]: match[2] for match in map(FAIL_COUNT.search, cluster) if match and match[2] != "0"},
        "load": {node: load_of(directory, node) for node in NODES}, "recoveries": resources["p_vip"]["starts"],
        "gap_s": report.get("gap"), "io_errors": report.get("errors"), "acknowledged_lost": verified.get("lost"),
        "read_back": verified.get("read"), "seconds": int("".join(lines_of(directory / "seconds")) or 0),
        "notes": lines_of(directory / "notes") + notes,
    }
    record["seen"] = lines_of(directory / "failures") + list(what_is_wrong(record, record["minutes"]))
    record["verdict"] = ("red" if record["seen"] else "green") if given["stack"] == "ours" else "none"
    return record


def total(record):
    rows = record["resources"].values()
    slowest = [row["slowest_s"] for row in rows if row["slowest_s"] is not None]
    return {key: sum(row[key] for row in rows) for key in ("monitors", "failed", "timed_out", "starts")} | {
        "median_s": None, "slowest_s": max(slowest) if slowest else None}


def table(records):
    yield f"{'stack':6} {'resource':9} {'monitors':>9} {'failed':>7} {'timed out':>10} {'median s':>9} {'slowest s':>10} {'starts':>7}  what took a second and more in the slowest"
    for record in records:
        for name, row in (*record["resources"].items(), ("all", total(record))):
            median = "" if name == "all" else figure(row["median_s"], "{:.2f}")
            below = "  " + ", ".join(row["slowest_below"]).replace("=", " ") if row.get("slowest_below") else ""
            yield (f"{record['stack']:6} {name:9} {row['monitors']:>9} {row['failed']:>7} {row['timed_out']:>10} {median:>9} "
                   f"{figure(row['slowest_s'], '{:.2f}'):>10} {row['starts']:>7}{below}")
    for record in records:
        yield ""
        yield (f"{record['stack']}: {record['minutes']:g} minutes; the group was started anew {record['recoveries']} times; longest gap "
               f"{figure(record['gap_s'], '{:.1f}')} s, {figure(record['io_errors'])} I/O errors, {figure(record['acknowledged_lost'])} of "
               f"{figure(record['read_back'])} acknowledged writes lost")
        word = "red" if record["verdict"] == "red" else "seen"
        for sentence in (*record["seen"][:20], *record["notes"]):
            yield f"  {word}: {sentence}"
        if len(record["seen"]) > 20:
            yield f"  {word}: and {len(record['seen']) - 20} more"
        yield f"  {record['verdict']}" if record["verdict"] != "none" else "  shown to compare with; no verdict"


def records_in(seen):
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(seen.glob("*/record.json"), key=lambda path: path.parent.name)]


def main(arguments):
    match arguments:
        case ["judge", directory, *pairs]:
            record = judged(pathlib.Path(directory), dict(pair.split("=", 1) for pair in pairs))
            pathlib.Path(directory, "record.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        case ["table", seen, *stacks]:
            records = records_in(pathlib.Path(seen))
            print("\n".join(table(records)))
            missing = [stack for stack in stacks if stack not in [record["stack"] for record in records]]
            for stack in missing:
                print(f"\n{stack}: not watched to the end")
            return not missing and all(record["verdict"] != "red" for record in records)
        case ["json", seen]:
            print(json.dumps({"stacks": records_in(pathlib.Path(seen))}, indent=1))
        case _:
            sys.exit(__doc__)
    return True


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
