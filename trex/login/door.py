"""The login in a process of its own: PAM, as `native/pam_trex.c` carries it over a socket.

Only that module runs it: as root or as the application's account, with the socket at descriptor 3
and `LC_ALL=C` alone in its environment.
"""

import _socket  # built in; socket.py costs 3 ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.pam import Response

SOCKET_FD = 3
MAX_FRAME = 64 * 1024  # bytes, as there
# A later answer does not count. A challenge is valid for ten minutes, and the application may ask
# for the user's name before that.
WAIT_SECONDS = 900.0
LOGIN, ANSWER, NOTHING = b"L", b"A", b"N"
HIDDEN, SHOWN, FAULT, INFO = b"p", b"e", b"r", b"i"
GET_PASSWORD, SET_PASSWORD, DELAY, VERDICT = b"g", b"s", b"d", b"v"
VERDICTS = {
    0: b"success",
    4: b"system_err",
    7: b"auth_err",
    9: b"authinfo_unavail",
    10: b"user_unknown",
    11: b"maxtries",
    19: b"conv_err",
    25: b"ignore",
}  # security/_pam_types.h
STYLES = {1: HIDDEN, 2: SHOWN, 3: FAULT, 4: INFO}  # pam_conv(3)


class DoorError(Exception):
    """PAM could not do what it was asked for, or the application has ended."""


class Answer:
    """What the application returned; `resp` is None if there is nothing."""

    def __init__(self, resp: str | None) -> None:
        self.resp = resp


class Handle:
    """`trex.login.pam.PamHandle` over the socket; text that is not UTF-8: UnicodeDecodeError."""

    PAM_SILENT = 0x8000
    PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_ERROR_MSG, PAM_TEXT_INFO = STYLES
    PAM_SUCCESS, PAM_SYSTEM_ERR, PAM_AUTH_ERR, PAM_AUTHINFO_UNAVAIL = 0, 4, 7, 9
    PAM_USER_UNKNOWN, PAM_MAXTRIES, PAM_CONV_ERR, PAM_IGNORE = 10, 11, 19, 25
    exception: type[Exception] = DoorError

    def __init__(self, door: _socket.socket) -> None:
        """Read who logs in. Raises DoorError or OSError."""
        self._door = door
        kind, text = self._receive()
        flags, pid, named, user, service, rhost, self.tty, self.ruser, *arguments = (
            field.decode("utf-8", "surrogateescape") for field in text.split(b"\0")[:-1]
        )
        if kind != LOGIN:
            raise DoorError
        self.flags, self.caller = int(flags), int(pid)
        self._user = user if named == "1" else None
        self._service, self._rhost = service, rhost
        self.arguments = arguments

    @property
    def service(self) -> str:
        """The application's service name (PAM_SERVICE)."""
        return _utf8(self._service)

    @property
    def rhost(self) -> str:
        """The host from which the user comes (PAM_RHOST)."""
        return _utf8(self._rhost)

    def get_user(self, prompt: str | None = None) -> str | None:  # noqa: ARG002 (pam_python's)
        """Return the user that the application names. Raises DoorError."""
        if self._user is None:
            raise DoorError
        return _utf8(self._user)

    def Message(self, style: int, text: str) -> object:  # noqa: N802 (pam_python's name)
        """Return a text with its style, for `conversation`."""
        return STYLES[style] + text.encode("utf-8")

    def conversation(self, message: object) -> "Response":
        """Have a message shown, and return the response. Raises DoorError."""
        if not isinstance(message, bytes):
            raise TypeError
        return Answer(self._ask(message))

    @property
    def authtok(self) -> str | None:
        """What an earlier module asked for (PAM_AUTHTOK)."""
        return self._ask(GET_PASSWORD)

    @authtok.setter
    def authtok(self, password: str | None) -> None:
        self._ask(SET_PASSWORD + (password or "").encode("utf-8"))

    def fail_delay(self, microseconds: int) -> None:
        """Ask for a delay after a refusal (pam_fail_delay(3))."""
        self._send(DELAY + b"%d" % microseconds)

    def end(self, code: int) -> None:
        """Report the verdict."""
        self._send(VERDICT + VERDICTS[code])

    def _ask(self, frame: bytes) -> str | None:
        self._send(frame)
        answer, content = self._receive()
        if answer == NOTHING:
            return None
        if answer != ANSWER:
            raise DoorError
        return content.decode("utf-8")

    def _send(self, frame: bytes) -> None:
        if b"\0" in frame or len(frame) > MAX_FRAME:
            raise DoorError
        try:
            self._door.send(frame)
        except OSError:  # also if it takes too long
            raise DoorError from None

    def _receive(self) -> tuple[bytes, bytes]:
        try:
            frame = self._door.recv(MAX_FRAME + 1)
        except OSError:
            raise DoorError from None
        if not 0 < len(frame) <= MAX_FRAME:
            raise DoorError
        return frame[:1], frame[1:]


def _utf8(text: str) -> str:
    """Return the text, or raise UnicodeDecodeError if it was not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8")


def log_in_over_socket() -> None:
    """Log in once, and report the verdict. Raises DoorError if that fails."""
    from trex.login.pam import authenticate

    door = _socket.socket(fileno=SOCKET_FD)
    door.settimeout(WAIT_SECONDS)
    handle = Handle(door)
    handle.end(authenticate(handle, handle.flags, handle.arguments))
