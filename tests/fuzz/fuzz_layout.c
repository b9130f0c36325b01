/* Any bytes as each of the configuration files: read, or refused. The first byte says which. */
#include "core/model/layout_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    typedef int read(struct clv_layout_config *, const char *, size_t, const char *);
    static read *const readers[] = {clv_layout_config_hugging_face, clv_layout_config_preprocessor,
                                    clv_layout_config_open_clip};
    struct clv_layout_config said = {0};
    if (size == 0)
        return 0;
    int status = readers[data[0] % 3](&said, (const char *)data + 1, size - 1, "config");
    if (status == 0 && data[0] % 3 != 1 && !said.activation)
        abort();
    if (strlen(said.obstacle) >= sizeof said.obstacle)
        abort();
    return 0;
}
