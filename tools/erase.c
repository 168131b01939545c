/* SPDX-License-Identifier: MIT */
/*
 * rvdump erase: no visit of a user is in the file when it has succeeded.
 *
 * The library overwrites what it removes. But a program that opened the store with
 * VISIT_ERASE_LATER may have left copies in free space before, so the file is looked through at the
 * end.
 */
#include "progress.h"
#include "rvdump.h"
#include "slots.h"
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNKNOWN SIZE_MAX /* how many visits a user has, one of which is damaged */

static bool is_yes(const char *answer)
{
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

/* On a terminal the question is asked; elsewhere --yes has to be given. */
static int get_consent(const struct args *args, uint32_t user_id, size_t visits)
{
    char answer[16] = "";
    if (args->yes)
        return EXIT_OK;
    char count[32] = "the";
    if (visits != UNKNOWN)
        snprintf(count, sizeof count, "the %zu", visits);
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        say("%s: with --yes %s visits of user %" PRIu32 " are erased", args->store, count, user_id);
        return EXIT_USAGE;
    }
    fprintf(stderr, "Erase %s visits of user %" PRIu32 "? They can't be brought back. [y/N] ",
            count, user_id);
    if (fgets(answer, sizeof answer, stdin) != NULL && is_yes(answer))
        return EXIT_OK;
    say("nothing is erased");
    return EXIT_OTHER;
}

static VisitStatus read_count(VisitManager *manager, uint32_t user_id, size_t *ret_count)
{
    VisitReader *reader;
    const VisitPacked *visits;
    VisitStatus status = VisitReaderOpen(manager, &reader);
    if (status == VISIT_OK) {
        status = store_read(reader, user_id, 0, &visits, ret_count);
        VisitReaderFree(reader);
    }
    return status;
}

static int count_visits(const struct args *args, VisitManager *manager, uint32_t user_id,
                        size_t *ret_count)
{
    VisitStatus status = read_count(manager, user_id, ret_count);
    if (status == VISIT_ERROR_CORRUPT) { /* they can be erased all the same */
        *ret_count = UNKNOWN;
        return EXIT_OK;
    }
    if (status != VISIT_OK)
        return store_failed(status);
    if (*ret_count > 0)
        return EXIT_OK;
    say("%s: user %" PRIu32 " has no visits", args->store, user_id);
    return EXIT_NO_USER;
}

struct search {
    struct image image;
    struct slot_reader reader;
    uint32_t user_id;
    uint64_t copies;
};

/* Slots and overflow runs have their user in the same place. */
static_assert(offsetof(struct rv_disk_slot, user_id) == offsetof(struct rv_disk_overflow, user_id),
              "is_copy");

static bool is_copy(struct search *search, uint32_t number, const uint8_t *at)
{
    struct rv_disk_slot header;
    struct slot slot;
    memcpy(&header, at, sizeof header);
    return header.user_id == search->user_id &&
           (slot_names_overflow(&search->image, &header) || slot_is_overflow_run(at) ||
            slot_take(&search->reader, number, at, &slot));
}

static bool search_blocks(struct search *search)
{
    struct image *image = &search->image;
    uint32_t slots = 1u << (image->block_log2 - image->slot_log2);
    for (uint64_t block = image->header_blocks; block < image_blocks(image); block++) {
        const uint8_t *bytes = image_block(image, block);
        if (bytes == NULL)
            return false;
        for (uint32_t i = 0; i < slots; i++)
            search->copies += is_copy(search, (uint32_t)block * slots + i,
                                      bytes + ((size_t)i << image->slot_log2));
        progress_show("looking for copies", block + 1, image_blocks(image));
    }
    progress_clear();
    return true;
}

/* How many slots and overflow runs of the file have something of the user. */
static int count_copies(const struct args *args, uint32_t user_id, uint64_t *ret_copies)
{
    struct search search = {.user_id = user_id};
    int code = image_open(args->store, &search.image);
    if (code != EXIT_OK)
        return code;
    bool done = slot_reader_open(&search.image, &search.reader);
    if (done) {
        done = search_blocks(&search);
        slot_reader_close(&search.reader);
    }
    image_close(&search.image);
    if (!done) {
        say("out of memory");
        return EXIT_OTHER;
    }
    if (search.image.unreadable > 0) {
        say("%s: %" PRIu64 " pages cannot be read: what they have may be left", args->store,
            search.image.unreadable);
        return EXIT_IO;
    }
    *ret_copies = search.copies;
    return EXIT_OK;
}

