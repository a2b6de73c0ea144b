/* A PAM client for the tests and the benchmark: it authenticates, answers the
 * conversation as told, and prints what happened, one fact a line:
 *
 *   prompt-us N             microseconds from pam_authenticate to the prompt
 *   style N                 whether the response shows while it is typed (pam_conv(3))
 *   private-dirty-kb N      private dirty pages while the prompt is open (--memory)
 *   resident-kb N           resident memory between two authentications (--memory)
 *   descriptors A B         descriptors open before pam_start and after pam_end (--descriptors)
 *   say STYLE TEXT          what a module said without asking, escaped
 *   verdict N TEXT          what pam_authenticate returned
 *   setcred N TEXT          what pam_setcred returned (--setcred)
 *   others A B C D          acct_mgmt, open_session, close_session, chauthtok (--others)
 *   sigchld ignored|default|other   what the module left behind (--ignore-sigchld)
 *   fail-delay N            the microseconds asked of pam_fail_delay
 *   changed WHAT...         what of the caller's own state a login left changed (--state): ids,
 *                           groups, mask, pending, handlers, directory, umask, children; or "nothing"
 *   child-signals N WHOSE   SIGCHLDs that were handled or are pending, and whether the last was about
 *                           the child that the client itself has (--wait-sigchld and the like)
 *   own-child kept|taken    whether that child was the client's to reap
 *   run-us N                microseconds, fork to end, of the command that --run-as runs at the prompt
 *
 * --log has the client open its log, whose socket libc keeps, as most programs do.
 * --marks accesses the names that tests/proof/fault.c watches for. The client is also built setuid root by a test that attacks through the environment.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *answer, *program, *rhost, *ruser, *prompt_file;
    const char *run_ids;
    char **command;
    int conversation_error, no_response, memory, keep_delay, marks, refuse_messages;
} want;
static struct timespec begun;
static long prompts, fail_delay_us;
static pid_t own_child;
static volatile sig_atomic_t child_signals, signal_from;

static long since_begun_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - begun.tv_sec) * 1000000L + (now.tv_nsec - begun.tv_nsec) / 1000;
}

static long from_proc(const char *path, const char *key)
{
    char line[256];
    long value = 0, found;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), " %ld", &found) == 1)
            value += found;
    if (file)
        fclose(file);
    return value;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count - 3; /* ".", ".." and the directory itself */
}

/* Tell tests/proof/fault.c, which traces this process, where it is. */
static void mark(const char *name)
{
    if (want.marks && access(name, F_OK) == 0)
        abort();
}

/* What a module must leave as it was. */
struct state {
    uid_t uid[3];
    gid_t gid[3], groups[64];
    int count;
    sigset_t mask, pending;
    struct sigaction handlers[NSIG];
    char directory[4096];
    mode_t umask;
};

static void note_state(struct state *state)
{
    memset(state, 0, sizeof *state);
    getresuid(&state->uid[0], &state->uid[1], &state->uid[2]);
    getresgid(&state->gid[0], &state->gid[1], &state->gid[2]);
    state->count = getgroups(64, state->groups);
    sigprocmask(SIG_BLOCK, NULL, &state->mask);
    sigpending(&state->pending);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, NULL, &state->handlers[number]);
    if (!getcwd(state->directory, sizeof state->directory))
        state->directory[0] = 0;
    state->umask = umask(0);
    umask(state->umask);
}

/* Whether there is a child beside the client's own one, which may have ended. */
static int has_other_children(void)
{
    siginfo_t found;
    int own = own_child && waitid(P_PID, (id_t)own_child, &found, WEXITED | WNOHANG | WNOWAIT) == 0;
    if (!own)
        return waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
    found.si_pid = 0;
    return waitid(P_ALL, 0, &found, WEXITED | WNOHANG | WNOWAIT) == 0 && found.si_pid
           && found.si_pid != own_child;
}

static void compare_state(const struct state *before)
{
    struct state after;
    int handlers = 0, masks = 0, pending = 0;
    note_state(&after);
    for (int number = 1; number < NSIG; number++) {
        handlers |= before->handlers[number].sa_handler != after.handlers[number].sa_handler;
        masks |= sigismember(&before->mask, number) != sigismember(&after.mask, number);
        pending |= sigismember(&before->pending, number) != sigismember(&after.pending, number);
    }
    int ids = memcmp(before->uid, after.uid, sizeof after.uid)
              || memcmp(before->gid, after.gid, sizeof after.gid);
    int groups = before->count != after.count
                 || memcmp(before->groups, after.groups, sizeof after.groups);
    int directory = strcmp(before->directory, after.directory) != 0;
    int mode = before->umask != after.umask;
    int children = has_other_children();
    int any = ids || groups || masks || pending || handlers || directory || mode || children;
    printf("changed%s%s%s%s%s%s%s%s%s\n", ids ? " ids" : "", groups ? " groups" : "",
           masks ? " mask" : "", pending ? " pending" : "", handlers ? " handlers" : "",
           directory ? " directory" : "", mode ? " umask" : "", children ? " children" : "",
           any ? "" : " nothing");
}

