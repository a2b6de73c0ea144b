/* trex-confine: becomes gpg, and takes from it what it does not need.
 *
 *   trex-confine KIND HOME PROGRAM [ARGUMENT]...
 *
 * gpg parses whatever a user's keyring holds. It has given up all rights but the user's; this takes
 * what of the user's it does not need, with a filter for system calls (seccomp(2)) and Landlock
 * (landlock(7)). Neither can be undone. What the kernel does not have is left out: `trex doctor`
 * says so. Whatever else fails is reported on STATUS, and nothing is run.
 *
 * It is a program of its own because Python needs a millisecond for the same, and the login waits.
 * It has no libc, whose start alone takes longer than all of this.
 */
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>

enum { STATUS = 3, LIFELINE = 4 }; /* as in trex.system.child */
#define PRIVATE_HOME "/run/trex-pam.home" /* trex.openpgp.privatehome.PLACE */
enum { AF_UNIX = 1, AF_NETLINK = 16, SIGCHLD = 17, MAX_PATH = 4096 };
enum kind {
    ALONE,   /* gpg starts nothing, and reads the public keyring in HOME */
    DAEMONS, /* gpg starts gpg-agent or keyboxd, whose files are in the working directory */
    SCRIPT,  /* whoever names a script as gpg lets it have files, and start programs */
};

/* ------------------------------------------------------------ without a libc */

static long call(long number, long a, long b, long c, long d, long e);

#if defined(__x86_64__) && defined(__LP64__)

#define ARCHITECTURE AUDIT_ARCH_X86_64
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");

