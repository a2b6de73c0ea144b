"""What runs the way back when the time is over, whatever becomes of `trex activate`.

With systemd: a timer, and a service that is run at the next start of the host, before anything
lets somebody log in. Else a process that waits, and cron, which looks at the start and each minute.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
from contextlib import suppress

from trex.cli.activation import reload
from trex.cli.activation.plan import STATE
from trex.cli.errors import CommandError
from trex.cli.installed import COMMAND, how_to_install_command
from trex.errors import one_line
from trex.system.privilege import readable
from trex.system.rewriting import sync_directory, write_durably
from trex.system.servant import PYTHON

PROGRAM = "cli/activation/back.py"
INSTALLED, CURRENT = "/usr/lib/trex-pam/", "/usr/lib/trex-pam/current"
UNITS = "/etc/systemd/system"
SERVICE, TIMER = "trex-activation.service", "trex-activation.timer"
WANTED = f"{UNITS}/sysinit.target.wants/{SERVICE}"
CRON = "/etc/cron.d/trex-activation"
CROND = ("/run/crond.pid", "/run/cron.pid")
READY_SECONDS = 20
# What neither systemd (systemd.syntax(7)) nor cron (crontab(5)) reads as anything else.
PLAIN = re.compile(r"[\w./@:+~-]+", re.ASCII)
NO_REBOOT = "neither systemd nor cron runs here: after a crash nothing would take the change back"

SERVICE_TEXT = """\
# Written by `trex activate`, and removed when that is confirmed or taken back.
[Unit]
Description=Take back what trex activate has changed
DefaultDependencies=no
RequiresMountsFor=/etc /usr {state}
After=local-fs.target
Before=sysinit.target shutdown.target
Conflicts=shutdown.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={command}
TimeoutStartSec=120
Restart=on-failure
RestartSec=10

[Install]
WantedBy=sysinit.target
"""
TIMER_TEXT = """\
# Written by `trex activate`, and removed when that is confirmed or taken back.
[Unit]
Description=Take back what trex activate has changed, unless it is confirmed
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Timer]
OnActiveSec={seconds}
AccuracySec=1s
"""
CRON_TEXT = """\
# Written by `trex activate`, and removed when that is confirmed or taken back.
@reboot root {command} >/dev/null 2>&1
* * * * * root {due} >/dev/null 2>&1
"""


def command_of(*words: str) -> list[str]:
    """Return the command that runs the way back, of the installed version or of this one."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    if package.startswith(INSTALLED):  # an upgrade meanwhile may remove this version
        package = f"{CURRENT}/trex"
    return [PYTHON, "-I", "-S", "-B", os.path.join(package, PROGRAM), *words]


def check_way_back() -> None:
    """Start the way back once, with nothing to do: systemd and cron do so only when it counts.

    It cannot be started from within trex.pyz. Raises CommandError.
    """
    install = f"nothing was changed; install it on this host: {how_to_install_command()}"
    other = f"nothing was changed; use the installed command: {COMMAND}"
    hint = other if os.path.exists(COMMAND) else install
    command = command_of("--due", "none")
    if strange := [word for word in command if not PLAIN.fullmatch(word)]:
        found = one_line(readable(strange[0]))
        raise CommandError(f"expected a path of letters, digits and ./@:+~-, found {found}", hint)
    if not os.path.isfile(program := command_of()[-1]):
        raise CommandError(f"the way back does not start: no such file: {program}", hint)
    try:
        done = subprocess.run(  # noqa: S603 (absolute paths and a list)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/", env=reload.ENVIRONMENT, check=False,
            timeout=READY_SECONDS,
        )  # fmt: skip
        problem = f"exit status {done.returncode}" if done.returncode else ""
    except OSError as error:
        problem = f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        problem = "it does not end"
    if problem:
        raise CommandError(f"the way back does not start: {problem}", install)


def has_systemd() -> bool:
    """Tell whether systemd runs this host."""
    return os.path.isdir(reload.SYSTEMD)


