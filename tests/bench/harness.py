"""The benchmark harness: launchers run in turns, every run bounded, medians and ratios.

Rules it keeps:
- Launchers alternate within each round (A B C, B C A, ...), so that what the machine does besides
  hits all of them alike. A ratio is made of two runs of the same round.
- Every run has a time limit. A run that hangs or fails is counted and shown, never timed.
- Nothing stays behind: each run has a TMPDIR and a marker of its own; at its end every process that
  carries the marker is killed.
Standard library only.
"""
import contextlib
import json
import os
import platform
import secrets
import select
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

MARKER = "MARK_REXBENCH"


class Launcher:
    """One way to start programs. `command(ranks, short_lived)` gives the words before the program."""

    def __init__(self, name, command, mpi="openmpi", version="", anything=True, env=None, stays=False):
        self.name = name
        self.command = command
        self.mpi = mpi  # which build of a program it starts: openmpi or mpich; or a kind of its own
        self.version = version
        self.anything = anything  # also starts programs that are given for "any"
        self.env = env or {}  # {variable: value} of its own
        self.stays = stays  # what it leaves running is meant to stay: a DVM with its templates


class Case:
    """One thing to measure. `read(run)` gives {metric: number} of a good run, or None."""

    def __init__(self, name, ranks, program, read, rounds, limit_s, short_lived=False, among=None,
                 words=None):
        self.name = name
        self.ranks = ranks
        self.program = program  # {mpi flavour or "any": argv}
        self.among = among  # names of the launchers that take part; None: all that can
        self.words = words or {}  # {launcher's name: options for this case}
        self.read = read
        self.rounds = rounds
        self.limit_s = limit_s
        self.short_lived = short_lived
        self.beside = contextlib.nullcontext()  # entered while the case is measured

    def argv(self, launcher):
        """The whole command, or None when `launcher` does not take part."""
        if self.among is not None and launcher.name not in self.among:
            return None
        program = self.program.get(launcher.mpi)
        if program is None and launcher.anything:
            program = self.program.get("any")
        if program is None:
            return None
        words = launcher.command(self.ranks, self.short_lived) + self.words.get(launcher.name, [])
        return words + program


class Run:
    """What one command did. Times are CLOCK_MONOTONIC, microseconds."""

    def __init__(self, begin_us, end_us, code, out, err, hung):
        self.begin_us = begin_us
        self.end_us = end_us
        self.code = code
        self.out = out
        self.err = err
        self.hung = hung


def now_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def kill_marked(marker):
    """Kills whatever still carries this run's marker, daemons that changed their session included."""
    needle = f"{MARKER}={marker}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if needle in file.read().split(b"\0"):
                    os.kill(int(name), signal.SIGKILL)
        except OSError:
            pass  # gone, or not ours


def shared_segments():
    """Open MPI's shared memory of this user: a killed job leaves it behind."""
    prefix = "vader_segment."
    return {n for n in os.listdir("/dev/shm") if n.startswith(prefix) and f".{os.getuid()}." in n}


def ends_within(pid, limit_s):
    """Waits for a child's end. Not subprocess's wait(timeout=...): that looks after pauses of 0.5, 1,
    2, 4 ... ms, which makes 15.5 ms of 8."""
    fd = os.pidfd_open(pid)
    try:
        return bool(select.select([fd], [], [], limit_s)[0])
    finally:
        os.close(fd)


def run_once(argv, limit_s, own_env, stays=False):
    marker = secrets.token_hex(8)
    tmp = tempfile.mkdtemp(prefix="rexbench-")
    before = shared_segments()
    env = {**os.environ, MARKER: marker, "TMPDIR": tmp, **own_env}
    # Files, not pipes: a launcher is never slowed down by this process.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = now_us()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env,
                                   cwd=tmp, start_new_session=True)
        hung = not ends_within(process.pid, limit_s)
        end = now_us()
        if hung:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if hung or not stays:
            kill_marked(marker)
        out.seek(0)
        err.seek(0)
        run = Run(begin, end, code, out.read().decode(errors="replace"),
                  err.read().decode(errors="replace"), hung)
    shutil.rmtree(tmp, ignore_errors=True)
    if hung or code != 0:
        for name in shared_segments() - before:
            try:
                os.unlink(f"/dev/shm/{name}")
            except OSError:
                pass
    return run


