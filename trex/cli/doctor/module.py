"""The files of both doors: present, complete, of one version, and writable by root alone."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

from trex.cli.doctor.doors import NATIVE, PAM_PYTHON
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.doctor.remedy import (
    bootstrap,
    by_hand,
    from_sources,
    through_native,
)
from trex.cli.installed import PACKAGED, is_of_a_package
from trex.cli.location import ROOT
from trex.errors import MAX_PATH, FileUnsafe, cut
from trex.system.safefile import check_directories, check_entry

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

SECURITY = "/lib/security"
LIBPAM = "/lib/*/security"  # script/install writes where it has put pam_trex.so
MODULES = (LIBPAM, "/lib/*/security", "/lib/security")  # where Debian's libpam looks
INSTALLED, CURRENT = "/usr/lib/trex-pam/", "/usr/lib/trex-pam/current"
BUILT = re.compile(rb"trex: python=(/[^\0 ]+) helper=(/[^\0 ]+)\0")  # native/pam_trex.c
MAX_MODULE = 1 << 22  # bytes
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
LDD = "/usr/bin/ldd"
SECONDS = 20


def check_modules(rules: list[Rule]) -> list[Finding]:
    """Return what is wrong with what `rules` ask Trex through; without rules, with both doors."""
    findings = []
    for rule in rules:
        if rule.module.startswith("/") and not files_of(rule.module):
            findings += _missing(rule.module, through_native(rule))
        elif rule.name == NATIVE:
            findings += _check_native(rule.module)
        else:
            findings += _check_pam_python(rule.module, os.path.join(SECURITY, rule.arguments[0]))
    if not rules:
        if files_of(PAM_PYTHON):
            findings += _check_pam_python(PAM_PYTHON)
        if files_of(NATIVE):
            findings += _check_native(NATIVE)
        elif not files_of(PAM_PYTHON):
            findings += _missing(NATIVE, _native())
    return list(dict.fromkeys(findings))


def _native() -> str:
    """Return what brings pam_trex.so to where libpam looks: a link, if it is installed."""
    there = glob.glob(f"{LIBPAM}/pam_unix.so")
    if there and os.path.exists(f"{CURRENT}/{NATIVE}"):
        return f"ln -sf {CURRENT}/{NATIVE} {os.path.dirname(there[0])}/{NATIVE}"
    return bootstrap("native")


def _installed() -> str:
    """Return the pam_trex.so that an upgrade replaces; "" if there is none."""
    if not is_of_a_package():
        return f"{CURRENT}/{NATIVE}" if os.path.exists(f"{CURRENT}/{NATIVE}") else ""
    for path in glob.glob(f"{LIBPAM}/pam_unix.so"):
        beside = os.path.join(os.path.dirname(path), NATIVE)
        if os.path.isfile(beside) and not os.path.islink(beside):
            return beside
    return ""


def _missing(module: str, fix: str) -> list[Finding]:
    what = f"{cut(module, MAX_PATH)} is not installed"
    why = "PAM cannot load Trex, and refuses."
    return [Finding("module-missing", ERROR, what, why, fix)]


def _check_pam_python(module: str, script: str = "") -> list[Finding]:
    found = files_of(module)
    if not found:
        return _missing(module, bootstrap("python"))
    findings, version = _check_library(found[0])
    if script:
        package = os.path.join(os.path.dirname(os.path.realpath(script)), "trex")
        findings += _check_package(script, package, version)
    return findings


def _check_native(module: str) -> list[Finding]:
    found = files_of(module)
    if not found:
        return _missing(module, _native())
    path = found[0]
    python, helper = _built_with(path)
    if not helper:
        what = f"{path} is a module of another project"
        why = "Trex has no say in these logins."
        return [Finding("module-foreign", ERROR, what, why, f"rm {shlex.quote(path)}; {_native()}")]
    version = _version_of(python)
    findings = _check_files([path, python] if version else [path])
    if not version:
        what = f"{path} runs {python}, which does not work"
        why = "No login through it can be checked, and all are refused."
        findings.append(Finding("module-python", ERROR, what, why, from_sources()))
    there = os.path.realpath(helper)
    findings += _check_package(helper, os.path.dirname(os.path.dirname(there)), version)
    if there.startswith(f"{os.path.realpath(CURRENT)}/"):
        findings += _check_copy(path)
    elif there.startswith(INSTALLED):
        what = f"{path} runs {helper}, and not the version that is installed"
        why = "It is no link to the installed module. The next upgrade may remove what it runs."
        fix = f"rm {shlex.quote(path)}; {_native()}"
        findings.append(Finding("module-version", WARNING, what, why, fix))
    return findings


def _check_copy(path: str) -> list[Finding]:
    """Return what is wrong with another file than the one that an upgrade replaces."""
    installed = _installed()
    if not installed or os.path.samefile(path, installed):
        return []
    what = f"{path} is a copy of {installed}"
    why = "An upgrade does not replace it, and may remove what it runs."
    fix = f"ln -sf {installed} {shlex.quote(path)}"
    return [Finding("module-copy", WARNING, what, why, fix)]


def _check_bundle(package: str, compiled: str) -> list[Finding]:
    """Return whether the modules of a login are in one file, for the Python that compiled these."""
    bundle = os.path.join(package, "bundle.pyc")
    if not os.path.realpath(package).startswith(INSTALLED):
        return []  # a checkout has none
    if not os.path.isfile(bundle):
        what = f"{bundle} is missing"
    elif _magic(bundle) != _magic(compiled):
        what = f"{bundle} is for another version of Python"
    else:
        return []
    why = "Each login reads twenty files in its place, and takes longer."
    make = f"/usr/bin/python3 -I -B {PACKAGED}/bundle {PACKAGED}"
    fix = make if os.path.isfile(f"{PACKAGED}/bundle") else from_sources()
    return [Finding("module-bundle", WARNING, what, why, fix)]


def _magic(path: str) -> bytes:
    """Return the number that says for which Python a file is compiled (importlib.util)."""
    with open(path, "rb") as file:
        return file.read(4)


def _built_with(path: str) -> tuple[str, str]:
    """Return the interpreter and the helper that pam_trex.so names; "" in another module."""
    with open(path, "rb") as file:
        built = BUILT.search(file.read(MAX_MODULE))
    return (os.fsdecode(built[1]), os.fsdecode(built[2])) if built else ("", "")


def root_of(rule: Rule) -> str:
    """Return the directory that has the package a rule of Trex's runs; "" if that is unknown."""
    if rule.name != NATIVE:
        return os.path.dirname(os.path.realpath(os.path.join(SECURITY, rule.arguments[0])))
    found = files_of(rule.module)
    helper = _built_with(found[0])[1] if found else ""
    return os.path.realpath(helper).removesuffix("/trex/login/helper.py") if helper else ""


