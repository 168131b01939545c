/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "index.h"
#include "lock.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

/* Where a user stands when an operation begins; the versions are worked out once. */
struct user {
    struct rv_disk_entry *entry;
    bool is_new;         /* the entry is free yet */
    uint64_t word;       /* the newest version's; 0: no visits */
    uint64_t version[3]; /* the words of all */
    uint64_t epoch[3];   /* 0: none */
    int newest;          /* which version; -1: none */
    unsigned retained;   /* bit i: version i may not be overwritten */
    uint32_t user_id;
    uint32_t changes;
    uint32_t count;   /* in the file */
    uint32_t visible; /* of those, within the limit */
};

static void look(const struct rv_op *op, struct rv_disk_entry *entry, uint32_t user_id,
                 struct user *ret_user)
{
    struct user *u = ret_user; /* in place: it is large */
    u->entry = entry;
    u->user_id = user_id;
    rv_epochs(entry->version, u->epoch);
    u->newest = rv_newest(u->epoch, UINT64_MAX);
    u->is_new = u->newest < 0;
    for (int i = 0; i < 3; i++) {
        u->version[i] = u->is_new ? 0 : rv_load(&entry->version[i].word);
    }
    u->retained = u->is_new ? 0 : rv_retained(u->epoch, op->epoch, op->durable);
    u->word = u->is_new ? 0 : u->version[u->newest];
    u->changes = u->is_new ? rv_index_first_change(op->st, entry) : rv_load32(&entry->changes);
    u->count = rv_word_count(u->word);
    u->visible = u->count < op->st->limit ? u->count : op->st->limit;
}

static VisitStatus get_scratch(struct rv_store *st, struct rv_shard *sh, uint32_t count)
{
    if (count > sh->scratch_count) {
        struct rv_view *more = realloc(sh->scratch, (size_t)count * 2 * sizeof *more);
        if (!more) {
            return rv_fail_errno(st->file.path, "change", ENOMEM);
        }
        sh->scratch = more;
        sh->scratch_count = (size_t)count * 2;
    }
    return VISIT_OK;
}

/* The user's newest visits into the shard's scratch memory. */
static VisitStatus collect(struct rv_op *op, const struct user *u, uint32_t count)
{
    uint32_t got;
    if (!rv_slot_word_valid(op->st, u->word)) { /* the count is no larger than the file allows */
        return rv_corrupt(op->st, (uint8_t *)u->entry - op->st->file.rw,
                          "a user's ring lies nowhere");
    }
    VisitStatus status = get_scratch(op->st, op->sh, count + 1);
    if (!status) {
        status = rv_slot_collect(op->st, op->st->file.rw, u->user_id, u->word, count,
                                 op->sh->scratch, &got);
    }
    return status;
}

/* The hints on visit ids: nothing above `newest`, nothing without its bit in the filter. */

static bool surely_new(const struct user *u, uint32_t visit_id)
{
    return u->visible == 0 || visit_id > rv_load32(&u->entry->newest) ||
           !(rv_load32(&u->entry->filter) & rv_filter_bit(visit_id));
}

static uint64_t hint_add(uint64_t hint, uint32_t visit_id)
{
    uint64_t filter = hint >> 32 | rv_filter_bit(visit_id);
    uint32_t newest = (uint32_t)hint > visit_id ? (uint32_t)hint : visit_id;
    return filter << 32 | newest;
}

static uint64_t hint_of(const struct user *u)
{
    return u->word ? rv_load((const uint64_t *)&u->entry->newest) : 0;
}

static void store_hint(const struct user *u, uint64_t hint)
{
    uint64_t *word = (uint64_t *)&u->entry->newest;
    if (rv_load(word) != hint) {
        rv_store(word, hint);
    }
}

/* Looks for a visit id in the ring; on the way the hint is made exact again. */
static VisitStatus find_duplicate(struct rv_op *op, const struct user *u, uint32_t visit_id,
                                  bool *ret_found)
{
    uint64_t hint = 0;
    VisitStatus status = collect(op, u, u->visible);
    *ret_found = false;
    if (status) {
        return status;
    }
    for (uint32_t i = 0; i < u->visible; i++) {
        hint = hint_add(hint, op->sh->scratch[i].visit_id);
        *ret_found = *ret_found || op->sh->scratch[i].visit_id == visit_id;
    }
    store_hint(u, hint);
    return VISIT_OK;
}

