#!/usr/bin/python3
"""Commands that a benchmark runs in a launcher's place: each starts the launcher, looks or acts while
its job runs, prints NAME=NUMBER lines and ends the job. Exit code 0 only with all numbers."""
import argparse
import collections
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

READY_S = 60
LOAD_S = 2.0     # for the load to fill every queue
SIGNALS = 20
PAUSE_S = 0.4
ARRIVAL_S = 20   # then a signal counts as lost
END_S = 20
TICK_S = 0.005


class Failed(Exception):
    pass


def now_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def wait_for(what, found, bound_s, process):
    """Waits until found() is true. Failed: the time is over, or the launcher ended."""
    end = time.monotonic() + bound_s
    while True:
        result = found()
        if result:
            return result
        if process.poll() is not None:
            raise Failed(f"the launcher ended with {process.returncode} before {what}")
        if time.monotonic() > end:
            raise Failed(f"not in {bound_s} s: {what}")
        time.sleep(TICK_S)


def end(process):
    """TERM, as a user would; what does not end then is left to the harness."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def notes(directory, rank):
    try:
        with open(os.path.join(directory, str(rank)), encoding="ascii") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def arrivals(directory, ranks):
    """By rank: the times of all signals so far."""
    return [[int(line.removeprefix("signal us=")) for line in notes(directory, rank)
             if line.startswith("signal us=")] for rank in range(ranks)]


def send_signals(process, directory, ranks):
    """Milliseconds from each signal's sending to its last arrival."""
    delays = []
    for number in range(1, SIGNALS + 1):
        sent = now_us()
        process.send_signal(signal.SIGUSR1)
        wait_for(f"signal {number} at every rank",
                 lambda n=number: all(len(times) >= n for times in arrivals(directory, ranks)), ARRIVAL_S, process)
        last = max(times[number - 1] for times in arrivals(directory, ranks))
        delays.append((last - sent) / 1000)
        time.sleep(PAUSE_S)
    return delays


def fences_done(directory, ranks):
    return min(notes(directory, rank).count("fence") for rank in range(ranks))


def run_signals(options):
    # Nodes have a /tmp of their own; everything else they share with this machine.
    directory = tempfile.mkdtemp(prefix="rexbench-", dir="/var/tmp")
    command = [directory if word == "DIR" else word for word in options.command]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for("every rank ready", lambda: all("ready" in notes(directory, r) for r in range(options.ranks)),
                 READY_S, process)
        time.sleep(LOAD_S)
        before = fences_done(directory, options.ranks)
        delays = send_signals(process, directory, options.ranks)
        print(f"last_rank_ms={statistics.median(delays):.3f}")
        print(f"slowest_ms={max(delays):.3f}")
        print(f"exchanges={fences_done(directory, options.ranks) - before}")
    finally:
        end(process)
        shutil.rmtree(directory, ignore_errors=True)


def below(root):
    """Pids below `root`, itself included."""
    children = collections.defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
            children[int(text[text.rindex(")") + 2:].split()[1])].append(int(name))
        except OSError:
            pass  # gone
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found


def program_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


NODE_PROGRAMS = {"agent_KiB": "rexd-agent", "keeper_KiB": "rexd", "host_KiB": "rexd-pmix",
                 "spawner_KiB": "rexd-spawner"}


def by_program(root):
    pids = collections.defaultdict(list)
    for pid in below(root):
        pids[program_of(pid)].append(pid)
    return pids


def run_idle(options):
    process = subprocess.Popen(options.command, stdin=subprocess.DEVNULL)
    try:
        wait_for("the rank", lambda: by_program(process.pid)["sleep"], READY_S, process)
        time.sleep(1)  # what the start left to do
        pids = by_program(process.pid)
        total = 0
        for name, program in NODE_PROGRAMS.items():
            sizes = [private_kib(pid) for pid in pids[program]]
            if name != "spawner_KiB" and len(sizes) < options.nodes:
                raise Failed(f"{len(sizes)} {program} for {options.nodes} nodes")
            # Where most nodes have none of a kind, the median node has none.
            sizes += [0] * (options.nodes - len(sizes))
            print(f"{name}={statistics.median(sizes)}")
            total += statistics.median(sizes)
        print(f"node_KiB={total}")
    finally:
        end(process)


