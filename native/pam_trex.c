/* pam_trex.so: Trex in a process of its own.
 *
 * The module asks PAM who logs in, starts the helper, passes its questions to the application and
 * the answers back, and returns its verdict. It makes no decision itself.
 *
 * The application is not changed: no thread, no global state, no SIGCHLD, no descriptor. Between
 * the application and the helper is the keeper, a process that runs no program. The kernel sends no
 * SIGCHLD for it, and the application's wait(2) does not return it. Both are true only for a child
 * that has not called execve(2) (clone(2), wait(2)).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"

#ifndef PYTHON
#define PYTHON "/usr/bin/python3"
#endif
#ifndef HELPER
#define HELPER "/usr/lib/trex-pam/current/trex/login/helper.py"
#endif
/* What `trex doctor` reads in the file. */
__attribute__((used)) static const char built[] = "trex: python=" PYTHON " helper=" HELPER;
enum { NO_VERDICT = -1, SENDING = MSG_NOSIGNAL | MSG_DONTWAIT };

struct door {
    pam_handle_t *pamh;
    int socket;
    pid_t keeper;
    char *frame; /* MAX_FRAME bytes and a zero */
};

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Wait for events on `count` descriptors: how many have one, 0 at the deadline, -1 for an error. */
static int await(struct pollfd *descriptors, nfds_t count, long deadline)
{
    int ready;

    do {
        long left = deadline - now_ms();
        ready = poll(descriptors, count, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    return ready;
}

/* In the keeper and the helper, up to `keep`.
 * Nothing here may take a lock: another thread of the application may have held it at the fork.
 * So ids are changed by system calls: glibc's functions would wait for threads that do not exist.
 */

/* Set both limits of a kind, or as much as the hard one allows without CAP_SYS_RESOURCE. */
static void limit(int kind, rlim_t most)
{
    struct rlimit both = {most, most};

    if (setrlimit(kind, &both) && !getrlimit(kind, &both)) {
        both.rlim_cur = most < both.rlim_max ? most : both.rlim_max;
        setrlimit(kind, &both);
    }
}

/* A user who calls su chooses all of this, and could stop what has their real id. */
static void leave_the_caller(void)
{
    static const int limits[] = {
        RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_AS, RLIMIT_NPROC, RLIMIT_RSS,
        RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MEMLOCK, RLIMIT_RTTIME,
    };
    static const char *const zeroed[] = { /* in a container some cannot be: then it stays */
        "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs",
        "/proc/self/oom_score_adj", "/proc/self/coredump_filter",
    };
    cpu_set_t everywhere;

    if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, 0, 0, 0) ||
        syscall(SYS_setresuid, 0, 0, 0))
        _exit(126);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        limit(limits[i], RLIM_INFINITY);
    limit(RLIMIT_STACK, 8 << 20);
    limit(RLIMIT_NOFILE, 1024);
    limit(RLIMIT_CORE, 0);
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    setpriority(PRIO_PROCESS, 0, 0);
    syscall(SYS_personality, 0); /* setarch(8) has uname(2) name another machine */
    syscall(SYS_ioprio_set, 1, 0, 0); /* this process's, back to none: ioprio_set(2) */
    memset(&everywhere, 0xff, sizeof everywhere);
    sched_setaffinity(0, sizeof everywhere, &everywhere);
    prctl(PR_SET_TIMERSLACK, 50000UL); /* nanoseconds; with more a deadline may pass by hours */
    syscall(SYS_set_mempolicy, 0, NULL, 0UL); /* memory of any node */
    syscall(SYS_keyctl, 1, NULL); /* a session keyring of its own: keyctl(2) */
    for (size_t i = 0; i < sizeof zeroed / sizeof *zeroed; i++) {
        int file = open(zeroed[i], O_WRONLY | O_NOCTTY); /* closed with all others */
        if (file >= 0 && write(file, "0", 1) < 0)
            errno = 0;
    }
}

static void forget_handlers(void)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &by_default, NULL); /* fails for KILL, STOP, and libc's own signals */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Move the socket to SOCKET, open /dev/null at the standard descriptors, and close all others. */
static void place_descriptors(int from)
{
    int high = fcntl(from, F_DUPFD, SOCKET + 1), null = open("/dev/null", O_RDWR);

    for (int number = 0; number < SOCKET; number++)
        if (null < 0 || dup2(null, number) < 0)
            _exit(126);
    if (dup2(high, SOCKET) < 0 || close_range(SOCKET + 1, ~0U, 0))
        _exit(126);
}

static _Noreturn void run_helper(pid_t keeper)
{
    char *const arguments[] = {PYTHON, "-I", "-S", "-B", "-X", "utf8", HELPER, NULL};
    char *const environment[] = {"LC_ALL=C", NULL}; /* else Python looks for a UTF-8 one */

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != keeper || setsid() < 0)
        _exit(126);
    execve(PYTHON, arguments, environment);
    _exit(127);
}