/* Every change begins with the change counter: a reader that sees any of it then notices. */
static void raise_changes(struct rv_op *op, const struct user *u, uint32_t changes)
{
    rv_touch(op->st, u->entry);
    rv_store((uint64_t *)u->entry, (uint64_t)changes << 32 | u->user_id);
    rv_fence_release();
}

/* Where the next version goes. */
struct target {
    uint64_t *word;  /* of the cell */
    uint64_t *epoch; /* of the cell, if it takes a new one; NULL: the word is overwritten */
};

static VisitStatus choose_cell(struct rv_op *op, const struct user *u, struct target *ret_target)
{
    if (!u->is_new && u->epoch[u->newest] == op->epoch) {
        *ret_target = (struct target){&u->entry->version[u->newest].word, NULL};
        return VISIT_OK;
    }
    if (u->retained == 7 || (!u->is_new && u->epoch[u->newest] > op->epoch)) {
        return rv_corrupt(op->st, (uint8_t *)u->entry - op->st->file.rw,
                          "a user's versions are from the future");
    }
    int i = __builtin_ctz(~u->retained);
    *ret_target = (struct target){&u->entry->version[i].word, &u->entry->version[i].epoch};
    return VISIT_OK;
}

static void publish(struct rv_op *op, struct target target, uint64_t word)
{
    if (target.epoch) {
        rv_store(target.word, word);
        rv_op_publish(op, target.epoch, op->epoch);
    } else {
        rv_op_publish(op, target.word, word);
    }
    rv_op_end(op);
}

/* Is the slot free for an append: does no retained version of the same ring cover it? */
static bool is_free(const struct user *u, uint32_t slot)
{
    uint32_t mask = rv_word_mask(u->word);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t word = u->version[i];
        if (u->retained & 1u << i && word && rv_word_class(word) == rv_word_class(u->word) &&
            rv_word_base(word) == rv_word_base(u->word) &&
            ((rv_word_head(word) - slot) & mask) < rv_word_count(word)) {
            return false;
        }
    }
    return true;
}

/* What an add comes to. */
struct plan {
    int64_t time_ns;
    int64_t last_time;       /* of the shard, afterwards */
    uint32_t position;       /* visits that stay newer than the new one */
    uint32_t count;          /* visits afterwards */
    uint32_t next;           /* the slot for an append in place; 0: the ring moves */
    uint32_t ring_class;     /* of the ring, if it moves */
    uint32_t overflow_class; /* of the overflow run, if there is one */
    bool overflows;
};

static int64_t newest_time(const struct rv_store *st, const struct user *u)
{
    const struct rv_disk_slot *head = rv_ro(st, rv_slot_offset(st, rv_word_head(u->word)));
    return __atomic_load_n(&head->time_ns, __ATOMIC_RELAXED);
}

/* The place by time, and the time where it is not given. */
static VisitStatus plan_time(struct rv_op *op, const struct user *u,
                             const struct rv_new_visit *visit, struct plan *plan)
{
    plan->time_ns = visit->time_ns;
    if (!visit->at_time) {
        int64_t last = (int64_t)rv_load(&op->sh->disk->last_time);
        plan->time_ns = plan->time_ns > last ? plan->time_ns : last;
        /* A time that a caller gave to one user says nothing about the others: it stays out. */
        plan->last_time = plan->time_ns;
    }
    if (!u->visible || (!visit->at_time && !(u->word & RV_WORD_EXPLICIT))) {
        return VISIT_OK;
    }
    int64_t newest = newest_time(op->st, u);
    if (plan->time_ns >= newest) {
        return VISIT_OK;
    }
    if (!visit->at_time) {
        plan->time_ns = newest;
        return VISIT_OK;
    }
    VisitStatus status = collect(op, u, u->visible);
    while (!status && plan->position < u->visible &&
           op->sh->scratch[plan->position].time_ns > plan->time_ns) {
        plan->position++;
    }
    return status;
}

