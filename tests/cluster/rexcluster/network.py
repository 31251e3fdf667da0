"""The switch (a bridge in a network namespace of its own) and the links of the nodes and the head.

A link is a veth pair: `eth0` in the node, and in the switch a port with the node's name. Faults are
made at the port, out of the node's reach, as a network makes them.
"""

import json
import os
import re
import socket
import struct
import subprocess

from . import system
from .store import HEAD, ClusterError

BRIDGE = "switch0"
_DISABLED, _FORWARDING = 0, 3  # port states of bridge(8)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def parse_rate(text):
    """Bits per second of "100mbit", "1.5gbit"; None for "none"."""
    if text == "none":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)bit", text)
    if not match or float(match[1]) == 0:
        raise ClusterError(f"'{text}' is no rate; one is 100mbit, 1.5gbit, 500kbit or none")
    return int(float(match[1]) * _UNITS[match[2]])


def run_batch(argv, lines):
    """Gives ip, tc or bridge many lines at once, in the namespaces of the caller."""
    done = subprocess.run(argv + ["-batch", "-"], input="\n".join(lines) + "\n", text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{argv[0]}: {done.stderr.strip()}")


def inside(pid, work):
    """Calls work() in a child in the network namespace of `pid`; gives its text answer."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _in_child(namespace, writer, work)
    os.close(namespace)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        answer = file.read()
    failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    if failed:
        raise ClusterError(answer or "the process in the node's network ended early")
    return answer


def _in_child(namespace, writer, work):
    text, code = "", 1
    try:
        system.setns(namespace, system.CLONE_NEWNET)
        text, code = work() or "", 0
    except (ClusterError, OSError) as error:
        text = str(error)
    finally:
        os.write(writer, text.encode())
        os._exit(code)


def build_switch(pids):
    """In the switch's namespace: the bridge, and one link to each of `pids` (name -> pid)."""
    lines = [f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
             f"link set {BRIDGE} up"]
    for name, pid in pids.items():
        lines += [f"link add {name} type veth peer name eth0 netns {pid}",
                  f"link set {name} master {BRIDGE} up"]
    run_batch(["ip"], lines)


def set_up_member(addresses, name):
    """In the namespace of a node or of the head."""
    lines = ["link set lo up", f"addr add {addresses.ipv4(name)}/24 dev eth0"]
    if addresses.with_ipv6:
        lines.append(f"addr add {addresses.ipv6(name)}/64 dev eth0 nodad")
    run_batch(["ip"], lines + ["link set eth0 up"])


def shape(devices, rate):
    """What leaves `devices` of this namespace: at most `rate` bits per second; None: no limit."""
    for device in devices:
        if rate is None:  # none may be there, which is no error
            subprocess.run(["tc", "qdisc", "del", "dev", device, "root"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if rate is not None:
        burst = max(65536, rate // 8 // 100)  # 10 ms, and never less than one large packet
        run_batch(["tc"], [f"qdisc replace dev {device} root tbf rate {rate}bit burst {burst}b "
                           "latency 100ms" for device in devices])


# Faults. Each is called in the switch's namespace.

def cut(name):
    """The cable is pulled: both ends see it."""
    run_batch(["ip"], [f"link set {name} down"])


def blackhole(name):
    """Both ends see a link, and no packet passes it."""
    run_batch(["bridge"], [f"link set dev {name} state {_DISABLED}"])


def _load_half(offset):
    return (0x28, 0, 0, offset)


def _load_word(offset):
    return (0x20, 0, 0, offset)


def _load_byte(offset):
    return (0x30, 0, 0, offset)


def back_filter(addresses):
    """Classic BPF for tc(8): drops what opens a TCP connection to the head (SYN without ACK), over
    IPv4 or IPv6, and lets the rest pass: answers of sshd, and of others the head connects to.

    A jump is written with the label it goes to when false: the next test, or the end.
    """
    syn_only = [(0x54, 0, 0, 0x12), ("equal", 0x02, "pass")]
    ipv4 = [_load_word(30), ("equal", _word(addresses.ipv4(HEAD), socket.AF_INET, 0), "pass"),
            _load_byte(23), ("equal", socket.IPPROTO_TCP, "pass"),
            (0xb1, 0, 0, 14),  # X: length of the IP header
            (0x50, 0, 0, 14 + 13)] + syn_only + [(0x06, 0, 0, 2)]  # 2: TC_ACT_SHOT
    ipv6 = []
    for i in range(4):
        ipv6 += [_load_word(38 + 4 * i),
                 ("equal", _word(addresses.ipv6(HEAD), socket.AF_INET6, i), "pass")]
    ipv6 += [_load_byte(20), ("equal", socket.IPPROTO_TCP, "pass"), _load_byte(14 + 40 + 13)]
    ipv6 += syn_only + [(0x06, 0, 0, 2)]
    program = [_load_half(12), ("equal", 0x0800, "ipv6")] + ipv4
    labels = {"ipv6": len(program)}
    program += [("equal", 0x86dd, "pass")] + ipv6
    labels["pass"] = len(program)
    program.append((0x06, 0, 0, 0xffffffff))  # TC_ACT_UNSPEC
    return _assemble(program, labels)


def _word(address, family, index):
    return struct.unpack_from("!I", socket.inet_pton(family, address), 4 * index)[0]


def _assemble(program, labels):
    lines = []
    for at, line in enumerate(program):
        if line[0] == "equal":
            line = (0x15, 0, labels[line[2]] - at - 1, line[1])
        lines.append("{} {} {} {}".format(*line))
    return f"{len(program)}," + ",".join(lines) + ","


def block_back(name, addresses):
    run_batch(["tc"], [f"qdisc replace dev {name} clsact",
                       f"filter replace dev {name} ingress pref 1 handle 1 bpf direct-action "
                       f"bytecode \"{back_filter(addresses)}\""])


def heal(name):
    """Undoes all three; no error where there was nothing to undo."""
    subprocess.run(["tc", "qdisc", "del", "dev", name, "clsact"], check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run_batch(["ip"], [f"link set {name} up"])
    run_batch(["bridge"], [f"link set dev {name} state {_FORWARDING}"])


def describe_ports():
    """JSON: name -> what a user wants to know of the link."""
    ports = {port["ifname"]: port for port in _json(["bridge", "-j", "link"])}
    qdiscs = _json(["tc", "-j", "qdisc"])
    described = {}
    for name, port in ports.items():
        words = []
        if "UP" not in port["flags"]:
            words.append("cut")
        elif port.get("state") == "disabled":
            words.append("blackhole")
        for qdisc in qdiscs:
            if qdisc.get("dev") != name:
                continue
            if qdisc["kind"] == "tbf":
                words.append(f"{qdisc['options']['rate'] * 8 / 1e6:g}mbit")
            if qdisc["kind"] == "clsact":
                words.append("block-back")
        described[name] = " ".join(words) or "up"
    return json.dumps(described)


def _json(argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout or "[]")
