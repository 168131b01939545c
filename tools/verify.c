/* SPDX-License-Identifier: MIT */
/*
 * rvdump verify
 */
#include "rvdump.h"
#include "store.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct report {
    struct out *out;
    bool json;
    uint64_t findings;
};

static void out_finding(struct out *out, const VisitFinding *finding)
{
    out_text(out, "offset ");
    out_number(out, finding->offset);
    out_text(out, ": ");
    out_escaped(out, finding->rule, strlen(finding->rule));
    if (finding->has_user) {
        out_text(out, ": user ");
        out_number(out, finding->user_id);
    }
    out_text(out, ": ");
    out_escaped(out, finding->message, strlen(finding->message));
    out_char(out, '\n');
}

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
    report->findings++;
    if (report->json)
        out_finding_json(report->out, finding);
    else
        out_finding(report->out, finding);
    return report->out->error != 0;
}

int command_verify(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    struct out out;
    out_open(&out, STDOUT_FILENO);
    struct report report = {.out = &out, .json = args->json};
    VisitStatus status = VisitManagerVerify(manager, take_finding, &report);
    if (status == VISIT_OK)
        say("%s: no damage found", args->store);
    else if (status == VISIT_ERROR_CORRUPT && report.findings > 0)
        say("%s: damaged, %" PRIu64 " found", args->store, report.findings);
    if (status == VISIT_ERROR_CORRUPT && report.findings > 0)
        code = EXIT_DAMAGED;
    else if (status != VISIT_OK && out.error == 0)
        code = store_failed(status);
    VisitManagerFree(manager);
    return out_finish(&out, code);
}