static VisitStatus make_plan(struct rv_op *op, const struct user *u,
                             const struct rv_new_visit *visit, struct plan *ret_plan)
{
    struct rv_store *st = op->st;
    struct plan plan = {0};
    uint64_t bytes = (uint64_t)visit->url_length + visit->text_length + 2;
    if (!rv_slot_word_valid(st, u->word)) {
        return rv_corrupt(st, (uint8_t *)u->entry - st->file.rw, "a user's ring lies nowhere");
    }
    VisitStatus status = plan_time(op, u, visit, &plan);
    if (status) {
        return status;
    }
    plan.count = u->visible < st->limit ? u->visible + 1 : st->limit;
    plan.overflows = bytes > rv_slot_room(st);
    plan.overflow_class = plan.overflows ? rv_slot_overflow_class(st, bytes) : 0;
    if (u->word && plan.position == 0) {
        uint32_t n = rv_word_base(u->word) + ((rv_word_head(u->word) + 1) & rv_word_mask(u->word));
        plan.next = is_free(u, n) ? n : 0;
    }
    plan.ring_class = rv_ring_class(st->limit);
    if (plan.count < st->limit && rv_class_for(plan.count) < plan.ring_class) {
        plan.ring_class = rv_class_for(plan.count);
    }
    *ret_plan = plan;
    return VISIT_OK;
}

/* Writes the overflow run of a new visit. */
static VisitStatus write_overflow(struct rv_op *op, const struct rv_new_visit *visit,
                                  const struct plan *plan, uint32_t *ret_slot)
{
    *ret_slot = 0;
    if (!plan->overflows) {
        return VISIT_OK;
    }
    VisitStatus status = rv_run_take(op, plan->overflow_class, ret_slot);
    if (status) {
        return status;
    }
    struct rv_disk_overflow header = {.user_id = visit->user_id, .visit_id = visit->visit_id};
    uint8_t *run = rv_rw(op->st, rv_slot_offset(op->st, *ret_slot));
    rv_touch(op->st, run);
    rv_copy_in(run, &header, sizeof header / 8);
    rv_copy_in(run + sizeof header, visit->strings,
               rv_words((size_t)visit->url_length + visit->text_length + 2));
    return VISIT_OK;
}

/* The first word, of two halves, not by way of memory: its load would wait for both to arrive. */
static void put_header(uint8_t *slot, const struct rv_disk_slot *header)
{
    static_assert(offsetof(struct rv_disk_slot, prev) == 0, "spec: slot");
    static_assert(offsetof(struct rv_disk_slot, link) == 4, "spec: slot");
    rv_store((uint64_t *)slot, (uint64_t)header->link << 32 | header->prev);
    rv_copy_in(slot + 8, (const uint8_t *)header + 8, sizeof *header / 8 - 1);
}

static void write_new(struct rv_op *op, uint32_t number, uint32_t prev, uint32_t seq,
                      uint32_t overflow, const struct rv_new_visit *visit, int64_t time_ns)
{
    struct rv_disk_slot header = {
        .prev = prev,
        .user_id = visit->user_id,
        .visit_id = visit->visit_id,
        .time_ns = time_ns,
        .seq = seq,
        .url_length = visit->url_length,
        .text_length = visit->text_length,
        .overflow = overflow,
    };
    header.checksum = rv_slot_checksum(&header, visit->strings_hash);
    uint8_t *slot = rv_rw(op->st, rv_slot_offset(op->st, number));
    rv_touch(op->st, slot);
    put_header(slot, &header);
    if (!overflow) {
        rv_copy_in(slot + sizeof header, visit->strings,
                   rv_words((size_t)visit->url_length + visit->text_length + 2));
    }
}

/*
 * Copies a visit to another slot; its overflow run goes along as it is. The checksum does not cover
 * the place, so it is copied too. Where the number changes, a checksum that was wrong stays wrong:
 * moving must not hide damage.
 */
static void write_copy(struct rv_op *op, uint32_t number, uint32_t prev, uint32_t seq,
                       const struct rv_view *view)
{
    struct rv_disk_slot header;
    uint64_t bytes = rv_slot_bytes(view);
    rv_copy_out(&header, view->header, sizeof header / 8);
    header.prev = prev;
    header.link = 0;
    if (header.seq != seq) {
        bool sound = rv_slot_checksum_holds(view);
        header.seq = seq;
        header.checksum = rv_slot_checksum(&header, rv_slot_strings_hash(view->strings, bytes));
        header.checksum = sound ? header.checksum : ~header.checksum;
    }
    uint8_t *slot = rv_rw(op->st, rv_slot_offset(op->st, number));
    rv_touch(op->st, slot);
    put_header(slot, &header);
    if (!view->overflow) {
        /* The rest of the last word lies in the slot too. */
        rv_copy_in(slot + sizeof header, view->strings, rv_words(bytes));
    }
}

