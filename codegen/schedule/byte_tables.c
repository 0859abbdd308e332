/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * byte_tables: a function of codes of 8 bits alone, which is a table of 256 bytes. Whole registers
 * of bytes are looked up; the rest, fewer than a register, one by one in the graph's own table. */
#include "epilogue/epilogue.h"
#include "epilogue/say.h"

typedef long long ll;

static int64_t elems_of(const nib_graph *g, const nib_kernel *kernel) {
  return nib_tensor_elems(&g->tensors[nib_kernel_output(g, kernel)]);
}

static int64_t register_bytes(const nib_vocab *v) { return (int64_t)v->lanes * NIB_PACK_REGISTERS; }

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const int64_t elems = elems_of(g, kernel);
  return kernel->n_nodes == 1 && n->op == NIB_OP_LOOKUP && elems >= register_bytes(v) &&
         elems <= INT32_MAX / 2 && nib_epilogue_is_byte_table(g, n, v);
}

/* Whole registers of [0, elems), or of the part [begin, end) of units, then the rest. */
static void emit_body(nib_emitter *e, const char *table, const nib_tensor *x, const char *plain,
                      int64_t elems) {
  const nib_vocab *v = e->vocab;
  const int64_t bytes = register_bytes(v), whole = elems / bytes * bytes;
  nib_text *t = e->body;
  nib_emitter_open_steps(e, whole, bytes, e->cut);
  nib_text_line(t, "%s codes;", v->type_bytes);
  nib_say(e, NIB_PRIM_BYTES_LOAD, "codes", "(const uint8_t *)in0 + i", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_LOOKUP256, "codes", table, "codes", NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_STORE, NULL, "(uint8_t *)out + i", "codes", NULL, NULL);
  nib_text_close(t, "");
  if (whole == elems)
    return;
  if (e->cut)
    nib_text_open(t, "for (int32_t i = %lld; end == %lld && i < %lld; i++) {", (ll)whole,
                  (ll)(whole / bytes + 1), (ll)elems);
  else
    nib_text_open(t, "for (int32_t i = %lld; i < %lld; i++) {", (ll)whole, (ll)elems);
  nib_text_line(t, "out[i] = %s[in0[i]%s];", plain, x->format == NIB_I8 ? " + 128" : "");
  nib_text_close(t, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  const nib_graph *g = e->graph;
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *table = nib_node_input(g, n, 1);
  const int64_t elems = elems_of(g, kernel);
  const bool rest = elems % register_bytes(e->vocab) != 0;
  const char *by_byte = nib_epilogue_add_byte_table(e, kernel, n);
  const char *plain =
      rest ? nib_constants_add(e->constants, nib_word_of("%s_table", kernel->name).s,
                               nib_format_get(table->format)->c_type, table->data, 256)
           : "";
  if (!by_byte || !plain)
    return nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory for its table",
                          kernel->name);
  nib_text_line(e->body, "/* %s: %lld elements */", kernel->name, (ll)elems);
  emit_body(e, by_byte, nib_node_input(g, n, 0), plain, elems);
  return e->body->failed ? nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory")
                         : NIB_OK;
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  return (elems_of(g, kernel) + register_bytes(v) - 1) / register_bytes(v);
}

const nib_schedule nib_schedule_byte_tables = {
    .name = "byte_tables",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
    .units = units,
};
