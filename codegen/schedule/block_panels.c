/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the schedules of weights in blocks share: constants, and loops over panels and rows. */
#include "schedule/block_dots.h"

#include "epilogue/say.h"

#include <stdlib.h>
#include <string.h>

typedef long long ll;

bool nib_block_operands_fit(const nib_graph *g, const nib_node *n, const nib_vocab *v) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *bias = nib_node_input(g, n, 2), *y = &g->tensors[n->out];
  if (!x || x->data || !w || !w->data || v->real_f16 || nib_tensor_elems(y) > INT32_MAX / 4 ||
      (bias && (!bias->data || !nib_params_is_real(bias->format))))
    return false;
  /* Results of blocks are f32, those of reals of their own format. Weights that are rounded to that
   * of activations are no longer codes. */
  const nib_format result = nib_params_is_real(x->format) ? x->format : NIB_F32;
  return y->format == result && nib_vocab_holds(v, result) &&
         nib_node_decode_format(g, n) == NIB_NO_FORMAT &&
         strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "tanh") != 0;
}

int nib_block_pieces_together(const nib_vocab *v, int spread, int64_t sums) {
  int pieces = spread;
  while (pieces > 1 && pieces * sums > v->registers / 2)
    pieces /= 2;
  return pieces;
}

static nib_status out_of_memory(const nib_block_dots *d, const nib_kernel *kernel) {
  return nib_diag_error(d->e->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory for its weights",
                        kernel->name);
}

static const char *add(nib_emitter *e, const nib_kernel *kernel, const char *what, const char *type,
                       const void *data, size_t bytes) {
  return nib_constants_add(e->constants, nib_word_of("%s_%s", kernel->name, what).s, type, data,
                           bytes);
}

static nib_status add_constants(nib_block_dots *d, const nib_kernel *kernel) {
  const nib_tensor *w = nib_node_input(d->g, d->n, 1), *bias = nib_node_input(d->g, d->n, 2);
  uint8_t *data;
  size_t bytes;
  if (nib_block_pack_data(w, &d->pack, &data, &bytes) != NIB_OK)
    return out_of_memory(d, kernel);
  d->weights = add(d->e, kernel, "weights", "uint8_t", data, bytes);
  free(data);
  bool ok = d->weights != NULL;
  for (int i = 0; i < d->pack.n_tables; ++i) {
    d->tables[i] = add(d->e, kernel, i ? "table_high" : "table", "uint8_t", d->pack.tables[i], 16);
    ok = ok && d->tables[i];
  }
  if (bias) {
    const size_t padded = (size_t)((d->pack.outputs + 63) / 64 * 64);
    float *wide = calloc(padded, sizeof *wide);
    if (wide)
      nib_format_decode_row(bias->format, bias->data, d->pack.outputs, wide);
    d->bias = wide ? add(d->e, kernel, "bias", "float", wide, padded * sizeof *wide) : NULL;
    ok = ok && d->bias;
    free(wide);
  }
  return ok ? NIB_OK : out_of_memory(d, kernel);
}

nib_status nib_block_begin(nib_emitter *e, const nib_kernel *kernel, nib_block_plan *plan,
                           nib_block_dots *out_dots) {
  if (!plan(e->graph, kernel, e->vocab, out_dots))
    return nib_diag_error(e->diag, NIB_ERROR_INTERNAL, "%s: no plan of its blocks", kernel->name);
  out_dots->e = e;
  return add_constants(out_dots, kernel);
}

nib_status nib_block_begin_epilogue(nib_block_dots *d, const nib_kernel *kernel) {
  NIB_RETURN_IF_ERROR(nib_epilogue_begin(&d->epilogue, d->e, kernel, 1));
  nib_params_real_range(d->g, d->n, &d->epilogue.low, &d->epilogue.high);
  return NIB_OK;
}

void nib_block_prefetch(nib_emitter *e, int64_t bytes, int64_t factor_bytes, int ahead,
                        bool one_row) {
  for (int64_t at = 0; at < bytes; at += NIB_PAGE_BYTES)
    nib_say_prefetch_page(e, nib_word_of("w + %lld", (ll)at).s, one_row);
  for (int64_t at = 0; at < factor_bytes; at += 64)
    nib_say_prefetch(e, nib_word_of("w + %lld", (ll)at).s, ahead, one_row);
}

void nib_block_emit_rows(nib_block_dots *d, int columns, int tail, nib_block_emit_tile *emit) {
  nib_text *t = d->e->body;
  const int64_t full = d->rows.rows / d->tile_rows, rest = d->rows.rows % d->tile_rows;
  const bool blocked = d->unpacks && d->row_block < d->rows.rows;
  if (full > 0) {
    if (blocked)
      nib_text_open(t, "for (int32_t row = block; row + %lld <= block_end; row += %lld) {",
                    (ll)d->tile_rows, (ll)d->tile_rows);
    else
      nib_text_open(t, "for (int32_t row = 0; row < %lld; row += %lld) {",
                    (ll)(full * d->tile_rows), (ll)d->tile_rows);
    emit(d, &(nib_block_tile){d->tile_rows, columns, tail});
    nib_text_close(t, "");
  }
  if (rest > 0) {
    nib_text_open(
        t, blocked ? "if (block_end == %lld) { /* the last rows */" : "{ /* the last rows */",
        (ll)d->rows.rows);
    nib_text_line(t, "const int32_t row = %lld;", (ll)(full * d->tile_rows));
    emit(d, &(nib_block_tile){rest, columns, tail});
    nib_text_close(t, "");
  }
}

void nib_block_emit_panels(nib_block_dots *d,
                           void (*emit_panel)(nib_block_dots *d, int columns, int tail)) {
  const nib_block_pack *p = &d->pack;
  nib_text *t = d->e->body;
  const int64_t width = p->lanes * (int64_t)p->columns;
  const int tail = (int)(p->outputs % p->lanes);
  const bool narrow = tail || p->last_columns < p->columns;
  const int64_t full = p->panels - narrow;
  const nib_word from = p->chunk_groups == p->groups
                            ? nib_word_of("%s", d->weights)
                            : nib_word_of("%s + (size_t)first / %lld * %lld", d->weights,
                                          (ll)p->chunk_groups, (ll)nib_block_pack_chunk_bytes(p));
  if (full > 0) {
    if (d->e->cut) /* threads share panels; each has the rows of activations in its scratch */
      nib_text_open(
          t,
          "for (int32_t channel = begin * %lld; channel < (end < %lld ? end : %lld) * %lld;"
          " channel += %lld) {",
          (ll)width, (ll)full, (ll)full, (ll)width, (ll)width);
    else
      nib_text_open(t, "for (int32_t channel = 0; channel < %lld; channel += %lld) {",
                    (ll)(full * width), (ll)width);
    nib_text_line(t, "const uint8_t *const panel = %s + (size_t)channel / %d * %lld;", from.s,
                  p->lanes, (ll)(p->chunk_groups * p->group_bytes));
    emit_panel(d, p->columns, 0);
    nib_text_close(t, "");
  }
  if (narrow) {
    if (d->e->cut)
      nib_text_open(t, "if (end == %lld) { /* the last channels */", (ll)p->panels);
    else
      nib_text_open(t, "{ /* the last channels */");
    nib_text_line(t, "const int32_t channel = %lld;", (ll)(full * width));
    nib_text_line(t, "const uint8_t *const panel = %s + %lld;", from.s,
                  (ll)nib_block_pack_panel_at(p, full * p->columns));
    emit_panel(d, (int)p->last_columns, tail);
    nib_text_close(t, "");
  }
}