/* The overflow runs of the visits from index `from` on enter limbo. One that can't, since its block
 * is damaged, is lost until a recovery: for visits that only fell off that is good enough. */
static VisitStatus free_overflows(struct rv_op *op, const struct rv_view *views, uint32_t from,
                                  uint32_t count)
{
    VisitStatus damage = VISIT_OK;
    for (uint32_t i = from; i < count; i++) {
        if (views[i].overflow) {
            uint32_t run_class = rv_slot_overflow_class(op->st, rv_slot_bytes(&views[i]));
            VisitStatus status = rv_run_free(op, views[i].overflow, run_class);
            damage = status ? status : damage;
        }
    }
    return damage;
}

static VisitStatus append(struct rv_op *op, const struct user *u, const struct rv_new_visit *visit,
                          const struct plan *plan, uint64_t hint)
{
    struct target target = {0};
    uint32_t overflow;
    bool drops = u->word & RV_WORD_OVERFLOW && u->count >= plan->count;
    VisitStatus status = choose_cell(op, u, &target);
    if (!status && drops) {
        status = collect(op, u, u->count);
    }
    if (!status) {
        status = write_overflow(op, visit, plan, &overflow);
    }
    if (status) {
        return status;
    }
    raise_changes(op, u, u->changes + 1);
    if (drops) {
        free_overflows(op, op->sh->scratch, plan->count - 1, u->count);
    }
    write_new(op, plan->next, rv_word_head(u->word), u->changes + 1, overflow, visit,
              plan->time_ns);
    store_hint(u, hint);
    uint64_t flags = (u->word & (RV_WORD_EXPLICIT | RV_WORD_OVERFLOW)) |
                     (visit->at_time ? RV_WORD_EXPLICIT : 0) | (overflow ? RV_WORD_OVERFLOW : 0);
    publish(op, target, rv_word_make(plan->next, plan->count, rv_word_class(u->word), flags));
    return VISIT_OK;
}

/* A ring in the making: the visits that it gets, and what numbers they carry. */
struct moving {
    const struct rv_view *keep; /* newest first */
    uint32_t kept;
    const struct rv_new_visit *visit; /* comes at `position`; NULL: none */
    uint32_t position;
    uint32_t run_class;
    uint32_t overflow; /* of the new visit */
    int64_t time_ns;   /* of the new visit */
    uint64_t flags;
};

/*
 * Older visits keep their numbers; the new one and those above it get fresh ones. If the oldest
 * number is so old that comparing with it would wrap round, all get fresh ones.
 */
static uint32_t first_renumbered(const struct moving *m, uint32_t changes)
{
    if (m->kept && changes - m->keep[m->kept - 1].seq > UINT32_C(1) << 30) {
        return m->kept + 1;
    }
    return m->visit ? m->position + 1 : 0;
}

/* Writes the slots, oldest first; the user's change counter is raised before. Returns the head. */
static uint32_t write_ring(struct rv_op *op, const struct user *u, const struct moving *m,
                           uint32_t base)
{
    uint32_t total = m->kept + (m->visit ? 1 : 0);
    uint32_t renumbered = first_renumbered(m, u->changes);
    renumbered = renumbered < total ? renumbered : total;
    raise_changes(op, u, u->changes + (renumbered ? renumbered : 1));
    for (uint32_t i = total; i-- > 0;) {
        uint32_t number = base + (total - 1 - i);
        uint32_t prev = i + 1 < total ? number - 1 : 0;
        uint32_t fresh = u->changes + renumbered - i;
        if (m->visit && i == m->position) {
            write_new(op, number, prev, fresh, m->overflow, m->visit, m->time_ns);
        } else {
            const struct rv_view *view = &m->keep[m->visit && i > m->position ? i - 1 : i];
            write_copy(op, number, prev, i < renumbered ? fresh : view->seq, view);
        }
    }
    return base + total - 1;
}

