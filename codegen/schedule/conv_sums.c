// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sums of activations under the filter: see conv_sums.h.
#include "schedule/conv_sums.h"

typedef long long ll;

int64_t nib_conv_sums_bytes(const nib_stage *stage, const nib_conv_shape *shape) {
  return ((stage->ring * stage->pixels + shape->out_w) * (int64_t)sizeof(int32_t) + 63) / 64 * 64;
}

void nib_conv_sums_declare(const nib_conv_sums *c) {
  nib_text_line(c->e->body, "int32_t *const pixel_sums = (int32_t *)(void *)(scratch + %lld);",
                (ll)nib_stage_ring_bytes(c->stage));
  nib_text_line(c->e->body, "int32_t *const sums = pixel_sums + %lld;",
                (ll)(c->stage->ring * c->stage->pixels));
}

/* What is added to an expression. */
static nib_word plus(int64_t n) {
  return n ? nib_word_of(" + %lld", (ll)n) : nib_word_of("%s", "");
}

/* Opens a loop over `n` pixels of a row, or over those of the part. */
static void open_pixels(const nib_conv_sums *c, char v, int64_t n) {
  if (c->of_part)
    nib_text_open(c->e->body, "for (int32_t %c = first; %c < last; %c++) {", v, v, v);
  else
    nib_text_open(c->e->body, "for (int32_t %c = 0; %c < %lld; %c++) {", v, v, (ll)n, v);
}

void nib_conv_sums_emit_staged(void *sums) {
  const nib_conv_sums *c = sums;
  const nib_stage *s = c->stage;
  const nib_word first = s->ring == 1
                             ? nib_word_of("p")
                             : nib_word_of("next %% %lld * %lld + p", (ll)s->ring, (ll)s->pixels);
  const nib_word channels = nib_word_of("%lld", (ll)s->channels);
  open_pixels(c, 'p', s->pixels);
  nib_say(c->e, NIB_PRIM_STAGE_SUM, nib_word_of("pixel_sums[%s]", first.s).s,
          nib_word_of("staged + p * %s", channels.s).s, NULL, NULL, channels.s);
  nib_text_close(c->e->body, "");
}

void nib_conv_sums_emit(const nib_conv_sums *c) {
  nib_text *t = c->e->body;
  const nib_conv_shape *s = &c->walk->shape;
  const nib_conv_phases *p = &c->walk->phases;
  open_pixels(c, 'x', s->out_w);
  nib_text_line(t, "int32_t sum = 0;");
  nib_text_open(t, "for (int32_t ky = 0; ky < %lld; ky++) {", (ll)s->kernel_h);
  nib_text_line(t, "for (int32_t kx = 0; kx < %lld; kx++)", (ll)s->kernel_w);
  nib_text_line(
      t, "  sum += pixel_sums[(y * %lld + ky * %lld%s) %% %lld * %lld + x * %lld + kx * %lld%s];",
      (ll)s->stride_h, (ll)s->dilation_h, plus(p->first_row).s, (ll)c->stage->ring,
      (ll)c->stage->pixels, (ll)s->stride_w, (ll)s->dilation_w, plus(p->first_column).s);
  nib_text_close(t, "");
  nib_text_line(t, "sums[x] = sum * %lld;", (ll)c->weight_zero);
  nib_text_close(t, "");
}