static void print_escaped(const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            fputs("\\n", stdout);
        else
            putchar(*text);
    putchar('\n');
}

/* The prompt goes to the program's standard input, its first line is the response. */
static char *ask_program(const char *prompt)
{
    int in[2], out[2];
    char *answer = calloc(1, 4096);
    size_t used = 0;
    ssize_t got;
    pid_t pid;
    void (*old)(int) = signal(SIGCHLD, SIG_DFL), (*old_pipe)(int);
    if (pipe(in) || pipe(out))
        abort();
    pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]); close(in[1]); close(out[0]); close(out[1]);
        execl("/bin/sh", "sh", "-c", want.program, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    old_pipe = signal(SIGPIPE, SIG_IGN); /* a program need not read the prompt */
    if (write(in[1], prompt, strlen(prompt)) < 0)
        perror("pam_client: prompt");
    signal(SIGPIPE, old_pipe);
    close(in[1]);
    while (used < 4000 && (got = read(out[0], answer + used, 4000 - used)) > 0)
        used += (size_t)got;
    close(out[0]);
    waitpid(pid, NULL, 0);
    signal(SIGCHLD, old);
    if (!answer)
        abort();
    answer[strcspn(answer, "\n")] = 0;
    return answer;
}

/* For the benchmark: one run of a program as an account, from a process in a login's state. */
static void run_as(const char *ids, char **command)
{
    int uid = 0, gid = 0, status = -1;
    pid_t pid;
    if (sscanf(ids, "%d:%d", &uid, &gid) != 2)
        abort();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    pid = fork();
    if (pid == 0) {
        char *environment[] = {"LC_ALL=C", NULL};
        if (!freopen("/dev/null", "w", stdout) || setgroups(0, NULL)
            || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid)
            || setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid))
            _exit(126);
        execve(command[0], command, environment);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    if (status)
        abort();
    printf("run-us %ld\n", since_begun_us());
}

/* End the conversation, and what was answered before. */
static int refuse(struct pam_response *reply, int answered)
{
    for (int i = 0; i < answered; i++)
        free(reply[i].resp);
    free(reply);
    mark("/fault/resume");
    return PAM_CONV_ERR;
}

static int converse(int count, const struct pam_message **messages,
                    struct pam_response **responses, void *data)
{
    struct pam_response *reply = calloc((size_t)count, sizeof *reply);
    if (!reply)
        return PAM_BUF_ERR;
    (void)data;
    mark("/fault/pause");
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style;
        const char *text = messages[i]->msg;
        if (style != PAM_PROMPT_ECHO_ON && style != PAM_PROMPT_ECHO_OFF) {
            printf("say %d ", style);
            print_escaped(text);
            if (want.refuse_messages) {
                return refuse(reply, i);
            }
            continue;
        }
        printf("prompt-us %ld\n", since_begun_us());
        printf("style %d\n", style);
        prompts++;
        if (want.memory)
            printf("private-dirty-kb %ld\n", from_proc("/proc/self/smaps_rollup", "Private_Dirty:"));
        if (want.prompt_file) {
            FILE *file = fopen(want.prompt_file, "we");
            if (!file)
                abort();
            fputs(text, file);
            fclose(file);
        }
        fflush(stdout);
        if (want.run_ids)
            run_as(want.run_ids, want.command);
        if (want.conversation_error) {
            return refuse(reply, i);
        }
        if (want.no_response)
            reply[i].resp = NULL;
        else
            reply[i].resp = want.program ? ask_program(text) : strdup(want.answer);
    }
    *responses = reply;
    mark("/fault/resume");
    return PAM_SUCCESS;
}

static void note_delay(int status, unsigned microseconds, void *data)
{
    (void)status;
    (void)data;
    fail_delay_us = microseconds;
}

/* A caller such as a daemon that counts its children; see signal-safety(7). */
static void reap_all(int signal_number)
{
    int kept = errno;
    (void)signal_number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = kept;
}

