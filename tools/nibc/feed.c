/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Arrays matched with the model's tensors. */
#include "feed.h"
#include "file_io.h"
#include "message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool same_dims(const int64_t *a, const int64_t *b, int32_t n) {
  for (int32_t i = 0; i < n; ++i)
    if (a[i] != b[i])
      return false;
  return true;
}

int64_t nibc_feed_match(const nibc_array *a, const nib_tensor *t, nibc_batch *out_batch) {
  *out_batch = NIBC_BATCH_NONE;
  if (a->rank == t->rank && same_dims(a->dims, t->dims, t->rank))
    return 1;
  if (a->rank == 1 && a->dims[0] == nib_tensor_elems(t))
    return 1;
  if (a->rank == t->rank + 1 && same_dims(a->dims + 1, t->dims, t->rank)) {
    *out_batch = NIBC_BATCH_EXTRA;
    return a->dims[0];
  }
  if (a->rank == t->rank && t->rank > 0 && t->dims[0] == 1 &&
      same_dims(a->dims + 1, t->dims + 1, t->rank - 1)) {
    *out_batch = NIBC_BATCH_FIRST;
    return a->dims[0];
  }
  return 0;
}

static const char *format_name(nib_format format) { return nib_format_get(format)->name; }

/* Whether NumPy has a type of its own for the elements. */
static bool is_plain(nib_format format) {
  const nib_format_info *info = nib_format_get(format);
  const bool integer = info->kind == NIB_KIND_SIGNED || info->kind == NIB_KIND_UNSIGNED;
  return format == NIB_I1 || format == NIB_F16 || format == NIB_F32 || format == NIB_F64 ||
         (integer && info->bits == 8 * info->bytes);
}

/* Arrays of bytes are blocks, one after the other along the last dimension. */
static nib_status take_blocks(nibc_array *a, const nib_format_info *to, nib_format format,
                              const char *path) {
  int64_t *last = &a->dims[a->rank - 1];
  if (*last % to->block_bytes)
    return nibc_fail(NIB_ERROR_INVALID_INPUT,
                     "%s: %lld bytes in a row are no whole blocks of %s, which have %d", path,
                     (long long)*last, to->name, to->block_bytes);
  *last = *last / to->block_bytes * to->block_elems;
  a->format = format;
  return NIB_OK;
}

/* Arrays of integers are the codes of a format whose elements have that many bytes. */
static nib_status take_codes(nibc_array *a, const nib_tensor *t, const char *path) {
  const nib_format_info *to = nib_format_get(t->format), *from = nib_format_get(a->format);
  const bool integer = from->kind == NIB_KIND_SIGNED || from->kind == NIB_KIND_UNSIGNED;
  if (a->format == t->format || !integer || a->format == NIB_I1 || is_plain(t->format) ||
      to->bytes != from->bytes)
    return NIB_OK;
  if (to->kind == NIB_KIND_BLOCK)
    return a->rank ? take_blocks(a, to, t->format, path) : NIB_OK;
  const bool is_signed = to->kind == NIB_KIND_SIGNED;
  const int64_t low = is_signed ? to->min : 0,
                high = is_signed ? to->max : (INT64_C(1) << to->bits) - 1;
  for (size_t k = 0; k < a->bytes / (size_t)from->bytes; ++k) {
    const int64_t code = nib_format_load_code(a->format, a->data, (int64_t)k);
    if (code < low || code > high)
      return nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: element %zu is %lld, no code of %s", path, k,
                       (long long)code, to->name);
  }
  a->format = t->format;
  return NIB_OK;
}

nib_status nibc_feed_accept(nibc_feed *feed, int i, const nib_tensor *t, const char *path,
                            const char *what) {
  nibc_array *a = &feed->arrays[i];
  NIB_RETURN_IF_ERROR(take_codes(a, t, path));
  if (a->format != t->format)
    return nibc_fail(NIB_ERROR_INVALID_INPUT,
                     "%s: has elements %s, %s %d ('%s') of the model is %s", path,
                     format_name(a->format), what, i, t->name, format_name(t->format));
  nibc_batch batch;
  const int64_t runs = nibc_feed_match(a, t, &batch);
  if (runs == 0)
    return nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: has shape %s, %s %d ('%s') of the model is %s",
                     path, nibc_shape(a->rank, a->dims).text, what, i, t->name,
                     nibc_shape(t->rank, t->dims).text);
  if (i > 0 && runs != feed->runs)
    return nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: holds %lld runs, the first %s %lld", path,
                     (long long)runs, what, (long long)feed->runs);
  feed->runs = runs;
  if (i == 0)
    feed->batch = batch;
  return NIB_OK;
}

nib_status nibc_feed_begin(nibc_feed *feed, int n) {
  memset(feed, 0, sizeof *feed);
  feed->arrays = calloc(n ? (size_t)n : 1, sizeof *feed->arrays);
  feed->n = n;
  return feed->arrays ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
}

