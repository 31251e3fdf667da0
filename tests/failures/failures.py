#!/usr/bin/env python3
"""Provokes the start failures of cases.py and compares what rexlaunch says with docs/troubleshooting.md.

failures.py check here|cluster [NAME...]    are the page's messages and exit codes still rex's? Exit code 1: no
failures.py write [NAME...]                 runs all (those) cases with rexlaunch and mpirun, writes the page
failures.py show NAME...                    runs cases and prints what came

REX_BUILD_DIR is the build directory (default: ./build).
"""

import ast
import html
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cases

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.path.realpath(os.environ.get("REX_BUILD_DIR", os.path.join(SOURCE, "build")))
PAGE = os.path.join(SOURCE, "docs", "troubleshooting.md")
CLUSTER = os.path.join(SOURCE, "tests", "cluster", "cluster")
PATIENCE = 45.0  # seconds for one command
CANNOT_HERE = 77
MARK = "FAILURES_WORK"  # in the environment of all that a command starts
SEARCHED = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
DROPPED = re.compile(r"^(REX_|OMPI_|PMIX_|PMI_|SLURM_|PRTE_|PBS_|LSB_|FLUX_|MPIEXEC_|XDG_CONFIG)")

REX = {"LAUNCH": os.path.join(BUILD, "bin", "rexlaunch"), "SSH": "--ssh"}
MPIRUN = {"LAUNCH": "mpirun", "SSH": "--mca plm_rsh_agent"}


class Failed(Exception):
    """A case could not be set up."""


class Answer:
    def __init__(self, code, text, seconds):
        self.code, self.text, self.seconds = code, text, seconds

    def exit_text(self):
        return "still running" if self.code is None else str(self.code)

    def time_text(self):
        return f"> {PATIENCE:.0f} s" if self.code is None else f"{self.seconds:.1f} s"


