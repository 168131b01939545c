/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common.h"
#include "../engine.h"

/*
 * A server of its own on a socket in the folder. A user is a list of packed visits, newest first:
 * LPUSH and LTRIM. They do not look for a visit id that is there; where ids repeat, a script does,
 * in a second list of ids.
 */
static const char server[] = "redis-server";
static const char script[] = "if redis.call('LPOS', KEYS[2], ARGV[2]) then return 0 end\n"
                             "redis.call('LPUSH', KEYS[1], ARGV[1])\n"
                             "redis.call('LTRIM', KEYS[1], 0, ARGV[3])\n"
                             "redis.call('LPUSH', KEYS[2], ARGV[2])\n"
                             "redis.call('LTRIM', KEYS[2], 0, ARGV[3])\n"
                             "return 1";

struct store {
    struct bench_setup setup;
    char socket[PATH_MAX];
    pid_t pid; /* 0: another process's server */
};

struct session {
    struct store *store;
    redisContext *redis;
    redisReply *reply; /* of the last read */
    uint32_t unanswered;
    char script_hash[64], last[16];
    char *value;
    size_t value_room;
    Visit *result;
};

/* In front of the strings of a packed visit, which NULs end. */
struct header {
    int64_t time_ns;
    uint32_t visit_id, url_length;
};

static bool is_available(void)
{
    char path[PATH_MAX];
    const char *folders = getenv("PATH");
    for (const char *at = folders; at && *at;) {
        size_t length = strcspn(at, ":");
        snprintf(path, sizeof(path), "%.*s/%s", (int)length, at, server);
        if (access(path, X_OK) == 0)
            return true;
        at += length + (at[length] == ':');
    }
    return false;
}

static redisContext *connect_to(const char *path)
{
    redisContext *redis = redisConnectUnix(path);
    if (redis && !redis->err)
        return redis;
    if (redis)
        redisFree(redis);
    return NULL;
}

static void start_server(struct store *store)
{
    store->pid = fork();
    if (store->pid < 0)
        bench_die("fork: %s", strerror(errno));
    if (store->pid == 0) {
        const char *log = store->setup.durable ? "yes" : "no";
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp(server, server, "--port", "0", "--unixsocket", store->socket, "--save", "",
               "--appendonly", log, "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0",
               "--dir", store->setup.folder, "--daemonize", "no", "--logfile", "/dev/null",
               (char *)NULL);
        _exit(127);
    }
}