/* Run the helper, and end it when the application ends. The exit status is 0 if the helper's is. */
static _Noreturn void keep(int helpers_end)
{
    /* sudo has given up the caller's real id already; AT_SECURE still tells how it was started */
    const int foreign = geteuid() == 0 && (getuid() != 0 || getauxval(AT_SECURE));
    const pid_t keeper = getpid();
    pid_t helper;
    struct pollfd both[] = {{.events = POLLIN}, {.fd = SOCKET}};
    int status = 1;

    forget_handlers();
    if (foreign)
        leave_the_caller();
    place_descriptors(helpers_end);
    umask(077);
    if (setsid() < 0 || chdir("/"))
        _exit(126);
    helper = _Fork();
    if (helper == 0)
        run_helper(keeper);
    if (helper < 0)
        _exit(126);
    both[0].fd = (int)syscall(SYS_pidfd_open, helper, 0);
    if (both[0].fd < 0 || await(both, 2, now_ms() + KEEPER_MS) < 1 || !both[0].revents)
        kill(helper, SIGKILL);
    waitpid(helper, &status, 0);
    shutdown(SOCKET, SHUT_RDWR); /* other children of the application may have this end, too */
    _exit(status != 0);
}

/* Start the keeper; only this module notices its end. */
static int start(struct door *door)
{
    int ends[2], failed;
    sigset_t all, before;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* the application's handlers must not run there */
    door->keeper = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0); /* fork(2) without a signal at its end */
    if (door->keeper == 0)
        keep(ends[1]);
    failed = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    door->socket = ends[0];
    if (door->keeper > 0)
        return 0;
    close(ends[0]);
    errno = failed;
    return -1;
}

/* End keeper and helper; 0 if the helper has sent no more, and ended by itself with status 0. */
static int finish(struct door *door)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, door->keeper, 0), .events = POLLIN};
    long deadline;
    int status = 1, more;
    pid_t ended;

    await(&end, 1, now_ms() + END_MS); /* all of it if there is no descriptor left */
    close(end.fd);
    more = recv(door->socket, door->frame, 1, MSG_DONTWAIT) > 0;
    shutdown(door->socket, SHUT_RDWR); /* only now: with this the keeper kills the helper */
    close(door->socket);
    deadline = now_ms() + END_MS;
    while ((ended = waitpid(door->keeper, &status, WNOHANG | __WALL)) != door->keeper) {
        if (ended < 0 && errno != EINTR) /* somebody else reaped it */
            return -1;
        if (now_ms() > deadline)
            kill(door->keeper, SIGKILL); /* the helper dies with it: PR_SET_PDEATHSIG */
        poll(NULL, 0, 1);
    }
    return more || status != 0 ? -1 : 0;
}

static int tell(struct door *door, char kind, const char *text)
{
    size_t length = strlen(text); /* the helper refuses a frame that is too long */
    struct iovec parts[] = {{&kind, 1}, {(char *)text, length}};
    struct msghdr frame = {.msg_iov = parts, .msg_iovlen = 2};

    return sendmsg(door->socket, &frame, SENDING) == (ssize_t)length + 1 ? 0 : -1;
}

/* Show `text`, and send the application's response to the helper, in one frame. */
static int converse(struct door *door, int style, const char *text)
{
    const void *item = NULL;
    struct pam_message message = {.msg_style = style, .msg = text};
    const struct pam_message *messages[] = {&message};
    struct pam_response *response = NULL;
    const struct pam_conv *application;
    char *answer;
    int told;

    pam_get_item(door->pamh, PAM_CONV, &item);
    application = item;
    if (!application || !application->conv ||
        application->conv(1, messages, &response, application->appdata_ptr) != PAM_SUCCESS)
        return tell(door, FAILED, "");
    answer = response ? response->resp : NULL;
    told = tell(door, answer ? ANSWER : NOTHING, answer ? answer : "");
    if (answer) {
        explicit_bzero(answer, strlen(answer));
        free(answer);
    }
    free(response);
    return told;
}

/* Return the code of a verdict's name. The only place with PAM_SUCCESS for a login. */
static int verdict(const char *text)
{
    static const struct { const char *name; int code; } verdicts[] = {
        {"success", PAM_SUCCESS}, {"ignore", PAM_IGNORE}, {"auth_err", PAM_AUTH_ERR},
        {"user_unknown", PAM_USER_UNKNOWN}, {"authinfo_unavail", PAM_AUTHINFO_UNAVAIL},
        {"maxtries", PAM_MAXTRIES}, {"conv_err", PAM_CONV_ERR}, {"system_err", PAM_SYSTEM_ERR},
    };

    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (!strcmp(text, verdicts[i].name))
            return verdicts[i].code;
    return NO_VERDICT;
}

