/* Run a program and let one of its system calls fail, or kill the process that makes it.
 *
 *   fault [--role ROLE --at N (--errno E [--lasting] | --kill | --halt WHOM)] [--begin PATH]
 *     [--seconds S] [--limit L] REPORT PROGRAM [ARGUMENT...]
 *
 * The program marks the part that matters by access(2) to names that do not exist: /fault/begin,
 * /fault/end, and /fault/pause and /fault/resume around what is not to be counted. The process
 * that made the first mark has the role "login"; its children in the order of their making are
 * "1", "2", and theirs "1.1" and so on. From a successful execve(2) on, a child's role has an "x"
 * behind it, and it counts anew. When the login opens a netlink socket, libpam writes its audit
 * record, and the role is "audit" from there on.
 *
 * A program that makes no marks can be told apart by --begin: whoever first opens PATH, by that
 * very name, is the login from there on.
 *
 * With --halt the processes go no further from that call on, before it is made: with "login" only
 * the login's own, as after a SIGSTOP to su; with "all" each of them, as in a frozen cgroup. They
 * go on as soon as this program gets a SIGUSR1 after that.
 *
 * REPORT gets one line for each fact:
 *
 *   call ROLE N NUMBER TEXT  a system call, the path in it if any (without --role: all of them,
 *                            up to L a role; else the one that failed)
 *   halted                   it has come to that
 *   left PID                 a process that was there 5 s after the program's end, and was killed
 *   late                     the program itself took more than S seconds, and was killed
 *
 * With --lasting every later call of the same number fails in that process, too.
 *
 * close(2) is done and then said to have failed, as Linux does it (close(2), "Dealing with error
 * returns"); every other call is not made at all. Machine code: x86-64.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 256
#define ROLE 64
#define GRACE_SECONDS 5

static struct process {
    pid_t pid;
    char role[ROLE];          /* "" is nobody that matters */
    long count, children;
    int paused, overriding, announced, waiting; /* a child may stop before its parent tells of it */
    int held, signal;         /* what it goes on with */
} processes[MOST];

static struct {
    const char *role, *begin, *halt;
    long at, limit;
    int number, kill, seconds, lasting;
    unsigned long long lasting_call; /* its number, once the first has failed */
} want = {.limit = 100000, .seconds = 60};

static FILE *report;
static volatile sig_atomic_t rang, thawed;
static int begun, halted;

static void ring(int number)
{
    if (number == SIGUSR1)
        thawed = 1;
    else
        rang = 1;
}

static void go_on(struct process *process, int signal)
{
    if (halted && want.halt && (!strcmp(want.halt, "all") || !strcmp(process->role, "login"))) {
        process->held = 1;
        process->signal = signal;
    } else {
        ptrace(PTRACE_SYSCALL, process->pid, 0, signal);
    }
}

static void thaw(void)
{
    halted = 0;
    for (int i = 0; i < MOST; i++)
        if (processes[i].pid && processes[i].held) {
            processes[i].held = 0;
            go_on(&processes[i], processes[i].signal);
        }
}

static struct process *find(pid_t pid, int make)
{
    struct process *free_one = NULL;
    for (int i = 0; i < MOST; i++)
        if (processes[i].pid == pid)
            return &processes[i];
        else if (!processes[i].pid && !free_one)
            free_one = &processes[i];
    if (!make)
        return NULL;
    if (!free_one)
        abort();
    memset(free_one, 0, sizeof *free_one);
    free_one->pid = pid;
    return free_one;
}

static void read_text(pid_t pid, unsigned long address, char *text, size_t size)
{
    struct iovec here = {text, size - 1}, there = {(void *)address, size - 1};
    ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
    if (got < 0) { /* the rest of the page may be all there is */
        size_t left = 4096 - (address & 4095);
        here.iov_len = there.iov_len = left < size - 1 ? left : size - 1;
        got = process_vm_readv(pid, &here, 1, &there, 1, 0);
    }
    text[got > 0 ? got : 0] = 0;
    for (char *sign = text; *sign; sign++)
        if (*sign <= ' ' || *sign > '~')
            *sign = '?';
}

static void path_of(pid_t pid, const struct user_regs_struct *regs, char *text, size_t size)
{
    text[0] = 0;
    switch (regs->orig_rax) {
    case SYS_openat: case SYS_newfstatat: case SYS_readlinkat: case SYS_faccessat2:
        read_text(pid, regs->rsi, text, size);
        break;
    case SYS_open: case SYS_stat: case SYS_lstat: case SYS_readlink: case SYS_access:
    case SYS_execve: case SYS_chdir: case SYS_statfs:
    case SYS_mkdir: case SYS_rename: case SYS_unlink:
        read_text(pid, regs->rdi, text, size);
    }
}

static int is_mark(struct process *process, const char *path)
{
    if (strncmp(path, "/fault/", 7))
        return 0;
    if (!strcmp(path, "/fault/begin"))
        strcpy(process->role, "login");
    else if (!strcmp(path, "/fault/end"))
        process->role[0] = 0;
    else
        process->paused = !strcmp(path, "/fault/pause");
    return 1;
}