static long call(long number, long a, long b, long c, long d, long e)
{
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__) && defined(__LP64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#define ARCHITECTURE AUDIT_ARCH_AARCH64
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tand sp, x0, #-16\n\tb start\n");

static long call(long number, long a, long b, long c, long d, long e)
{
    register long first __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;
    register long which __asm__("x8") = number;

    __asm__ volatile("svc #0"
                     : "+r"(first)
                     : "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(which)
                     : "memory");
    return first;
}

#else
#error "trex-confine is for x86_64 and aarch64; without it gpg runs as well"
#endif

static size_t length_of(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

static int begins_with(const char *text, const char *beginning)
{
    while (*beginning && *text == *beginning)
        text++, beginning++;
    return *beginning == 0;
}

/* Put `directory`, a slash and `name` into `path`; tell whether there was room. */
static int join(char path[MAX_PATH], const char *directory, size_t length, const char *name)
{
    size_t more = length_of(name) + 1;

    if (length + 1 + more > MAX_PATH)
        return 0;
    for (size_t i = 0; i < length; i++)
        path[i] = directory[i];
    path[length] = '/';
    for (size_t i = 0; i < more; i++)
        path[length + 1 + i] = name[i];
    return 1;
}

/* Report a step and an error's number, and end. */
static _Noreturn void fail(const char *step, long result)
{
    static char text[128] = "TREX-NOT-STARTED ";
    size_t size = sizeof "TREX-NOT-STARTED " - 1;
    unsigned long error = (unsigned long)-result;

    while (*step)
        text[size++] = *step++;
    for (const char *word = ": errno "; *word; word++)
        text[size++] = *word;
    for (unsigned long unit = 1000; unit; unit /= 10)
        text[size++] = (char)('0' + error / unit % 10);
    text[size++] = '\n';
    call(__NR_write, STATUS, (long)text, (long)size, 0, 0);
    for (;;)
        call(__NR_exit_group, 127, 0, 0, 0, 0);
}

static long open_path(const char *path, int flags)
{
    return call(__NR_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0);
}

/* ------------------------------------------------------------------ Landlock */

/* Of <linux/landlock.h>, which knows not all of them in Debian 12. */
#define HAS(bit) (UINT64_C(1) << (bit))
#define TRUNCATE HAS(14)
#define IOCTL_DEVICE HAS(15)
#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUN (READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define USE (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | IOCTL_DEVICE)
#define EVERYTHING (HAS(16) - 1)
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |   \
     TRUNCATE | IOCTL_DEVICE)

struct rules { /* struct landlock_ruleset_attr, which grew */
    uint64_t files, tcp, scopes;
};

static uint64_t rights_of(long version)
{
    static const int rights[] = {0, 13, 14, 15, 15};

    return HAS(version < 5 ? rights[version] : 16) - 1;
}

static int is_directory(long descriptor)
{
    static struct statx status;

    return call(__NR_statx, descriptor, (long)"", AT_EMPTY_PATH, STATX_TYPE, (long)&status) == 0 &&
           (status.stx_mode & S_IFMT) == S_IFDIR;
}

/* A path that cannot be found or opened gives nothing. */
static void allow(long rules, uint64_t handled, const char *path, uint64_t rights)
{
    long descriptor = open_path(path, O_PATH);
    struct landlock_path_beneath_attr rule = {.parent_fd = (int)descriptor};
    long result;

    if (descriptor < 0)
        return;
    if (!is_directory(descriptor))
        rights &= OF_FILES;
    rule.allowed_access = rights & handled;
    result = call(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, (long)&rule, 0, 0);
    if (result < 0)
        fail("confine: landlock_add_rule", result);
    call(__NR_close, descriptor, 0, 0, 0, 0);
}

static void allow_in(long rules, uint64_t handled, const char *directory, size_t length,
                     const char *name, uint64_t rights)
{
    static char path[MAX_PATH];

    if (join(path, directory, length, name))
        allow(rules, handled, path, rights);
}

/* Where gpg lies with its libraries and its other programs, if that is not in /usr. */
static void allow_prefix(long rules, uint64_t handled, const char *program)
{
    static const char *const names[] = {"bin", "lib", "lib64", "libexec", "etc/gnupg"};
    size_t root = length_of(program);

    if (begins_with(program, "/usr/"))
        return;
    for (int up = 0; up < 2; up++)
        while (root && program[--root] != '/')
            ;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        allow_in(rules, handled, program, root, names[i], RUN);
}

/* The path without links, as the kernel has it; NULL if /proc has none. */
static const char *real_path(const char *path)
{
    static char real[MAX_PATH], place[] = "/proc/self/fd/0000";
    size_t at = sizeof "/proc/self/fd/" - 1;
    long descriptor = open_path(path, O_PATH), size;

    if (descriptor < 0 || descriptor > 9999)
        return NULL;
    for (long unit = 1000; unit; unit /= 10)
        if (descriptor >= unit || unit == 1)
            place[at++] = (char)('0' + descriptor / unit % 10);
    place[at] = 0;
    size = call(__NR_readlinkat, AT_FDCWD, (long)place, (long)real, MAX_PATH - 1, 0);
    call(__NR_close, descriptor, 0, 0, 0, 0);
    return size > 0 ? real : NULL;
}

/* Programs and libraries, and what libc, libgcrypt and gpg look up for themselves. */
static void allow_system(long rules, uint64_t handled, const char *program)
{
    static const char *const run[] = {"/usr", "/lib", "/lib64", "/nix/store", "/gnu/store"};
    static const char *const read[] = {
        "/etc/ld.so.cache", "/etc/gnupg", "/etc/gcrypt", "/etc/crypto-policies", "/etc/localtime",
        "/etc/nsswitch.conf", "/etc/passwd", "/proc/sys/crypto", "/dev/urandom", "/dev/random",
    };
    const char *real = real_path(program);

    for (size_t i = 0; i < sizeof run / sizeof *run; i++)
        allow(rules, handled, run[i], RUN);
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        allow(rules, handled, read[i], READ);
    allow(rules, handled, "/dev/null", READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
    allow(rules, handled, program, RUN);
    allow_prefix(rules, handled, program); /* /opt/gnupg/bin/gpg */
    if (real)
        allow_prefix(rules, handled, real); /* to which /usr/local/bin/gpg may be a link */
}

/* Each by its name: it may be a link to somewhere else. No secret key is among them. */
static void allow_keyring(long rules, uint64_t handled, const char *home, enum kind kind)
{
    static const char *const names[] = {
        "pubring.kbx", "pubring.gpg", "trustdb.gpg", "common.conf",
        "public-keys.d", "public-keys.d/pubring.db", "gpg-agent.conf", "scdaemon.conf",
    };
    const size_t count = sizeof names / sizeof *names;

    for (size_t i = 0; i < (kind == ALONE ? 4 : count); i++)
        allow_in(rules, handled, home, length_of(home), names[i], READ);
}

/* The login's own directory, the account's that it has links to, and for smart cards devices. */
static void allow_daemons(long rules, uint64_t handled, const char *home)
{
    static const char *const read[] = {"/opt", "/bin", "/sys", "/proc", "/run", "/etc"};

    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        allow(rules, handled, read[i], i < 2 ? RUN : READ);
    allow(rules, handled, "/dev", USE);
    allow(rules, handled, home, RUN);
    allow(rules, handled, ".", EVERYTHING);
}

/* Where no file system can be mounted, the login's directory has links to the account's files, which
 * gpg-agent may rewrite. */
static int is_in_private_home(void)
{
    static char directory[MAX_PATH];
    long size = call(__NR_getcwd, (long)directory, sizeof directory, 0, 0, 0);

    return size == sizeof PRIVATE_HOME && begins_with(directory, PRIVATE_HOME);
}

static void restrict_files(enum kind kind, const char *home, const char *program)
{
    long version = call(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0, 0);
    struct rules told = {0};
    long rules, result, size;

    if (version <= 0 || kind == SCRIPT || (kind == DAEMONS && !is_in_private_home()))
        return;
    told.files = rights_of(version);
    told.tcp = version >= 4 ? 3 : 0;    /* no listener and no connection */
    told.scopes = version >= 6 ? 3 : 0; /* no abstract socket and no signal to others */
    size = version >= 6 ? sizeof told : version >= 4 ? 16 : 8;
    rules = call(__NR_landlock_create_ruleset, (long)&told, size, 0, 0, 0); /* closed by execve(2) */
    if (rules < 0)
        fail("confine: landlock_create_ruleset", rules);
    allow_system(rules, told.files, program);
    allow_keyring(rules, told.files, home, kind);
    if (kind == DAEMONS)
        allow_daemons(rules, told.files, home);
    if ((result = call(__NR_landlock_restrict_self, rules, 0, 0, 0, 0)) < 0)
        fail("confine: landlock_restrict_self", result);
}

/* ------------------------------------------------------------------- seccomp */

#define X32 0x40000000 /* __X32_SYSCALL_BIT */
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)
#define ERROR(number) (SECCOMP_RET_ERRNO | (number))

static struct sock_filter filter[512];
static unsigned short length;
static unsigned char denied[512]; /* by the number of the call */

static void step(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false)
{
    if (length == sizeof filter / sizeof *filter)
        fail("confine: the filter is too long", 0);
    filter[length++] = (struct sock_filter){code, if_true, if_false, value};
}

static void deny(long number)
{
    denied[number] = 1;
}

/* The kernel tries the whole filter with every number there is. So the denied ones, in order, are
 * in blocks, and a number is compared with those of one block. */
static void rules_for_denied(void)
{
    enum { BLOCK = 8 };
    unsigned short number = 0, count;
    uint32_t block[BLOCK];

    for (;;) {
        for (count = 0; count < BLOCK && number < sizeof denied; number++)
            if (denied[number])
                block[count++] = number;
        if (!count)
            return;
        step(BPF_JMP | BPF_JGT | BPF_K, block[count - 1], (uint8_t)(count + 2), 0);
        for (unsigned short i = 0; i < count; i++)
            step(BPF_JMP | BPF_JEQ | BPF_K, block[i], (uint8_t)(count - i), 0);
        step(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
        step(BPF_RET | BPF_K, ERROR(EPERM), 0, 0);
    }
}

static void rule(long number, uint32_t action)
{
    step(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
    step(BPF_RET | BPF_K, action, 0, 0);
}

/* If half of an argument (little endian) passes the test `how`. */
static void rule_if(long number, size_t offset, uint16_t how, uint32_t value, uint32_t action)
{
    step(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4);
    step(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
    step(BPF_JMP | how | BPF_K, value, 0, 1);
    step(BPF_RET | BPF_K, action, 0, 0);
    step(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

static size_t argument(int index)
{
    return offsetof(struct seccomp_data, args) + 8 * (size_t)index;
}

/* The one execve(2) that is left is of the path at this address, which is gone with this program. */
static void rule_for_this_path(const char *path)
{
    uint64_t address = (uint64_t)(uintptr_t)path;

    step(BPF_JMP | BPF_JEQ | BPF_K, __NR_execve, 0, 6);
    step(BPF_LD | BPF_W | BPF_ABS, (uint32_t)argument(0), 0, 0);
    step(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)address, 0, 3);
    step(BPF_LD | BPF_W | BPF_ABS, (uint32_t)argument(0) + 4, 0, 0);
    step(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(address >> 32), 0, 1);
    step(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    step(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

/* What no program needs here: other processes' memory, mounts, namespaces, the host's state, and
 * what is in the kernel for a few programs and was the way into it more than once. */
static void rules_for_all(void)
{
    static const short never[] = {
        __NR_acct, __NR_add_key, __NR_adjtimex, __NR_bpf, __NR_chroot, __NR_clock_adjtime,
        __NR_clock_settime, __NR_delete_module, __NR_fanotify_init, __NR_finit_module, __NR_fsconfig,
        __NR_fsmount, __NR_fsopen, __NR_fspick, __NR_init_module, __NR_io_uring_enter,
        __NR_io_uring_register, __NR_io_uring_setup, __NR_kcmp, __NR_kexec_file_load, __NR_kexec_load,
        __NR_keyctl, __NR_migrate_pages, __NR_mount, __NR_mount_setattr, __NR_move_mount,
        __NR_move_pages, __NR_name_to_handle_at, __NR_open_by_handle_at, __NR_open_tree,
        __NR_perf_event_open, __NR_personality, __NR_pidfd_getfd, __NR_pivot_root,
        __NR_process_madvise, __NR_process_vm_readv, __NR_process_vm_writev, __NR_ptrace,
        __NR_quotactl, __NR_quotactl_fd, __NR_reboot, __NR_request_key, __NR_setdomainname,
        __NR_sethostname, __NR_setns, __NR_settimeofday, __NR_swapoff, __NR_swapon, __NR_syslog,
        __NR_umount2, __NR_unshare, __NR_userfaultfd, __NR_vhangup,
#ifdef __NR_ioperm
        __NR_ioperm, __NR_iopl, __NR_modify_ldt,
#endif
    };

    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        deny(never[i]);
    rule_if(__NR_clone, argument(0), BPF_JSET, NEW_NAMESPACES, ERROR(EPERM));
    rule(__NR_clone3, ERROR(ENOSYS)); /* a filter cannot read its flags; libc then uses clone(2) */
}

static void rules_for_sockets(enum kind kind)
{
    rule_if(__NR_socket, argument(0), BPF_JEQ, AF_UNIX, SECCOMP_RET_ALLOW);
    if (kind != ALONE) /* smart cards: libusb listens for devices */
        rule_if(__NR_socket, argument(0), BPF_JEQ, AF_NETLINK, SECCOMP_RET_ALLOW);
    rule(__NR_socket, ERROR(EPERM));
}

/* It starts nothing, sends signals to itself alone, and cannot leave its leash: the lifeline and
 * the timer that end it with its login (trex.system.child). */
static void rules_for_alone(const char *program)
{
    static const short never[] = {
        __NR_execve, __NR_execveat, __NR_clone, __NR_kill, __NR_tkill, __NR_tgkill, __NR_rt_sigqueueinfo,
        __NR_rt_tgsigqueueinfo, __NR_pidfd_send_signal, __NR_setitimer, __NR_setsid, __NR_setpgid,
        __NR_close_range,
#ifdef __NR_fork
        __NR_fork, __NR_vfork, __NR_alarm,
#endif
    };
    static const short of_lifeline[] = {__NR_close, __NR_fcntl, __NR_ioctl};

    rule_for_this_path(program);
    rule_if(__NR_tgkill, argument(0), BPF_JEQ, (uint32_t)call(__NR_getpid, 0, 0, 0, 0, 0), SECCOMP_RET_ALLOW); /* abort(3) */
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        deny(never[i]);
    for (size_t i = 0; i < sizeof of_lifeline / sizeof *of_lifeline; i++)
        rule_if(of_lifeline[i], argument(0), BPF_JEQ, LIFELINE, ERROR(EPERM));
    rule_if(__NR_dup3, argument(1), BPF_JEQ, LIFELINE, ERROR(EPERM));
#ifdef __NR_dup2
    rule_if(__NR_dup2, argument(1), BPF_JEQ, LIFELINE, ERROR(EPERM));
#endif
}

static void filter_calls(enum kind kind, const char *program)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    struct sock_fprog told = {.filter = filter};
    long result;

    if (call(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, (long)&action, 0, 0) < 0)
        return;
    step(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    step(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    step(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0); /* i386, or arm */
    step(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    step(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
    step(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    rules_for_all();
    rules_for_sockets(kind);
    if (kind == ALONE)
        rules_for_alone(program);
    rules_for_denied();
    step(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    told.len = length;
    if ((result = call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&told, 0, 0)) < 0)
        fail("confine: seccomp", result);
}

/* ---------------------------------------------------------------------- main */

/* A service may have a filter that ends whoever makes these calls (systemd's SystemCallFilter=).
 * Where there is one, a child tries them. */
static int may_confine(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    int status = 0;
    long child, ended;

    if (call(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
        return 1;
    child = call(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        call(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0, 0);
        call(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, (long)&action, 0, 0);
        call(__NR_exit_group, 0, 0, 0, 0, 0);
    }
    if (child < 0)
        fail("confine: clone", child);
    do
        ended = call(__NR_wait4, child, (long)&status, 0, 0, 0);
    while (ended == -EINTR);
    return ended == child && status == 0;
}

static int is_script(const char *program)
{
    char mark[2] = {0, 0};
    long descriptor = open_path(program, O_RDONLY | O_NONBLOCK);

    if (descriptor < 0)
        return 0;
    call(__NR_read, descriptor, (long)mark, sizeof mark, 0, 0);
    call(__NR_close, descriptor, 0, 0, 0, 0);
    return mark[0] == '#' && mark[1] == '!';
}

/* The stack as the kernel leaves it: the number of arguments, they, a zero, and the environment. */
__attribute__((used)) static _Noreturn void start(long *stack)
{
    long count = stack[0];
    char **arguments = (char **)(stack + 1);
    enum kind kind = ALONE;
    long result;

    if (count < 4)
        fail("confine: arguments", -EINVAL);
    if (begins_with(arguments[1], "daemons"))
        kind = DAEMONS;
    else if (!begins_with(arguments[1], "alone"))
        fail("confine: arguments", -EINVAL);
    if (is_script(arguments[3]))
        kind = SCRIPT;
    if ((result = call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) < 0)
        fail("confine: no_new_privs", result);
    if (may_confine()) {
        restrict_files(kind, arguments[2], arguments[3]);
        filter_calls(kind, arguments[3]);
    }
    fail("run", call(__NR_execve, (long)arguments[3], (long)(arguments + 3),
                     (long)(arguments + count + 1), 0, 0));
}