static bool any_overflow(const struct moving *m)
{
    bool any = m->overflow != 0;
    for (uint32_t i = 0; i < m->kept && !any; i++) {
        any = m->keep[i].overflow != 0;
    }
    return any;
}

static uint64_t hint_of_ring(const struct moving *m)
{
    uint64_t hint = m->visit ? hint_add(0, m->visit->visit_id) : 0;
    for (uint32_t i = 0; i < m->kept; i++) {
        hint = hint_add(hint, m->keep[i].visit_id);
    }
    return hint;
}

/* Does a retained version other than the newest, or an older epoch's newest, have this ring? */
static bool is_seen(const struct rv_op *op, const struct user *u)
{
    for (unsigned i = 0; i < 3; i++) {
        if (u->retained & 1u << i && u->epoch[i] != op->epoch && u->version[i] &&
            rv_word_base(u->version[i]) == rv_word_base(u->word)) {
            return true;
        }
    }
    return false;
}

/* The ring that the user leaves: into limbo, if a power cut can bring it back. */
static VisitStatus free_ring(struct rv_op *op, const struct user *u)
{
    uint32_t base = rv_word_base(u->word);
    uint32_t run_class = rv_word_class(u->word);
    return is_seen(op, u) ? rv_run_free(op, base, run_class)
                          : rv_run_free_unseen(op, base, run_class);
}

/* Writes and publishes the new ring; the old one, if there is one, becomes free. */
static VisitStatus move(struct rv_op *op, const struct user *u, const struct moving *m)
{
    struct target target = {0};
    uint32_t base;
    VisitStatus status = choose_cell(op, u, &target);
    if (!status) {
        status = rv_run_take(op, m->run_class, &base);
    }
    if (status) {
        return status;
    }
    uint32_t head = write_ring(op, u, m, base);
    if (u->word) {
        status = free_ring(op, u);
        if (status) {
            return status;
        }
    }
    /* This hint may know less than the one that the old ring needs, should this be taken back. */
    rv_log_set(&op->log, (uint64_t *)&u->entry->newest, hint_of_ring(m));
    uint64_t flags = m->flags | (any_overflow(m) ? RV_WORD_OVERFLOW : 0);
    publish(op, target, rv_word_make(head, m->kept + (m->visit ? 1 : 0), m->run_class, flags));
    return VISIT_OK;
}

static VisitStatus add_by_move(struct rv_op *op, const struct user *u,
                               const struct rv_new_visit *visit, const struct plan *plan)
{
    VisitStatus status = collect(op, u, u->count);
    struct moving m = {
        .keep = op->sh->scratch,
        .kept = plan->count - 1,
        .visit = visit,
        .position = plan->position,
        .run_class = plan->ring_class,
        .time_ns = plan->time_ns,
        .flags = (u->word & RV_WORD_EXPLICIT) | (visit->at_time ? RV_WORD_EXPLICIT : 0),
    };
    if (!status) {
        status = write_overflow(op, visit, plan, &m.overflow);
    }
    if (status) {
        return status;
    }
    free_overflows(op, op->sh->scratch, m.kept, u->count);
    return move(op, u, &m);
}

/* Takes what the plan needs; *ret_ready false: the epoch may have moved on, plan again. */
static VisitStatus prepare(struct rv_op *op, const uint32_t *needs, unsigned count, bool *ret_ready)
{
    *ret_ready = true;
    if (count == 0) {
        return VISIT_OK;
    }
    VisitStatus status = rv_run_prepare(op->st, op->sh, needs, count, ret_ready);
    uint64_t epoch = op->epoch;
    *op = rv_op_begin(op->st, op->sh);
    *ret_ready = *ret_ready && op->epoch == epoch;
    return status;
}

/* Of a ring that nobody sees yet, or not for long. */
static void prefetch_slot(const uint8_t *slot)
{
    rv_prefetch_write(slot);
    rv_prefetch_write(slot + 64);
    rv_prefetch_write(slot + 128);
}

