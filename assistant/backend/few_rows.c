/* The layers of a Llama-like model for a few rows, in one call: see few_rows.py.

   torch needs 3,000 operators for one token of the default model, and its kernel for int8 weights
   converts each weight to float32. Here weights are multiplied as integers with rows of 14 bits,
   which reads them as fast as one core reads memory.

   A row's result does not depend on the rows beside it, to the last bit: integer sums are exact, and
   everything else is computed row by row with the same code. Compile with -ffp-contract=off. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* A weight (outputs, inputs), a scale for each output, a bias or NULL. */
typedef struct {
    const int8_t *weight;
    const float *scale, *bias;
    int64_t outputs, inputs;
} Linear;

typedef struct {
    const float *norm1, *norm2;
    Linear qkv, out, gated, down;
} Layer;

typedef struct {
    const Layer *layers;
    int64_t count, hidden, heads, groups, size;
    float eps;
} Model;

/* Rows (count, hidden), which are overwritten, behind start tokens in the caches; for each layer keys
   (groups, size, stride) and values (groups, capacity, size). Rotations are (count, size / 2) pairs of
   cosine and sine. Without a mask a row sees the rows before it; a mask (count, masked) is added to the
   scores of the newest tokens. Work is memory of work_floats() floats. */
typedef struct {
    float *rows;
    int64_t count, start, capacity, stride;
    const float *rotations;
    float *const *keys, *const *values;
    const float *mask;
    int64_t masked;
    float *work;
} Pass;

/* Rows in one product. */
#define ROWS 4
/* Inputs whose products are summed as integers: 16383 * 127 * 1024 < 2^31. */
#define BLOCK 1024
#define LARGEST 16383.0f
/* Bytes by which weights are fetched before they are multiplied. */
#define AHEAD 8192
/* Heads that read a key or value together. */
#define HEADS 3
/* Vectors of scores, or of values, that are computed together. */
#define TILE 4
/* The tokens that a row sees, those before it and itself or, with a mask, all. */
#define ENDS(p, row) ((p)->start + ((p)->mask ? (p)->count : (row) + 1))
#define LIKELY_INLINE static inline __attribute__((always_inline))

static int64_t max2(int64_t a, int64_t b) { return a > b ? a : b; }

/* The inputs of the widest row that is multiplied. */
static int64_t widest(const Model *m) {
    int64_t inner = m->count ? m->layers[0].down.inputs : 0;
    return max2(max2(m->hidden, inner), m->heads * m->size);
}

/* How many floats of work a pass of count rows over up to capacity tokens needs. */
EXPORT int64_t work_floats(const Model *m, int64_t count, int64_t capacity) {
    int64_t found = 0;
    for (int64_t i = 0; i < m->count; i++)
        found = max2(found, max2(m->layers[i].qkv.outputs, m->layers[i].gated.outputs));
    /* Products, normed rows, digits (half as wide), scores. */
    return count * (found + 2 * widest(m) + HEADS * capacity);
}

#define FUSED(a, b, c) ((a) * (b) + (c))
#define NAME(x) x##_plain
#define LANES 4
#include "few_rows.h"
#undef NAME
#undef LANES
#undef FUSED

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>
#define HAS_X86 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define NAME(x) x##_avx2
#define LANES 8
#define WITH_AVX2 1
#define FUSED(a, b, c) NAME(fused)(a, b, c)
#include "few_rows.h"
#undef NAME
#undef LANES
#undef WITH_AVX2
#undef FUSED
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(                                                                          \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))),                 \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#endif
#define NAME(x) x##_vnni
#define LANES 16
#define WITH_VNNI 1
#define FUSED(a, b, c) NAME(fused)(a, b, c)
#include "few_rows.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

/* 0: what any processor runs, 1: AVX2 and FMA, 2: AVX-512 with VNNI. */
EXPORT int best_level(void) {
#ifdef HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

EXPORT void run_pass(const Model *m, const Pass *p, int level) {
#ifdef HAS_X86
    if (level == 2) { pass_vnni(m, p); return; }
    if (level == 1) { pass_avx2(m, p); return; }
#endif
    (void)level;
    pass_plain(m, p);
}

/* rows (count, inputs) times the layer: out (count, outputs). Work is memory of count * inputs floats. */
EXPORT void run_linear(const Linear *w, const float *rows, int64_t count, float *out, float *work,
                       int level) {
#ifdef HAS_X86
    if (level == 2) { linear_vnni(w, rows, count, out, (int16_t *)work); return; }
    if (level == 1) { linear_avx2(w, rows, count, out, (int16_t *)work); return; }
#endif
    (void)level;
    linear_plain(w, rows, count, out, (int16_t *)work);
}

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_few_rows", NULL, -1, NULL,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__few_rows(void) { return PyModule_Create(&module); }
