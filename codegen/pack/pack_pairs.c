/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "pack/pack_pairs.h"

#include <stdlib.h>
#include <string.h>

enum { most_slots = 64 };

/* One register of a kernel row's run: its weights, and the excess that is being collected. */
typedef struct splitter {
  const nib_conv_walk *w;
  int limit;
  int8_t *weights;      /* of the run's first step */
  int64_t stride;       /* from step to step */
  int32_t row, segment; /* of the run */
  nib_excess *out;
  int64_t dot_capacity, sum_capacity;
  int room[2][most_slots]; /* of the open sum, for positive and negative weights of each i16 lane */
  bool open;
} splitter;

static bool grow(void **data, size_t size, int64_t *capacity, int64_t n) {
  if (n < *capacity)
    return true;
  const int64_t wanted = *capacity ? *capacity * 2 : 64;
  void *grown = realloc(*data, (size_t)wanted * size);
  if (!grown)
    return false;
  *data = grown;
  *capacity = wanted;
  return true;
}

static int8_t *weight_of(const splitter *s, int64_t lane, int64_t element) {
  const int64_t k = s->w->dot_k;
  return s->weights + element / k * s->stride + lane * k + element % k;
}

/* What a pair has beyond the limit: only two of one sign can. */
static int beyond(int sum, int limit) {
  return sum > limit ? sum - limit : sum < -limit ? sum + limit : 0;
}

static int excess_of(const splitter *s, int64_t lane, int64_t pair) {
  return beyond(*weight_of(s, lane, 2 * pair) + *weight_of(s, lane, 2 * pair + 1), s->limit);
}

static bool is_clean(const splitter *s, int64_t pair) {
  for (int64_t lane = 0; lane < s->w->lanes; lane++)
    if (excess_of(s, lane, pair))
      return false;
  return true;
}

static bool open_sum(splitter *s) {
  nib_excess *x = s->out;
  if (!grow((void **)&x->first_dot, sizeof *x->first_dot, &s->sum_capacity, x->sums + 1))
    return false;
  x->first_dot[x->sums++] = (int32_t)x->dots;
  for (int i = 0; i < 2 * most_slots; i++)
    s->room[i / most_slots][i % most_slots] = s->limit;
  s->open = true;
  return true;
}

/* The element of `pair` among the dot_k from `from` whose i16 lane has most room. */
static int64_t roomiest(const splitter *s, int64_t lane, int64_t pair, int64_t from, int sign) {
  const int64_t slots = s->w->dot_k / 2;
  int64_t best = -1;
  int most = -1;
  for (int64_t element = 2 * pair; element < 2 * pair + 2; element++) {
    if (element < from || element >= from + s->w->dot_k)
      continue;
    const int room = s->room[sign][lane * slots + (element - from) / 2];
    if (room > most)
      best = element;
    most = room > most ? room : most;
  }
  return best;
}

static bool fits(const splitter *s, int64_t pair, int64_t from) {
  const int64_t slots = s->w->dot_k / 2;
  for (int64_t lane = 0; lane < s->w->lanes; lane++) {
    const int excess = excess_of(s, lane, pair);
    const int64_t element = roomiest(s, lane, pair, from, excess < 0);
    if (excess && abs(excess) > s->room[excess < 0][lane * slots + (element - from) / 2])
      return false;
  }
  return true;
}

/* Moves a pair's excess to the dot product of the elements from `from`. */
static void move(splitter *s, int64_t pair, int64_t from, int8_t *dot) {
  const int64_t k = s->w->dot_k;
  for (int64_t lane = 0; lane < s->w->lanes; lane++) {
    const int excess = excess_of(s, lane, pair);
    if (!excess)
      continue;
    const int64_t element = roomiest(s, lane, pair, from, excess < 0);
    int8_t *weight = weight_of(s, lane, element);
    *weight = (int8_t)(*weight - excess);
    dot[lane * k + element - from] = (int8_t)excess;
    s->room[excess < 0][lane * (k / 2) + (element - from) / 2] -= abs(excess);
  }
}

