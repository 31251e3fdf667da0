#!/usr/bin/python3
"""Runs one way of bringing a file to nodes, cold, and prints NAME=NUMBER lines: the whole command's
seconds, those of the transfer, bytes out of the head's port, CPU of the agents per GB and node."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

CLUSTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster", "cluster")
PHASE = re.compile(r"^(nodes|image sent|births|last exit) +([0-9.]+) +([0-9.]+)", re.MULTILINE)
STORES = "rm -rf /dev/shm/rexstore-* /tmp/image-* /dev/shm/image-*"


def cluster(options, *words):
    return subprocess.run([sys.executable, CLUSTER, "--id", options.cluster, *words], capture_output=True,
                          text=True, timeout=120, check=False)


def fresh_file(path, megabytes):
    """Random, so that neither a store nor a compressor knows any of it."""
    with open("/dev/urandom", "rb") as source, open(path, "wb") as file:
        for _ in range(megabytes):
            file.write(source.read(1_000_000))


def sent_by_head(options):
    """Bytes that all ports of the head's network have sent."""
    out = cluster(options, "exec", "head", "cat", "/proc/net/dev").stdout
    return sum(int(line.split(":")[1].split()[8]) for line in out.splitlines()
               if ":" in line and line.split(":")[0].strip() != "lo")


class AgentsCpu:
    """CPU seconds of the agents of this build, as last seen. What the kernel does for the network in
    their name counts, too; ssh, sshd and the ranks do not."""

    def __init__(self, build):
        self.build = os.path.realpath(build) + "/"
        self.seen = {}

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if not os.readlink(f"/proc/{pid}/exe").startswith(self.build):
                    continue
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    name, _, rest = file.read().partition(") ")
                if name.endswith("(rexd-agent"):
                    fields = rest.split()
                    self.seen[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue  # it has ended

    def seconds(self):
        return sum(self.seen.values())


def scp_loop(options, path):
    for i in range(1, options.nodes + 1):
        done = cluster(options, "exec", "head", "scp", "-q", path, f"n{i}:/dev/shm/image-copy")
        if done.returncode != 0:
            sys.exit(f"scp: {done.stderr.strip()}")
    return ""


def command(options, path, cpu):
    words = [path if word == "FILE" else word for word in options.words]
    with tempfile.TemporaryFile("w+") as out, subprocess.Popen(words, stdout=out, stderr=out, text=True) as run:
        deadline = time.monotonic() + options.limit
        while run.poll() is None and time.monotonic() < deadline:
            cpu.look()
            try:
                run.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        if run.poll() is None:
            run.kill()
        out.seek(0)
        text = out.read()
    if run.returncode != 0:
        sys.exit(f"exit code {run.returncode}: {text.strip()[-300:]}")
    return text


def phases(err, numbers):
    """rexlaunch's own account, in ms: what began when every node was up."""
    found = {name: (float(begin), float(length)) for name, begin, length in PHASE.findall(err)}
    if "nodes" not in found:
        return
    up = sum(found["nodes"])
    if "image sent" in found:
        numbers["transfer_s"] = found["image sent"][1] / 1000
    if "births" in found:
        numbers["last_main_s"] = (sum(found["births"]) - up) / 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--mb", type=int, required=True)
    parser.add_argument("--mbit", type=int, required=True)
    parser.add_argument("--limit", type=int, default=170)
    parser.add_argument("--build", required=True, help="whose agents' CPU counts")
    parser.add_argument("--program", default="", help="what the file begins with: a program")
    parser.add_argument("words", nargs="+")
    options = parser.parse_args()
    path = f"/tmp/image-bench-{os.getpid()}"
    fresh_file(path, options.mb)
    if options.program:
        with open(options.program, "rb") as program, open(path, "r+b") as file:
            file.write(program.read())
        os.chmod(path, 0o755)
    for i in range(1, options.nodes + 1):
        cluster(options, "exec", f"n{i}", "sh", "-c", STORES)
    try:
        cpu = AgentsCpu(options.build)
        sent, begin = sent_by_head(options), time.monotonic()
        err = scp_loop(options, path) if options.words == ["scp"] else command(options, path, cpu)
        seconds = time.monotonic() - begin
        numbers = {"all_s": seconds}
        phases(err, numbers)
        size = options.mb * 1_000_000
        numbers["head_bytes"] = (sent_by_head(options) - sent) / size
        if cpu.seen:
            numbers["cpu_s_per_GB"] = cpu.seconds() / (size / 1e9) / (options.nodes + 1)
        wire = size * 8 / (options.mbit * 1e6)
        numbers["of_wire"] = numbers.get("transfer_s", seconds) / wire
        for name, value in numbers.items():
            print(f"{name}={value:.4f}")
    finally:
        os.unlink(path)
        for i in range(1, options.nodes + 1):
            cluster(options, "exec", f"n{i}", "sh", "-c", STORES)


if __name__ == "__main__":
    main()
