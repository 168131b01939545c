/* SPDX-License-Identifier: MIT */
/*
 * After a fork the child has the parent's managers, but neither its threads nor its locks. The
 * child closes the descriptors, so that it keeps no lock of the parent alive, and refuses all use.
 */
#include "manager.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered;
static struct VisitManager *managers;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
    rv_file_before_fork();
}

static void in_parent(void)
{
    rv_file_after_fork(false);
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (struct VisitManager *m = managers; m; m = m->next) {
        m->forked = true;
    }
    managers = NULL;
    rv_file_after_fork(true);
    pthread_mutex_unlock(&lock);
}

static void install(void)
{
    registered = pthread_atfork(before_fork, in_parent, in_child);
}

VisitStatus rv_fork_install(const char *path)
{
    pthread_once(&once, install);
    return registered ? rv_fail_errno(path, "open", registered) : VISIT_OK;
}

void rv_fork_register(struct VisitManager *manager)
{
    pthread_mutex_lock(&lock);
    manager->next = managers;
    manager->previous = &managers;
    if (managers) {
        managers->previous = &manager->next;
    }
    managers = manager;
    pthread_mutex_unlock(&lock);
}

void rv_fork_forget(struct VisitManager *manager)
{
    pthread_mutex_lock(&lock);
    if (manager->previous && !manager->forked) {
        *manager->previous = manager->next;
        if (manager->next) {
            manager->next->previous = manager->previous;
        }
    }
    pthread_mutex_unlock(&lock);
}
