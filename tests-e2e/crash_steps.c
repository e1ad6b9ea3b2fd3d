/* Preloaded into the service: after SIGUSR1, the N-th call that makes something durable is never made, for the
 * process is killed in its place, as by `kill -9`. N is CRASH_AT in the environment; SIGUSR2 lets it live on. With
 * CRASH_ARMED in the environment calls count from the start, for commands that end by themselves. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int armed;
static atomic_long count;
static long crash_at;

static void arm(int signal) {
    atomic_store(&armed, signal == SIGUSR1);
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("CRASH_AT");
    struct sigaction action = {.sa_handler = arm, .sa_flags = SA_RESTART};
    crash_at = text ? atol(text) : 0;
    atomic_store(&armed, getenv("CRASH_ARMED") != NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

static void step(void) {
    if (crash_at > 0 && atomic_load(&armed) && atomic_fetch_add(&count, 1) + 1 == crash_at)
        kill(getpid(), SIGKILL);
}

#define STEP(result, name, parameters, arguments)                              \
    result name parameters {                                                   \
        static result(*real) parameters;                                       \
        if (!real)                                                             \
            real = (result(*) parameters)dlsym(RTLD_NEXT, #name);              \
        step();                                                                \
        return real arguments;                                                 \
    }

STEP(int, fsync, (int fd), (fd))
STEP(int, fdatasync, (int fd), (fd))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
STEP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
STEP(int, link, (const char *from, const char *to), (from, to))
STEP(int, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
STEP(int, unlink, (const char *path), (path))
STEP(int, unlinkat, (int a, const char *path, int flags), (a, path, flags))
STEP(int, mkdir, (const char *path, mode_t mode), (path, mode))
STEP(int, ftruncate, (int fd, off_t size), (fd, size))
STEP(int, ftruncate64, (int fd, off64_t size), (fd, size))
STEP(ssize_t, copy_file_range, (int a, off64_t *from, int b, off64_t *to, size_t size, unsigned flags), (a, from, b, to, size, flags))
