#include "core/model/pull_source.h"

#include "core/error.h"
#include "core/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool clv_pull_is_base(const char *address)
{
    size_t size = strlen(address);
    return size > 0 && address[size - 1] == '/';
}

const char *clv_pull_file_of(const char *address, size_t *size_out)
{
    const char *end = address + strcspn(address, "?#");
    const char *begin = end;
    while (begin > address && begin[-1] != '/')
        begin--;
    *size_out = (size_t)(end - begin);
    return begin;
}

static int add(struct clv_pull_sources *sources, char *url)
{
    if (url == NULL)
        return clv_fail_memory("an address");
    if (!clv_fetch_is_address(url) || sources->count == CLV_PULL_SOURCE_MAX) {
        int status = clv_fetch_is_address(url)
                         ? clv_fail(CLV_EINVAL, "there are more than %d addresses to try",
                                    CLV_PULL_SOURCE_MAX)
                         : clv_fail(CLV_EINVAL, "'%s' is no http or https address", url);
        free(url);
        return status;
    }
    sources->urls[sources->count++] = url;
    return CLV_OK;
}

static int add_base(struct clv_pull_sources *sources, const char *base, size_t size,
                    const char *file)
{
    char *url = NULL;
    const char *separator = size > 0 && base[size - 1] == '/' ? "" : "/";
    if (asprintf(&url, "%.*s%s%s", (int)size, base, separator, file) < 0)
        url = NULL;
    return add(sources, url);
}

int clv_pull_sources_list(struct clv_pull_sources *out, const char *file, const char *from,
                          const char *mirrors, const char *url)
{
    static const char blanks[] = " \t\r\n";
    int status = from == NULL ? CLV_OK : add_base(out, from, strlen(from), file);
    for (const char *at = mirrors == NULL ? "" : mirrors; status == CLV_OK;) {
        at += strspn(at, blanks);
        size_t size = strcspn(at, blanks);
        if (size == 0)
            break;
        status = add_base(out, at, size, file);
        at += size;
    }
    if (status == CLV_OK && url != NULL)
        status = add(out, strdup(url));
    return status;
}

void clv_pull_sources_release(struct clv_pull_sources *sources)
{
    for (int i = 0; i < sources->count; i++)
        free(sources->urls[i]);
    *sources = (struct clv_pull_sources){0};
}