nib_status nibc_feed_read(const nib_graph *g, const int32_t *tensors, int n, const nibc_list *files,
                          const char *what, nibc_feed *feed) {
  memset(feed, 0, sizeof *feed);
  if (files->n != n)
    return nibc_fail(NIB_ERROR_INVALID_INPUT, "the model has %d %s%s, %d given", n, what,
                     n == 1 ? "" : "s", files->n);
  NIB_RETURN_IF_ERROR(nibc_feed_begin(feed, n));
  for (int i = 0; i < n; ++i) {
    nib_status status = nibc_npy_read(files->items[i], &feed->arrays[i]);
    if (status == NIB_OK)
      status = nibc_feed_accept(feed, i, &g->tensors[tensors[i]], files->items[i], what);
    if (status != NIB_OK) {
      nibc_feed_free(feed);
      return status;
    }
  }
  return NIB_OK;
}

nib_status nibc_feed_for_tensors(const nib_graph *g, const int32_t *tensors, int n, int64_t runs,
                                 nibc_batch batch, nibc_feed *feed) {
  NIB_RETURN_IF_ERROR(nibc_feed_begin(feed, n));
  feed->runs = runs;
  feed->batch = batch;
  for (int i = 0; i < n; ++i) {
    const nib_tensor *t = &g->tensors[tensors[i]];
    nibc_array *a = &feed->arrays[i];
    const bool first = batch == NIBC_BATCH_FIRST && t->rank > 0 && t->dims[0] == 1;
    const bool extra = batch != NIBC_BATCH_NONE && !first;
    a->format = t->format;
    a->rank = t->rank + extra;
    memcpy(a->dims + extra, t->dims, (size_t)t->rank * sizeof *t->dims);
    if (batch != NIBC_BATCH_NONE)
      a->dims[0] = runs;
    if (!__builtin_mul_overflow(nib_tensor_bytes(t), (size_t)runs, &a->bytes))
      a->data = calloc(a->bytes ? a->bytes : 1, 1);
    if (!a->data) {
      nibc_feed_free(feed);
      return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory for %lld results", (long long)runs);
    }
  }
  return NIB_OK;
}

void nibc_feed_free(nibc_feed *feed) {
  for (int i = 0; feed->arrays && i < feed->n; ++i)
    nibc_array_free(&feed->arrays[i]);
  free(feed->arrays);
  memset(feed, 0, sizeof *feed);
}

void *nibc_feed_at(const nibc_feed *feed, int i, int64_t run) {
  const size_t bytes = feed->arrays[i].bytes / (size_t)feed->runs;
  return (char *)feed->arrays[i].data + bytes * (size_t)run;
}

nib_status nibc_buffers_create(const nib_graph *g, const int32_t *tensors, int n, nibc_buffers *b) {
  b->n = n;
  b->at = calloc(n ? (size_t)n : 1, sizeof *b->at);
  bool ok = b->at != NULL;
  for (int i = 0; ok && i < n; ++i) {
    b->at[i] = aligned_alloc(64, (nib_tensor_bytes(&g->tensors[tensors[i]]) / 64 + 1) * 64);
    ok = b->at[i] != NULL;
  }
  if (ok)
    return NIB_OK;
  nibc_buffers_free(b);
  return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
}

void nibc_buffers_free(nibc_buffers *b) {
  for (int i = 0; b->at && i < b->n; ++i)
    free(b->at[i]);
  free(b->at);
  memset(b, 0, sizeof *b);
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

/* Whole blocks of numbers from -1 to 1. */
static void fill_blocks(const nib_tensor *t, int64_t run, uint64_t *state, uint8_t *out) {
  const nib_format_info *info = nib_format_get(t->format);
  float *x = malloc((size_t)info->block_elems * sizeof *x);
  for (int64_t at = 0, n = nib_tensor_elems(t); x && at < n; at += info->block_elems) {
    for (int i = 0; i < info->block_elems; ++i)
      x[i] = run < 2 ? (float)(2 * run - 1) : (float)((double)next_random(state) * 0x1p-52 - 1);
    nib_format_encode_row(t->format, x, info->block_elems, NULL, out);
    out += info->block_bytes;
  }
  free(x);
}

void nibc_fill(const nib_tensor *t, int64_t run, void *out_data) {
  const nib_format_info *info = nib_format_get(t->format);
  const bool wide = t->format == NIB_I32 || t->format == NIB_I64; // indices: small numbers
  const bool of_bits = info->kind == NIB_KIND_BIPOLAR || info->kind == NIB_KIND_CODEBOOK;
  const int64_t low = wide ? -128 : info->min;
  const int64_t high = wide ? 127 : of_bits ? (INT64_C(1) << info->bits) - 1 : info->max;
  uint64_t state = UINT64_C(0x9E3779B97F4A7C15) * (uint64_t)(run + 1);
  if (info->kind == NIB_KIND_BLOCK) {
    fill_blocks(t, run, &state, out_data);
    return;
  }
  for (int64_t i = 0, n = nib_tensor_elems(t); i < n; ++i) {
    const uint64_t r = next_random(&state);
    const double unit = run == 0 ? -1 : run == 1 ? 1 : (double)r * 0x1p-52 - 1;
    const int64_t code = run == 0   ? low
                         : run == 1 ? high
                                    : low + (int64_t)(r % ((uint64_t)high - (uint64_t)low + 1));
    if (info->kind == NIB_KIND_FLOAT)
      nib_format_store_real(t->format, out_data, i, unit);
    else
      nib_format_store_code(t->format, out_data, i, code);
  }
}
