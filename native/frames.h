/* The frames between pam_trex.so and the helper, over one SOCK_SEQPACKET socket.
 *
 * A frame is one packet: a byte for its kind, and a text in UTF-8 without a zero, of MAX_FRAME bytes
 * together at most. The exception is LOGIN, which comes first: fields that each end in a zero, which
 * are flags of pam_sm_authenticate(3), the application's process id, 1 or 0 for whether it has named
 * a user, the user, PAM_SERVICE, PAM_RHOST, PAM_TTY, PAM_RUSER, and the module's arguments.
 * `trex/login/door.py` has the same table.
 *
 *   from the helper   text                            answered by
 *   HIDDEN, SHOWN     a prompt                        ANSWER with the response, NOTHING, FAILED
 *   INFO, FAULT       a message                       ANSWER or NOTHING, FAILED
 *   GET_PASSWORD      none                            ANSWER with PAM_AUTHTOK, NOTHING
 *   SET_PASSWORD      PAM_AUTHTOK                     ANSWER, FAILED
 *   DELAY             microseconds, in decimal        no frame
 *   VERDICT           success, ignore, auth_err,      no frame: it is the last
 *                     user_unknown, authinfo_unavail,
 *                     maxtries, conv_err or system_err
 */
#ifndef TREX_FRAMES_H
#define TREX_FRAMES_H

enum {
    HIDDEN = 'p', SHOWN = 'e', INFO = 'i', FAULT = 'r', GET_PASSWORD = 'g', SET_PASSWORD = 's',
    DELAY = 'd', VERDICT = 'v',
    LOGIN = 'L', ANSWER = 'A', NOTHING = 'N', FAILED = 'F',
};

enum {
    MAX_FRAME = 64 * 1024, /* bytes */
    MAX_FRAMES = 64,       /* from one helper */
    SOCKET = 3,            /* the helper's descriptor */
};

#ifndef SILENCE_MS
#define SILENCE_MS 120000L /* from one frame to the next; each of the helper's own waits is shorter */
#endif
#ifndef END_MS
#define END_MS 3000L /* from the verdict to the end of helper and keeper */
#endif
#ifndef KEEPER_MS
#define KEEPER_MS 3600000L /* of a whole login */
#endif

#endif
