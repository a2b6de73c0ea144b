"""What tests/proof/mutants_in_c.py breaks: for each source its tests, and what cannot be found in it."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """A file in C; `tests` has those that know a function, `changes` has `old -> new` for it."""

    path: str
    command: tuple[str, ...]  # compiles it
    seconds: float  # after which the tests have failed, because something never ends
    tests: dict[str, tuple[str, ...]]
    changes: dict[str, list[str]]


DOOR, CALLERS, MEMORY, SU = (
    f"tests/system/login/test_native_{name}.py" for name in ("door", "callers", "memory", "su")
)
CORPUS = "tests/unit/test_fuzz.py::test_what_is_in_the_corpus_of_a_target_in_c"
OWN = tuple(f"{SU}::test_the_helper_is_root_s_own_while_the_prompt_is_open[su-{how}]"
            for how in ("limits", "nice", "slack", "signals", "umask"))  # fmt: skip
FROZEN = tuple(f"{SU}::test_a_frozen_cgroup_holds_neither_helper_nor_keeper[su-{place}]"
               for place in ("", "unified"))  # fmt: skip
CARRYING = (CORPUS, MEMORY, DOOR, CALLERS)
STARTING = (DOOR, CALLERS, *OWN)
OF_DOOR = {
    "now_ms": STARTING, "await": STARTING, "limit": OWN, "leave_the_caller": (*OWN, *FROZEN),
    "forget_handlers": STARTING, "place_descriptors": STARTING, "run_helper": STARTING,
    "keep": STARTING, "start": STARTING, "finish": STARTING, "tell": CARRYING, "converse": CARRYING,
    "verdict": CARRYING, "serve": CARRYING, "carry": CARRYING, "put": CARRYING,
    "introduce": CARRYING, "pam_sm_authenticate": CARRYING,
}  # fmt: skip
IN_DOOR = {
    "await": ["ready < 0 && errno == EINTR -> 0", "left > 0 ? (int)left : 0 -> -1"],
    "limit": ["both.rlim_cur = most < both.rlim_max ? most : both.rlim_max -> both.rlim_cur = most"],
    "leave_the_caller": [
        *(f"{one} -> " for one in ("RLIMIT_CPU, ", "RLIMIT_FSIZE, ", "RLIMIT_DATA, ", "RLIMIT_AS, ",
                                   "RLIMIT_NPROC, ", "RLIMIT_RSS,", "RLIMIT_LOCKS, ",
                                   "RLIMIT_SIGPENDING, ", "RLIMIT_MEMLOCK, ", "RLIMIT_RTTIME,")),
        '"/sys/fs/cgroup/cgroup.procs", -> ', '"/sys/fs/cgroup/unified/cgroup.procs", -> ', "SYS_setgroups, 0 -> SYS_setgroups, -1",
    ],
    "run_helper": [*(f"{one}, -> " for one in ('"-I"', '"-S"', '"-B"', '"-X", "utf8"')),
                   "SIGKILL -> 0", "arguments, environment) -> arguments, environ)"],
    "keep": ["_exit(status != 0) -> _exit(0)", "getuid() != 0 || getauxval(AT_SECURE) -> getuid() != 0",
             "getuid() != 0 || getauxval(AT_SECURE) -> getauxval(AT_SECURE)", "geteuid() == 0 && -> ",
             "{.fd = SOCKET} -> {.fd = -1}", "await(both, 2, -> await(both, 1,"],
    "place_descriptors": ["SOCKET + 1, ~0U, 0 -> SOCKET + 1, SOCKET + 1, 0",
                          "F_DUPFD, SOCKET + 1 -> F_DUPFD, 0"],
    "start": [" | SOCK_CLOEXEC -> ", "SYS_clone, 0, -> SYS_clone, SIGCHLD,", "SOCK_SEQPACKET -> SOCK_STREAM",
              "SIG_BLOCK, &all, &before -> SIG_BLOCK, NULL, &before"],
    "finish": ["more || status != 0 -> status != 0", "more || status != 0 -> more",
               "WNOHANG | __WALL -> WNOHANG", ".events = POLLIN -> .events = 0"],
    "tell": ["text, length} -> text, length - 1}"],
    "converse": ["answer ? ANSWER : NOTHING -> ANSWER"],
    "verdict": [f'"{name}", PAM_{name.upper()} -> "{name}", PAM_IGNORE' for name in (
        "success", "auth_err", "user_unknown", "authinfo_unavail", "maxtries", "conv_err", "system_err")],
    "serve": ["PAM_PROMPT_ECHO_OFF -> PAM_PROMPT_ECHO_ON", "PAM_PROMPT_ECHO_ON -> PAM_PROMPT_ECHO_OFF",
              "PAM_TEXT_INFO -> PAM_ERROR_MSG", "PAM_ERROR_MSG -> PAM_TEXT_INFO", "? FAILED : ANSWER -> ? ANSWER : ANSWER",
              "password ? ANSWER : NOTHING -> ANSWER", "text, NULL, 10 -> text, NULL, 8", "return -1 -> return 0"],
    "carry": [" | MSG_TRUNC -> ", "door->frame, MAX_FRAME, -> door->frame, MAX_FRAME + 1,",
              "frames < MAX_FRAMES -> frames <= MAX_FRAMES", "frames < MAX_FRAMES -> 1", "[length] = 0 -> [length] = 1"],
    "put": ["at && length -> length", "length <= (size_t)(end - at) -> 1", "strlen(field) + 1 -> strlen(field)"],
    "introduce": ["at && send -> send", "&& user; -> || 1;", "PAM_SERVICE, PAM_RHOST -> PAM_RHOST, PAM_SERVICE",
                  "PAM_TTY, PAM_RUSER -> PAM_RUSER, PAM_TTY"],
    "pam_sm_authenticate": ["code == PAM_SUCCESS || code == PAM_IGNORE -> code == PAM_SUCCESS",
                            "code == PAM_SUCCESS || code == PAM_IGNORE -> code == PAM_IGNORE",
                            "int code = NO_VERDICT -> int code = PAM_SUCCESS",
                            "return PAM_SYSTEM_ERR -> return PAM_IGNORE"],
}  # fmt: skip
CONFINED = tuple(
    f"tests/unit/openpgp/test_confined_{name}.py" for name in ("calls", "files", "gpg")
)
OF_CONFINER = {
    "length_of": CONFINED, "begins_with": CONFINED, "join": CONFINED, "fail": CONFINED,
    "open_path": CONFINED, "rights_of": CONFINED, "is_directory": CONFINED, "allow": CONFINED,
    "allow_in": CONFINED, "allow_prefix": CONFINED, "real_path": CONFINED, "allow_system": CONFINED,
    "allow_keyring": CONFINED, "allow_daemons": CONFINED, "is_in_private_home": CONFINED,
    "restrict_files": CONFINED, "step": CONFINED, "deny": CONFINED, "rules_for_denied": CONFINED,
    "rule": CONFINED, "rule_if": CONFINED, "argument": CONFINED, "rule_for_this_path": CONFINED,
    "rules_for_all": CONFINED, "rules_for_sockets": CONFINED, "rules_for_alone": CONFINED,
    "filter_calls": CONFINED, "may_confine": CONFINED, "is_script": CONFINED, "start": CONFINED,
}  # fmt: skip
IN_CONFINER = {
    "length_of": ["return length -> return length + 1"],
    "begins_with": ["*beginning == 0 -> 1", "*text == *beginning -> 1"],
    "join": ["length + 1 + more > MAX_PATH -> more > MAX_PATH"],
    "fail": ["127 -> 0", "error / unit % 10 -> 0"],
    "open_path": ["flags -> O_PATH"],
    "rights_of": [": 16 -> : 14"],
    "is_directory": ["== S_IFDIR -> != 0", "AT_EMPTY_PATH -> 0"],
    "allow": ["rights &= OF_FILES; -> ;"],
    "allow_prefix": ["up < 2 -> up < 1", "RUN -> READ",
                     *(f'"{name}"{end} -> ' for name, end in (("bin", ", "), ("lib", ", "), ("lib64", ", "),
                                                               ("libexec", ", "), ("etc/gnupg", "")))],
    "real_path": ["size > 0 ? real : NULL -> NULL", " || unit == 1 -> "],
    "allow_system": [*(f'"{path}", -> ' for path in (
                         "/usr", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd",
                         "/dev/urandom", "/dev/random")),
                     "READ | LANDLOCK_ACCESS_FS_WRITE_FILE -> READ", "read[i], READ -> read[i], EVERYTHING",
                     "run[i], RUN -> run[i], EVERYTHING"],
    "allow_keyring": [*(f'"{name}", -> ' for name in (
                          "pubring.kbx", "pubring.gpg", "trustdb.gpg", "common.conf", "public-keys.d",
                          "gpg-agent.conf", "scdaemon.conf")),
                      "kind == ALONE ? 4 : count -> count", "kind == ALONE ? 4 : count -> 4", "READ -> USE"],
    "allow_daemons": [*(f'"{path}", -> ' for path in ("/opt", "/sys", "/proc", "/run")), ', "/etc" -> ',
                      "i < 2 ? RUN : READ -> RUN", "i < 2 ? RUN : READ -> READ", "home, RUN -> home, EVERYTHING"],
    "is_in_private_home": ["size == sizeof PRIVATE_HOME -> size > 0", "begins_with(directory, PRIVATE_HOME) -> 1",
                           "size == sizeof PRIVATE_HOME && begins_with(directory, PRIVATE_HOME) -> 1"],
    "restrict_files": ["version >= 4 ? 3 : 0 -> 0", "version >= 4 ? 3 : 0 -> 1", "version >= 4 ? 3 : 0 -> 2",
                       "version >= 6 ? 3 : 0 -> 0", "version >= 6 ? 3 : 0 -> 1", "version >= 6 ? 3 : 0 -> 2"],
    "rules_for_denied": ["ERROR(EPERM) -> SECCOMP_RET_ALLOW", "count + 2 -> count + 1", "count - i -> count - i - 1"],
    "rule_if": ["0, 4) -> 0, 2)", "value, 0, 1 -> value, 1, 0"],
    "argument": ["8 * -> 4 *"],
    "rule_for_this_path": ["(uint32_t)address, 0, 3 -> (uint32_t)address, 0, 0",
                           "(uint32_t)(address >> 32), 0, 1 -> (uint32_t)(address >> 32), 0, 0"],
    "rules_for_all": ["ERROR(ENOSYS) -> ERROR(EPERM)"],
    "rules_for_sockets": ["kind != ALONE -> 1"],
    "filter_calls": ["ARCHITECTURE, 1, 0 -> ARCHITECTURE, 1, 1", "kind == ALONE -> kind != ALONE"],
    "may_confine": ["ended == child && status == 0 -> 1", "SECCOMP_MODE_FILTER -> 99"],
    "is_script": ["mark[0] == '#' && mark[1] == '!' -> 1", "mark[0] == '#' && mark[1] == '!' -> 0",
                  "O_RDONLY | O_NONBLOCK -> O_PATH"],
    "start": ["arguments + 3 -> arguments + 2", "arguments + count + 1 -> arguments + count"],
}  # fmt: skip
SOURCES = (
    Source("native/pam_trex.c", ("gcc", "@native/flags", "-Wno-unused", "-Wno-unused-parameter", "-o", "/dev/null",
                                 "native/pam_trex.c", "-lpam"), 600, OF_DOOR, IN_DOOR),
    Source("native/trex-confine.c", ("script/confine", "/dev/null"), 40, OF_CONFINER, IN_CONFINER),
)  # fmt: skip
