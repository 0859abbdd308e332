/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "schedule/conv_excess.h"

#include <stdlib.h>

typedef long long ll;

static const char *add(nib_emitter *e, const char *kernel, const char *what, const char *type,
                       const void *data, int64_t bytes) {
  return nib_constants_add(e->constants, nib_word_of("%s_%s", kernel, what).s, type, data,
                           (size_t)bytes);
}

nib_status nib_conv_excess_tables(nib_emitter *e, const char *kernel, int64_t elems, nib_excess *x,
                                  nib_conv_excess *out_excess) {
  nib_conv_excess *o = out_excess;
  *o = (nib_conv_excess){0};
  bool good = true;
  if (x->dots > 0) {
    o->weights = add(e, kernel, "excess", "int8_t", x->weights, x->dots * elems);
    o->at = add(e, kernel, "excess_at", "int32_t", x->at, x->dots * 8);
    o->first_dot = add(e, kernel, "excess_dots", "int32_t", x->first_dot, (x->sums + 1) * 4);
    good = o->weights && o->at && o->first_dot;
  }
  if (x->dots > 0 && x->first_sum) {
    o->first_sum = add(e, kernel, "excess_sums", "int32_t", x->first_sum, (x->registers + 1) * 4);
    good = good && o->first_sum;
  }
  nib_excess_release(x);
  return good ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_conv_excess_add(nib_emitter *e, const char *kernel, const nib_conv_walk *w,
                               void *packed, nib_conv_excess *out_excess) {
  *out_excess = (nib_conv_excess){0};
  if (!e->vocab->pair_limit || w->is_float)
    return NIB_OK;
  nib_excess x;
  NIB_RETURN_IF_ERROR(nib_pack_split(e->vocab, w, packed, &x));
  return nib_conv_excess_tables(e, kernel, w->lanes * w->dot_k, &x, out_excess);
}

nib_word nib_conv_first_element(const nib_conv_walk *w, const nib_stage *stage) {
  const nib_conv_shape *s = &w->shape;
  const nib_conv_phases *p = &w->phases;
  const nib_word row = nib_stage_row_of(stage, p->first_row, s->kernel_h);
  const nib_word from = s->groups > 1     ? nib_word_of(" + g * %lld", (ll)w->group_in)
                        : p->first_column ? nib_word_of(" + %lld", (ll)(p->first_column * s->in_c))
                                          : nib_word_of("%s", "");
  return nib_word_of("%s + x * %lld%s", row.s, (ll)(s->stride_w * s->in_c), from.s);
}

/* One dot product for each pixel. */
static void emit_dot(nib_emitter *e, const nib_conv_excess *x, const nib_conv_walk *w,
                     const nib_stage *stage, int64_t pixels) {
  const nib_conv_shape *s = &w->shape;
  if (s->kernel_h > 1)
    nib_text_line(e->body, "const int32_t ky = (%s)[2 * i];", x->at);
  nib_text_line(e->body, "const %s *a = %s + (%s)[2 * i + 1];", stage->c_type,
                nib_conv_first_element(w, stage).s, x->at);
  nib_text_line(e->body, "%s a0;", e->vocab->type_act);
  nib_text_line(e->body, "%s w0;", e->vocab->type_weight);
  nib_say(e, NIB_PRIM_WEIGHT_LOAD, "w0",
          nib_word_of("%s + i * %lld", x->weights, (ll)(w->lanes * w->dot_k)).s, NULL, NULL, NULL);
  for (int64_t m = 0; m < pixels; m++) {
    const nib_word sum = nib_word_of("sum%lld", (ll)m);
    nib_say(e, NIB_PRIM_ACT_BCAST, "a0", nib_word_of("a + %lld", (ll)(m * s->stride_w * s->in_c)).s,
            NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_DOT8, sum.s, "a0", "w0", NULL, NULL);
  }
}

void nib_conv_excess_emit(nib_emitter *e, const nib_conv_excess *x, const nib_conv_walk *w,
                          const nib_stage *stage, int64_t pixels, int64_t column) {
  if (!x->weights)
    return;
  const int64_t of_group = w->full_panels * w->columns + w->last_columns;
  const nib_word group = w->shape.groups > 1 ? nib_word_of("g * %lld + ", (ll)of_group)
                         : nib_pack_phase_count(w) > 1
                             ? nib_word_of("phase * %lld + ", (ll)of_group)
                             : nib_word_of("%s", "");
  nib_text_open(e->body, "{ /* what would saturate pairs in the loop below */");
  nib_text_line(e->body, "const int32_t *const sums = %s + %sc / %lld + %lld;", x->first_sum,
                group.s, (ll)w->lanes, (ll)column);
  nib_text_open(e->body, "for (int32_t s = sums[0]; s < sums[1]; s++) {");
  for (int64_t m = 0; m < pixels; m++) {
    nib_text_line(e->body, "%s sum%lld;", e->vocab->type_bytes, (ll)m);
    nib_say(e, NIB_PRIM_BYTES_SET, nib_word_of("sum%lld", (ll)m).s, "0", NULL, NULL, NULL);
  }
  nib_text_open(e->body, "for (int32_t i = (%s)[s]; i < (%s)[s + 1]; i++) {", x->first_dot,
                x->first_dot);
  emit_dot(e, x, w, stage, pixels);
  nib_text_close(e->body, "");
  for (int64_t m = 0; m < pixels; m++)
    nib_say(e, NIB_PRIM_DOT8_SUM, nib_word_of("acc%lld_%lld", (ll)m, (ll)column).s,
            nib_word_of("sum%lld", (ll)m).s, NULL, NULL, NULL);
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}
