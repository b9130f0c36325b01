#include "tests/model/golden.h"

#include "tests/t.h"

#include <stdio.h>

void golden_each(void (*check)(const struct clv_model *model, const char *expect))
{
    static const char *const names[] = {"kmt_p32_t4", "kmct_p16_t8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char file[64];
        struct clv_model model;
        snprintf(file, sizeof file, "golden/%s.safetensors", names[i]);
        const char *weights = t_shared(file);
        snprintf(file, sizeof file, "golden/%s.expect.safetensors", names[i]);
        const char *expect = weights ? t_shared(file) : NULL;
        if (!expect)
            return;
        REQUIRE_OK(clv_model_open(&model, weights, NULL));
        check(&model, expect);
        clv_model_release(&model);
    }
}