/* A full ring will move: it is read, erased and given back. */
static void prefetch_full(const struct rv_store *st, uint64_t word)
{
    uint32_t base = rv_word_base(word);
    uint32_t most = rv_word_mask(word) < RV_TOGETHER ? rv_word_mask(word) : RV_TOGETHER - 1;
    for (uint32_t i = 0; i <= most; i++) {
        const uint8_t *slot = st->file.rw + rv_slot_offset(st, base + i);
        prefetch_slot(slot);
        if (st->erase) {
            rv_prefetch_write(slot + 192);
        }
    }
    rv_prefetch_write(st->file.rw + rv_header_offset(st, rv_slot_block(st, base)));
}

/* The ring that a move will write. */
static void prefetch_run(struct rv_store *st, const struct rv_shard *sh, const struct plan *plan)
{
    uint32_t slot = rv_run_peek(st, sh, plan->ring_class);
    uint32_t most = plan->count < RV_TOGETHER ? plan->count : RV_TOGETHER;
    for (uint32_t i = 0; slot && i < most; i++) {
        prefetch_slot(st->file.rw + rv_slot_offset(st, slot + i));
    }
}

void rv_ring_prefetch(const struct rv_store *st, uint64_t word)
{
    if (!word || !rv_slot_word_valid(st, word)) {
        return;
    }
    if (rv_word_count(word) > rv_word_mask(word)) {
        prefetch_full(st, word);
        return;
    }
    uint32_t next = rv_word_base(word) + ((rv_word_head(word) + 1) & rv_word_mask(word));
    const uint8_t *slot = st->file.rw + rv_slot_offset(st, next);
    __builtin_prefetch(slot);
    __builtin_prefetch(slot + 64);
    __builtin_prefetch(slot + 128);
}

static VisitStatus twice(const struct rv_store *st, uint32_t user_id)
{
    return rv_fail(VISIT_ERROR_CORRUPT, st->file.path,
                   "cannot copy: the original has user %u twice; run 'rvdump verify' on it",
                   user_id);
}

static VisitStatus try_add(struct rv_store *st, struct rv_shard *sh, uint64_t hash,
                           const struct rv_new_visit *visit, bool *ret_done)
{
    struct rv_disk_entry *entry;
    VisitStatus status = rv_index_find(st, sh, hash, visit->user_id, true, &entry);
    if (status || !entry) {
        return status;
    }
    struct rv_op op = rv_op_begin(st, sh);
    struct user u;
    look(&op, entry, visit->user_id, &u);
    rv_ring_prefetch(st, u.word);
    if (visit->is_copy && u.count != visit->copied) {
        return twice(st, visit->user_id);
    }
    if (!visit->is_copy && !surely_new(&u, visit->visit_id)) {
        status = find_duplicate(&op, &u, visit->visit_id, ret_done);
        if (status || *ret_done) {
            return status;
        }
    }
    struct plan plan = {0};
    status = make_plan(&op, &u, visit, &plan);
    if (status) {
        return status;
    }
    if (plan.position == st->limit) {
        *ret_done = true; /* older than all of a full user */
        return VISIT_OK;
    }
    uint32_t needs[2];
    unsigned count = 0;
    if (!plan.next) {
        prefetch_run(st, sh, &plan);
        needs[count++] = plan.ring_class;
    }
    if (plan.overflows) {
        needs[count++] = plan.overflow_class;
    }
    bool ready;
    status = prepare(&op, needs, count, &ready);
    if (status || !ready) {
        return status;
    }
    if (u.is_new) {
        rv_index_claim(st, entry, visit->user_id);
    }
    if (!visit->at_time) {
        rv_store(&sh->disk->last_time, (uint64_t)plan.last_time);
    }
    uint64_t hint = hint_add(hint_of(&u), visit->visit_id);
    status = plan.next ? append(&op, &u, visit, &plan, hint) : add_by_move(&op, &u, visit, &plan);
    if (status) {
        return rv_op_abort(&op, status);
    }
    *ret_done = true;
    return VISIT_OK;
}

VisitStatus rv_ring_add(struct rv_store *st, uint64_t hash, const struct rv_new_visit *visit)
{
    struct rv_shard *sh = rv_shard_of(st, hash);
    bool done = false;
    VisitStatus status = rv_lock_shard(st, sh);
    if (status) {
        return status;
    }
    while (!status && !done) {
        status = try_add(st, sh, hash, visit, &done);
    }
    rv_unlock_shard(st, sh);
    return status;
}

