// SPDX-License-Identifier: MIT
// The header compiles as C++, and its functions link.
#include "recent_visits.h"

#include "visit_layout.h"

#include <cstdio>
#include <cstring>
#include <string>

static int finding(void *, const VisitFinding *)
{
    return 0;
}

static bool use(const std::string &path)
{
    VisitOptions options = {};
    options.size = sizeof options;
    options.max_visits = 5;
    VisitManager *manager = nullptr;
    if (VisitManagerOpen(path.c_str(), &options, &manager) != VISIT_OK)
        return false;
    VisitInput input = {};
    input.user_id = 1;
    input.visit_id = 2;
    input.url = "url";
    input.url_length = 3;
    bool good = VisitManagerAdd(manager, &input) == VISIT_OK;
    size_t count = 0;
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    good = good && count == 1 && visits[0]->visit_id == 2 && !std::strcmp(visits[0]->url, "url");
    good = good && VisitManagerVerify(manager, finding, nullptr) == VISIT_OK;
    VisitManagerFree(manager);
    return good && VisitLastStatus() == VISIT_OK;
}

int main(int argc, char **argv)
{
    std::string path = argc > 1 ? argv[1] : "";
    bool good = use(path);
    if (!good)
        std::fprintf(stderr, "%s\n", VisitLastError());
    std::printf("1 test, %d failed\n", good ? 0 : 1);
    return good ? 0 : 1;
}