class Samples:
    """All runs of one launcher in one case."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.values = {}  # metric -> [number or None] by round, so that pairs stay pairs
        self.hung = 0
        self.failed = 0
        self.failure = ""  # the first one's last words

    def add(self, round_number, run, metrics):
        if run.hung:
            self.hung += 1
        elif metrics is None:
            self.failed += 1
            words = (run.err or run.out).strip()
            self.failure = self.failure or f"exit code {run.code}: {words[-300:]}"
        for metric, number in (metrics or {}).items():
            self.values.setdefault(metric, [None] * self.rounds)[round_number] = number


def summary(numbers):
    good = [n for n in numbers if n is not None]
    if not good:
        return None
    return {"median": statistics.median(good), "min": min(good), "max": max(good),
            "runs_ok": len(good)}


def ratio(theirs, ours):
    """Median, min and max of theirs/ours by round: above 1, ours is faster."""
    return summary([t / o if t is not None and o else None for t, o in zip(theirs, ours)])


def measure(case, launchers, rounds, tell):
    """Runs a case. Returns {launcher name: Samples}; launchers that have no program for it are left out."""
    able = [l for l in launchers if case.argv(l)]
    samples = {l.name: Samples(rounds) for l in able}
    for round_number in range(-1, rounds):  # -1: to warm caches, not counted
        shift = round_number % len(able)
        for launcher in able[shift:] + able[:shift]:
            run = run_once(case.argv(launcher), case.limit_s, launcher.env, launcher.stays)
            if round_number < 0:
                continue
            metrics = None if run.hung or run.code != 0 else case.read(run)
            samples[launcher.name].add(round_number, run, metrics)
        if round_number >= 0:
            tell(f"{case.name}: round {round_number + 1} of {rounds}")
    return samples


def case_report(case, samples, ours):
    """The JSON of one case."""
    report = {"case": case.name, "ranks": case.ranks, "launchers": {}}
    for name, got in samples.items():
        entry = {"hung": got.hung, "failed": got.failed, "metrics": {}, "ratio_to_ours": {}}
        if got.failure:
            entry["first_failure"] = got.failure
        for metric, numbers in got.values.items():
            entry["metrics"][metric] = {"runs": numbers, **(summary(numbers) or {})}
            own = samples[ours].values.get(metric) if ours in samples else None
            if own and name != ours:
                entry["ratio_to_ours"][metric] = ratio(numbers, own)
        report["launchers"][name] = entry
    return report


def format_spread(s):
    return f"{s['median']:9.1f}  {s['min']:8.1f} .. {s['max']:8.1f}"


def table(report):
    """One case for people."""
    lines = [f"\n{report['case']}"]
    for name, entry in report["launchers"].items():
        trouble = "".join(f", {entry[w]} {w}" for w in ("hung", "failed") if entry[w])
        if not entry["metrics"]:
            lines.append(f"  {name:<22} no result{trouble}")
        for metric, numbers in entry["metrics"].items():
            if "median" not in numbers:
                continue
            line = f"  {name:<22} {metric:<14} {format_spread(numbers)}  ({numbers['runs_ok']} runs{trouble})"
            r = entry["ratio_to_ours"].get(metric)
            if r:
                line += f"  {r['median']:.2f} x ours ({r['min']:.2f} .. {r['max']:.2f})"
            lines.append(line)
        if entry.get("first_failure"):
            lines.append(f"    first failure: {entry['first_failure'].splitlines()[-1][:160]}")
    return "\n".join(lines)


def first_line(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip().split("\n")[0]


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    """What a number is worth nothing without."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu_model(),
        "kernel": platform.release(),
        "load_at_start": os.getloadavg(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": first_line(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe",
                              "--always", "--dirty"]),
    }


def write_json(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
