/* The code of few_rows.c, included once for each instruction set: NAME, LANES, FUSED, WITH_AVX2,
   WITH_VNNI. No include guard. */

typedef float NAME(Vector) __attribute__((vector_size(LANES * 4), aligned(4)));
typedef int32_t NAME(Integers) __attribute__((vector_size(LANES * 4), aligned(4)));

#define V NAME(Vector)
#define I NAME(Integers)

LIKELY_INLINE V NAME(load)(const float *from) { return *(const V *)from; }
LIKELY_INLINE void NAME(store)(float *to, V value) { *(V *)to = value; }
LIKELY_INLINE V NAME(all)(float value) { return value - (V){}; }

#if defined(WITH_VNNI)
LIKELY_INLINE V NAME(fused)(V a, V b, V c) {
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#elif defined(WITH_AVX2)
LIKELY_INLINE V NAME(fused)(V a, V b, V c) {
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#endif

LIKELY_INLINE float NAME(sum)(V value) {
    float found = 0;
    for (int i = 0; i < LANES; i++) found += value[i];
    return found;
}

LIKELY_INLINE V NAME(larger)(V a, V b) {
    I less = a < b;
    return (V)(((I)a & ~less) | ((I)b & less));
}

/* e^x for x <= 0, to about 2 units of the last place; 0 below -87. Cephes' polynomial. */
LIKELY_INLINE V NAME(exponential)(V x) {
    I tiny = x < NAME(all)(-87.0f);
    V clamped = (V)(((I)x & ~tiny) | ((I)NAME(all)(-87.0f) & tiny));
    V scaled = clamped * 1.44269504088896341f - 0.5f;
    I power = __builtin_convertvector(scaled, I); /* towards zero: x <= 0, so to the nearest */
    V whole = __builtin_convertvector(power, V);
    V r = FUSED(whole, NAME(all)(-0.693359375f), clamped);
    r = FUSED(whole, NAME(all)(2.12194440e-4f), r);
    V y = NAME(all)(1.9875691500e-4f);
    y = FUSED(y, r, NAME(all)(1.3981999507e-3f));
    y = FUSED(y, r, NAME(all)(8.3334519073e-3f));
    y = FUSED(y, r, NAME(all)(4.1665795894e-2f));
    y = FUSED(y, r, NAME(all)(1.6666665459e-1f));
    y = FUSED(y, r, NAME(all)(5.0000001201e-1f));
    y = FUSED(y, r * r, r + 1.0f);
    V found = (V)((I)y + (power << 23));
    return (V)((I)found & ~tiny);
}

/* The row in integers of 14 bits, and the value of one unit. */
static float NAME(digits)(const float *row, int64_t width, int16_t *found) {
    float largest = 0;
    int64_t i = 0;
    V most = {};
    for (; i + LANES <= width; i += LANES) {
        V x = NAME(load)(row + i);
        most = NAME(larger)(most, NAME(larger)(x, -x));
    }
    for (int lane = 0; lane < LANES; lane++) largest = most[lane] > largest ? most[lane] : largest;
    for (; i < width; i++) largest = fabsf(row[i]) > largest ? fabsf(row[i]) : largest;
    if (!(largest > 1e-30f)) {
        memset(found, 0, width * sizeof *found);
        return 0;
    }
    /* Adding and taking away 1.5 * 2^23 rounds to the nearest whole number. */
    const float factor = LARGEST / largest, shift = 12582912.0f;
    for (i = 0; i < width; i++)
        found[i] = (int16_t)(int32_t)(row[i] * factor + shift - shift);
    return largest / LARGEST;
}

/* The products of one block of `width` inputs: digits of `rows` rows, `stride` apart, with `outputs`
   weights, `width_of_weight` apart, added to sums[output][row]. */
LIKELY_INLINE void NAME(block)(const int8_t *weight, int64_t width_of_weight, const int16_t *digits,
                               int64_t stride, int64_t width, int rows, int outputs,
                               float sums[4][ROWS]) {
    int32_t rest[4][ROWS] = {{0}};
    int64_t i = 0;
#if defined(WITH_VNNI)
    __m512i found[4][ROWS];
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) found[o][r] = _mm512_setzero_si512();
    for (; i + 32 <= width; i += 32) {
        __m512i w[4];
        for (int o = 0; o < outputs; o++)
            w[o] = _mm512_cvtepi8_epi16(
                _mm256_loadu_si256((const void *)(weight + o * width_of_weight + i)));
        for (int r = 0; r < rows; r++) {
            __m512i x = _mm512_loadu_si512((const void *)(digits + r * stride + i));
            for (int o = 0; o < outputs; o++)
                found[o][r] = _mm512_dpwssd_epi32(found[o][r], x, w[o]);
        }
    }
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) rest[o][r] = _mm512_reduce_add_epi32(found[o][r]);
#elif defined(WITH_AVX2)
    __m256i found[4][ROWS];
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) found[o][r] = _mm256_setzero_si256();
    for (; i + 16 <= width; i += 16) {
        __m256i w[4];
        for (int o = 0; o < outputs; o++)
            w[o] = _mm256_cvtepi8_epi16(
                _mm_loadu_si128((const void *)(weight + o * width_of_weight + i)));
        for (int r = 0; r < rows; r++) {
            __m256i x = _mm256_loadu_si256((const void *)(digits + r * stride + i));
            for (int o = 0; o < outputs; o++)
                found[o][r] = _mm256_add_epi32(found[o][r], _mm256_madd_epi16(x, w[o]));
        }
    }
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) {
            __m128i half = _mm_add_epi32(_mm256_castsi256_si128(found[o][r]),
                                         _mm256_extracti128_si256(found[o][r], 1));
            half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
            half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
            rest[o][r] = _mm_cvtsi128_si32(half);
        }
