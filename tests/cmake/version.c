/* SPDX-License-Identifier: MIT */
/* Header and library that CMake found belong together. */
#include <recent_visits.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    printf("header %s, library %s\n", VISIT_VERSION_STRING, VisitVersion());
    return strcmp(VisitVersion(), VISIT_VERSION_STRING) != 0;
}
