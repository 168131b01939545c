/* SPDX-License-Identifier: MIT */
/*
 * rvdump salvage: makes a new store of what is whole in a damaged file. It is written under a
 * temporary name, and appears under its own when it is complete.
 */
#include "batch.h"
#include "choose.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "rvdump.h"
#include "slots.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct salvage {
    const struct args *args;
    struct image *image;
    struct rescue rescue;
    struct slot_reader reader;
    struct batch *batch;
    struct out *out;
    uint64_t saved;
    uint64_t proved_users;
    uint64_t lost;           /* visits of proved users */
    uint64_t unproved_users; /* and what they have: */
    uint64_t unproved_saved;
};

static int out_of_memory(void)
{
    say("out of memory");
    return EXIT_OTHER;
}

/* ---- The report ---- */

static void out_user(struct out *out, uint32_t user_id, const struct choice *choice)
{
    out_text(out, "user ");
    out_number(out, user_id);
    out_text(out, ": ");
    out_number(out, choice->saved);
    out_text(out, choice->proved ? " saved, " : " saved, unproved");
    if (choice->proved) {
        out_number(out, choice->lost);
        out_text(out, " lost");
    }
    out_char(out, '\n');
}

static void out_user_json(struct out *out, uint32_t user_id, const struct choice *choice)
{
    char line[200];
    if (choice->proved)
        snprintf(line, sizeof line,
                 "{\"user_id\":%" PRIu32 ",\"proved\":true,\"saved\":%" PRIu32 ",\"lost\":%" PRIu32
                 "}\n",
                 user_id, choice->saved, choice->lost);
    else
        snprintf(line, sizeof line,
                 "{\"user_id\":%" PRIu32 ",\"proved\":false,\"saved\":%" PRIu32
                 ",\"left_out\":%" PRIu32 "}\n",
                 user_id, choice->saved, choice->left_out);
    out_text(out, line);
}

/* Users that have all their visits, and those of whom nothing is known, are not told one by one. */
static void report_user(struct salvage *salvage, uint32_t user_id, const struct choice *choice)
{
    salvage->saved += choice->saved;
    salvage->lost += choice->lost;
    salvage->proved_users += choice->proved && choice->saved + choice->lost > 0;
    salvage->unproved_users += !choice->proved;
    salvage->unproved_saved += choice->proved ? 0 : choice->saved;
    if (choice->proved && choice->lost == 0)
        return;
    if (salvage->args->json)
        out_user_json(salvage->out, user_id, choice);
    else
        out_user(salvage->out, user_id, choice);
}

static void report(const struct salvage *salvage)
{
    const struct image *image = salvage->image;
    if (salvage->args->json) {
        char line[320];
        snprintf(line, sizeof line,
                 "{\"saved\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"proved_users\":%" PRIu64
                 ",\"unproved_users\":%" PRIu64 ",\"unproved_saved\":%" PRIu64
                 ",\"index_complete\":%s,\"unreadable_pages\":%" PRIu64 "}\n",
                 salvage->saved, salvage->lost, salvage->proved_users, salvage->unproved_users,
                 salvage->unproved_saved, salvage->rescue.index_complete ? "true" : "false",
                 image->unreadable);
        out_text(salvage->out, line);
    }
    say("%s: %" PRIu64 " visits saved, %" PRIu64 " lost, of %" PRIu64 " users whom the index knows",
        salvage->args->store, salvage->saved, salvage->lost, salvage->proved_users);
    if (salvage->unproved_users > 0)
        say("%s: unproved: of %" PRIu64 " users the index has no sound entry; their newest %" PRIu64
            " whole visits are saved, among which may be some that had been removed",
            salvage->args->store, salvage->unproved_users, salvage->unproved_saved);
    if (!salvage->rescue.index_complete)
        say("%s: parts of the index are missing: there may have been users of whom nothing is left",
            salvage->args->store);
    if (image->unreadable > 0)
        say("%s: %" PRIu64 " times a page could not be read", salvage->args->store,
            image->unreadable);
}