#endif
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) {
            int32_t total = rest[o][r];
            for (int64_t j = i; j < width; j++)
                total += (int32_t)digits[r * stride + j] * weight[o * width_of_weight + j];
            sums[o][r] += (float)total;
        }
}

LIKELY_INLINE void NAME(outputs)(const Linear *w, int64_t first, int outputs, const int16_t *digits,
                                 const float *units, int rows, float *out) {
    float sums[4][ROWS] = {{0}};
    const int8_t *weight = w->weight + first * w->inputs;
    /* The processor fetches too late by itself: half the bandwidth. Beyond the end does no harm. */
    for (int64_t i = 0; i < outputs * w->inputs; i += 64)
        __builtin_prefetch(weight + AHEAD + i, 0, 2);
    for (int64_t begin = 0; begin < w->inputs; begin += BLOCK) {
        int64_t width = w->inputs - begin < BLOCK ? w->inputs - begin : BLOCK;
        NAME(block)(weight + begin, w->inputs, digits + begin, w->inputs, width, rows, outputs, sums);
    }
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) {
            float found = sums[o][r] * (w->scale[first + o] * units[r]);
            out[r * w->outputs + first + o] = w->bias ? found + w->bias[first + o] : found;
        }
}

LIKELY_INLINE void NAME(rows)(const Linear *w, const int16_t *digits, const float *units, int rows,
                              int together, float *out) {
    int64_t o = 0;
    for (; o + together <= w->outputs; o += together)
        NAME(outputs)(w, o, together, digits, units, rows, out);
    for (; o < w->outputs; o++) NAME(outputs)(w, o, 1, digits, units, rows, out);
}

/* As run_linear. */
static void NAME(linear)(const Linear *w, const float *rows, int64_t count, float *out,
                         int16_t *digits) {
    float units[ROWS];
    for (int64_t first = 0; first < count; first += ROWS) {
        int some = count - first < ROWS ? (int)(count - first) : ROWS;
        float *to = out + first * w->outputs;
        for (int r = 0; r < some; r++)
            units[r] = NAME(digits)(rows + (first + r) * w->inputs, w->inputs, digits + r * w->inputs);
        /* As many sums as there are registers for. */
        if (some == 1) NAME(rows)(w, digits, units, 1, 4, to);
        else if (some == 2) NAME(rows)(w, digits, units, 2, 4, to);
        else if (some == 3) NAME(rows)(w, digits, units, 3, LANES > 8 ? 4 : 2, to);
        else NAME(rows)(w, digits, units, 4, LANES > 8 ? 4 : 2, to);
    }
}

/* Root mean square normalisation (Zhang & Sennrich 2019, arXiv 1910.07467). */
static void NAME(norm)(const float *row, const float *weight, int64_t width, float eps, float *out) {
    V squares = {};
    float rest = 0;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        V x = NAME(load)(row + i);
        squares = FUSED(x, x, squares);
    }
    for (; i < width; i++) rest += row[i] * row[i];
    float factor = 1.0f / sqrtf((NAME(sum)(squares) + rest) / (float)width + eps);
    for (i = 0; i < width; i++) out[i] = row[i] * factor * weight[i];
}

/* Scores of `heads` queries, `size` apart, with one tile of keys (size, stride); scores are
   `capacity` apart. */
