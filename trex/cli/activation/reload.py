"""sshd, asked whether it can read its configuration, and told to read it again."""

from __future__ import annotations

import os
import signal
import subprocess

SSHD = "/usr/sbin/sshd"
SYSTEMCTL = "/usr/bin/systemctl"
SYSTEMD = "/run/systemd/system"  # sd_booted(3)
SEPARATION = "/run/sshd"
UNITS = ("ssh.service", "sshd.service")
SECONDS = 30
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def complaint_of_sshd(*before: str) -> str:
    """Return what sshd says against its configuration, "" if it starts with it.

    `before` is put before the command.
    """
    # What ssh.service makes when it starts, and sshd asks for even when it only tests.
    os.makedirs(SEPARATION, mode=0o755, exist_ok=True)
    return failure_of(*before, SSHD, "-t")


def reload_sshd() -> str:
    """Have the sshd that runs read its configuration again; open sessions stay.

    Return what went wrong, or "". Where none runs there is nothing to do.
    """
    if os.path.isdir(SYSTEMD):
        for unit in UNITS:
            if not failure_of(SYSTEMCTL, "--quiet", "is-active", unit):
                return complaint_of_sshd() or failure_of(SYSTEMCTL, "reload", unit)
    pid = _listening()
    # sshd starts itself anew at a SIGHUP: with a configuration that it cannot read, it would end.
    return (complaint_of_sshd() or _signal(pid)) if pid else ""


def failure_of(*command: str) -> str:
    """Run a program; return "" if it succeeds, or else what it says."""
    try:
        done = subprocess.run(  # noqa: S603 (absolute paths and a list)
            command, capture_output=True, text=True, errors="replace", check=False,
            timeout=SECONDS, stdin=subprocess.DEVNULL, env=ENVIRONMENT, cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return " ".join(done.stderr.split()) or f"{command[0]}: exit status {done.returncode}"


def _listening() -> int:
    """Return the process id in sshd's PidFile, if that is an sshd; else 0."""
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            [SSHD, "-T"], capture_output=True, text=True, check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip
        settings = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
        with open(settings.get("pidfile", "/run/sshd.pid"), encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
            return pid if file.read().strip() == "sshd" else 0
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def _signal(pid: int) -> str:
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        return f"SIGHUP to sshd, process {pid}: {error.strerror}"
    return ""