/* ---- User by user ---- */

static int save_visit(struct salvage *salvage, const struct found *found)
{
    struct slot slot;
    if (!slot_read(&salvage->reader, found->slot, &slot) ||
        slot.header.visit_id != found->visit_id) {
        say("%s: slot %" PRIu32 " has changed while it was read", salvage->args->store,
            found->slot);
        return EXIT_IO;
    }
    struct record record = {
        .user_id = found->user_id,
        .visit_id = found->visit_id,
        .time_ns = found->time_ns,
        .url = slot.url,
        .url_length = slot.header.url_length,
        .text = slot.text,
        .text_length = slot.header.text_length,
    };
    return batch_add(salvage->batch, &record);
}

static int save_user(struct salvage *salvage, uint32_t user_id, const struct owner *owner,
                     struct found *visits, size_t count)
{
    struct choice choice;
    choose(&salvage->rescue, owner, visits, count, &choice);
    for (uint32_t i = 0; i < choice.saved; i++) {
        int code = save_visit(salvage, &visits[i]);
        if (code != EXIT_OK)
            return code;
    }
    report_user(salvage, user_id, &choice);
    return EXIT_OK;
}

static int compare_users(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->user_id != y->user_id)
        return x->user_id < y->user_id ? -1 : 1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* Visits and owners are both in ascending order of user; a user may be in one of them only. */
static int save_users(struct salvage *salvage)
{
    struct rescue *rescue = &salvage->rescue;
    size_t at = 0, owner = 0;
    int code = EXIT_OK;
    if (rescue->found_count > 0)
        qsort(rescue->found, rescue->found_count, sizeof *rescue->found, compare_users);
    while ((at < rescue->found_count || owner < rescue->owner_count) && code == EXIT_OK) {
        bool owned = owner < rescue->owner_count &&
                     (at == rescue->found_count ||
                      rescue->owners[owner].user_id <= rescue->found[at].user_id);
        uint32_t user_id = owned ? rescue->owners[owner].user_id : rescue->found[at].user_id;
        size_t end = at;
        while (end < rescue->found_count && rescue->found[end].user_id == user_id)
            end++;
        code = interrupted() ? EXIT_OTHER
                             : save_user(salvage, user_id, owned ? &rescue->owners[owner] : NULL,
                                         rescue->found + at, end - at);
        owner += owned;
        at = end;
        progress_show("saving visits", at, rescue->found_count);
    }
    progress_clear();
    return code == EXIT_OK ? batch_flush(salvage->batch) : code;
}

/* ---- The new store ---- */

static int save_to(struct salvage *salvage, const char *path)
{
    VisitOptions options = {
        .size = sizeof options,
        .create = VISIT_MUST_NOT_EXIST,
        .max_visits = salvage->rescue.limit,
        .slot_size = 1u << salvage->image->slot_log2,
        .shards = salvage->image->shards,
        .checkpoint_interval_ms = -1,
    };
    VisitManager *manager;
    VisitStatus status = VisitManagerOpen(path, &options, &manager);
    if (status != VISIT_OK)
        return store_failed(status);
    salvage->batch = batch_new(manager);
    int code = salvage->batch != NULL ? save_users(salvage) : out_of_memory();
    batch_free(salvage->batch);
    VisitManagerFree(manager);
    status = VisitLastStatus();
    if (status != VISIT_OK && code == EXIT_OK)
        code = store_failed(status);
    if (code != EXIT_OK)
        unlink(path);
    return code;
}

/* Makes the name durable too. */
static int sync_folder(const char *path)
{
    char *folder = strdup(path);
    if (folder == NULL)
        return out_of_memory();
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[1] = '\0';
    int fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd >= 0 ? fsync(fd) : -1;
    int error = errno;
    if (fd >= 0)
        close(fd);
    free(folder);
    if (result == 0 || error == EINVAL)
        return EXIT_OK;
    say("%s: cannot sync the folder: %s", path, strerror(error));
    return EXIT_IO;
}