def survives_reboot() -> bool:
    """Tell whether something would run the way back after the host has been started again."""
    return has_systemd() or _cron_runs()


def arm(identity: str, seconds: int) -> None:
    """Have the way back run after `seconds`, and at the next start of the host.

    Raises CommandError or OSError; then it does not count.
    """
    if has_systemd():
        _arm_systemd(identity, seconds)
        return
    if _cron_runs():
        command, due = command_of(identity), command_of("--due", identity)
        write_anew(CRON, CRON_TEXT.format(command=" ".join(command), due=" ".join(due)))
        _show_cron(os.path.dirname(CRON))
    _start_watching(identity)


def disarm(identity: str) -> None:
    """Take away what `arm` has made for `identity`; the process that waits ends by itself."""
    if identity not in _text(CRON) + _text(f"{UNITS}/{SERVICE}"):
        return
    for path in (CRON, WANTED, f"{UNITS}/{TIMER}", f"{UNITS}/{SERVICE}"):
        with suppress(FileNotFoundError):
            os.unlink(path)
    if has_systemd():
        reload.failure_of(reload.SYSTEMCTL, "--no-block", "stop", TIMER)
        reload.failure_of(reload.SYSTEMCTL, "daemon-reload")


def unit_texts(identity: str, seconds: int) -> dict[str, str]:
    """Return what systemd is given, by the name of the unit."""
    command = " ".join(command_of(identity))
    return {
        SERVICE: SERVICE_TEXT.format(command=command, state=os.path.dirname(STATE)),
        TIMER: TIMER_TEXT.format(seconds=seconds),
    }


def _arm_systemd(identity: str, seconds: int) -> None:
    for unit, text in unit_texts(identity, seconds).items():
        write_anew(f"{UNITS}/{unit}", text)
    for action in (
        ("--quiet", "enable", SERVICE), ("daemon-reload",), ("restart", TIMER),
        ("--quiet", "is-active", TIMER), ("--quiet", "is-enabled", SERVICE),
    ):  # fmt: skip
        if problem := reload.failure_of(reload.SYSTEMCTL, *action):
            raise CommandError(f"systemctl {' '.join(action)}: {problem}", "systemctl status")
    sync_directory(os.path.dirname(WANTED))


def _start_watching(identity: str) -> None:
    """Start the process that waits, which belongs to no terminal, and wait until it does."""
    ready, told = os.pipe()
    try:
        done = subprocess.run(  # noqa: S603 (absolute paths and a list)
            command_of("--watch", identity, str(told)), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=[told], cwd="/", env=reload.ENVIRONMENT, check=False, timeout=READY_SECONDS,
        )  # fmt: skip
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        if done.returncode or not poll.poll(READY_SECONDS * 1000) or os.read(ready, 1) != b"\n":
            raise CommandError(f"the way back does not start: exit status {done.returncode}")
    except subprocess.TimeoutExpired:
        raise CommandError("the way back does not start: it gives no sign") from None
    finally:
        os.close(ready)
        os.close(told)


def _show_cron(directory: str) -> None:
    """Give a directory of cron's a time of change that cron has not seen yet.

    cron reads a directory again if the second of its last change is another one. It may have looked
    while the file was being written, and the change that made it whole was in the same second.
    """
    seen = os.stat(directory).st_mtime_ns
    os.utime(directory, ns=(seen, seen + 1_000_000_000))


def _cron_runs() -> bool:
    for path in CROND:
        with suppress(OSError, ValueError):
            with open(path, encoding="ascii") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                if file.read().strip() in ("cron", "crond"):
                    return True
    return False


def write_anew(path: str, text: str) -> None:
    """Write a file of root's, also where a command was killed that wrote it. Raises OSError."""
    made = f"{path}.new~"
    with suppress(FileNotFoundError):
        os.unlink(made)
    write_durably(path, made, text.encode(), 0o644)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
