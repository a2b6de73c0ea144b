"""The module's own files: present, complete, and writable by root alone."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.location import ROOT
from trex.errors import MAX_PATH, FileUnsafe, cut
from trex.system.safefile import check_writers

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

SECURITY = "/lib/security"
LIBPAM = "/lib/*/security"  # script/install writes where it has put pam_trex.so
MODULES = (LIBPAM, "/lib/*/security", "/lib/security")  # where Debian's libpam looks
PAM_PYTHON = "pam_python.so"
GUARD = "pam_trex_path.so"
LDD = "/usr/bin/ldd"
SECONDS = 20


def check_module(rule: Rule | None) -> list[Finding]:
    """Return what is wrong with pam_python.so, and with the script that `rule` names."""
    found = _files_of(rule.module if rule else PAM_PYTHON)
    if not found:
        return [
            Finding("module-missing", ERROR, "pam_python.so is not installed",
                    "PAM cannot load Trex, and refuses.", "sudo script/bootstrap runtime")
        ]  # fmt: skip
    findings, version = _check_library(found[0])
    if rule:
        script = os.path.join(SECURITY, rule.arguments[0])
        findings += _check_script(script, version)
    return findings


def check_others(rules: list[Rule]) -> list[Finding]:
    """Return the other modules that are missing, where libpam then refuses.

    pam.conf(5): the result of such a line is `module_unknown`.
    """
    findings = []
    for rule in rules:
        action = rule.actions.get("module_unknown", rule.actions.get("default", "bad"))
        if rule.name == PAM_PYTHON or not rule.actions or action not in ("bad", "die"):
            continue
        if not _files_of(rule.module):
            what = f"{rule.where}: the module {cut(rule.module, MAX_PATH)} is not installed"
            why = "PAM refuses every login that reaches this line."
            fix = f"sudoedit {rule.path}, line {rule.line}, or install the module's package"
            if rule.name == GUARD:
                fix = "sudo script/bootstrap su; sudo script/install --su"
            findings.append(Finding("pam-missing", ERROR, what, why, fix))
    return findings


def _files_of(module: str) -> list[str]:
    """Return the files that libpam would load for a module's name or path."""
    if module.startswith("/"):
        return [module] if os.path.exists(module) else []
    return sorted(path for where in MODULES for path in glob.glob(f"{where}/{glob.escape(module)}"))


def _check_library(path: str) -> tuple[list[Finding], str]:
    """Return findings, and the version of the Python that pam_python.so is linked to."""
    findings = _check_files([path])
    done = subprocess.run(  # noqa: S603 (an absolute path and a list)
        [LDD, path], capture_output=True, text=True, check=False, timeout=SECONDS,
        stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )  # fmt: skip
    linked = re.search(r"libpython(\d+\.\d+)\S* => (\S+)", done.stdout)
    if done.returncode != 0 or not linked or linked[2] == "not":
        wanted = f" to libpython{linked[1]}, which is missing" if linked else " to no Python"
        findings.append(
            Finding("module-python", ERROR, f"{path} is linked{wanted}",
                    "PAM cannot load it, and refuses.", "apt install --reinstall libpam-python")
        )  # fmt: skip
    return findings, linked[1] if linked else ""


def _check_script(script: str, version: str) -> list[Finding]:
    package = os.path.join(os.path.dirname(os.path.realpath(script)), "trex")
    if not os.path.isfile(script) or not os.path.isfile(os.path.join(package, "login/pam.py")):
        return [
            Finding("module-script", ERROR, f"{script}: the module is missing or incomplete",
                    "pam_python cannot run it, and refuses.", "sudo script/install")
        ]  # fmt: skip
    files = [script, package, *glob.glob(os.path.join(glob.escape(package), "**"), recursive=True)]
    findings = _check_files(files)
    compiled = version.replace(".", "")
    if compiled and not os.path.exists(f"{package}/login/__pycache__/pam.cpython-{compiled}.pyc"):
        findings.append(
            Finding("module-compiled", WARNING, f"{package}: not compiled for Python {version}",
                    "Each login compiles it again, and takes longer.", "sudo script/install")
        )  # fmt: skip
    return findings


def root_alone(path: str) -> str:
    """Return the shell command after which only root can write `path`."""
    return f"chown root:root {shlex.quote(path)}; chmod go-w {shlex.quote(path)}"


def _check_files(paths: list[str]) -> list[Finding]:
    """Return the first file that others can write; all of them run as root."""
    for path in paths:
        try:
            check_writers(path, ROOT)
        except FileUnsafe as error:
            fix = root_alone(error.path)
            why = "It runs as root in every login."
            return [Finding("module-writable", ERROR, str(error), why, fix)]
        except OSError as error:
            why = "pam_python cannot read it."
            what = f"{path}: {error.strerror}"
            return [Finding("module-script", ERROR, what, why, "sudo script/install")]
    return []
