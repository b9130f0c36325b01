# claverdb: the one build. `make` alone lists the targets and what was detected.
#
# Flags name the build directory, so configurations never mix and need no clean in between.

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CXX ?= g++
PREFIX ?= /usr/local
DESTDIR ?=
SAN ?=
COVERAGE ?=
DEVELOPER ?=
TIME ?= 60
PKG_CONFIG ?= pkg-config

is_clang := $(shell $(CC) --version 2>/dev/null | grep -c clang)
NVCC := $(shell command -v nvcc 2>/dev/null || ls /usr/local/cuda/bin/nvcc 2>/dev/null)
# Kernels cannot be instrumented: builds with sanitizers leave them out, check-cuda looks at them.
CUDA ?= $(if $(NVCC),$(if $(SAN)$(COVERAGE),0,1),0)
LIBDIR := $(shell $(CC) -print-multiarch 2>/dev/null)
FAISS_C := $(firstword $(wildcard /usr/lib/$(LIBDIR)/libfaiss_c.so /usr/lib/$(LIBDIR)/libfaiss_c.a \
                                  /usr/local/lib/libfaiss_c.so /usr/local/lib/libfaiss_c.a))
FAISS := $(firstword $(wildcard /usr/lib/$(LIBDIR)/libfaiss.a /usr/lib/$(LIBDIR)/libfaiss.so \
                                /usr/local/lib/libfaiss.so /usr/local/lib/libfaiss.a))
# The OpenMP build of OpenBLAS shares one thread runtime with FAISS.
OPENBLAS_DIR := $(firstword $(wildcard /usr/lib/$(LIBDIR)/openblas-openmp))
MODULES := libavformat libavcodec libavfilter libswscale libswresample libavutil \
           sqlite3 libsodium jansson libutf8proc zlib libzip libcurl

# ---- flags -----------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wformat=2 -Wpointer-arith -Wwrite-strings $(if $(DEVELOPER),-Werror)
OPTIMIZE := $(if $(SAN),-O1,-O2)
CFLAGS ?= -g
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) \
            $(if $(COVERAGE),--coverage)
ifeq ($(is_clang),0)
OPENMP := -fopenmp
else
# clang would bring a second OpenMP runtime beside the one OpenBLAS and FAISS use.
OPENMP := -Wno-source-uses-openmp -Wno-unknown-pragmas
endif
MODULE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(MODULES) 2>/dev/null | sed 's/-I/-isystem /g')
OPENBLAS_CFLAGS := $(if $(OPENBLAS_DIR),-isystem /usr/include/$(LIBDIR)/openblas-openmp)
ALLFLAGS := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -fPIC -pthread $(WARN) $(OPTIMIZE) \
            $(CFLAGS) $(SANFLAGS) $(MODULE_CFLAGS) $(OPENBLAS_CFLAGS)
# FAISS is not built with sanitizers, so its types cannot be checked by their tables.
CXXFLAGS_ALL := -std=c++17 -I. -fPIC -pthread -Wall -Wextra $(OPTIMIZE) -g $(SANFLAGS) \
                $(if $(findstring undefined,$(SAN)),-fno-sanitize=vptr)
LIBS := $(shell $(PKG_CONFIG) --libs $(MODULES) 2>/dev/null) $(if $(FAISS_C),-lfaiss_c) -lfaiss \
        $(if $(OPENBLAS_DIR),-L$(OPENBLAS_DIR)) -lopenblas -lgomp -lstdc++ -lm -pthread

# ---- CUDA ------------------------------------------------------------------------------------

ifneq ($(CUDA),0)
ifeq ($(NVCC),)
$(error CUDA=$(CUDA) asks for CUDA, but there is no nvcc)
endif
CUDA_HOME := $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
CUDA_LIB := $(firstword $(patsubst %/,%,$(dir $(wildcard $(CUDA_HOME)/lib64/libcudart_static.a \
              $(CUDA_HOME)/targets/x86_64-linux/lib/libcudart_static.a \
              /usr/lib/$(LIBDIR)/libcudart_static.a))))
