"""What the logs of a fail-over say: Pacemaker's of the agents' actions, the kernel's of DRBD's handlers, corosync's of a lost node.

Knows lines and moments, nothing of guests; all moments are seconds since the epoch, by the clock of who wrote the line.
"""
import dataclasses
import datetime
import re

# Those that a fail-over waits for. Monitors run beside it, and are below the level that pacemaker.log has.
COUNTED = ("notify", "stop", "demote", "promote", "start")

EXECUTOR = r"(?P<stamp>\w{3} [ \d]\d [\d:.]+) \S+ pacemaker-execd +\[\d+\] .*?:\s"
BEGAN = re.compile(EXECUTOR + r"executing - rsc:(?P<resource>\S+) action:(?P<action>[\w-]+) call_id:(?P<call>\d+)")
ENDED = re.compile(EXECUTOR + r"(?P<resource>\S+) (?P<action>[\w-]+) \(call (?P<call>\d+)(?:, PID \d+)?\) "
                   r"(?:exited with status (?P<code>\d+)|could not be executed: .*?)(?: \(.*\))? "
                   r"\(execution time (?P<seconds>[^ )]+)(?: after being queued [^ )]+)?\)$")
# The controller that conducts a fail-over, which runs on one of the nodes, says what it asks for and what it was answered.
CONTROLLER = r"\w{3} [ \d]\d [\d:.]+ \S+ pacemaker-controld +\[\d+\] .*?:\s"
ASKED = re.compile(CONTROLLER + r"Initiating [\w-]+ operation \S+ (?:locally )?on (?P<node>\S+)(?: without waiting)? "
                   r"\| action (?P<number>\d+)")
ANSWERED = re.compile(CONTROLLER + r"Transition \d+ action (?P<number>\d+) \(\S+ on (?P<node>\S+)\)(?: confirmed|: expected)"
                      r".* call-id=(?P<call>\d+)")
INTERVAL = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$")
HELPER = re.compile(r"\[ *(?P<stamp>\d+\.\d+)\] .*helper command: \S+ (?P<handler>\S+) \S+(?: exit code (?P<code>\d+))?")
UNIX = r"^(?P<stamp>\d+\.\d+) \S+ corosync\[\d+\]: +"
LOSS = re.compile(UNIX + r"\[TOTEM *\] A processor failed")
MEMBERSHIP = re.compile(UNIX + r"\[TOTEM *\] A new membership .*left: ")


@dataclasses.dataclass
class Action:
    """One call of an agent. `code` is None when there was no exit status; `call` is the node's number for it."""
    node: str
    resource: str
    action: str
    call: str
    began: float
    ended: float
    seconds: float
    code: int | None

    def __str__(self):
        return f"{self.resource} {self.action} on {self.node}"


def seconds_of(text):
    """Pacemaker's words for a time, such as 1m2.345s or 87ms, in seconds."""
    found = INTERVAL.match(text)
    if not text or not found:
        raise ValueError(f"no time: {text!r}")
    return sum(float(value or 0) * unit for value, unit in zip(found.groups(), (86400, 3600, 60, 1, 0.001)))


def moment(stamp, near):
    """Of the log's times, which are UTC in the guests and have no year: the one nearest to another moment."""
    form = "%Y %b %d %H:%M:%S.%f" if "." in stamp else "%Y %b %d %H:%M:%S"
    this_year = datetime.datetime.fromtimestamp(near, datetime.timezone.utc).year
    found = []
    for year in (this_year - 1, this_year, this_year + 1):
        try:
            parsed = datetime.datetime.strptime(f"{year} {stamp}", form)
        except ValueError:  # 29 February
            continue
        found.append(parsed.replace(tzinfo=datetime.timezone.utc).timestamp())
    return min(found, key=lambda candidate: abs(candidate - near))


def actions(lines, node, near, lead=0.0):
    """The actions of a node that ended, in the order in which they did. `lead` is added to its clock."""
    begun, found = {}, []
    for line in lines:
        if match := BEGAN.match(line):
            begun[match["call"]] = moment(match["stamp"], near) + lead
        elif (match := ENDED.match(line)) and match["action"] in COUNTED:
            ended, took = moment(match["stamp"], near) + lead, seconds_of(match["seconds"])
            code = None if match["code"] is None else int(match["code"])
            resource = match["resource"].split(":")[0]
            found.append(Action(node, resource, match["action"], match["call"],
                                begun.get(match["call"], ended - took), ended, took, code))
    return found


def last_start(of_all, resource, node):
    """The start of the group's last resource, when it succeeded there."""
    found = [a for a in of_all if (a.resource, a.action, a.node, a.code) == (resource, "start", node, 0)]
    return max(found, key=lambda a: a.ended) if found else None


def orders(lines):
    """Of the conducting controller's log: for each action, as (node, call), the line that asked for it and the line that had its answer."""
    asked, found = {}, {}
    for number, line in enumerate(lines):
        if match := ASKED.match(line):
            asked[match["node"], match["number"]] = number
        elif (match := ANSWERED.match(line)) and (key := (match["node"], match["number"])) in asked:
            found[match["node"], match["call"]] = (asked.pop(key), number)
    return found


def critical_path(of_all, order, last):
    """The chain that the last action waited for: before each of its members the one that was answered last until that was asked for.
    What ran beside such a one and was over sooner cost no time."""
    known = {order[a.node, a.call]: a for a in of_all if (a.node, a.call) in order}
    if (last.node, last.call) not in order:
        return []
    path, asked = [last], order[last.node, last.call][0]
    while before := [times for times in known if times[1] < asked]:
        times = max(before, key=lambda times: times[1])
        path.insert(0, known[times])
        asked = times[0]
    return path


def handlers(lines):
    """DRBD's handlers as (name, began, ended), from a line "boot NOW UPTIME" and dmesg's."""
    since, begun, found = None, {}, []
    for line in lines:
        if line.startswith("boot "):
            now, uptime = map(float, line.split()[1:3])
            since = now - uptime
        elif since is not None and (match := HELPER.search(line)):
            name, at = match["handler"], since + float(match["stamp"])
            if match["code"] is None:
                begun[name] = at
            elif name in begun:
                found.append((name, begun.pop(name), at))
    return found


def first(pattern, lines, after):
    """When the first line like this was written after a moment; None when none was."""
    stamps = (float(match["stamp"]) for line in lines if (match := pattern.match(line)))
    return next((stamp for stamp in stamps if stamp > after), None)
