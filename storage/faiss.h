/* The FAISS C API as claverdb calls it, private to vindex.c and faiss_c.cpp: the installed headers,
 * and what FAISS 1.7.3's lack under the names that later versions declare. */
#ifndef CLV_STORAGE_FAISS_H
#define CLV_STORAGE_FAISS_H

#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/impl/AuxIndexStructures_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

#ifdef __cplusplus
extern "C" {
#endif
typedef struct FaissSearchParameters_H FaissSearchParameters;
void faiss_SearchParameters_free(FaissSearchParameters *parameters);
int faiss_SearchParameters_new(FaissSearchParameters **out, FaissIDSelector *selector);
typedef struct FaissSearchParameters_H FaissSearchParametersIVF;
void faiss_SearchParametersIVF_free(FaissSearchParametersIVF *parameters);
int faiss_SearchParametersIVF_new_with(FaissSearchParametersIVF **out, FaissIDSelector *selector,
                                       size_t nprobe, size_t max_codes);
typedef struct FaissIDSelectorBitmap_H FaissIDSelectorBitmap;
void faiss_IDSelectorBitmap_free(FaissIDSelectorBitmap *selector);
int faiss_IDSelectorBitmap_new(FaissIDSelectorBitmap **out, size_t size_bytes,
                               const uint8_t *bitmap);
int faiss_Index_search_with_params(const FaissIndex *index, idx_t n, const float *x, idx_t k,
                                   const FaissSearchParameters *parameters, float *distances,
                                   idx_t *labels);
const char *faiss_get_version(void);
#ifdef __cplusplus
}
#endif

#endif