/* Do what one frame asks for, but for the verdict; -1 if that is impossible. */
static int serve(struct door *door, char kind, const char *text)
{
    const void *password = NULL;

    switch (kind) {
    case HIDDEN:
        return converse(door, PAM_PROMPT_ECHO_OFF, text);
    case SHOWN:
        return converse(door, PAM_PROMPT_ECHO_ON, text);
    case INFO:
        return converse(door, PAM_TEXT_INFO, text);
    case FAULT:
        return converse(door, PAM_ERROR_MSG, text);
    case GET_PASSWORD:
        pam_get_item(door->pamh, PAM_AUTHTOK, &password);
        return tell(door, password ? ANSWER : NOTHING, password ? password : "");
    case SET_PASSWORD:
        return tell(door, pam_set_item(door->pamh, PAM_AUTHTOK, text) ? FAILED : ANSWER, "");
    case DELAY:
        pam_fail_delay(door->pamh, (unsigned)strtoul(text, NULL, 10));
        return 0;
    default:
        return -1;
    }
}

/* Serve frames until the verdict; there is none if the helper is silent or sends invalid frames. */
static int carry(struct door *door)
{
    for (int frames = 0; frames < MAX_FRAMES; frames++) {
        struct pollfd frame = {.fd = door->socket, .events = POLLIN};
        ssize_t length;

        if (await(&frame, 1, now_ms() + SILENCE_MS) != 1)
            return NO_VERDICT;
        length = recv(door->socket, door->frame, MAX_FRAME, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 1 || length > MAX_FRAME)
            return NO_VERDICT;
        door->frame[length] = 0;
        if (strlen(door->frame) != (size_t)length)
            return NO_VERDICT;
        if (door->frame[0] == VERDICT)
            return verdict(door->frame + 1);
        if (serve(door, door->frame[0], door->frame + 1))
            return NO_VERDICT;
    }
    return NO_VERDICT;
}

/* Append one field; NULL if it does not fit, or an earlier one did not. */
static char *put(char *at, const char *end, const char *field)
{
    size_t length = strlen(field) + 1;

    return at && length <= (size_t)(end - at) ? mempcpy(at, field, length) : NULL;
}

/* Send who logs in: fields that end in a zero. Returns -1 if they do not fit. */
static int introduce(struct door *door, int flags, int argc, const char **argv)
{
    static const int items[] = {PAM_SERVICE, PAM_RHOST, PAM_TTY, PAM_RUSER};
    const char *user = NULL;
    const char *const end = door->frame + MAX_FRAME;
    char *at = door->frame;
    int named = pam_get_user(door->pamh, &user, NULL) == PAM_SUCCESS && user;

    at += sprintf(at, "%c%d%c%d%c%d%c", LOGIN, flags, 0, (int)getpid(), 0, named, 0);
    at = put(at, end, named ? user : "");
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        const void *value = NULL;
        pam_get_item(door->pamh, items[i], &value);
        at = put(at, end, value ? value : "");
    }
    for (int i = 0; i < argc; i++)
        at = put(at, end, argv[i]);
    return at && send(door->socket, door->frame, (size_t)(at - door->frame), SENDING) > 0 ? 0 : -1;
}

PAM_EXTERN int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct door door = {.pamh = pamh, .frame = malloc(MAX_FRAME + 1)};
    int code = NO_VERDICT;

    if (!door.frame || start(&door)) {
        pam_syslog(pamh, LOG_ERR, "no process for a login: %s", strerror(errno));
        code = PAM_AUTHINFO_UNAVAIL;
    } else {
        if (introduce(&door, flags, argc, argv) == 0)
            code = carry(&door);
        if (finish(&door) && (code == PAM_SUCCESS || code == PAM_IGNORE))
            code = NO_VERDICT;
        explicit_bzero(door.frame, MAX_FRAME + 1); /* a password may have been in it */
    }
    free(door.frame);
    if (code != NO_VERDICT)
        return code;
    pam_syslog(pamh, LOG_ERR, "no valid verdict from " HELPER);
    return PAM_SYSTEM_ERR;
}

/* A login sets no further credentials; other modules do the rest. */
#define ALWAYS(code, name)                                                                   \
    PAM_EXTERN int name(pam_handle_t *pamh, int flags, int argc, const char **argv)          \
    {                                                                                        \
        (void)pamh, (void)flags, (void)argc, (void)argv;                                     \
        return code;                                                                         \
    }

ALWAYS(PAM_SUCCESS, pam_sm_setcred)
ALWAYS(PAM_IGNORE, pam_sm_acct_mgmt)
ALWAYS(PAM_IGNORE, pam_sm_open_session)
ALWAYS(PAM_IGNORE, pam_sm_close_session)
ALWAYS(PAM_IGNORE, pam_sm_chauthtok)
