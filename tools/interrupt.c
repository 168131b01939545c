/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static atomic_int caught; /* the signal's number */
static bool catching;

static void take_signal(int number)
{
    if (caught != 0) { /* the second one, of another kind */
        signal(number, SIG_DFL);
        raise(number);
    }
    caught = number;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = take_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) /* as nohup(1) has it */
            sigaction(signals[i], &action, NULL);
    }
    catching = true;
}

bool interrupted(void)
{
    return caught != 0;
}

/* poll() that a signal ends also if it comes just before. */
static bool wait_for(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
    sigset_t blocked, before;
    sigemptyset(&blocked);
    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&blocked, signals[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (!interrupted())
        ppoll(fds, count, timeout, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !interrupted();
}

bool interrupt_wait(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return !catching || wait_for(&readable, 1, NULL);
}

bool interrupt_sleep(double seconds)
{
    struct timespec timeout = {.tv_sec = (time_t)seconds};
    timeout.tv_nsec = (long)((seconds - (double)timeout.tv_sec) * 1e9);
    return wait_for(NULL, 0, &timeout);
}

int interrupt_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *data)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, data);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

void interrupt_forget(void)
{
    caught = 0;
}

void interrupt_follow(void)
{
    if (!interrupted())
        return;
    signal(caught, SIG_DFL);
    raise(caught);
}