CUDA_RELEASE := $(shell $(NVCC) --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
# Machine code for the two data centre generations, of what this nvcc knows, and PTX for the rest.
# For one's own card alone, which compiles faster: make CUDA_ARCHS=90
CUDA_KNOWN := $(patsubst sm_%,%,$(filter sm_%,$(shell $(NVCC) --list-gpu-code 2>/dev/null)))
CUDA_ARCHS ?= $(filter 80 90,$(CUDA_KNOWN))
# 90a has Hopper's own instructions and exists since CUDA 12.
cuda_arch = $(if $(filter 90,$(1)),$(if $(filter 11,$(CUDA_RELEASE)),90,90a),$(1))
CUDA_PTX := $(firstword $(CUDA_ARCHS))
CUDA_GENCODE := $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(call cuda_arch,$(a)),code=sm_$(call cuda_arch,$(a))) \
                -gencode arch=compute_$(CUDA_PTX),code=compute_$(CUDA_PTX)
NVCCFLAGS := -std=c++17 -O3 -lineinfo -I. -D_GNU_SOURCE $(CUDA_GENCODE) -Xcompiler -Wall,-Wextra,-fPIC,-pthread,-g
# cuBLASLt is half a gigabyte: it is loaded when a device is opened, from here or by its name.
CUDA_DEFINES := -DCLV_CUDA_LIBRARIES='"$(CUDA_LIB)"'
# The runtime is linked in, so that the program starts where there is no driver.
LIBS += $(if $(CUDA_LIB),-L$(CUDA_LIB)) -lcudart_static -ldl -lrt
CUDA_SRC := $(wildcard core/compute/*.cu)
endif

CONFIG := $(shell echo '$(CC) $(ALLFLAGS) $(CXX) $(CXXFLAGS_ALL) $(FAISS_C) $(CUDA) $(NVCC) $(NVCCFLAGS)' | cksum | cut -d' ' -f1)
B := build/$(CONFIG)

# ---- sources ---------------------------------------------------------------------------------

VERSION := $(shell sed -n 's/^\#define CLV_VERSION "\(.*\)"/\1/p' core/version.h)
LIBRARY_DIRS := core core/compute core/model core/media schema storage indexer query
LIBRARY_SRC := $(wildcard $(LIBRARY_DIRS:%=%/*.c))
LIBRARY_CXX := $(if $(FAISS_C),,$(wildcard storage/*.cpp))
LIBRARY_OBJ := $(LIBRARY_SRC:%.c=$(B)/%.o) $(LIBRARY_CXX:%.cpp=$(B)/%.o) $(CUDA_SRC:%.cu=$(B)/%.o)
CLI_SRC := $(wildcard cli/*.c cli/stage/*.c)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/%.o)
HEADERS := $(wildcard $(LIBRARY_DIRS:%=%/*.h) cli/*.h cli/stage/*.h tests/*.h tests/*/*.h)
FORMATTED := $(LIBRARY_SRC) $(CLI_SRC) $(HEADERS) \
             $(wildcard core/compute/*.cu core/compute/*.cuh storage/*.cpp tests/*.c tests/*/*.c)

# The headers that make up the public one, claverdb.h, in order of dependency.
PUBLIC := core/version.h core/error.h core/log.h core/cancel.h core/clock.h core/time.h \
          core/image.h core/bytes.h core/unicode.h core/json.h core/csv.h core/file.h core/digest.h \
          core/fetch.h core/signature.h core/archive.h \
          core/compute/device.h core/compute/ops.h core/compute/gradients.h core/compute/group.h \
          core/model/config.h core/model/weights.h core/model/checkpoint.h \
          core/model/tokenizer.h core/model/encoder.h core/model/model.h core/model/compare.h \
          core/model/import.h core/model/catalogue.h core/model/pull.h \
          core/model/random.h core/model/clips.h core/model/augment.h core/model/mix.h \
          core/model/validate.h core/model/learner.h core/model/learners.h core/model/trainer.h \
          core/model/vocabulary_train.h \
          core/media/decoder.h core/media/reader.h core/media/writer.h core/media/cut.h \
          storage/store.h \
          indexer/scan.h indexer/ingest.h indexer/batches.h indexer/classes.h indexer/labels.h indexer/captions.h \
          indexer/labelled.h indexer/class_pairs.h indexer/shots.h indexer/journal.h \
          indexer/report.h query/search.h query/export.h query/sentences.h query/evaluate.h

