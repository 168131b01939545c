/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer: the inputs of files and folders first, then mutations of
 * the target's seeds. The same seed gives the same inputs, everywhere.
 *
 *   TARGET [-r RUNS | -t SECONDS] [-s SEED] [-f FIRST] [-o FOLDER] [FILE|FOLDER]...
 *   TARGET -w FOLDER     writes the inputs that mutations begin with
 *
 * An input that fails is written to FOLDER, by default the present one; the last line tells how to
 * run it again.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST (1u << 20) /* bytes of an input */

#pragma weak LLVMFuzzerCustomMutator
#pragma weak LLVMFuzzerInitialize
#pragma weak __sanitizer_set_death_callback
void __sanitizer_set_death_callback(void (*callback)(void));

static struct {
    const char *target;
    const char *folder;
    uint64_t seed;
    uint64_t run;
    const char *file; /* NULL: the input is a mutation */
    uint8_t input[MOST];
    size_t size;
    bool told;
} now = {.folder = "."};

/* ---- failures ---- */

static void tell(void)
{
    if (now.told) {
        return;
    }
    now.told = true;
    if (now.file) {
        fprintf(stderr, "FAILED: %s %s\n", now.target, now.file);
        return;
    }
    char path[4096];
    const char *name = strrchr(now.target, '/');
    snprintf(path, sizeof path, "%s/%s-%llu-%llu", now.folder, name ? name + 1 : now.target,
             (unsigned long long)now.seed, (unsigned long long)now.run);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, now.input, now.size) != (ssize_t)now.size) {
        perror(path);
    }
    close(fd);
    fprintf(stderr, "FAILED: %s -s %llu -f %llu -r 1\n  input: %s\n", now.target,
            (unsigned long long)now.seed, (unsigned long long)now.run, path);
}

static void on_signal(int number)
{
    tell();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(tell);
        signal(SIGABRT, on_signal);
        return;
    }
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signal(signals[i], on_signal);
    }
}

/* ---- inputs from files ---- */

static void run(void)
{
    /* In memory of its own: a read beyond it is seen. */
    uint8_t *copy = malloc(now.size ? now.size : 1);
    if (!copy) {
        fuzz_fail("out of memory");
    }
    memcpy(copy, now.input, now.size);
    LLVMFuzzerTestOneInput(copy, now.size);
    free(copy);
}

static uint64_t run_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, now.input, MOST);
    if (n < 0) {
        perror(path);
        exit(2);
    }
    close(fd);
    now.size = (size_t)n;
    now.file = path;
    run();
    now.file = NULL;
    return 1;
}

static uint64_t run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) || !S_ISDIR(status.st_mode)) {
        return run_file(path);
    }
    struct dirent **names;
    uint64_t count = 0;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inside[4096];
        snprintf(inside, sizeof inside, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            count += run_file(inside);
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
    return count;
}

/* ---- mutations ---- */

static struct seed {
    uint8_t *bytes;
    size_t size;
} seeds[64];
static unsigned seed_count;

static void make_seeds(void)
{
    while (seed_count < 64 &&
           (seeds[seed_count].bytes = fuzz_seed(seed_count, &seeds[seed_count].size)) != NULL) {
        seed_count++;
    }
}

static int write_seeds(const char *folder)
{
    int failed = 0;
    for (unsigned i = 0; i < seed_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/seed-%u", folder, i);
        FILE *file = fopen(path, "w");
        if (!file || fwrite(seeds[i].bytes, 1, seeds[i].size, file) != seeds[i].size) {
            perror(path);
            failed = 2;
        }
        if (file && fclose(file)) {
            failed = 2;
        }
    }
    return failed;
}

static void mutate(struct fuzz_random *r)
{
    if (LLVMFuzzerCustomMutator) {
        now.size = LLVMFuzzerCustomMutator(now.input, now.size, MOST, (unsigned)fuzz_next(r));
    } else {
        now.size = LLVMFuzzerMutate(now.input, now.size, MOST);
    }
}

static struct fuzz_random chance; /* of LLVMFuzzerMutate() */

static void run_mutation(uint64_t number)
{
    struct fuzz_random r = {now.seed * 0x2545f4914f6cdd1du + number};
    const struct seed *seed = &seeds[fuzz_below(&r, seed_count)];
    now.run = number;
    now.size = seed->size;
    memcpy(now.input, seed->bytes, seed->size);
    chance.state = fuzz_next(&r);
    for (uint64_t i = fuzz_below(&r, 4) + 1; i > 0; i--) {
        mutate(&r);
    }
    run();
}

/* Bytes that go, come, move or change. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most)
{
    size_t place = fuzz_below(&chance, size + 1);
    size_t length = fuzz_below(&chance, fuzz_once_in(&chance, 4) ? 64 : 4) + 1;
    size_t from = fuzz_below(&chance, size + 1);
    length = length < size - (from > place ? from : place) ? length
                                                           : size - (from > place ? from : place);
    switch (fuzz_below(&chance, 4)) {
    case 0:
        memmove(data + place, data + place + length, size - place - length);
        return size - length;
    case 1:
        if (size + length <= most) {
            memmove(data + place + length, data + place, size - place);
            return size + length;
        }
        return size;
    case 2:
        memmove(data + place, data + from, length);
        return size;
    default:
        if (place < size) {
            static const char text[] = "\"\\,{}[]:\n\r -+0123456789eTZu";
            data[place] = (uint8_t)(fuzz_once_in(&chance, 2)
                                        ? fuzz_next(&chance)
                                        : (uint8_t)text[fuzz_below(&chance, sizeof text)]);
        }
        return size;
    }
}

/* ---- the program ---- */

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    uint64_t runs = 0;
    uint64_t first = 0;
    double most_seconds = 0;
    const char *write_to = NULL;
    int option;
    now.target = argv[0];
    now.seed = 1;
    while ((option = getopt(argc, argv, "r:t:s:f:o:w:")) != -1) {
        switch (option) {
        case 'r':
            runs = strtoull(optarg, NULL, 0);
            break;
        case 't':
            most_seconds = strtod(optarg, NULL);
            runs = UINT64_MAX;
            break;
        case 's':
            now.seed = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            first = strtoull(optarg, NULL, 0);
            break;
        case 'o':
            now.folder = optarg;
            break;
        case 'w':
            write_to = optarg;
            break;
        default:
            return 2;
        }
    }
    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    make_seeds();
    if (write_to) {
        return write_seeds(write_to);
    }
    watch();
    double begin = seconds();
    uint64_t files = 0;
    for (int i = optind; i < argc; i++) {
        files += run_path(argv[i]);
    }
    uint64_t done = 0;
    while (done < runs && (!most_seconds || done % 64 || seconds() - begin < most_seconds)) {
        run_mutation(first + done++);
    }
    for (unsigned i = 0; i < seed_count; i++) {
        free(seeds[i].bytes);
    }
    double took = seconds() - begin;
    printf("%llu inputs from files, %llu mutations of seed %llu, %.0f a second, 0 failed\n",
           (unsigned long long)files, (unsigned long long)done, (unsigned long long)now.seed,
           took > 0 ? (double)(files + done) / took : 0);
    return 0;
}
