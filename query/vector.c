#include "query/vector.h"

#include "core/error.h"

#include <math.h>

int clv_vector_unit(float *vector, int dim, const char *what)
{
    double square = 0;
    for (int i = 0; i < dim; i++)
        square += (double)vector[i] * vector[i];
    double norm = sqrt(square);
    if (!(norm > 1e-12) || !isfinite(norm))
        return clv_fail(CLV_ERR, "the model gives no direction for '%s'", what);
    for (int i = 0; i < dim; i++)
        vector[i] = (float)(vector[i] / norm);
    return CLV_OK;
}

void clv_vector_add(float *sum, const float *vector, float weight, int dim)
{
    for (int i = 0; i < dim; i++)
        sum[i] += weight * vector[i];
}