/* As vsftpd: a SIGCHLD means that a child has ended, so wait(2) will not wait. */
static void wait_for_one(int signal_number)
{
    int kept = errno;
    (void)signal_number;
    child_signals++;
    wait(NULL);
    errno = kept;
}

static void note_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)context;
    child_signals++;
    signal_from = information->si_pid;
}

/* A child that lives until it is killed; with `until`, until that file is there. */
static void keep_a_child(const char *until)
{
    own_child = fork();
    if (own_child)
        return;
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!until || access(until, F_OK))
        usleep(2000);
    _exit(0);
}

/* What a module has left of SIGCHLD, blocked or not, and that the client's child is still its own. */
static void report_child(void)
{
    struct timespec nothing = {0, 0};
    siginfo_t information;
    sigset_t only, mask;
    sigemptyset(&only);
    sigaddset(&only, SIGCHLD);
    sigprocmask(SIG_BLOCK, &only, &mask);
    memset(&information, 0, sizeof information);
    if (sigtimedwait(&only, &information, &nothing) == SIGCHLD)
        child_signals++, signal_from = information.si_pid;
    printf("child-signals %d %s\n", (int)child_signals, signal_from == own_child ? "own" : "other");
    kill(own_child, SIGKILL);
    printf("own-child %s\n", waitpid(own_child, NULL, 0) == own_child ? "kept" : "taken");
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* As sshd (for the public key) and sudo do before they ask PAM: libc has then loaded what it needs. */
static void look_up(const char *user)
{
    gid_t groups[64];
    int count = 64;
    struct passwd *entry = getpwnam(user);
    if (entry)
        getgrouplist(user, entry->pw_gid, groups, &count);
}

static void usage(void)
{
    fputs("usage: pam_client [--answer TEXT | --answer-with SHELL-COMMAND | --no-response |\n"
          "  --conversation-error] [--rhost HOST] [--times N] [--silent] [--memory] [--setcred]\n"
          "  [--others] [--descriptors] [--ignore-sigchld | --reap-sigchld | --wait-sigchld |\n"
          "  --block-sigchld | --pending-sigchld | --note-sigchld] [--child-until FILE]\n"
          "  [--delay] [--prompt-file FILE] [--refuse-messages]\n"
          "  [--state] [--marks] [--log] [--ruser NAME]"
          "  [--run-as UID:GID] SERVICE USER [COMMAND...]\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    enum { ANSWER = 1, WITH, NONE, CONVERR, RHOST, TIMES, SILENT, MEMORY, SETCRED, OTHERS,
           DESCRIPTORS, SIGCHLD_IGNORED, DELAY, PROMPT_FILE, RUN_AS, REAP, STATE, MARKS, WAIT,
           BLOCK, PENDING, NOTE, UNTIL, REFUSE, LOG, RUSER };
    static const struct option options[] = {
        {"answer", 1, 0, ANSWER}, {"answer-with", 1, 0, WITH}, {"no-response", 0, 0, NONE},
        {"conversation-error", 0, 0, CONVERR}, {"rhost", 1, 0, RHOST}, {"times", 1, 0, TIMES},
        {"silent", 0, 0, SILENT}, {"memory", 0, 0, MEMORY}, {"setcred", 0, 0, SETCRED},
        {"others", 0, 0, OTHERS}, {"descriptors", 0, 0, DESCRIPTORS},
        {"ignore-sigchld", 0, 0, SIGCHLD_IGNORED}, {"delay", 0, 0, DELAY},
        {"prompt-file", 1, 0, PROMPT_FILE}, {"run-as", 1, 0, RUN_AS}, {"reap-sigchld", 0, 0, REAP},
        {"state", 0, 0, STATE}, {"marks", 0, 0, MARKS}, {"wait-sigchld", 0, 0, WAIT},
        {"block-sigchld", 0, 0, BLOCK}, {"pending-sigchld", 0, 0, PENDING},
        {"note-sigchld", 0, 0, NOTE}, {"child-until", 1, 0, UNTIL},
        {"refuse-messages", 0, 0, REFUSE}, {"log", 0, 0, LOG},
        {"ruser", 1, 0, RUSER}, {0, 0, 0, 0}};
    const struct sigaction note = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO};
    const char *until = NULL;
    int block = 0, pending = 0, has_child = 0;
    sigset_t only;
    static struct state state;
    int keep_state = 0;
    int option, times = 1, flags = 0, setcred = 0, others = 0, descriptors = 0, ignore = 0;
    int verdict = PAM_SYSTEM_ERR;
    want.answer = "";
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
        switch (option) {
        case ANSWER: want.answer = optarg; break;
        case WITH: want.program = optarg; break;
        case NONE: want.no_response = 1; break;
        case CONVERR: want.conversation_error = 1; break;
        case RHOST: want.rhost = optarg; break;
        case TIMES: times = atoi(optarg); break;
        case SILENT: flags |= PAM_SILENT; break;
        case MEMORY: want.memory = 1; break;
        case SETCRED: setcred = 1; break;
        case OTHERS: others = 1; break;
        case DESCRIPTORS: descriptors = 1; break;
        case SIGCHLD_IGNORED: ignore = 1; break;
        case DELAY: want.keep_delay = 1; break;
        case STATE: keep_state = 1; break;
        case MARKS: want.marks = 1; break;
        case REAP: signal(SIGCHLD, reap_all); break;
        case WAIT: signal(SIGCHLD, wait_for_one); has_child = 1; break;
        case NOTE: sigaction(SIGCHLD, &note, NULL); has_child = 1; break;
        case BLOCK: block = has_child = 1; break;
        case PENDING: block = pending = has_child = 1; break;
        case RUSER: want.ruser = optarg; break;
        case LOG: openlog(NULL, LOG_NDELAY, LOG_USER); break;
        case REFUSE: want.refuse_messages = 1; break;
        case UNTIL: until = optarg; break;
        case RUN_AS: want.run_ids = optarg; break;
        case PROMPT_FILE: want.prompt_file = optarg; break;
        default: usage();
        }
    if (argc - optind < 2 || (argc - optind > 2) != (want.run_ids != NULL))
        usage();
    want.command = argv + optind + 2;
    /* As su and sudo do: a setuid client is root in earnest before it calls PAM. */
    if (geteuid() == 0 && getuid() != 0 && (setgid(0) || setgroups(0, NULL) || setuid(0)))
        abort();
    if (ignore)
        signal(SIGCHLD, SIG_IGN);
    sigemptyset(&only);
    sigaddset(&only, SIGCHLD);
    if (block)
        sigprocmask(SIG_BLOCK, &only, NULL);
    if (has_child)
        keep_a_child(until);
    if (pending)
        kill(getpid(), SIGCHLD);
    look_up(argv[optind + 1]);
    for (int i = 0; i < times; i++) {
        struct pam_conv conversation = {converse, NULL};
        pam_handle_t *pam = NULL;
        int before = open_descriptors();
        if (pam_start(argv[optind], argv[optind + 1], &conversation, &pam) != PAM_SUCCESS)
            abort();
        if (want.rhost)
            pam_set_item(pam, PAM_RHOST, want.rhost);
        if (want.ruser)
            pam_set_item(pam, PAM_RUSER, want.ruser);
        fail_delay_us = 0;
        if (!want.keep_delay) /* an application may do the waiting itself: this one does not wait */
            pam_set_item(pam, PAM_FAIL_DELAY, (const void *)note_delay);
        clock_gettime(CLOCK_MONOTONIC, &begun);
        if (keep_state)
            note_state(&state);
        mark("/fault/begin");
        verdict = pam_authenticate(pam, flags);
        mark("/fault/end");
        printf("verdict %d %s\n", verdict, pam_strerror(pam, verdict));
        if (fail_delay_us)
            printf("fail-delay %ld\n", fail_delay_us);
        if (setcred) {
            int code = pam_setcred(pam, PAM_ESTABLISH_CRED);
            printf("setcred %d %s\n", code, pam_strerror(pam, code));
        }
        if (others) {
            int account = pam_acct_mgmt(pam, 0), opened = pam_open_session(pam, 0);
            int closed = pam_close_session(pam, 0), token = pam_chauthtok(pam, 0);
            printf("others %d %d %d %d\n", account, opened, closed, token);
        }
        pam_end(pam, verdict);
        if (keep_state)
            compare_state(&state);
        if (descriptors)
            printf("descriptors %d %d\n", before, open_descriptors());
        if (has_child && i == times - 1)
            report_child();
        if (ignore) {
            struct sigaction now;
            sigaction(SIGCHLD, NULL, &now);
            printf("sigchld %s\n", now.sa_handler == SIG_IGN ? "ignored"
                                   : now.sa_handler == SIG_DFL ? "default" : "other");
        }
        if (want.memory && times > 1)
            printf("resident-kb %ld\n", from_proc("/proc/self/status", "VmRSS:"));
        fflush(stdout);
    }
    return verdict == PAM_SUCCESS ? 0 : 1;
}
