/* Callers of PAM that are hard on a module: callers HOW SERVICE USER [COUNT]
 *
 *   threads        eight threads log in at once
 *   forks          another thread forks all the while, and the children stay
 *   closed         descriptors 0 to 2 are closed
 *   full           there is no descriptor left
 *   alarms         a handler runs again and again meanwhile
 *   reaps          another thread waits for children of all kinds all the while
 *   real           a process of root's has another real user id
 *   root           a set-user-ID program gives up its caller's real id before it asks
 *   secret         somebody searches the memory afterwards: `left N`, of the response
 *   twice          two logins, one after the other
 *   many           COUNT logins in one process: `grown N` kB of private memory after the first tenth
 *
 * Prints `verdict N` for each login, and then `children N` (those that wait(2) knows).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, FORKS = 50, SECRET = 200, DISGUISE = 0x55 };
static const char *service, *user;
static pid_t forked[FORKS];
static int output = 1, is_secret, is_quiet;
static volatile sig_atomic_t is_over;

/* What no other memory than a copy of it holds. */
static unsigned char secret_byte(size_t at)
{
    return (unsigned char)('A' + at * 7 % 26);
}

static char *secret_text(void)
{
    char *text = calloc(1, SECRET + 1);

    for (size_t i = 0; text && i < SECRET; i++)
        text[i] = (char)secret_byte(i);
    return text;
}

/* Tell whether the last quarter of the secret is there: free(3) writes over the beginning. */
static int is_at(const unsigned char *from, const unsigned char *to)
{
    for (size_t i = 3 * SECRET / 4; i < SECRET; i++, from++)
        if (from == to || *from != secret_byte(i))
            return 0;
    return 1;
}

static int search(void)
{
    char line[512], kind[5];
    unsigned char *from, *to;
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");

    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%p-%p %4s", (void **)&from, (void **)&to, kind) == 3 && kind[1] == 'w')
            for (; from < to; from++)
                found += is_at(from, to);
    if (maps)
        fclose(maps);
    return found;
}

static long private_kb(void)
{
    char line[256];
    long value = -1;
    FILE *rollup = fopen("/proc/self/smaps_rollup", "re");

    while (rollup && fgets(line, sizeof line, rollup))
        if (sscanf(line, "Private_Dirty: %ld kB", &value) == 1)
            break;
    if (rollup)
        fclose(rollup);
    return value;
}

static int answer(int count, const struct pam_message **messages, struct pam_response **responses,
                  void *unused)
{
    (void)messages, (void)unused;
    *responses = calloc((size_t)count, sizeof **responses);
    for (int i = 0; *responses && i < count; i++)
        (*responses)[i].resp = is_secret ? secret_text() : strdup("wrong");
    return *responses ? PAM_SUCCESS : PAM_BUF_ERR;
}

static int no_delay(int status, unsigned microseconds, void *unused)
{
    (void)status, (void)microseconds, (void)unused;
    return 0;
}

static void *log_in(void *unused)
{
    const struct pam_conv conversation = {answer, NULL};
    pam_handle_t *pamh;
    int code = pam_start(service, user, &conversation, &pamh);

    (void)unused;
    if (code == PAM_SUCCESS) {
        pam_set_item(pamh, PAM_FAIL_DELAY, (const void *)(uintptr_t)no_delay);
        code = pam_authenticate(pamh, 0);
        pam_end(pamh, code);
    }
    if (!is_quiet)
        dprintf(output, "verdict %d\n", code);
    return NULL;
}

static void ignore_alarm(int number)
{
    (void)number;
}

static void *keep_forking(void *unused)
{
    (void)unused;
    for (int i = 0; i < FORKS; i++) {
        forked[i] = fork();
        if (forked[i] == 0)
            for (;;)
                pause();
        usleep(2000);
    }
    return NULL;
}

static void *keep_reaping(void *unused)
{
    (void)unused;
    while (!is_over)
        if (waitpid(-1, NULL, __WALL) < 0)
            usleep(100);
    return NULL;
}

static int children(void)
{
    int status, count = 0;

    for (int i = 0; i < FORKS; i++)
        if (forked[i] > 0)
            kill(forked[i], SIGKILL);
    while (waitpid(-1, &status, __WALL) > 0)
        count++;
    return count;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    if (argc != 4 && argc != 5)
        return 2;
    service = argv[2], user = argv[3];
    output = fcntl(1, F_DUPFD_CLOEXEC, 50);
    if (!strcmp(argv[1], "threads")) {
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, log_in, NULL);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    } else if (!strcmp(argv[1], "forks")) {
        pthread_create(&threads[0], NULL, keep_forking, NULL);
        for (int i = 0; i < 3; i++)
            log_in(NULL);
        pthread_join(threads[0], NULL);
    } else if (!strcmp(argv[1], "closed")) {
        for (int number = 0; number < 3; number++)
            close(number);
        log_in(NULL);
        for (int number = 0; number < 3; number++)
            if (fcntl(number, F_GETFD) != -1)
                dprintf(output, "open %d\n", number);
    } else if (!strcmp(argv[1], "full")) {
        const struct rlimit few = {60, 60};
        setrlimit(RLIMIT_NOFILE, &few);
        log_in(NULL); /* with everything that PAM keeps open */
        while (dup(2) >= 0)
            ;
        log_in(NULL);
    } else if (!strcmp(argv[1], "twice")) {
        log_in(NULL);
        log_in(NULL);
    } else if (!strcmp(argv[1], "alarms")) {
        const struct sigaction handled = {.sa_handler = ignore_alarm}; /* without SA_RESTART */
        const struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
        sigaction(SIGALRM, &handled, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        log_in(NULL);
        setitimer(ITIMER_REAL, &never, NULL);
    } else if (!strcmp(argv[1], "reaps")) {
        pthread_create(&threads[0], NULL, keep_reaping, NULL);
        for (int i = 0; i < 3; i++)
            log_in(NULL);
        is_over = 1;
        pthread_join(threads[0], NULL);
    } else if (!strcmp(argv[1], "real")) {
        if (setresuid(65534, 0, 0))
            return 2;
        log_in(NULL);
    } else if (!strcmp(argv[1], "root")) {
        if (setuid(0))
            return 2;
        log_in(NULL);
    } else if (!strcmp(argv[1], "secret")) {
        is_secret = 1;
        log_in(NULL);
        dprintf(output, "left %d\n", search());
    } else if (!strcmp(argv[1], "many") && argc == 5) {
        long before = 0, count = atol(argv[4]);
        is_quiet = 1;
        for (long i = 0; i < count; i++) {
            if (i == count / 10)
                before = private_kb();
            log_in(NULL);
        }
        dprintf(output, "grown %ld\n", private_kb() - before);
    }
    dprintf(output, "children %d\n", children());
    return 0;
}
