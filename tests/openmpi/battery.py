#!/usr/bin/python3
"""Is mpirun --launch-agent rexlaunch what mpirun is?

battery.py [--list] [--keep] [NAME...]     runs each case of cases.py both ways on four nodes of tests/cluster and
                                           compares exit codes and outputs, masked and sorted. Exit code 1: they
                                           differ; 77: no cluster can be had here

Lines are compared sorted, stdout and stderr apart: ranks run side by side, and so do their lines. Masked are process
ids, Open MPI's job numbers, ports and temporary names. REX_BUILD_DIR is the build that is tested.
"""

import contextlib
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from cases import CASES  # noqa: E402

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("REX_BUILD_DIR", os.path.join(SOURCE, "build"))
CLUSTER = os.path.join(SOURCE, "tests", "cluster", "cluster")
PATIENCE = 60.0  # seconds
NODES = 4
TRIES = 4
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


class Failed(Exception):
    pass


def cluster(*words):
    done = subprocess.run([CLUSTER, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 77:
        print(done.stderr)
        sys.exit(77)
    if done.returncode != 0:
        raise Failed(f"cluster {' '.join(words)}: {done.stderr}{done.stdout}")
    return done.stdout.strip()


class Place:
    """A cluster, and a directory that its nodes share."""

    def __init__(self, *more, nodes=NODES):
        self.work = tempfile.mkdtemp(prefix="battery-", dir="/tmp")
        shares = [self.work, *(path for path in (SOURCE, BUILD) if path.startswith("/tmp/"))]
        options = [word for path in shares for word in ("--share", path)]
        self.id = cluster("up", str(nodes), "--fast-ssh", "--owner", str(os.getpid()), *options, *more)

    def inside(self, node, command):
        return [CLUSTER, "--id", self.id, "exec", node, "sh", "-c", command]

    def run(self, node, command):
        subprocess.run(self.inside(node, command), stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE)

    def clean(self):
        for name in os.listdir(self.work):
            path = os.path.join(self.work, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def close(self):
        cluster("--id", self.id, "down")
        shutil.rmtree(self.work, ignore_errors=True)


def slurm_place():
    """A Place whose nodes have Slurm; None, and said so, where there is none."""
    try:
        return Place("--slurm")
    except Failed as failure:
        print(f"    no Slurm here: {failure}")
        return None


def ranks_of(case):
    return sum(int(n) for n in re.findall(r"-n (\d+)", case.run))


def filled(text, place):
    on = f"{CLUSTER} --id {place.id} exec"
    programs = os.path.join(BUILD, "tests", "programs")
    return text.replace("@P@", programs).replace("@W@", place.work).replace("@ON@", on)


def await_ready(case, place):
    wanted = ranks_of(case)
    deadline = time.monotonic() + case.after
    while time.monotonic() < deadline:
        if sum(name.startswith("ready.") for name in os.listdir(place.work)) >= wanted:
            return
        time.sleep(0.05)
    raise Failed(f"{case.name}: the ranks did not start within {case.after} s")


def read_files(root):
    out = []
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                out.append(f"{os.path.relpath(os.path.join(folder, name), root)}: {file.read()}")
    return "\n".join(out)


def provoke(case, place, agent):
    """(exit code, stdout, stderr, files)"""
    place.clean()
    if case.prepare:
        subprocess.run(["sh", "-c", filled(case.prepare, place)], check=True, stdin=subprocess.DEVNULL)
    words = case.run if agent or not case.stock else case.stock
    if agent:
        launcher = f"{BUILD}/bin/rexlaunch {case.agent}".strip()
        words = f"--launch-agent '{launcher}' {words}"
    command = f"echo $$ > {place.work}/mpirun; exec mpirun {filled(words, place)}"
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as stdin:
        stdin.write(case.stdin)
        stdin.seek(0)
        process = subprocess.Popen(place.inside("head", command), stdin=stdin, stdout=out, stderr=err,
                                   env={**os.environ, **ROOT}, start_new_session=True)
        try:
            if case.then:
                await_ready(case, place)
                pid = f"MPIRUN=$(cat {place.work}/mpirun); "
                place.run(case.where, pid + filled(case.then, place))
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = "hangs"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return code, *texts, read_files(os.path.join(place.work, "out"))


def masked(text, place):
    text = text.replace(place.work, "WORK")
    text = re.sub(r".*plm:rsh: Warning: setpgid.*\n?", "", text)  # a race in mpirun
    text = re.sub(r"\bpid=\d+", "pid=N", text)
    text = re.sub(r"(dstor_ds\d+_)\d+", r"\1N", text)
    # Of several that fail, mpirun shows one.
    text = re.sub(r"process rank \d+", "process rank N", text)
    text = re.sub(r"(Process name: +\[\[\d+,\d+\],)\d+", r"\1N", text)
    text = re.sub(r"((?:Node|Local host): +)n\d", r"\1nN", text)
    # Written piece by piece, by several.
    text = re.sub(r".*btl_tcp.*\n?|^recv\(\d+\) failed.*\n?", "", text, flags=re.M)
    text = re.sub(r"[-\d]{10}T?[\d:.]+ ?\w* \d\d:\d\d:\d\d \d{4}", "TIME", text)
    text = re.sub(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}", "TIME", text)
    text = re.sub(r"(\[[\w.-]+:)\d+(\])", r"\1N\2", text)
    text = re.sub(r"\[\[\d+,", "[[N,", text)
    text = re.sub(r"\b(pid|PID|Pid):? *\d+", r"\1 N", text)
    text = re.sub(r"(jf\.|pmix-|pid\.|ompi\.\w+\.)\d+", r"\1N", text)
    text = re.sub(r"\.c:\d+|\.c at line \d+", ".c:N", text)
    text = re.sub(r"PMIX_ID=\d+", "PMIX_ID=N", text)
    text = re.sub(r"SSH_(CLIENT|CONNECTION)=.*", r"SSH_\1=", text)
    text = re.sub(r"precondition_transports=\S+", "precondition_transports=N", text)
    text = re.sub(r"\b\d{5,}\b(?!\d* of)", "N", text) if len(text) < 200000 else text
    text = re.sub(r"^launch_agent=.*$|.*OMPI_MCA_orte_launch_agent=.*\n?", "", text)
    return sorted(line.rstrip() for line in text.split("\n"))


def seen(case, place, agent):
    code, *texts = provoke(case, place, agent)
    return code, *(tuple(masked(text, place)) for text in texts)


def describe(stock, ours):
    lines = []
    if stock[0] != ours[0]:
        lines.append(f"exit code: mpirun {stock[0]}, with rexlaunch {ours[0]}")
    for name, one, two in zip(("stdout", "stderr", "files"), stock[1:], ours[1:]):
        diff = difflib.unified_diff(one, two, f"{name} of mpirun", f"{name} with rexlaunch", n=0, lineterm="")
        lines += list(diff)[:40]
    return lines


def difference(case, place):
    """Empty when both ways gave the same; mpirun does not always say the same, so each gets several tries."""
    stocks, others = [], []
    for _ in range(TRIES):
        stocks.append(seen(case, place, agent=False))
        others.append(seen(case, place, agent=True))
        if case.expect is not None and others[-1][0] != case.expect:
            return [f"exit code {others[-1][0]} instead of {case.expect}", *describe(stocks[-1], others[-1])]
        if "hangs" in (stocks[-1][0], others[-1][0]):
            return ["a hang", *describe(stocks[-1], others[-1])]
        if set(stocks) & set(others):
            return []
    return describe(stocks[-1], others[-1])


def run_checks(checks, names, subject_of=contextlib.nullcontext):
    """Runs the checks, or those that are named, on a place; prints each one's problems. The exit code."""
    bad = 0
    with contextlib.closing(Place()) as place, subject_of(place) as subject:
        for check in checks:
            if names and check.__name__ not in names:
                continue
            problems = check(subject)
            bad += bool(problems)
            print(f"{'FAILED' if problems else 'ok'} {check.__name__}", flush=True)
            for problem in problems:
                print(f"    {problem}", flush=True)
    return 1 if bad else 0


def main(words):
    names = [word for word in words if not word.startswith("-")]
    chosen = [case for case in CASES if not names or case.name in names]
    if "--list" in words:
        print("\n".join(case.name for case in chosen))
        return 0
    place = Place()
    bad = 0
    try:
        for case in chosen:
            begin = time.monotonic()
            try:
                lines = difference(case, place)
            except Failed as failure:
                lines = [str(failure)]
            bad += bool(lines)
            print(f"{'DIFFERS' if lines else 'same'} {case.name} ({time.monotonic() - begin:.1f} s)", flush=True)
            print("".join(f"    {line}\n" for line in lines), end="", flush=True)
    finally:
        place.close()
    print(f"{len(chosen)} cases, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