TEST_SRC := $(wildcard tests/unit/test_*.c tests/ops/test_*.c tests/model/test_*.c \
                       tests/fault/test_*.c)
TEST_BIN := $(TEST_SRC:%.c=$(B)/%)
TEST_PARTS := $(filter-out $(TEST_SRC),$(wildcard tests/*.c tests/unit/*.c tests/ops/*.c \
                                                  tests/model/*.c))
TEST_OBJ := $(TEST_PARTS:%.c=$(B)/%.o)
TEST_LIB := $(B)/tests/parts.a
FAULT_PARTS := $(filter-out $(TEST_SRC),$(wildcard tests/fault/*.c))
FAULT_OBJ := $(FAULT_PARTS:%.c=$(B)/%.o)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(B)/%)
BENCH_SRC := $(wildcard tests/bench/bench_*.c)
BENCH_BIN := $(BENCH_SRC:%.c=$(B)/%)
TOOL_SRC := $(wildcard tests/tools/*.c)
TOOL_BIN := $(TOOL_SRC:%.c=$(B)/%)
STAGE_SRC := $(filter-out tests/stage/main.c,$(wildcard cli/stage/*.c tests/stage/*.c))
STAGE_OBJ := $(STAGE_SRC:%.c=$(B)/%.o)
STAGE := $(B)/tests/stage/stage
SHARED := $(B)/libclaverdb.so
STATIC := $(B)/libclaverdb.a
PROGRAM := $(B)/claverdb

.DEFAULT_GOAL := help
.PHONY: help all lib stage mini test check layers headers includes format format-check banned lint install \
        uninstall coverage bench test-cuda bench-cuda check-cuda need-cuda fuzz fuzz-build clean print-build
.DELETE_ON_ERROR:
.SECONDARY:

comma := ,
tick = $(if $(strip $(1)),yes,no)
help:
	@echo 'claverdb: make TARGET [CC=clang] [SAN=address,undefined] [DEVELOPER=1]'
	@echo
	@echo '  all           the library and the program (link: ./claverdb in build/)'
	@echo '  test          every test; with SAN=… under sanitizers'
	@echo '  check         format-check, headers, layers, includes, banned, test'
	@echo '  layers        the dependency law of the folders'
	@echo '  headers       each header compiles alone'
	@echo '  includes      each third-party library is included by one file'
	@echo '  banned        functions that do not belong where they stand'
	@echo '  format        clang-format everything; format-check only looks'
	@echo '  lint          clang-tidy and cppcheck'
	@echo '  stage         the film-maker of training data, build/…/tests/stage/stage'
	@echo '  mini          trains the built-in model again, into build/mini (hours)'
	@echo '  bench         every benchmark, JSON lines on stdout'
	@echo '  test-cuda     the op, model and decoder tests on a CUDA device, which must be there'
	@echo '  bench-cuda    encoding, training and every op on it, beside PyTorch where that is'
	@echo '  check-cuda    compute-sanitizer over the op tests: TOOLS="memcheck racecheck"'
	@echo '                T="tests/ops/test_ops …" are the tests that test-cuda and check-cuda take'
	@echo '  fuzz T=NAME TIME=60   one fuzz target under libFuzzer (clang)'
	@echo '  coverage      line and branch coverage of the suite'
	@echo '  install       into PREFIX=$(PREFIX) (DESTDIR is honoured); uninstall'
	@echo '  clean         removes build/'
	@echo
	@echo 'detected:'
	@echo '  compiler      $(shell $(CC) --version 2>/dev/null | head -n 1)'
	@echo '  OpenBLAS      $(if $(OPENBLAS_DIR),OpenMP build,no OpenMP build found)'
	@echo '  FAISS         $(call tick,$(FAISS)); C API object code: $(if $(FAISS_C),$(FAISS_C),no - storage/faiss_c.cpp supplies it)'
	@echo '  FFmpeg        $(shell $(PKG_CONFIG) --modversion libavformat 2>/dev/null || echo no)'
	@echo '  SQLite        $(shell $(PKG_CONFIG) --modversion sqlite3 2>/dev/null || echo no)'
	@echo '  libsodium     $(shell $(PKG_CONFIG) --modversion libsodium 2>/dev/null || echo no)'
	@echo '  nvcc          $(if $(NVCC),$(NVCC),no)$(if $(CUDA_SRC),$(comma) for $(CUDA_ARCHS:%=sm_%) and PTX,$(if $(NVCC),$(comma) left out))'

all: $(PROGRAM) lib
lib: $(STATIC) $(SHARED) $(B)/claverdb.h

# ---- compiling -------------------------------------------------------------------------------

# One short line a step; V=1 shows the commands.
V ?=
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)

# Only compute code may reorder for speed, and never changes what NaN means.
$(B)/core/compute/%.o: EXTRA := $(if $(SAN),,-O3) -fno-math-errno -fno-trapping-math $(OPENMP)
$(B)/core/compute/%_avx2.o: EXTRA += -mavx2 -mfma -mf16c
$(B)/core/compute/%_avx512.o: EXTRA += -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c
# The only C file that knows which backends there are.
$(B)/core/compute/device.o: EXTRA += $(if $(CUDA_SRC),-DCLV_CUDA)
# Every sampled frame passes through these loops.
$(B)/core/model/bicubic.o $(B)/core/model/bilinear.o $(B)/core/model/pixels.o $(B)/core/media/fetch.o: EXTRA := $(if $(SAN),,-O3)

# Films for training are drawn as they are needed, the same on every machine.
$(B)/cli/stage/%.o $(B)/tests/stage/%.o: EXTRA := $(if $(SAN),,-O3) -fno-math-errno -fno-trapping-math -ffp-contract=off

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALLFLAGS) $(EXTRA) -MMD -MP -c -o $@ $<
$(B)/%.o: %.cpp
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/%.o: %.cu
	@mkdir -p $(@D)
	$(call say,NVCC)$(NVCC) $(NVCCFLAGS) $(CUDA_DEFINES) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# The migrations as bytes, in order of their numbers.
MIGRATIONS := $(sort $(wildcard schema/[0-9]*.sql))
$(B)/schema/migrations.h: $(MIGRATIONS) Makefile
	@mkdir -p $(@D)
	@{ n=0; for f in $(MIGRATIONS); do n=$$((n+1)); \
	    echo "static const char migration_$$n[] = {"; \
	    od -An -v -tx1 $$f | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo "0};"; done; \
	  echo "static const char *const migrations[] = {"; \
	  n=0; for f in $(MIGRATIONS); do n=$$((n+1)); echo "migration_$$n,"; done; echo "};"; } > $@.new
	@mv $@.new $@
$(B)/schema/schema.o: $(B)/schema/migrations.h
$(B)/schema/schema.o: EXTRA := -I$(B)/schema

# The built-in model, which the assembler reads in.
$(B)/core/model/mini.o: core/model/claver-mini.safetensors

$(STATIC): $(LIBRARY_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^
$(SHARED): $(LIBRARY_OBJ) cli/libclaverdb.map
	$(call say,LINK)$(CC) -shared $(SANFLAGS) -o $@ $(LIBRARY_OBJ) -Wl,--version-script=cli/libclaverdb.map \
	    -Wl,-soname,libclaverdb.so.0 -Wl,--as-needed $(LIBS)
$(PROGRAM): $(CLI_OBJ) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $(CLI_OBJ) $(STATIC) -Wl,--as-needed $(LIBS)
	@ln -sfn $(CONFIG)/claverdb build/claverdb

# One header out of the public ones: their own includes are dropped, since all are inside.
$(B)/claverdb.h: $(PUBLIC) Makefile
	@mkdir -p $(@D)
	@{ echo '/* claverdb: a video semantic search database. The public interface. */'; \
	   echo '#ifndef CLAVERDB_H'; echo '#define CLAVERDB_H'; \
	   echo '#ifdef __cplusplus'; echo 'extern "C" {'; echo '#endif'; \
	   grep -hv '^#include "' $(PUBLIC); \
	   echo '#ifdef __cplusplus'; echo '}'; echo '#endif'; echo '#endif'; } > $@

# ---- tests -----------------------------------------------------------------------------------

# A test takes of the parts what it uses, and of the libraries no more than that: those of the ops
# run where there is no FFmpeg.
$(TEST_LIB): $(TEST_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(TEST_LIB) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
$(B)/tests/ops/test_%: $(B)/tests/ops/test_%.o $(TEST_LIB) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
$(B)/tests/model/test_%: $(B)/tests/model/test_%.o $(TEST_LIB) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
# Fault tests make the Nth call of these fail.
WRAPPED := malloc calloc realloc aligned_alloc strdup strndup asprintf write fsync rename
$(B)/tests/fault/test_%: $(B)/tests/fault/test_%.o $(FAULT_OBJ) $(TEST_LIB) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ $(WRAPPED:%=-Wl,--wrap=%) -Wl,--as-needed $(LIBS)
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
$(B)/tests/bench/bench_%: $(B)/tests/bench/bench_%.o $(B)/tests/bench/bench.o \
                          $(B)/tests/bench/kernel_stage.o $(B)/tests/model/random_model.o \
                          $(B)/tests/model/squares.o $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
$(B)/tests/tools/serve: $(B)/tests/unit/http_server.o
$(B)/tests/tools/%: $(B)/tests/tools/%.o $(B)/tests/model/random_model.o $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
$(B)/tests/unit/test_stage%: $(B)/tests/unit/test_stage%.o $(STAGE_OBJ) $(TEST_LIB) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
$(STAGE): $(B)/tests/stage/main.o $(STAGE_OBJ) $(STATIC)
	$(call say,LINK)$(CC) $(SANFLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
stage: $(STAGE)

MINI ?= build/mini
mini: all stage
	@tests/stage/mini.sh $(MINI)

test-build: all $(TEST_BIN) $(FUZZ_BIN) $(TOOL_BIN) $(STAGE)
test: test-build
	@tests/run.sh $(B) $(if $(SAN),sanitized)

bench: all $(BENCH_BIN) $(TOOL_BIN)
	@export GOMP_SPINCOUNT=1000; for b in $(BENCH_BIN); do $$b || exit 1; done

# On a machine with a device: what runs on it, and that it does run. T names some of the tests, so
# that a run fits in what time there is; benchmarks go in parts too (tests/bench/bench_cuda.sh).
CUDA_OPS := $(filter tests/ops/%,$(TEST_SRC:%.c=%))
CUDA_TESTS := $(CUDA_OPS) $(filter tests/model/%,$(TEST_SRC:%.c=%)) tests/unit/test_decoder_cuda \
              tests/cli/doctor.sh
CUDA_BENCHES := bench_encode bench_train bench_kernels bench_decode bench_index
COMPUTE_SANITIZER ?= $(firstword $(wildcard $(CUDA_HOME)/bin/compute-sanitizer) compute-sanitizer)
TOOLS ?= memcheck racecheck
need-cuda:
	@test '$(CUDA)' != 0 || { echo 'this build has no CUDA: there is no nvcc, or CUDA=0'; exit 2; }
test-cuda: need-cuda all $(patsubst %,$(B)/%,$(filter-out %.sh,$(or $(T),$(CUDA_TESTS))))
	@CLV_REQUIRE_CUDA=1 CLV_ONLY_CUDA=1 tests/run.sh $(B) plain $(or $(T),$(CUDA_TESTS))
bench-cuda: need-cuda all $(CUDA_BENCHES:%=$(B)/tests/bench/%) $(B)/tests/tools/make_model
	@tests/bench/bench_cuda.sh $(B)
# The models add nothing to what the ops touch, and take hours under it.
check-cuda: need-cuda $(patsubst %,$(B)/%,$(or $(T),$(CUDA_OPS)))
	@COMPUTE_SANITIZER='$(COMPUTE_SANITIZER)' tests/check_cuda.sh $(B) '$(TOOLS)' $(or $(T),$(CUDA_OPS))

# libFuzzer needs clang; findings become corpus files.
FUZZ_CC ?= clang
FUZZ_CXX ?= clang++
fuzz:
	@test -n '$(T)' || { echo 'usage: make fuzz T=NAME TIME=60; targets:' $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%); exit 2; }
	@$(MAKE) --no-print-directory CC=$(FUZZ_CC) CXX=$(FUZZ_CXX) SAN=fuzzer-no-link,address,undefined fuzz-build T=$(T)
fuzz-build: $(B)/tests/fuzz/fuzz_$(T).o $(STATIC)
	@mkdir -p $(B)/corpus/$(T) tests/fuzz/corpus/$(T)
	$(CC) -fsanitize=fuzzer,address,undefined -o $(B)/fuzz_$(T) $^ -Wl,--as-needed $(LIBS)
	ASAN_OPTIONS=detect_leaks=1 $(B)/fuzz_$(T) -max_total_time=$(TIME) -timeout=20 \
	    -rss_limit_mb=4096 $(B)/corpus/$(T) tests/fuzz/corpus/$(T)

# ---- checks ----------------------------------------------------------------------------------

HEADER_CHECKS := $(HEADERS:%=%.check)
.PHONY: $(HEADER_CHECKS)
headers: $(HEADER_CHECKS) $(B)/claverdb.h
	@printf '#include "$(B)/claverdb.h"\ntypedef int clv_unit;\n' | $(CC) $(ALLFLAGS) -Werror -fsyntax-only -xc -
	@printf '#include "$(B)/claverdb.h"\n' | $(CXX) -std=c++17 -Wall -Wextra -Werror -I. -fsyntax-only -xc++ -
	@echo 'headers: each of $(words $(HEADERS)) compiles alone, and so does the public one'
$(HEADER_CHECKS): %.h.check: %.h
	@printf '#include "%s"\ntypedef int clv_unit;\n' $< | $(CC) $(ALLFLAGS) -Werror -fsyntax-only -xc -

# core <- schema <- storage <- {indexer, query} <- cli
sources_of = $(wildcard $(1)/*.[ch] $(1)/*.cpp $(1)/*.cu $(1)/*.cuh $(1)/*/*.[ch] $(1)/*/*.cu $(1)/*/*.cuh)
forbid = bad=$$(grep -nE '^\#include "($(2))/' $(call sources_of,$(1)) /dev/null); \
         test -z "$$bad" || { echo "$(1) must not include:"; echo "$$bad"; exit 1; }
layers:
	@$(call forbid,core,schema|storage|indexer|query|cli|tests)
	@$(call forbid,core/compute,core/model|core/media)
	@$(call forbid,core/model,core/media)
	@$(call forbid,core/media,core/model|core/compute)
	@$(call forbid,schema,storage|indexer|query|cli|tests)
	@$(call forbid,storage,core/model|core/media|indexer|query|cli|tests)
	@$(call forbid,indexer,query|cli|tests)
	@$(call forbid,query,indexer|cli|tests)
	@$(call forbid,cli,tests)
	@bad=$$(grep -nE '^\#include "' cli/*.[ch] cli/stage/*.[ch] | grep -vE '"cli/|"($(shell echo '$(PUBLIC)' | tr -s ' ' '|'))"'); \
	 test -z "$$bad" || { echo 'cli may include what is in the public header only:'; echo "$$bad"; exit 1; }
	@echo 'layers: core <- schema <- storage <- {indexer, query} <- cli holds'

# header pattern | the one file
one_file = bad=$$(grep -lE '^ *\#include <($(1))' $(foreach d,core schema storage indexer query cli,$(call sources_of,$(d))) /dev/null | grep -vxE '$(2)'); \
           test -z "$$bad" || { echo "only $(2) may include $(1):" $$bad; exit 1; }
includes:
	@$(call one_file,sodium,core/digest\.c)
	@$(call one_file,jansson,core/json\.c)
	@$(call one_file,utf8proc,core/unicode\.c)
	@$(call one_file,zlib,core/gzip\.c)
	@$(call one_file,curl/,core/fetch\.c)
	@$(call one_file,zip\.h,core/archive\.c)
	@$(call one_file,cblas\.|openblas,core/compute/blas\.c)
	@$(call one_file,cuda_(runtime|bf16),core/compute/cuda_state\.cuh)
	@$(call one_file,cublas,core/compute/(blas\.c|cuda_products\.cu))
	@$(call one_file,lib(av|sw)[a-z]*/,core/media/ffmpeg\.h)
	@$(call one_file,faiss/,storage/faiss(\.h|_c\.cpp))
	@$(call one_file,sqlite3,schema/schema\.c|storage/db\.[ch])
	@echo 'includes: each third-party library has its one file'

banned:
	@bad=$$(grep -nwE '(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok)\(' $(FORMATTED) /dev/null); \
	 test -z "$$bad" || { echo "banned:"; echo "$$bad"; exit 1; }
	@bad=$$(grep -nwE '(exit|abort|printf|puts|putchar|perror)\(' $(LIBRARY_SRC) /dev/null); \
	 test -z "$$bad" || { echo "the library neither prints nor exits:"; echo "$$bad"; exit 1; }
	@echo 'banned: none found'

format:
	clang-format -i $(FORMATTED)
format-check:
	@clang-format --dry-run --Werror $(FORMATTED)
	@echo 'format: $(words $(FORMATTED)) files as clang-format writes them'
lint:
	clang-tidy --quiet $(LIBRARY_SRC) $(CLI_SRC) -- $(filter-out -fopenmp,$(ALLFLAGS)) -I$(B)/schema
	cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
	    --suppress=missingIncludeSystem --suppress=ctuuninitvar -I. $(LIBRARY_DIRS) cli
check: format-check headers layers includes banned test

coverage:
	@$(MAKE) --no-print-directory COVERAGE=1 test coverage-report
coverage-report:
	@cd $(B) && for d in $(LIBRARY_DIRS); do gcov -b -o $$d $$d/*.gcda 2>/dev/null; done | \
	 awk '/^File .(core|schema|storage|indexer|query)/ {f=$$2} /^Lines/ && f {print f, $$0} \
	      /^Branches/ && f {print f, $$0; f=""}' | sort -u

# ---- installing ------------------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/claverdb
	install -m 644 $(STATIC) $(DESTDIR)$(PREFIX)/lib/libclaverdb.a
	install -m 755 $(SHARED) $(DESTDIR)$(PREFIX)/lib/libclaverdb.so.0
	ln -sfn libclaverdb.so.0 $(DESTDIR)$(PREFIX)/lib/libclaverdb.so
	install -m 644 $(B)/claverdb.h $(DESTDIR)$(PREFIX)/include/claverdb.h
	printf 'prefix=%s\nName: claverdb\nDescription: video semantic search database\nVersion: $(VERSION)\nRequires.private: $(MODULES)\nLibs: -L$${prefix}/lib -lclaverdb\nLibs.private: -lfaiss -lopenblas -lgomp -lstdc++ -lm -pthread$(if $(CUDA_SRC), -L$(CUDA_LIB) -lcudart_static -ldl -lrt)\nCflags: -I$${prefix}/include\n' \
	    '$(PREFIX)' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/claverdb.pc
	$(PROGRAM) help --man > $(DESTDIR)$(PREFIX)/share/man/man1/claverdb.1
	$(PROGRAM) help --completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/claverdb
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/claverdb $(DESTDIR)$(PREFIX)/lib/libclaverdb.* \
	    $(DESTDIR)$(PREFIX)/include/claverdb.h $(DESTDIR)$(PREFIX)/lib/pkgconfig/claverdb.pc \
	    $(DESTDIR)$(PREFIX)/share/man/man1/claverdb.1 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/claverdb

clean:
	rm -rf build
print-build:
	@echo $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
