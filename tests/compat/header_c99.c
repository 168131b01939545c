/* SPDX-License-Identifier: MIT */
/* The header is compiled as strict C99 too, in which <time.h> has no struct timespec. */
#include "recent_visits.h"

const void *header_c99(const Visit *visit);
const void *header_c99(const Visit *visit)
{
    return visit->time.tv_sec ? visit->url : visit->text;
}