/* Before a system call: tell of it, or prevent it. */
static void enter(struct process *process)
{
    struct user_regs_struct regs;
    char path[256];
    if (ptrace(PTRACE_GETREGS, process->pid, 0, &regs))
        return;
    path_of(process->pid, &regs, path, sizeof path);
    if (regs.orig_rax == SYS_access && is_mark(process, path))
        return;
    if (want.begin && !begun && regs.orig_rax == SYS_openat && !strcmp(path, want.begin)) {
        begun = 1;
        strcpy(process->role, "login");
    }
    if (!process->role[0] || process->paused)
        return;
    if (regs.orig_rax == SYS_socket && regs.rdi == AF_NETLINK && !strcmp(process->role, "login")) {
        strcpy(process->role, "audit");
        process->count = 0;
    }
    process->count++;
    if (want.role && strcmp(process->role, want.role))
        return;
    int again = want.lasting && process->count > want.at && regs.orig_rax == want.lasting_call;
    if (want.role && process->count != want.at && !again)
        return;
    want.lasting_call = regs.orig_rax;
    if (!want.role && process->count > want.limit)
        return;
    fprintf(report, "call %s %ld %lld %s\n", process->role, process->count,
            (long long)regs.orig_rax, path);
    if (!want.role)
        return;
    if (want.halt) {
        halted = 1;
        want.at = -1;
        fprintf(report, "halted\n");
        fflush(report);
        return;
    }
    if (want.kill) {
        kill(process->pid, SIGKILL);
        return;
    }
    process->overriding = 1;
    if (regs.orig_rax == SYS_close)
        return;
    regs.orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, process->pid, 0, &regs);
}

static void leave(struct process *process)
{
    struct user_regs_struct regs;
    if (!process->overriding || ptrace(PTRACE_GETREGS, process->pid, 0, &regs))
        return;
    process->overriding = 0;
    regs.rax = (unsigned long long)(long long)-want.number;
    ptrace(PTRACE_SETREGS, process->pid, 0, &regs);
}

static void adopt(struct process *parent)
{
    unsigned long pid = 0;
    ptrace(PTRACE_GETEVENTMSG, parent->pid, 0, &pid);
    struct process *child = find((pid_t)pid, 1);
    if (parent->role[0] && !parent->paused) {
        parent->children++;
        if (!strcmp(parent->role, "login"))
            snprintf(child->role, ROLE, "%ld", parent->children);
        else if (snprintf(child->role, ROLE, "%s.%ld", parent->role, parent->children) >= ROLE)
            abort();
    }
    child->announced = 1;
    if (child->waiting)
        go_on(child, 0);
}

/* Handle one stop, and return the signal to go on with. */
static int handle(struct process *process, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    struct __ptrace_syscall_info info;
    if (signal == (SIGTRAP | 0x80)) {
        long got = ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info);
        if (got > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
            enter(process);
        else if (got > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT)
            leave(process);
        return 0;
    }
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE)
        adopt(process);
    else if (event == PTRACE_EVENT_EXEC && process->role[0] && strcmp(process->role, "login")) {
        size_t length = strlen(process->role);
        if (length + 1 < ROLE && process->role[length - 1] != 'x')
            strcpy(process->role + length, "x");
        process->count = 0;
    }
    if (event)
        return 0;
    return signal;
}

static void set_alarm(int seconds)
{
    struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static int follow(pid_t program)
{
    int status, code = -1, left = 0;
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == ECHILD)
            return code;
        if (rang) {
            rang = 0;
            if (code < 0)
                fprintf(report, "late\n");
            for (int i = 0; i < MOST; i++)
                if (processes[i].pid) {
                    if (code >= 0 && !left)
                        fprintf(report, "left %d\n", processes[i].pid);
                    kill(processes[i].pid, SIGKILL);
                }
            left = 1;
        }
        if (thawed && halted)
            thaw();
        thawed = 0;
        if (pid < 0)
            continue;
        struct process *process = find(pid, 1);
        if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && !process->waiting) {
            process->waiting = 1; /* a new child's first stop */
            if (process->announced)
                go_on(process, 0);
            continue;
        }
        if (WIFSTOPPED(status)) {
            int signal = handle(process, status);
            go_on(process, signal);
            continue;
        }
        process->pid = 0;
        if (pid == program) {
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            set_alarm(GRACE_SECONDS);
        }
    }
}

static void usage(void)
{
    fputs("usage: fault [--role ROLE --at N (--errno E [--lasting] | --kill | --halt login|all)]\n"
          "  [--begin PATH] [--seconds S] [--limit L] REPORT PROGRAM [ARGUMENT...]\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"role", 1, 0, 'r'}, {"at", 1, 0, 'a'}, {"errno", 1, 0, 'e'}, {"kill", 0, 0, 'k'},
        {"lasting", 0, 0, 'p'}, {"begin", 1, 0, 'b'}, {"halt", 1, 0, 'h'},
        {"seconds", 1, 0, 's'}, {"limit", 1, 0, 'l'}, {0, 0, 0, 0}};
    int option, status;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
        switch (option) {
        case 'r': want.role = optarg; break;
        case 'a': want.at = atol(optarg); break;
        case 'e': want.number = atoi(optarg); break;
        case 'p': want.lasting = 1; break;
        case 'b': want.begin = optarg; break;
        case 'h': want.halt = optarg; break;
        case 'k': want.kill = 1; break;
        case 's': want.seconds = atoi(optarg); break;
        case 'l': want.limit = atol(optarg); break;
        default: usage();
        }
    if (argc - optind < 2)
        usage();
    report = fopen(argv[optind], "we");
    if (!report)
        abort();
    struct sigaction action = {.sa_handler = ring}; /* waitpid(2) is to return */
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    pid_t program = fork();
    if (program == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0))
            _exit(126);
        kill(getpid(), SIGSTOP);
        execv(argv[optind + 1], argv + optind + 1);
        _exit(127);
    }
    waitpid(program, &status, 0);
    find(program, 1)->waiting = 1;
    if (ptrace(PTRACE_SETOPTIONS, program, 0,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK
               | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL))
        abort();
    set_alarm(want.seconds);
    ptrace(PTRACE_SYSCALL, program, 0, 0);
    status = follow(program);
    fclose(report);
    return status;
}