def where_it_ran(command):
    """The node of a job of one rank that prints its node's name."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=READY_S,
                          check=False)
    if done.returncode != 0:
        raise Failed(f"the launcher ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()


def run_land(options):
    """Jobs one after the other, each of which ends before the next begins."""
    wanted = set(options.wanted.split(","))
    landed = collections.Counter(where_it_ran(options.command) for _ in range(options.jobs))
    print(f"missed={sum(count for node, count in landed.items() if node not in wanted)}")
    print(f"jobs={sum(landed.values())}")


def first_word(process):
    """Of a job that says where it runs, and goes on."""
    return wait_for("the rank's first line", process.stdout.readline, READY_S, process).split()[0]


def round_of_jobs(options):
    """Jobs that stay: each begins when the one before has said where it runs. Their nodes."""
    jobs = []
    try:
        for _ in range(options.jobs):
            jobs.append(subprocess.Popen(options.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         text=True))
            yield first_word(jobs[-1])
    finally:
        for job in jobs:
            end(job)


def run_spread(options):
    wanted = set(options.wanted.split(","))
    missed = sum(set(round_of_jobs(options)) != wanted for _ in range(options.rounds))
    print(f"missed={missed}")
    print(f"rounds={options.rounds}")


def run_shells(options):
    """Launches from several shells at once, one after the other in each."""
    took = []
    lost = []

    def shell():
        for _ in range(options.each):
            begin = now_us()
            done = subprocess.run(options.command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=READY_S, check=False)
            took.append(now_us() - begin)
            if done.returncode != 0 or done.stdout != "launched\n":
                lost.append(f"exit code {done.returncode}: {done.stderr.strip()[-200:]}")

    begin = now_us()
    threads = [threading.Thread(target=shell) for _ in range(options.shells)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"all_ms={(now_us() - begin) / 1000}")
    print(f"lost={len(lost)}")
    print(f"each_ms={statistics.median(took) / 1000}")
    print(f"worst_ms={max(took) / 1000}")
    if lost or len(took) != options.shells * options.each:
        raise Failed(f"{len(took) - len(lost)} of {options.shells * options.each} launches are well; {lost[:1]}")


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    signals = verbs.add_parser("signals", help="send SIGUSR1 to the launcher of loaded_rank")
    signals.add_argument("--ranks", type=int, required=True)
    signals.set_defaults(run=run_signals)
    idle = verbs.add_parser("idle", help="measure the memory of idle virtual nodes")
    idle.add_argument("--nodes", type=int, required=True)
    idle.set_defaults(run=run_idle)
    timed = verbs.add_parser("timed", help="say when the command begins, and become it")
    timed.set_defaults(run=run_timed)
    land = verbs.add_parser("land", help="count jobs of one rank that do not run on the wanted nodes")
    land.add_argument("--jobs", type=int, required=True)
    land.add_argument("--wanted", required=True)
    land.set_defaults(run=run_land)
    spread = verbs.add_parser("spread", help="count rounds in which jobs that stay are not on the wanted nodes")
    spread.add_argument("--jobs", type=int, required=True)
    spread.add_argument("--rounds", type=int, required=True)
    spread.add_argument("--wanted", required=True)
    spread.set_defaults(run=run_spread)
    shells = verbs.add_parser("shells", help="launch from several shells at once a command that prints 'launched'")
    shells.add_argument("--shells", type=int, required=True)
    shells.add_argument("--each", type=int, required=True)
    shells.set_defaults(run=run_shells)
    for verb in (signals, idle, timed, land, spread, shells):
        verb.add_argument("command", nargs="+", metavar="LAUNCHER",
                          help="the launcher's whole command; a word DIR becomes a directory")
    return parser.parse_args(argv)


def run_timed(options):
    print(f"begin_us={now_us()}", flush=True)
    os.execvp(options.command[0], options.command)


def main():
    options = parse(sys.argv[1:])
    try:
        options.run(options)
    except Failed as failure:
        print(f"driver: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