static VisitStatus clear(struct rv_op *op, const struct user *u)
{
    struct target target = {0};
    VisitStatus status = choose_cell(op, u, &target);
    if (!status && u->word & RV_WORD_OVERFLOW) {
        status = collect(op, u, u->count);
    }
    if (!status && !rv_slot_word_valid(op->st, u->word)) {
        status =
            rv_corrupt(op->st, (uint8_t *)u->entry - op->st->file.rw, "a user's ring lies nowhere");
    }
    if (status) {
        return status;
    }
    raise_changes(op, u, u->changes + 1);
    if (u->word & RV_WORD_OVERFLOW) {
        status = free_overflows(op, op->sh->scratch, 0, u->count);
    }
    if (!status) {
        status = free_ring(op, u);
    }
    if (!status) {
        publish(op, target, 0);
    }
    return status;
}

VisitStatus rv_ring_clear(struct rv_store *st, uint32_t user_id)
{
    uint64_t hash = rv_hash(st, user_id);
    struct rv_shard *sh = rv_shard_of(st, hash);
    struct rv_disk_entry *entry;
    VisitStatus status = rv_lock_shard(st, sh);
    if (status) {
        return status;
    }
    rv_run_tidy(st, sh); /* this needs nothing of it */
    status = rv_index_find(st, sh, hash, user_id, false, &entry);
    if (!status && entry) {
        struct rv_op op = rv_op_begin(st, sh);
        struct user u;
        look(&op, entry, user_id, &u);
        if (u.word) {
            status = clear(&op, &u);
        }
        if (status) {
            rv_op_abort(&op, status);
        }
    }
    rv_unlock_shard(st, sh);
    return status;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Moves the visits to be kept to the front of the scratch memory; those to go behind them. */
static uint32_t partition(struct rv_view *views, uint32_t visible, const uint32_t *sorted,
                          size_t count, struct rv_view *gone)
{
    uint32_t kept = 0;
    uint32_t lost = 0;
    for (uint32_t i = 0; i < visible; i++) {
        if (bsearch(&views[i].visit_id, sorted, count, sizeof *sorted, compare_ids)) {
            gone[lost++] = views[i];
        } else {
            views[kept++] = views[i];
        }
    }
    memcpy(views + kept, gone, lost * sizeof *gone);
    return kept;
}

static VisitStatus remove_some(struct rv_op *op, const struct user *u, uint32_t kept,
                               bool *ret_done)
{
    bool ready;
    uint32_t run_class = rv_class_for(kept);
    VisitStatus status = prepare(op, &run_class, 1, &ready);
    if (status || !ready) {
        return status;
    }
    struct moving m = {
        .keep = op->sh->scratch,
        .kept = kept,
        .run_class = run_class,
        .flags = u->word & RV_WORD_EXPLICIT,
    };
    *ret_done = true;
    status = free_overflows(op, op->sh->scratch, kept, u->count);
    return status ? status : move(op, u, &m);
}

static VisitStatus try_remove(struct rv_store *st, struct rv_shard *sh, struct rv_disk_entry *entry,
                              uint32_t user_id, const uint32_t *sorted, size_t count,
                              size_t *ret_removed, bool *ret_done)
{
    struct rv_op op = rv_op_begin(st, sh);
    struct user u;
    look(&op, entry, user_id, &u);
    *ret_removed = 0;
    *ret_done = u.word == 0;
    VisitStatus status = u.word ? collect(&op, &u, u.count) : VISIT_OK;
    if (status || *ret_done) {
        return status;
    }
    struct rv_view *gone = malloc(u.visible * sizeof *gone);
    if (!gone) {
        return rv_fail_errno(st->file.path, "change", ENOMEM);
    }
    uint32_t kept = partition(sh->scratch, u.visible, sorted, count, gone);
    free(gone);
    *ret_removed = u.visible - kept;
    if (kept == u.visible) {
        *ret_done = true;
    } else if (kept == 0) {
        *ret_done = true;
        status = clear(&op, &u);
    } else {
        status = remove_some(&op, &u, kept, ret_done);
    }
    return status ? rv_op_abort(&op, status) : status;
}

VisitStatus rv_ring_remove(struct rv_store *st, uint32_t user_id, const uint32_t *visit_ids,
                           size_t count, size_t *ret_removed)
{
    uint64_t hash = rv_hash(st, user_id);
    struct rv_shard *sh = rv_shard_of(st, hash);
    struct rv_disk_entry *entry;
    bool done = false;
    *ret_removed = 0;
    uint32_t *sorted = count > SIZE_MAX / sizeof *sorted ? NULL : malloc(count * sizeof *sorted);
    if (!sorted) {
        return rv_fail_errno(st->file.path, "change", ENOMEM);
    }
    memcpy(sorted, visit_ids, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_ids);
    VisitStatus status = rv_lock_shard(st, sh);
    if (!status) {
        rv_run_tidy(st, sh);
        status = rv_index_find(st, sh, hash, user_id, false, &entry);
        while (!status && entry && !done) {
            status = try_remove(st, sh, entry, user_id, sorted, count, ret_removed, &done);
        }
        rv_unlock_shard(st, sh);
    }
    free(sorted);
    if (status) {
        *ret_removed = 0;
    }
    return status;
}

static VisitStatus trim(struct rv_op *op, const struct user *u)
{
    struct target target = {0};
    VisitStatus status = choose_cell(op, u, &target);
    if (!status) {
        status = collect(op, u, u->count);
    }
    if (status) {
        return status;
    }
    raise_changes(op, u, u->changes + 1);
    free_overflows(op, op->sh->scratch, u->visible, u->count);
    uint64_t flags = u->word & (RV_WORD_EXPLICIT | RV_WORD_OVERFLOW);
    publish(op, target,
            rv_word_make(rv_word_head(u->word), u->visible, rv_word_class(u->word), flags));
    return VISIT_OK;
}

VisitStatus rv_ring_trim(struct rv_store *st, struct rv_shard *sh, struct rv_disk_entry *entry)
{
    struct rv_op op = rv_op_begin(st, sh);
    struct user u;
    look(&op, entry, rv_load32(&entry->user_id), &u);
    if (u.count == u.visible) {
        return VISIT_OK;
    }
    VisitStatus status = trim(&op, &u);
    return status ? rv_op_abort(&op, status) : status;
}

static VisitStatus try_put(struct rv_store *st, struct rv_shard *sh, uint64_t hash,
                           uint32_t user_id, const struct moving *m, bool *ret_done)
{
    struct rv_disk_entry *entry;
    VisitStatus status = rv_index_find(st, sh, hash, user_id, true, &entry);
    if (status || !entry) {
        return status;
    }
    struct rv_op op = rv_op_begin(st, sh);
    struct user u;
    look(&op, entry, user_id, &u);
    bool ready;
    status = prepare(&op, &m->run_class, 1, &ready);
    if (status || !ready) {
        return status;
    }
    if (u.word) {
        return twice(st, user_id);
    }
    if (u.is_new) {
        rv_index_claim(st, entry, user_id);
    }
    if (!(m->flags & RV_WORD_EXPLICIT) &&
        m->keep[0].time_ns > (int64_t)rv_load(&sh->disk->last_time)) {
        rv_store(&sh->disk->last_time, (uint64_t)m->keep[0].time_ns);
    }
    *ret_done = true;
    /* The counter begins above the numbers that the visits bring along. */
    u.changes = m->keep[0].seq;
    status = move(&op, &u, m);
    return status ? rv_op_abort(&op, status) : status;
}

VisitStatus rv_ring_put(struct rv_store *st, uint32_t user_id, const struct rv_view *views,
                        uint32_t count, bool explicit_times)
{
    uint64_t hash = rv_hash(st, user_id);
    struct rv_shard *sh = rv_shard_of(st, hash);
    struct moving m = {
        .keep = views,
        .kept = count,
        .run_class = count < st->limit ? rv_class_for(count) : rv_ring_class(st->limit),
        .flags = explicit_times ? RV_WORD_EXPLICIT : 0,
    };
    bool done = false;
    VisitStatus status = rv_lock_shard(st, sh);
    if (status) {
        return status;
    }
    while (!status && !done) {
        status = try_put(st, sh, hash, user_id, &m, &done);
    }
    rv_unlock_shard(st, sh);
    return status;
}
