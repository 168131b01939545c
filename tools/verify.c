/* SPDX-License-Identifier: MIT */
/*
 * rvdump verify
 */
#include "findings.h"
#include "rvdump.h"
#include "store.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct report {
    struct out *out;
    bool json;
    uint64_t count;
    struct findings findings;
};

static void out_finding_json(struct out *out, const VisitFinding *finding)
{
    out_text(out, "{\"offset\":");
    out_number(out, finding->offset);
    if (finding->has_user) {
        out_text(out, ",\"user_id\":");
        out_number(out, finding->user_id);
    }
    out_char(out, ',');
    out_json_member(out, "rule", finding->rule, strlen(finding->rule));
    out_char(out, ',');
    out_json_member(out, "message", finding->message, strlen(finding->message));
    out_text(out, "}\n");
}

static int take_finding(void *data, const VisitFinding *finding)
{
    struct report *report = data;
    report->count++;
    findings_take(&report->findings, finding);
    if (report->json)
        out_finding_json(report->out, finding);
    return report->out->error != 0;
}

/* Tells what was found; returns the exit code for it. */
static int tell(struct report *report, const char *path)
{
    bool costs = findings_cost_visits(&report->findings);
    if (!report->json)
        findings_out(report->out, &report->findings, path);
    out_flush(report->out);
    say("%s: damaged, %" PRIu64 " found%s", path, report->count, costs ? "" : "; no visit is lost");
    return costs ? EXIT_DAMAGED : EXIT_NO_LOSS;
}

static int verify(VisitManager *manager, const struct args *args, struct report *report)
{
    VisitStatus status = VisitManagerVerify(manager, take_finding, report);
    if (status == VISIT_ERROR_CORRUPT && report->count > 0)
        return tell(report, args->store);
    if (status == VISIT_OK)
        say("%s: no damage found", args->store);
    else if (report->out->error == 0)
        return store_failed(status);
    return EXIT_OK;
}

int command_verify(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code == EXIT_DAMAGED)
        say("it cannot be opened; 'rvdump salvage' makes a new store of what is whole");
    if (code != EXIT_OK)
        return code;
    struct out out;
    out_open(&out, STDOUT_FILENO);
    struct report report = {.out = &out, .json = args->json};
    code = verify(manager, args, &report);
    VisitManagerFree(manager);
    return out_finish(&out, code);
}