def run(command, work, inside=()):
    """Its exit code (None: killed for taking too long), stderr and stdout together, seconds."""
    environment = {name: value for name, value in os.environ.items() if not DROPPED.match(name)}
    environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", LC_ALL="C.UTF-8", REX_LEASES="none",
                       XDG_CONFIG_HOME=os.path.join(work, "config"), HOME=work if not inside else os.environ["HOME"])
    environment[MARK] = work
    command = f"PATH={SEARCHED}; export PATH\n{command}"
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:  # a pipe would wait for whatever a launcher leaves behind
        process = subprocess.Popen([*inside, "sh", "-c", command], cwd=work, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        code = end_of(process, PATIENCE)
        seconds = time.monotonic() - begin
        if code is None:
            os.killpg(process.pid, signal.SIGTERM)
            if end_of(process, 10.0) is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    kill_marked(work)
    return Answer(code, text, seconds)


def end_of(process, patience):
    """Its exit code as a shell has it. None: it still runs."""
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        return None
    return code if code >= 0 else 128 - code


def kill_marked(work):
    """What the launcher has left behind, mpirun's remote shells for one."""
    wanted = f"{MARK}={work}".encode()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue  # gone, or another user's


# What differs from run to run and from machine to machine.

def masked(text, work):
    host = os.uname().nodename
    for name, value in (("BUILD", BUILD), ("SOURCE", SOURCE), ("DIR", work)):
        text = text.replace(value, name)
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", text)
    text = re.sub(rf"\b{re.escape(host)}\b", "HOST", text)
    text = re.sub(r"/tmp/(failures|rex|ompi)[-.\w]*", "/tmp/…", text)
    text = text.replace("Temporary failure in name resolution", "Name or service not known")
    text = re.sub(r"rex-[0-9a-f]{8,}", "rex-…", text)
    text = re.sub(r"(\[\w+:)\d+(\])", r"\1N\2", text)
    text = re.sub(r"\bpid \d+", "pid N", text)
    text = re.sub(r"(rexd-\w+\[)\d+\]", r"\1N]", text)
    text = re.sub(r"\bfor \d+ s\b", "for N s", text)
    text = re.sub(r"(\.c|\.cc) at line \d+", r"\1 at line N", text)
    text = re.sub(r"\b(10|172|192)(\.\d+){3}\b", "ADDRESS", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+", "TIME", text)
    text = re.sub(r"setpgid\(\d+,\d+\)", "setpgid(N,N)", text)
    text = re.sub(r"\[\[\d+,", "[[N,", text)
    text = re.sub(r"StepId=\d+\.\d+", "StepId=N", text)
    text = re.sub(r"SHA256:[\w+/]+", "SHA256:…", text)
    text = re.sub(r"port \d{4,}", "port N", text)
    return "\n".join(in_order([line.rstrip() for line in text.strip().split("\n")]))


# Nodes that fail at the same time are told in any order.
def in_order(lines):
    out = []
    for alike, group in itertools.groupby(lines, lambda line: bool(re.search(r"node \S+ is left out: ", line))):
        out += sorted(group) if alike else group
    return out


# One case.

def script(case, launcher, work):
    command = case.run if launcher is REX or case.mpirun == cases.SAME else case.mpirun
    values = dict(launcher, WORK=work, PROGRAMS=os.path.join(BUILD, "tests", "programs"))
    for name, value in values.items():
        command = command.replace("$" + name, value)
    return command.replace("@BUILD@", BUILD)


def provoke(case, launcher):
    work = tempfile.mkdtemp(prefix="failures-")
    try:
        if case.place == cases.HERE:
            prepare(case, work, ())
            answer = run(script(case, launcher, work), work)
        else:
            answer = in_cluster(case, launcher, work)
        answer.text = masked(answer.text, work)
        return answer
    finally:
        shutil.rmtree(work, ignore_errors=True)


def prepare(case, work, inside):
    done = run(case.before.replace("@BUILD@", BUILD) or ":", work, inside)
    if done.code != 0:
        raise Failed(f"{case.name}: {done.text}")


def cluster(*words):
    done = subprocess.run([CLUSTER, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          env={k: v for k, v in os.environ.items() if k != "REX_CLUSTER"})
    if done.returncode != 0:
        raise Failed(f"cluster {' '.join(words)}: {done.stderr}{done.stdout}")
    return done.stdout.strip()


def in_cluster(case, launcher, work):
    options = ["--fast-ssh", "--owner", str(os.getpid()), "--share", work]
    if case.place == cases.SLURM:
        options.append("--slurm")
    for path in case.hide:
        options += ["--hide", path.replace("@BUILD@", BUILD)]
    for path in (SOURCE, BUILD):
        if path.startswith("/tmp/"):
            options += ["--share", path]
    name = cluster("up", "2", *options)
    try:
        inside = (CLUSTER, "--id", name, "exec")
        prepare(case, work, (*inside, "head"))
        for node, text in case.on:
            done = run(text.replace("@BUILD@", BUILD), work, (*inside, node))
            if done.code != 0:
                raise Failed(f"{case.name}: on {node}: {done.text}")
        for fault in case.faults:
            cluster("--id", name, *fault.split())
        command = script(case, launcher, work).replace("@ID@", name)
        return run(command, work, (*inside, "head"))
    finally:
        cluster("--id", name, "down")


# The page.

HEAD = """# When a job does not start

What rexlaunch says in {count} situations in which a job can't start, how long it takes to say so, its exit code (docs/rules.md has their meanings), and what mpirun of Open MPI 4.1.4
says there. Look for a part of your message; the remedy is in it.

This page is made by `tests/failures/failures.py write`, which provokes each failure on one machine, or in a cluster of network namespaces (two nodes with sshd, and with Slurm). Tests
of the ordinary and the cluster tier hold rex to its messages. Paths, process ids and addresses are replaced: BUILD is where rex is installed, DIR the current directory, HOST this machine.
"""


def all_cases():
    return [case for _, group in cases.GROUPS for case in group]


def shown(case, launcher):
    """The command as a user would type it."""
    text = case.run if launcher is REX or case.mpirun == cases.SAME else case.mpirun
    text = text.replace("$LAUNCH", "rexlaunch" if launcher is REX else "mpirun").replace("$SSH", launcher["SSH"])
    return text.replace("$PROGRAMS/", "./").replace("$WORK", "DIR").replace("@ID@", "").replace("@BUILD@", "BUILD")


def section(case, rex, mpi):
    lines = [f"### {case.what}", "", f"<a id=\"{case.name}\"></a>", "", f"`{shown(case, REX)}`", "",
             f"rexlaunch: exit code {rex.exit_text()}", "", "```text", rex.text, "```", ""]
    if mpi is None:
        return lines + ["mpirun has nothing like it.", ""]
    lines += [f"mpirun: exit code {mpi.exit_text()}"]
    if case.mpirun != cases.SAME:
        lines += ["", f"`{shown(case, MPIRUN)}`"]
    return lines + ["", "```text", mpi.text or "(nothing)", "```", ""]


def row(case, rex, mpi):
    cells = [f"[{case.what}](#{case.name})", in_cell(headline(rex.text)), rex.exit_text(), rex.time_text()]
    cells += ["", "", ""] if mpi is None else [summary(mpi.text), mpi.exit_text(), mpi.time_text()]
    return "| " + " | ".join(cells) + " |"


def summary(text):
    """The first words of mpirun's that are no frame."""
    words = " ".join(line for line in text.split("\n") if line.strip("-= ")).strip()
    short = words if len(words) <= 110 else words[:110].rsplit(" ", 1)[0] + " …"
    return in_cell(short or "(nothing)")


def headline(text):
    """rexlaunch's first line of its own, and the cause where that is a line by itself."""
    lines = [line.removeprefix("rexlaunch: ") for line in text.split("\n") if line.startswith("rexlaunch: ")]
    lines = [line for line in lines if not line.startswith("warning: ")] or text.split("\n")
    cause = ": " + lines[1].strip() if len(lines) > 1 and lines[1].startswith("  ") else ""
    return lines[0] + cause


def in_cell(text):
    return html.escape(text, quote=False).replace("|", "\\|")


def page(answers):
    lines = [HEAD.format(count=len(all_cases()))]
    lines += ["| situation | rexlaunch says | code | time | mpirun says | code | time |", "|---|---|---|---|---|---|---|"]
    lines += [row(case, *answers[case.name]) for case in all_cases()]
    lines.append("")
    for title, group in cases.GROUPS:
        lines += [f"## {title}", ""]
        for case in group:
            lines += section(case, *answers[case.name])
    return "\n".join(lines).rstrip() + "\n"


def read_page():
    """name -> (rex's exit code, its message), as committed."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    pattern = r'<a id="([\w-]+)"></a>\n\n.*?\n\nrexlaunch: exit code (.*?)\n\n```text\n(.*?)\n```\n'
    return {name: (code, message) for name, code, message in re.findall(pattern, text, re.S)}


# What it is called for.

def check(place, names):
    known = read_page()
    wrong = 0
    for case in all_cases():
        here = case.place == cases.HERE
        if (place == "here") != here or (names and case.name not in names):
            continue
        if case.place == cases.SLURM and not possible("--slurm"):
            continue
        answer = provoke(case, REX)
        if known.get(case.name) == (answer.exit_text(), answer.text):
            continue
        wrong += 1
        code, text = known.get(case.name, ("", "(not there)"))
        print(f"{case.name}: the page says (exit code {code})\n{text}\nrexlaunch says (exit code {answer.exit_text()})\n"
              f"{answer.text}\n")
    strangers = set(known) - {case.name for case in all_cases()}
    for name in strangers:
        print(f"{name} is on the page, but no case")
    if wrong or strangers:
        print("when rex is right: tests/failures/failures.py write NAME...")
    return 1 if wrong or strangers else 0


def write(names):
    path = os.path.join(BUILD, "failures.txt")  # so that a few cases can be done again
    answers = load(path)
    for case in all_cases():
        if names and case.name not in names and case.name in answers:
            continue
        print(case.name, flush=True)
        answers[case.name] = (provoke(case, REX), None if case.mpirun is None else provoke(case, MPIRUN))
        save(path, answers)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page(answers))
    return 0


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            stored = ast.literal_eval(file.read())
    except FileNotFoundError:
        return {}
    return {name: tuple(None if one is None else Answer(*one) for one in pair) for name, pair in stored.items()}


def save(path, answers):
    plain = {name: tuple(None if one is None else (one.code, one.text, one.seconds) for one in pair)
             for name, pair in answers.items()}
    with open(path, "w", encoding="utf-8") as file:
        file.write(repr(plain))


def show(names):
    for case in all_cases():
        if case.name not in names:
            continue
        for launcher in (REX, MPIRUN):
            if launcher is MPIRUN and case.mpirun is None:
                continue
            answer = provoke(case, launcher)
            print(f"--- {case.name}: {shown(case, launcher)}\nexit code {answer.exit_text()}, {answer.time_text()}\n"
                  f"{answer.text}")
    return 0


def possible(*options):
    return subprocess.run([CLUSTER, "check", *options], capture_output=True, check=False).returncode == 0


def main(words):
    if words[:1] == ["write"]:
        return write(words[1:])
    if words[:1] == ["show"]:
        return show(words[1:])
    if len(words) > 1 and words[0] == "check" and words[1] in ("here", "cluster"):
        if words[1] == "cluster" and not possible():
            print("no cluster can be had here")
            return CANNOT_HERE
        return check(words[1], words[2:])
    print(__doc__.strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