def _version_of(python: str) -> str:
    """Return the version of an interpreter, as `3.11`; "" if it does not run."""
    try:
        done = subprocess.run(  # noqa: S603 (a list; the path is the module's own)
            [python, "-I", "-S", "-c", VERSION], capture_output=True, text=True, check=False,
            timeout=SECONDS, stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def check_others(rules: list[Rule]) -> list[Finding]:
    """Return the other modules that are missing, where libpam then refuses.

    pam.conf(5): the result of such a line is `module_unknown`.
    """
    findings = []
    for rule in rules:
        action = rule.actions.get("module_unknown", rule.actions.get("default", "bad"))
        if rule.name in (PAM_PYTHON, NATIVE) or not rule.actions or action not in ("bad", "die"):
            continue
        if not files_of(rule.module):
            what = f"{rule.where}: the module {cut(rule.module, MAX_PATH)} is not installed"
            why = "PAM refuses every login that reaches this line."
            fix = by_hand(
                f"install the package that has it, or take line {rule.line} out of {rule.path}"
            )
            findings.append(Finding("pam-missing", ERROR, what, why, fix))
    return findings


def files_of(module: str) -> list[str]:
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


def _check_package(entry: str, package: str, version: str) -> list[Finding]:
    """Return what is wrong with what a door runs; `version` is its Python's, "" if not known."""
    if not os.path.isfile(entry) or not os.path.isfile(os.path.join(package, "login/pam.py")):
        return [
            Finding("module-script", ERROR, f"{entry}: the module is missing or incomplete",
                    "It cannot run, and PAM refuses.", from_sources())
        ]  # fmt: skip
    files = [entry, package, *glob.glob(os.path.join(glob.escape(package), "**"), recursive=True)]
    findings = _check_files(files)
    compiled = f"{package}/login/__pycache__/pam.cpython-{version.replace('.', '')}.pyc"
    if version and os.path.exists(compiled):
        findings += _check_bundle(package, compiled)
    elif version:
        findings.append(
            Finding("module-compiled", WARNING, f"{package}: not compiled for Python {version}",
                    "Each login compiles it again, and takes longer.", from_sources())
        )  # fmt: skip
    return findings


def root_alone(path: str) -> str:
    """Return the shell command after which only root can write `path`."""
    return f"chown root:root {shlex.quote(path)}; chmod go-w {shlex.quote(path)}"


def _check_files(paths: list[str]) -> list[Finding]:
    """Return the first file that others can write; all of them run as root."""
    checked: set[str] = set()  # directories, which hundreds of files share
    for path in paths:
        try:
            resolved = os.path.realpath(path)
            if (directory := os.path.dirname(resolved)) not in checked:
                check_directories(directory, ROOT)
                checked.add(directory)
            check_entry(resolved, ROOT)
        except FileUnsafe as error:
            fix = root_alone(error.path)
            why = "It runs as root in every login."
            return [Finding("module-writable", ERROR, str(error), why, fix)]
        except OSError as error:
            why = "It cannot be read."
            what = f"{path}: {error.strerror}"
            return [Finding("module-script", ERROR, what, why, from_sources())]
    return []
