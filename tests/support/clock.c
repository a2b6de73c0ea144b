/* A clock that a test sets: preloaded into a PAM client, it adds what FILE says, two numbers of
 * seconds, to CLOCK_REALTIME and CLOCK_BOOTTIME. The machine's own clocks stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static void shift(time_t *real, time_t *boot)
{
    long one = 0, two = 0;
    FILE *file = fopen(FILE_NAME, "re");
    if (file) {
        if (fscanf(file, "%ld %ld", &one, &two) != 2)
            one = two = 0;
        fclose(file);
    }
    *real = one;
    *boot = two;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*true_one)(clockid_t, struct timespec *);
    time_t real, boot;
    if (!true_one)
        true_one = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = true_one(clock, now);
    shift(&real, &boot);
    if (clock == CLOCK_REALTIME)
        now->tv_sec += real;
    if (clock == CLOCK_BOOTTIME)
        now->tv_sec += boot;
    return result;
}

time_t time(time_t *place)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place)
        *place = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
