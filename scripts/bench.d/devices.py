"""Devices that cost nothing, in bulk: device-mapper's zero target. Knows no agent."""

import pathlib
import subprocess

CHUNK = 200  # devices that one dmsetup makes: their tables are one argument, which may have 128 KiB


def names():
    """Every device-mapper device there is."""
    found = subprocess.run(["dmsetup", "ls"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [line.split()[0] for line in found if "(" in line]


def make(wanted):
    """Those of these names and UUIDs that are not there yet. udev's rules are left out of it: they would take minutes."""
    have = set(names())
    new = [f"{name},{uuid},,rw,0 131072 zero" for name, uuid in wanted if name not in have]
    for first in range(0, len(new), CHUNK):
        command = ["dmsetup", "create", "--noudevrules", "--noudevsync", "--concise", ";".join(new[first:first + CHUNK])]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    if new:
        subprocess.run(["dmsetup", "mknodes"], check=True, stdout=subprocess.DEVNULL)
        # What comes next would wait for udev to be through with them, and be measured with that.
        subprocess.run(["udevadm", "settle", "--timeout=600"], check=True)


def remove(gone):
    """Those of these names, all of which must be there."""
    gone = list(gone)
    for first in range(0, len(gone), CHUNK):
        command = ["dmsetup", "remove", "--noudevrules", "--noudevsync", *gone[first:first + CHUNK]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    # A node without its device would make every LVM command wait for a modprobe that finds nothing: minutes, with a hundred of them.
    for name in gone:
        pathlib.Path("/dev/mapper", name).unlink(missing_ok=True)
