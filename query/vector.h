/* The little arithmetic queries are put together with. */
#ifndef CLV_QUERY_VECTOR_H
#define CLV_QUERY_VECTOR_H

/* Scales `vector` [dim] to length 1, reckoned in double. CLV_ERR naming `what` where it has no
 * direction (zero, infinite or NaN). */
int clv_vector_unit(float *vector, int dim, const char *what);

/* sum += weight * vector, both [dim]. */
void clv_vector_add(float *sum, const float *vector, float weight, int dim);

#endif
