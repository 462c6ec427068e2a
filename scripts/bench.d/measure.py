"""What every bench measures with: one program run by bench_driver or below strace, and how figures are put together. Knows no agent."""

import os
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
OCF = "/usr/lib/ocf"
TIMEOUT = 900  # seconds; Pacemaker's time limit as our agent sees it, too
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def environment(instance, agent, **params):
    """What Pacemaker puts into an agent's environment."""
    env = {
        "PATH": PATH,
        "LC_ALL": "C",
        "OCF_ROOT": OCF,
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": instance,
        "OCF_RESOURCE_TYPE": agent,
        "OCF_RESKEY_CRM_meta_timeout": str(TIMEOUT * 1000),
        "HA_LOGFACILITY": "none",
    }
    env.update({f"OCF_RESKEY_{name}": str(value) for name, value in params.items()})
    return env


class Call:
    """One program with its arguments and environment, the exit code that is right, and for how many seconds what it leaves behind in the
    background is waited for."""

    def __init__(self, command, env=None, expect=0, linger=0):
        self.command = command
        self.env = env or {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        self.expect = expect
        self.linger = linger

    def begin(self, count=1):
        """Starts the measuring; `end` has the figures."""
        options = ["--expect", str(self.expect), "--linger", str(self.linger)]
        return subprocess.Popen(
            [f"{HERE}/bench_driver", *options, str(count), *self.command],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def end(self, process):
        """Wall and CPU time in seconds, peak memory in KiB; `left_…` is what lived on in the background."""
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        if process.returncode:
            sys.exit(f"{stderr}bench: the driver failed: {' '.join(self.command)}")
        wall, cpu, memory, failures, left_wall, left_cpu = map(int, stdout.split())
        if failures:
            sys.exit(f"{stderr}bench: {failures} runs did not end with {self.expect}: {' '.join(self.command)}")
        return {"wall": wall / 1e6, "cpu": cpu / 1e6, "memory": memory, "left_wall": left_wall / 1e6, "left_cpu": left_cpu / 1e6}

    def measure(self, count=1):
        return self.end(self.begin(count))

    def trace(self):
        """Processes, execs and system calls, as strace sees them; those that live on after the answer apart."""
        with tempfile.NamedTemporaryFile("r") as out:
            ran = subprocess.run(
                ["strace", "-f", "-q", "-o", out.name, *self.command],
                env=self.env, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            lines = [line.split(None, 1) for line in out.read().splitlines()]
        if ran.returncode != self.expect:
            sys.exit(f"{ran.stderr}bench: ended with {ran.returncode} below strace: {' '.join(self.command)}")
        return count_calls(lines)


def count_calls(lines):
    """From strace's lines, as pairs of process and text."""
    first = lines[0][0]
    answered = next((n for n, (pid, text) in enumerate(lines) if pid == first and text.startswith("+++")), len(lines))
    left = {pid for pid, text in lines[answered:] if not text.startswith(("+++", "---"))} - {first}
    calls = [(pid, text) for pid, text in lines if "resumed>" not in text and not re.match(r"[-+]{3}", text)]
    own = [(pid, text) for pid, text in calls if pid not in left]
    execs = sum(1 for _, text in own if text.startswith("execve(") and "ENOENT" not in text)
    return {
        "processes": len({pid for pid, _ in own}), "execs": execs - 1, "calls": len(own) - 1,
        "left_processes": len(left), "left_calls": len(calls) - len(own),
    }


def add(figures):
    """One contestant of several agents: times add up, memory is that of the greatest."""
    total = dict.fromkeys(figures[0], 0)
    for one in figures:
        for key, value in one.items():
            total[key] = max(total[key], value) if key == "memory" else total[key] + value
    return total


def agents(calls, do=Call.measure):
    return add([do(call) for call in calls])


def median(taken):
    return {key: statistics.median(run[key] for run in taken) for key in taken[0]} | {"runs": len(taken)}


class Taken:
    """The figures of one case, by contestant and action."""

    def __init__(self, case):
        self.case, self.runs, self.traces = case, {}, {}

    def note(self, who, action, figures, more=""):
        say(f"{self.case}: {who} {action} {figures['wall'] * 1e3:.2f} ms, CPU {figures['cpu'] * 1e3:.2f} ms{more}")
        self.runs.setdefault(who, {}).setdefault(action, []).append(figures)

    def note_trace(self, who, action, counts):
        say(f"{self.case}: {who} {action} {counts}")
        self.traces.setdefault(who, {})[action] = counts

    def trace(self, who, contestant, actions):
        for action in actions:
            self.note_trace(who, action, contestant.call(action).trace())

    def result(self):
        """What was not traced has times only."""
        return {
            who: {action: median(runs) | self.traces.get(who, {}).get(action, {}) for action, runs in actions.items()}
            for who, actions in self.runs.items()
        }


def version(package):
    """Of a package that is installed here."""
    for command in (["dpkg-query", "-W", "-f", "${Version}", package], ["rpm", "-q", "--qf", "%{VERSION}", package]):
        try:
            ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        except FileNotFoundError:
            continue
        if ran.returncode == 0:
            return ran.stdout
    return "of no package"