/* Does not take the place of a file that has come meanwhile. */
static int give_name(const char *temporary, const char *path)
{
    int result = renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) { /* not every file system can */
        result = link(temporary, path);
        if (result == 0)
            unlink(temporary);
    }
    if (result == 0)
        return sync_folder(path);
    int code = errno == EEXIST ? EXIT_CANNOT_OPEN : EXIT_IO;
    say("%s: cannot be made: %s", path, strerror(errno));
    unlink(temporary);
    return code;
}

static int save(struct salvage *salvage)
{
    const char *path = salvage->args->operand;
    char *temporary;
    struct stat status;
    if (asprintf(&temporary, "%s.partial", path) < 0)
        return out_of_memory();
    if (lstat(temporary, &status) == 0) {
        say("%s: is left from a salvage that was interrupted, or is being made by another one; "
            "remove it, or choose another path",
            temporary);
        free(temporary);
        return EXIT_CANNOT_OPEN;
    }
    int code = save_to(salvage, temporary);
    if (code == EXIT_OK)
        code = give_name(temporary, path);
    free(temporary);
    return code;
}

/* ---- The old one ---- */

static int get_sizes(const struct args *args, struct image *image)
{
    if (image->super_from == IMAGE_SUPER_COPY)
        say("%s: the superblock is damaged; its copy is used", args->store);
    if (image->super_from != IMAGE_SUPER_NONE)
        return EXIT_OK;
    if (!image_guess(image, args->slot_size)) {
        say("%s: has no superblock and no whole visit; if it is a store, --slot-size may help",
            args->store);
        return EXIT_NOT_A_STORE;
    }
    say("%s: the superblock and its copy are damaged; slots of %u bytes %s", args->store,
        1u << image->slot_log2, args->slot_size != 0 ? "as asked for" : "as the visits lie");
    return EXIT_OK;
}

static int get_limit(const struct args *args, const struct image *image, uint32_t *ret_limit)
{
    *ret_limit = args->max_visits != 0 ? args->max_visits : image->record.limit;
    if (*ret_limit != 0)
        return EXIT_OK;
    say("%s: %s; --max-visits has to say how many visits a user keeps", args->store,
        image->super_from == IMAGE_SUPER_NONE
            ? "without a superblock the checkpoint records cannot be checked"
            : "both checkpoint records are damaged");
    return EXIT_USAGE;
}

static int salvage_image(const struct args *args, struct image *image, struct out *out)
{
    struct salvage salvage = {.args = args, .image = image, .rescue = {.image = image}, .out = out};
    int code = get_sizes(args, image);
    if (code == EXIT_OK)
        code = get_limit(args, image, &salvage.rescue.limit);
    if (code != EXIT_OK)
        return code;
    if (!slot_reader_open(image, &salvage.reader))
        return out_of_memory();
    code = rescue_find(&salvage.rescue);
    if (code == EXIT_OK)
        code = rescue_find_owners(&salvage.rescue);
    if (code == EXIT_OK)
        code = save(&salvage);
    if (code == EXIT_OK) {
        report(&salvage);
        bool whole =
            salvage.lost == 0 && salvage.unproved_users == 0 && salvage.rescue.index_complete;
        code = whole ? EXIT_OK : EXIT_DAMAGED;
    }
    rescue_free(&salvage.rescue);
    slot_reader_close(&salvage.reader);
    return code;
}

int command_salvage(const struct args *args)
{
    struct stat status;
    if (lstat(args->operand, &status) == 0) {
        say("%s: is there already; choose another path", args->operand);
        return EXIT_CANNOT_OPEN;
    }
    struct image image;
    int code = image_open(args->store, &image);
    if (code != EXIT_OK)
        return code;
    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (image_in_use(&image)) {
        say("%s: a program has it open for writing; of a store in use, 'rvdump backup' makes a "
            "copy",
            args->store);
        code = EXIT_BUSY;
    } else {
        code = salvage_image(args, &image, &out);
    }
    image_close(&image);
    return out_finish(&out, code);
}
