/* Private to core/model: many findings about one file, told in one sentence. */
#ifndef CLV_CORE_MODEL_PROBLEMS_H
#define CLV_CORE_MODEL_PROBLEMS_H

/* Zero-initialise. Findings that no longer fit are counted. */
struct clv_problems {
    char text[7000];
    int count;
    int hidden_count;
};

/* Adds one finding ("'ln_final.bias' is missing"). */
void clv_problems_add(struct clv_problems *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* CLV_OK where there are none, otherwise `status` with all of them in the message. */
int clv_problems_fail(const struct clv_problems *problems, int status, const char *path);

#endif
