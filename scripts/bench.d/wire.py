"""A NIC of the bench's own, with somebody at the other end of the cable who notes when an address appears on it and when the first
announcement of it comes out. Everything in network namespaces of its own: no packet meets another network."""

import ctypes
import ipaddress
import os
import select
import socket
import struct
import subprocess
import time

NIC, FAR = "bench0", "bench1"
OWN = ("192.0.2.2/26", "2001:db8::2/64")

ETH_P_ALL = 0x3
CLONE_NEWNET = 0x40000000
ADDRESS_GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR
RTM_NEWADDR = 20
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_TENTATIVE = 0x40
NEIGHBOUR_ADVERTISEMENT = 136


def ip(*args):
    subprocess.run(["ip", *args], check=True, stdin=subprocess.DEVNULL)


def attributes(data):
    """Type and value of each netlink attribute."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind, data[4:length]
        data = data[(max(length, 4) + 3) & ~3:]


def usable_address(message):
    """The address that this netlink message says is there and may be used: not while the kernel still looks for a duplicate."""
    kind, = struct.unpack_from("=H", message, 4)
    if kind != RTM_NEWADDR:
        return None
    found = dict(attributes(message[24:]))
    flags = struct.unpack("=I", found[IFA_FLAGS])[0] if IFA_FLAGS in found else message[18]
    return None if flags & IFA_F_TENTATIVE else found.get(IFA_LOCAL, found.get(IFA_ADDRESS))


def announced_address(frame):
    """The address that this frame tells everybody the place of. An ARP probe has no sender address, so it is none."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind == 0x0806 and len(frame) >= 42:
        return frame[28:32]
    if kind == 0x86DD and len(frame) >= 78 and frame[20] == 58 and frame[54] == NEIGHBOUR_ADVERTISEMENT:
        return frame[62:78]
    return None


class Cable:
    """The pair of NICs. To be made in a network namespace that is empty."""

    def __init__(self):
        here = os.readlink("/proc/self/ns/net")
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        far = f"/proc/{self.holder.pid}/ns/net"
        while os.readlink(far) == here:
            time.sleep(0.01)
        ip("link", "add", NIC, "type", "veth", "peer", "name", FAR, "netns", str(self.holder.pid))
        for namespace in ([], ["nsenter", f"--net={far}"]):
            for nic in ("lo", FAR if namespace else NIC):
                subprocess.run([*namespace, "ip", "link", "set", nic, "up"], check=True, stdin=subprocess.DEVNULL)
        for own in OWN:
            ip("address", "add", own, "dev", NIC, *(["nodad"] if ":" in own else []))
        self.events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.events.bind((0, ADDRESS_GROUPS))
        with open(far, encoding="ascii") as there, open("/proc/self/ns/net", encoding="ascii") as back:
            enter(there)
            self.frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.frames.bind((FAR, 0))
            enter(back)
        # The kernel's own address must be through with its search for duplicates, which is about a second.
        while "tentative" in addresses():
            time.sleep(0.1)

    def close(self):
        self.holder.kill()
        self.holder.wait()

    def drain(self):
        for source in (self.events, self.frames):
            source.setblocking(False)
            try:
                while source.recv(1 << 16):
                    pass
            except BlockingIOError:
                source.setblocking(True)

    def announcement(self, address, limit):
        """Seconds from the moment the address may be used to its first announcement; nothing if there is none within `limit` seconds."""
        wanted = ipaddress.ip_address(address).packed
        seen = {}
        end = time.monotonic() + limit
        waiting = select.poll()
        for source in (self.events, self.frames):
            waiting.register(source, select.POLLIN)
        while len(seen) < 2 and (rest := end - time.monotonic()) > 0:
            for fd, _ in waiting.poll(rest * 1000):
                now = time.monotonic()
                if fd == self.events.fileno():
                    if usable_address(self.events.recv(1 << 16)) == wanted:
                        seen.setdefault("added", now)
                elif announced_address(self.frames.recv(1 << 16)) == wanted:
                    seen.setdefault("announced", now)
        return seen["announced"] - seen["added"] if len(seen) == 2 else None


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def addresses():
    return subprocess.run(
        ["ip", "-oneline", "address", "show", "dev", NIC], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ).stdout