static int8_t *add_dot(nib_excess *x, int64_t *dot_capacity, int64_t elems, int64_t row,
                       int64_t from) {
  int64_t capacity = *dot_capacity;
  if (!grow((void **)&x->weights, (size_t)elems, &capacity, x->dots) ||
      !grow((void **)&x->at, 2 * sizeof *x->at, dot_capacity, x->dots))
    return NULL;
  x->at[2 * x->dots] = (int32_t)row;
  x->at[2 * x->dots + 1] = (int32_t)from;
  return memset(x->weights + elems * x->dots++, 0, (size_t)elems);
}

/* A dot product that starts at the second element of a pair reaches parts of the two next pairs. */
static bool split_run(splitter *s) {
  const int64_t k = s->w->dot_k, elems = s->w->steps * k;
  for (int64_t pair = 0; pair < elems / 2; pair++) {
    if (is_clean(s, pair))
      continue;
    const int64_t from = 2 * pair + 1 + k <= elems ? 2 * pair + 1 : elems - k;
    if ((!s->open || !fits(s, pair, from)) && !open_sum(s))
      return false;
    int8_t *dot = add_dot(s->out, &s->dot_capacity, s->w->lanes * k, s->row,
                          s->segment * s->w->pitch + from);
    if (!dot)
      return false;
    for (int64_t next = pair; 2 * next < from + k && fits(s, next, from); next++)
      move(s, next, from, dot);
  }
  return true;
}

static bool split_panel(splitter *s, int8_t *panel, int64_t columns) {
  const nib_conv_walk *w = s->w;
  const int64_t elems = w->lanes * w->dot_k;
  s->stride = columns * elems;
  for (int64_t column = 0; column < columns; column++) {
    s->out->first_sum[s->out->registers++] = (int32_t)s->out->sums;
    s->open = false;
    for (int64_t run = 0; run < w->shape.kernel_h * w->segments; run++) {
      s->weights = panel + run * w->steps * s->stride + column * elems;
      s->row = (int32_t)(run / w->segments);
      s->segment = (int32_t)(run % w->segments);
      if (!split_run(s))
        return false;
    }
  }
  return true;
}

nib_status nib_pack_split(const nib_vocab *v, const nib_conv_walk *w, int8_t *packed,
                          nib_excess *out_excess) {
  nib_excess *x = out_excess;
  memset(x, 0, sizeof *x);
  splitter s = {.w = w, .limit = v->pair_limit, .out = x};
  const int64_t of_group = w->full_panels * w->columns + w->last_columns;
  const int64_t parts = nib_pack_part_count(w);
  x->first_sum = malloc((size_t)(parts * of_group + 1) * sizeof *x->first_sum);
  bool good = x->first_sum != NULL;
  for (int64_t part = 0; good && part < parts; part++) {
    int8_t *panel = packed + part * w->group_elems;
    for (int64_t i = 0; good && i < w->full_panels; i++, panel += w->panel_elems)
      good = split_panel(&s, panel, w->columns);
    good = good && split_panel(&s, panel, w->last_columns);
  }
  /* One more than there are, to say where the last ends. */
  good = good && open_sum(&s);
  if (!good) {
    nib_excess_release(x);
    return NIB_ERROR_OUT_OF_MEMORY;
  }
  x->first_sum[x->registers] = (int32_t)--x->sums;
  return NIB_OK;
}

/* ---- quads ---- */

/* Moves what the pairs of one register have beyond the limit to a dot product at the same place. */
static bool split_register(const nib_vocab *v, int8_t *weights, int64_t quad, int64_t kx,
                           int64_t *capacity, nib_excess *x) {
  const int64_t elems = (int64_t)v->lanes * v->dot_k;
  int8_t *dot = NULL;
  for (int64_t i = 0; i < elems; i += 2) {
    const int excess = beyond(weights[i] + weights[i + 1], v->pair_limit);
    if (!excess)
      continue;
    if (!dot && !(dot = add_dot(x, capacity, elems, quad, kx)))
      return false;
    weights[i] = (int8_t)(weights[i] - excess);
    dot[i] = (int8_t)excess;
  }
  return true;
}

