/* The part of the FAISS C API that claverdb calls, for systems whose FAISS ships the C headers but
 * no object code for them (Debian 12). Left out of the build where a real libfaiss_c exists. The
 * functions from search_with_params on are declared only by later versions of that API; they have
 * its names and meanings. No exception leaves this file. */
#include "storage/faiss.h"

#include <faiss/Index.h>
#include <faiss/IndexIVF.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>

#include <cstdio>
#include <exception>

namespace
{
/* A fixed buffer, so that running out of memory can be told too. */
thread_local char last_error[512];

int keep(int code, const char *text)
{
    std::snprintf(last_error, sizeof last_error, "%s", text);
    return code;
}

template <typename Work> int guarded(Work work)
{
    try {
        work();
        return OK;
    } catch (const faiss::FaissException &e) {
        return keep(FAISS_EXCEPT, e.what());
    } catch (const std::exception &e) {
        return keep(STD_EXCEPT, e.what());
    } catch (...) {
        return keep(UNKNOWN_EXCEPT, "unknown exception");
    }
}

faiss::Index *index_of(FaissIndex *index)
{
    return reinterpret_cast<faiss::Index *>(index);
}

const faiss::Index *index_of(const FaissIndex *index)
{
    return reinterpret_cast<const faiss::Index *>(index);
}
} // namespace

extern "C" {
const char *faiss_get_last_error()
{
    return last_error;
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *faiss_get_version()
{
    return TEXT(FAISS_VERSION_MAJOR) "." TEXT(FAISS_VERSION_MINOR) "." TEXT(FAISS_VERSION_PATCH);
}

int faiss_index_factory(FaissIndex **out, int d, const char *description, FaissMetricType metric)
{
    return guarded([&] {
        faiss::Index *index =
            faiss::index_factory(d, description, static_cast<faiss::MetricType>(metric));
        *out = reinterpret_cast<FaissIndex *>(index);
    });
}

void faiss_Index_free(FaissIndex *index)
{
    delete index_of(index);
}

int faiss_Index_d(const FaissIndex *index)
{
    return index_of(index)->d;
}

idx_t faiss_Index_ntotal(const FaissIndex *index)
{
    return index_of(index)->ntotal;
}

int faiss_Index_train(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([&] { index_of(index)->train(n, x); });
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([&] { index_of(index)->add(n, x); });
}

int faiss_Index_reconstruct_n(const FaissIndex *index, idx_t i0, idx_t ni, float *out)
{
    return guarded([&] { index_of(index)->reconstruct_n(i0, ni, out); });
}

int faiss_Index_sa_code_size(const FaissIndex *index, size_t *size)
{
    return guarded([&] { *size = index_of(index)->sa_code_size(); });
}

int faiss_Index_sa_encode(const FaissIndex *index, idx_t n, const float *x, uint8_t *bytes)
{
    return guarded([&] { index_of(index)->sa_encode(n, x, bytes); });
}

int faiss_Index_sa_decode(const FaissIndex *index, idx_t n, const uint8_t *bytes, float *x)
{
    return guarded([&] { index_of(index)->sa_decode(n, bytes, x); });
}

FaissIndexIVF *faiss_IndexIVF_cast(FaissIndex *index)
{
    return reinterpret_cast<FaissIndexIVF *>(dynamic_cast<faiss::IndexIVF *>(index_of(index)));
}

size_t faiss_IndexIVF_nlist(const FaissIndexIVF *index)
{
    return reinterpret_cast<const faiss::IndexIVF *>(index)->nlist;
}

int faiss_write_index(const FaissIndex *index, FILE *file)
{
    return guarded([&] { faiss::write_index(index_of(index), file); });
}

int faiss_read_index(FILE *file, int io_flags, FaissIndex **out)
{
    return guarded(
        [&] { *out = reinterpret_cast<FaissIndex *>(faiss::read_index(file, io_flags)); });
}

int faiss_Index_search_with_params(const FaissIndex *index, idx_t n, const float *x, idx_t k,
                                   const FaissSearchParameters *parameters, float *distances,
                                   idx_t *labels)
{
    return guarded([&] {
        index_of(index)->search(n, x, k, distances, labels,
                                reinterpret_cast<const faiss::SearchParameters *>(parameters));
    });
}

int faiss_SearchParameters_new(FaissSearchParameters **out, FaissIDSelector *selector)
{
    return guarded([&] {
        auto *parameters = new faiss::SearchParameters;
        parameters->sel = reinterpret_cast<faiss::IDSelector *>(selector);
        *out = reinterpret_cast<FaissSearchParameters *>(parameters);
    });
}

void faiss_SearchParameters_free(FaissSearchParameters *parameters)
{
    delete reinterpret_cast<faiss::SearchParameters *>(parameters);
}

int faiss_SearchParametersIVF_new_with(FaissSearchParametersIVF **out, FaissIDSelector *selector,
                                       size_t nprobe, size_t max_codes)
{
    return guarded([&] {
        auto *parameters = new faiss::SearchParametersIVF;
        parameters->sel = reinterpret_cast<faiss::IDSelector *>(selector);
        parameters->nprobe = nprobe;
        parameters->max_codes = max_codes;
        *out = reinterpret_cast<FaissSearchParametersIVF *>(parameters);
    });
}

void faiss_SearchParametersIVF_free(FaissSearchParametersIVF *parameters)
{
    delete reinterpret_cast<faiss::SearchParametersIVF *>(parameters);
}

int faiss_IDSelectorBitmap_new(FaissIDSelectorBitmap **out, size_t size_bytes,
                               const uint8_t *bitmap)
{
    return guarded([&] {
        *out = reinterpret_cast<FaissIDSelectorBitmap *>(
            new faiss::IDSelectorBitmap(size_bytes, bitmap));
    });
}

void faiss_IDSelectorBitmap_free(FaissIDSelectorBitmap *selector)
{
    delete reinterpret_cast<faiss::IDSelectorBitmap *>(selector);
}
}