static void wait_for_server(struct store *store)
{
    for (int tries = 0; tries < 1000; tries++) {
        redisContext *redis = connect_to(store->socket);
        if (redis) {
            redisFree(redis);
            return;
        }
        if (waitpid(store->pid, NULL, WNOHANG) == store->pid)
            bench_die("redis: the server ended at once");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    bench_die("redis: the server does not answer");
}

static void *open_redis(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    store->setup = *setup;
    bench_path(store->socket, sizeof(store->socket), setup->folder, "socket");
    if (strlen(store->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        bench_die("redis: the name of a socket can't be as long as %s", store->socket);
    if (setup->existing)
        return store;
    start_server(store);
    wait_for_server(store);
    return store;
}

static redisReply *checked(struct session *session, void *reply)
{
    redisReply *r = reply;
    if (!r)
        bench_die("redis: %s", session->redis->errstr);
    if (r->type == REDIS_REPLY_ERROR)
        bench_die("redis: %s", r->str);
    return r;
}

static void load_script(struct session *session)
{
    redisReply *reply = checked(session, redisCommand(session->redis, "SCRIPT LOAD %s", script));
    snprintf(session->script_hash, sizeof(session->script_hash), "%s", reply->str);
    freeReplyObject(reply);
}

static void *begin_session(void *opaque)
{
    struct store *store = opaque;
    struct session *session = bench_alloc(1, sizeof(*session));
    session->store = store;
    session->redis = connect_to(store->socket);
    if (!session->redis)
        bench_die("redis: can't connect to %s", store->socket);
    session->result = bench_alloc(store->setup.max_visits, sizeof(*session->result));
    snprintf(session->last, sizeof(session->last), "%u", store->setup.max_visits - 1);
    if (store->setup.ids_repeat)
        load_script(session);
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    if (session->reply)
        freeReplyObject(session->reply);
    redisFree(session->redis);
    free(session->result);
    free(session->value);
    free(session);
}

static uint64_t bytes_redis(void *opaque)
{
    struct session *session = begin_session(opaque);
    redisReply *reply = checked(session, redisCommand(session->redis, "INFO memory"));
    const char *line = strstr(reply->str, "used_memory:");
    uint64_t bytes = line ? strtoull(line + strlen("used_memory:"), NULL, 10) : 0;
    freeReplyObject(reply);
    end_session(session);
    return bytes;
}

static void close_redis(void *opaque)
{
    struct store *store = opaque;
    if (store->pid) {
        kill(store->pid, SIGKILL);
        waitpid(store->pid, NULL, 0);
    }
    free(store);
}

static size_t pack(struct session *session, const struct bench_add *add)
{
    size_t strings = (size_t)add->url.length + add->text.length + 2;
    size_t size = sizeof(struct header) + strings;
    if (size > session->value_room) {
        free(session->value);
        session->value = bench_alloc(session->value_room = 2 * size, 1);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct header header = {now.tv_sec * INT64_C(1000000000) + now.tv_nsec, add->visit_id,
                            add->url.length};
    char *to = session->value;
    memcpy(to, &header, sizeof(header));
    memcpy(to + sizeof(header), add->url.bytes, (size_t)add->url.length + 1);
    memcpy(to + sizeof(header) + add->url.length + 1, add->text.bytes,
           (size_t)add->text.length + 1);
    return size;
}

static void append(struct session *session, int count, const char **words, const size_t *sizes)
{
    if (redisAppendCommandArgv(session->redis, count, words, sizes) != REDIS_OK)
        bench_die("redis: %s", session->redis->errstr);
    session->unanswered++;
}

static void append_push(struct session *session, const char *key, size_t size)
{
    const char *push[] = {"LPUSH", key, session->value};
    const size_t push_sizes[] = {5, 4, size};
    append(session, 3, push, push_sizes);
    const char *trim[] = {"LTRIM", key, "0", session->last};
    const size_t trim_sizes[] = {5, 4, 1, strlen(session->last)};
    append(session, 4, trim, trim_sizes);
}

static void append_script(struct session *session, const char *key, size_t size, uint32_t visit_id)
{
    char ids[5] = "i", id[16];
    memcpy(ids + 1, key, 4);
    int id_length = snprintf(id, sizeof(id), "%u", visit_id);
    const char *words[] = {"EVALSHA", session->script_hash, "2", key,
                           ids,       session->value,       id,  session->last};
    const size_t sizes[] = {
        7, strlen(session->script_hash), 1, 4, 5, size, (size_t)id_length, strlen(session->last)};
    append(session, 8, words, sizes);
}

static void flush(void *opaque)
{
    struct session *session = opaque;
    for (; session->unanswered; session->unanswered--) {
        void *reply = NULL;
        redisGetReply(session->redis, &reply);
        freeReplyObject(checked(session, reply));
    }
}

static void add_visit(void *opaque, const struct bench_add *add)
{
    struct session *session = opaque;
    char key[4];
    memcpy(key, &add->user_id, sizeof(key));
    size_t size = pack(session, add);
    if (session->store->setup.ids_repeat)
        append_script(session, key, size, add->visit_id);
    else
        append_push(session, key, size);
    if (session->unanswered >= session->store->setup.batch)
        flush(session);
}

static Visit visit_of(const char *packed)
{
    struct header header;
    memcpy(&header, packed, sizeof(header));
    char *url = (char *)(uintptr_t)packed + sizeof(header);
    return (Visit){
        .visit_id = header.visit_id,
        .url = url,
        .text = url + header.url_length + 1,
        .time = {header.time_ns / 1000000000, header.time_ns % 1000000000},
    };
}

static void read_user(void *opaque, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct session *session = opaque;
    if (session->reply)
        freeReplyObject(session->reply);
    const char *words[] = {"LRANGE", (const char *)&user_id, "0", "-1"};
    const size_t sizes[] = {6, sizeof(user_id), 1, 2};
    session->reply = checked(session, redisCommandArgv(session->redis, 4, words, sizes));
    for (size_t i = 0; i < session->reply->elements; i++)
        session->result[i] = visit_of(session->reply->element[i]->str);
    *ret_visits =
        (struct bench_visits){.array = session->result, .count = session->reply->elements};
}

#define REDIS_ENGINE(n, b)                                                                         \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what = "Redis: unix socket; a list of packed visits a user, LPUSH and LTRIM in one "      \
                "round trip (batch: 1,000 adds), without a look for duplicates; no persistence "   \
                "(durable: appendfsync always)",                                                   \
        .can = BENCH_THREADS | BENCH_PROCESSES | BENCH_DURABLE, .available = is_available,         \
        .open = open_redis, .bytes = bytes_redis, .close = close_redis, .begin = begin_session,    \
        .end = end_session, .add = add_visit, .flush = flush, .read = read_user                    \
    }

const struct bench_engine bench_engine_redis = REDIS_ENGINE("redis", 1);
const struct bench_engine bench_engine_redis_batch = REDIS_ENGINE("redis-batch", BENCH_BATCH);