/* A dot product of the weights of one register, if any is not 0. */
static bool collect_register(const nib_vocab *v, const int8_t *weights, int64_t quad, int64_t kx,
                             int64_t *capacity, nib_excess *x) {
  const int64_t elems = (int64_t)v->lanes * v->dot_k;
  bool any = false;
  for (int64_t i = 0; i < elems; i++)
    any |= weights[i] != 0;
  int8_t *dot = any ? add_dot(x, capacity, elems, quad, kx) : NULL;
  if (dot)
    memcpy(dot, weights, (size_t)elems);
  return !any || dot;
}

/* Goes through all registers: of `packed`, which are split, or of `rest`. */
static nib_status walk_quads(const nib_vocab *v, const nib_quads *q, int64_t blocks,
                             int64_t kernel_w, int8_t *packed, const int8_t *rest,
                             nib_excess *out_excess) {
  nib_excess *x = out_excess;
  memset(x, 0, sizeof *x);
  const int64_t elems = (int64_t)v->lanes * v->dot_k;
  int64_t capacity = 0;
  x->first_dot = malloc((size_t)(blocks * q->rows + 1) * sizeof *x->first_dot);
  bool good = x->first_dot != NULL;
  for (int64_t block = 0; good && block < blocks; block++)
    for (int64_t row = 0; good && row < q->rows; row++) {
      x->first_dot[x->sums++] = (int32_t)x->dots;
      for (int64_t i = 0; good && i < q->quads * kernel_w; i++) {
        const int64_t at = ((block * q->quads * kernel_w + i) * q->rows + row) * elems;
        const int64_t quad = i / kernel_w, kx = i % kernel_w;
        good = packed ? split_register(v, packed + at, quad, kx, &capacity, x)
                      : collect_register(v, rest + at, quad, kx, &capacity, x);
      }
    }
  if (!good) {
    nib_excess_release(x);
    return NIB_ERROR_OUT_OF_MEMORY;
  }
  x->first_dot[x->sums] = (int32_t)x->dots;
  return NIB_OK;
}

nib_status nib_pack_split_quads(const nib_vocab *v, const nib_quads *q, int64_t blocks,
                                int64_t kernel_w, int8_t *packed, nib_excess *out_excess) {
  return walk_quads(v, q, blocks, kernel_w, packed, NULL, out_excess);
}

nib_status nib_pack_collect_quads(const nib_vocab *v, const nib_quads *q, int64_t blocks,
                                  int64_t kernel_w, const int8_t *rest, nib_excess *out_excess) {
  return walk_quads(v, q, blocks, kernel_w, NULL, rest, out_excess);
}

void nib_excess_release(nib_excess *excess) {
  free(excess->weights);
  free(excess->at);
  free(excess->first_dot);
  free(excess->first_sum);
  memset(excess, 0, sizeof *excess);
}

/* Of what is walked with one set of weights. */
static nib_status excess_of_block(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                                  const nib_conv_walk *w, int64_t *out_macs) {
  void *packed = NULL;
  size_t bytes = 0;
  nib_excess excess = {0};
  nib_status status = nib_pack_weights(g, n, v, w, &packed, &bytes);
  if (status == NIB_OK)
    status = nib_pack_split(v, w, packed, &excess);
  const int64_t pixels = (w->shape.out_h - 1) * w->shape.out_w + w->last_w;
  *out_macs = (excess.dots + excess.sums) * w->lanes * w->dot_k * pixels * w->shape.batch;
  free(packed);
  nib_excess_release(&excess);
  return status;
}

nib_status nib_pack_excess_macs(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                                int64_t *out_macs) {
  *out_macs = 0;
  nib_conv_walk w, blocks[NIB_CONV_MOST_BLOCKS];
  nib_pack_walk(g, n, v, 1, &w);
  if (!v->pair_limit || w.is_float)
    return NIB_OK;
  const int n_blocks = nib_pack_blocks(&w, blocks);
  for (int i = 0; i < n_blocks; i++) {
    int64_t macs = 0;
    NIB_RETURN_IF_ERROR(excess_of_block(g, n, v, &blocks[i], &macs));
    *out_macs += macs;
  }
  return NIB_OK;
}
