"""The entry file for pam_python.so: PAM calls in here, `trex.login.pam` answers.

pam_python compiles this file at every call, also for setcred and sessions: it stays small, and
imports nothing before it is needed.
"""

import gc
import os.path
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.pam import PamHandle

PACKAGES = (
    "trex", "trex.login", "trex.openpgp", "trex.page", "trex.recovery", "trex.sms", "trex.system",
    "trex.totp",
)  # fmt: skip


def pam_sm_authenticate(pamh: "PamHandle", flags: int, argv: list[str]) -> int:
    """Log in. Whatever fails, including the import of the package, is a refusal."""
    collecting = gc.isenabled()
    gc.disable()  # a login leaves little garbage, and walking all of Python's modules takes time
    try:
        if "trex" not in sys.modules:  # made here: no search along sys.path, and no change of it
            here = os.path.dirname(os.path.realpath(__file__))
            for name in PACKAGES:
                package = sys.modules[name] = type(sys)(name)
                package.__path__ = [os.path.join(here, *name.split("."))]
            try:
                __import__("trex.bundle")
            except (ImportError, EOFError, ValueError, TypeError):  # see trex.system.bundle
                pass
        from trex.login.pam import authenticate

        return authenticate(pamh, flags, argv[1:])
    except BaseException as error:
        _log(f"pam_trex: unforeseen error, is the installation whole? {type(error).__name__}")
        return pamh.PAM_SYSTEM_ERR
    finally:
        if collecting:
            gc.enable()


def pam_sm_setcred(pamh: "PamHandle", flags: int, argv: list[str]) -> int:
    """Succeed: a login sets no further credentials."""
    return pamh.PAM_SUCCESS


def pam_sm_acct_mgmt(pamh: "PamHandle", flags: int, argv: list[str]) -> int:
    """Leave accounts, sessions and passwords to other modules."""
    return pamh.PAM_IGNORE


pam_sm_open_session = pam_sm_close_session = pam_sm_chauthtok = pam_sm_acct_mgmt


def _log(text: str) -> None:
    import syslog

    syslog.syslog(syslog.LOG_AUTHPRIV | syslog.LOG_ERR, text)
    syslog.closelog()  # accepted: the caller's openlog(3) is lost; trex.login.audit is missing