LIKELY_INLINE void NAME(scores)(const float *queries, const float *keys, int64_t size, int64_t stride,
                                int64_t capacity, int heads, float *scores) {
    V found[HEADS][TILE] = {{{0}}};
    for (int64_t d = 0; d < size; d++) {
        /* The tile after the next: the processor does not follow as many rows at once. */
        for (int ahead = 0; ahead < TILE * LANES; ahead += 16)
            __builtin_prefetch(keys + d * stride + 2 * TILE * LANES + ahead, 0, 2);
        for (int part = 0; part < TILE; part++) {
            V key = NAME(load)(keys + d * stride + part * LANES);
            for (int h = 0; h < heads; h++)
                found[h][part] = FUSED(NAME(all)(queries[h * size + d]), key, found[h][part]);
        }
    }
    for (int h = 0; h < heads; h++)
        for (int part = 0; part < TILE; part++)
            NAME(store)(scores + h * capacity + part * LANES, found[h][part]);
}

/* Turns scores into e^(score * scale - largest); returns the sum. */
static float NAME(softmax)(float *scores, int64_t end, float scale) {
    float largest = -INFINITY, total = 0;
    V sums = {}, most = NAME(all)(-INFINITY);
    int64_t t = 0;
    for (; t + LANES <= end; t += LANES) most = NAME(larger)(most, NAME(load)(scores + t));
    for (int lane = 0; lane < LANES; lane++) largest = most[lane] > largest ? most[lane] : largest;
    for (; t < end; t++) largest = scores[t] > largest ? scores[t] : largest;
    t = 0;
    for (; t + LANES <= end; t += LANES) {
        V found = NAME(exponential)((NAME(load)(scores + t) - largest) * scale);
        sums += found;
        NAME(store)(scores + t, found);
    }
    V last = NAME(all)(-INFINITY);
    for (int64_t i = t; i < end; i++) last[i - t] = (scores[i] - largest) * scale;
    last = NAME(exponential)(last);
    for (int64_t i = t; i < end; i++) total += scores[i] = last[i - t];
    return total + NAME(sum)(sums);
}

/* Adds values (tokens, size) weighted by the shares of `heads` heads, `capacity` apart. */
LIKELY_INLINE void NAME(weighted)(const float *shares, const float *values, int64_t size,
                                  int64_t capacity, int64_t tokens, int heads, int tile, float *out) {
    V found[HEADS][TILE];
    for (int h = 0; h < heads; h++)
        for (int part = 0; part < tile; part++)
            found[h][part] = NAME(load)(out + h * size + part * LANES);
    for (int64_t t = 0; t < tokens; t++)
        for (int part = 0; part < tile; part++) {
            V value = NAME(load)(values + t * size + part * LANES);
            for (int h = 0; h < heads; h++)
                found[h][part] = FUSED(NAME(all)(shares[h * capacity + t]), value, found[h][part]);
        }
    for (int h = 0; h < heads; h++)
        for (int part = 0; part < tile; part++)
            NAME(store)(out + h * size + part * LANES, found[h][part]);
}

/* Attention of some heads of one group, for all rows: what is read of keys and values stays in the
   cache until every row had it. Queries are `width` apart, out (rows, heads, size). */
LIKELY_INLINE void NAME(heads)(const Model *m, const Pass *p, int64_t layer, const float *queries,
                               int64_t width, int64_t group, int heads, float *out) {
    const int64_t size = m->size, capacity = p->capacity, all = m->heads * size;
    const int64_t last = p->start + p->count, step = TILE * LANES;
    const float *keys = p->keys[layer] + group * size * p->stride;
    const float *values = p->values[layer] + group * capacity * size;
    for (int64_t t = 0; t < last; t += step)
        for (int64_t row = 0; row < p->count; row++)
            if (t < ENDS(p, row))
                NAME(scores)(queries + row * width, keys + t, size, p->stride, capacity, heads,
                             p->work + row * HEADS * capacity + t);
    for (int64_t row = 0; row < p->count; row++)
        for (int h = 0; h < heads; h++) {
            const int64_t end = ENDS(p, row);
            float *mine = p->work + (row * HEADS + h) * capacity, *to = out + row * all + h * size;
            for (int64_t i = 0; p->mask && i < p->masked; i++)
                mine[end - p->masked + i] += p->mask[row * p->masked + i];
            float whole = NAME(softmax)(mine, end, 1.0f / sqrtf((float)size));
            for (int64_t t = 0; t < end; t++) mine[t] /= whole;
            memset(to, 0, size * sizeof(float));
        }
    for (int64_t t = 0; t < last; t += step)
        for (int64_t row = 0; row < p->count; row++) {
            const int64_t left = ENDS(p, row) - t, tokens = left < step ? left : step;
            const float *shares = p->work + row * HEADS * capacity + t;
            float *to = out + row * all;
            if (size % step == 0)
                for (int64_t d = 0; d < size; d += step)
                    NAME(weighted)(shares, values + t * size + d, size, capacity, tokens, heads, TILE,
                                   to + d);
            else
                for (int64_t d = 0; d < size; d += LANES)
                    NAME(weighted)(shares, values + t * size + d, size, capacity, tokens, heads, 1,
                                   to + d);
        }
}