static int erase_user(const struct args *args, VisitManager *manager, uint32_t user_id,
                      size_t *ret_visits)
{
    int code = count_visits(args, manager, user_id, ret_visits);
    if (code != EXIT_OK)
        return code;
    VisitStatus status = VisitManagerClearUser(manager, user_id);
    if (status == VISIT_OK)
        status = VisitManagerSync(manager);
    return status == VISIT_OK ? EXIT_OK : store_failed(status);
}

/* Has somebody added visits of the user since? */
static bool has_visits(const struct args *args, uint32_t user_id)
{
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager;
    size_t count = 0;
    if (VisitManagerOpen(args->store, &options, &manager) != VISIT_OK)
        return false;
    bool has = read_count(manager, user_id, &count) == VISIT_OK && count > 0;
    VisitManagerFree(manager);
    return has;
}

static int report(const struct args *args, uint32_t user_id, size_t visits, uint64_t copies)
{
    bool came_back = copies > 0 && has_visits(args, user_id);
    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (args->json) {
        char line[120], erased[24] = "null";
        if (visits != UNKNOWN)
            snprintf(erased, sizeof erased, "%zu", visits);
        snprintf(line, sizeof line,
                 "{\"user_id\":%" PRIu32 ",\"erased\":%s,\"copies_left\":%" PRIu64 "}\n", user_id,
                 erased, copies);
        out_text(&out, line);
    }
    if (visits == UNKNOWN)
        say("%s: the visits of user %" PRIu32 ", of which some were damaged, are erased",
            args->store, user_id);
    else
        say("%s: %zu visits of user %" PRIu32 " are erased", args->store, visits, user_id);
    if (copies > 0 && came_back)
        say("%s: user %" PRIu32 " has got new visits meanwhile, which cannot be told from copies; "
            "try again when no program adds to this user",
            args->store, user_id);
    else if (copies > 0)
        say("%s: %" PRIu64 " older copies are left in free space, by a program that wrote with "
            "VISIT_ERASE_LATER or was killed; a backup is without them: put it in the place of "
            "the store",
            args->store, copies);
    return out_finish(&out, copies > 0 ? EXIT_OTHER : EXIT_OK);
}

/* Read-only: while somebody thinks it over, others may write. */
static int ask(const struct args *args, uint32_t user_id)
{
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager;
    size_t visits = 0;
    VisitStatus status = VisitManagerOpen(args->store, &options, &manager);
    if (status != VISIT_OK)
        return store_failed(status);
    int code = count_visits(args, manager, user_id, &visits);
    VisitManagerFree(manager);
    return code == EXIT_OK ? get_consent(args, user_id, visits) : code;
}

int command_erase(const struct args *args)
{
    uint32_t user_id;
    if (!parse_number(args->operand, UINT32_MAX, &user_id)) {
        say("not a user id, 0 to %" PRIu32 ": %s", UINT32_MAX, args->operand);
        return EXIT_USAGE;
    }
    int code = args->yes ? EXIT_OK : ask(args, user_id);
    if (code != EXIT_OK)
        return code;
    /* Shared, so that it works beside sharers too. */
    VisitOptions options = {.size = sizeof options,
                            .mode = VISIT_SHARED,
                            .create = VISIT_MUST_EXIST,
                            .checkpoint_interval_ms = -1,
                            .progress = store_progress};
    VisitManager *manager;
    VisitStatus status = VisitManagerOpen(args->store, &options, &manager);
    progress_clear();
    if (status != VISIT_OK)
        return store_failed(status);
    size_t visits = 0;
    uint64_t copies = 0;
    code = erase_user(args, manager, user_id, &visits);
    VisitManagerFree(manager);
    status = VisitLastStatus();
    if (status != VISIT_OK && code == EXIT_OK)
        code = store_failed(status);
    if (code != EXIT_OK && code != EXIT_NO_USER)
        return code;
    /* Of a user without visits there may be copies too. */
    int search = count_copies(args, user_id, &copies);
    if (search != EXIT_OK)
        return search;
    return code == EXIT_OK || copies > 0 ? report(args, user_id, visits, copies) : code;
}