/* Attention of all rows, whose queries (heads, size) are `width` apart: out (rows, heads, size). Heads
   of a group share keys and values (Ainslie et al. 2023, arXiv 2305.13245). */
static void NAME(attend)(const Model *m, const Pass *p, int64_t layer, const float *queries,
                         int64_t width, float *out) {
    const int64_t each = m->heads / m->groups;
    for (int64_t group = 0; group < m->groups; group++)
        for (int64_t h = 0; h < each; h += HEADS) {
            const int64_t first = (group * each + h) * m->size, left = each - h;
            const float *from = queries + first;
            if (left >= 3) NAME(heads)(m, p, layer, from, width, group, 3, out + first);
            else if (left == 2) NAME(heads)(m, p, layer, from, width, group, 2, out + first);
            else NAME(heads)(m, p, layer, from, width, group, 1, out + first);
        }
}

/* Rotates queries and keys, and puts keys and values into the caches. */
static void NAME(remember)(const Model *m, const Pass *p, int64_t layer, float *qkv, int64_t row) {
    const int64_t size = m->size, half = size / 2, at = p->start + row;
    const float *rotations = p->rotations + row * size;
    for (int64_t pair = 0; pair < (m->heads + m->groups) * half; pair++) {
        float cosine = rotations[pair % half * 2], sine = rotations[pair % half * 2 + 1];
        float x = qkv[2 * pair], y = qkv[2 * pair + 1];
        qkv[2 * pair] = x * cosine - y * sine;
        qkv[2 * pair + 1] = x * sine + y * cosine;
    }
    const float *key = qkv + m->heads * size, *value = key + m->groups * size;
    for (int64_t g = 0; g < m->groups; g++) {
        for (int64_t d = 0; d < size; d++)
            p->keys[layer][(g * size + d) * p->stride + at] = key[g * size + d];
        memcpy(p->values[layer] + (g * p->capacity + at) * size, value + g * size,
               size * sizeof(float));
    }
}

/* silu(gate) * up of one row (gate, up), in place of the gate. */
static void NAME(gate)(float *row, int64_t width) {
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        V gate = NAME(load)(row + i), up = NAME(load)(row + width + i), negative = -gate;
        /* 1 / (1 + e^-|x|) and its complement, so that nothing overflows. */
        I above = gate > negative;
        V small = (V)(((I)negative & above) | ((I)gate & ~above));
        V power = NAME(exponential)(small);
        V sigmoid = (V)(((I)NAME(all)(1.0f) & above) | ((I)power & ~above)) / (power + 1.0f);
        NAME(store)(row + i, gate * sigmoid * up);
    }
    for (; i < width; i++) row[i] = row[i] / (1.0f + expf(-row[i])) * row[width + i];
}

static void NAME(pass)(const Model *m, const Pass *p) {
    const int64_t hidden = m->hidden, wide = widest(m);
    float *normed = p->work + p->count * HEADS * p->capacity;
    int16_t *digits = (int16_t *)(normed + p->count * wide);
    float *products = normed + 2 * p->count * wide;
    for (int64_t l = 0; l < m->count; l++) {
        const Layer *layer = m->layers + l;
        const int64_t width = layer->qkv.outputs, gates = layer->gated.outputs;
        for (int64_t r = 0; r < p->count; r++)
            NAME(norm)(p->rows + r * hidden, layer->norm1, hidden, m->eps, normed + r * hidden);
        NAME(linear)(&layer->qkv, normed, p->count, products, digits);
        for (int64_t r = 0; r < p->count; r++) NAME(remember)(m, p, l, products + r * width, r);
        NAME(attend)(m, p, l, products, width, normed);
        NAME(linear)(&layer->out, normed, p->count, products, digits);
        for (int64_t i = 0; i < p->count * hidden; i++) p->rows[i] += products[i];
        for (int64_t r = 0; r < p->count; r++)
            NAME(norm)(p->rows + r * hidden, layer->norm2, hidden, m->eps, normed + r * hidden);
        NAME(linear)(&layer->gated, normed, p->count, products, digits);
        for (int64_t r = 0; r < p->count; r++) {
            NAME(gate)(products + r * gates, gates / 2);
            memcpy(normed + r * (gates / 2), products + r * gates, gates / 2 * sizeof(float));
        }
        NAME(linear)(&layer->down, normed, p->count, products, digits);
        for (int64_t i = 0; i < p->count * hidden; i++) p->rows[i] += products[i];
    }
}

#undef V
#undef I
