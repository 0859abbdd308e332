// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host side of a model compiled for CUDA: NAME.h, NAME_run, NAME_main.c.
#include "emit/model.h"

#include <inttypes.h>
#include <stdio.h>

extern const char nib_embedded_cuda_h[], nib_embedded_cuda_c[];

const char *nib_model_cuda_header(void) { return nib_embedded_cuda_h; }
const char *nib_model_cuda_source(void) { return nib_embedded_cuda_c; }

/* "const int8_t in0[490], int8_t out0[12]" */
static void write_typed_ports(const nib_graph *g, nib_text *t) {
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(t, ", const %s in%d[%" PRId64 "]", nib_model_c_type(g, g->inputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->inputs[i]]));
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(t, ", %s out%d[%" PRId64 "]", nib_model_c_type(g, g->outputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->outputs[i]]));
}

void nib_model_write_cuda_interface(const nib_graph *g, const nib_model_options *o, nib_text *t) {
  const char *name = o->name;
  char wrapper[160];
  nib_model_wrapper_name(name, wrapper, sizeof wrapper);
  nib_text_printf(t,
                  "\n/* The model as data, for nibrt_cuda_open. */\n"
                  "extern const nibrt_cuda_model %s_cuda;\n",
                  name);
  nib_text_printf(
      t,
      "\n/* Runs the network once, on exec->device: a session of nibrt_cuda_open(&%s_cuda, …).\n"
      " * in[i] and out[i] are the buffers listed above, in the memory of the host or of the "
      "device\n"
      " * (see nibrt_cuda_run); they must not overlap. arenas[NIBRT_SPACE_DEVICE] is device "
      "memory\n"
      " * of %" PRId64 " bytes; if it or arenas is NULL, the session's own is used. */\n"
      "nibrt_status %s_run(const nibrt_exec *exec, const void *const *in, void *const *out,\n"
      "    void *const *arenas);\n\n/* The same for one caller, with types. */\nnibrt_status %s("
      "nibrt_cuda_session *session",
      name, g->arena_bytes > 0 ? g->arena_bytes : 0, name, wrapper);
  write_typed_ports(g, t);
  nib_text_printf(t, ");\n");
}

static void write_array(const char *type, const char *name, const char *port, int32_t n,
                        nib_text *t) {
  nib_text_printf(t, "  %s %s[] = {", type, name);
  for (int32_t i = 0; i < n; ++i)
    nib_text_printf(t, "%s%s%d", i ? ", " : "", port, i);
  nib_text_printf(t, "%s};\n", n ? "" : "NULL");
}

void nib_model_write_cuda_run(const nib_graph *g, const nib_model_options *o, nib_text *t) {
  const char *name = o->name;
  char wrapper[160];
  nib_model_wrapper_name(name, wrapper, sizeof wrapper);
  nib_text_printf(t,
                  "\nstatic nibrt_status %s_fail(const nibrt_exec *exec, const char *text) {\n"
                  "  if (exec && exec->message)\n    exec->message(exec->user, text);\n"
                  "  return NIBRT_ERROR_DEVICE;\n}\n",
                  name);
  nib_text_printf(
      t,
      "\nnibrt_status %s_run(const nibrt_exec *exec, const void *const *in, void *const *out,\n"
      "    void *const *arenas) {\n"
      "  if (exec && (exec->size < NIBRT_EXEC_SIZE_1 || exec->version < 1 ||\n"
      "               exec->version > NIBRT_ABI_VERSION))\n"
      "    return NIBRT_ERROR_ABI;\n"
      "  nibrt_cuda_session *const session =\n"
      "      exec && exec->size >= NIBRT_EXEC_SIZE_3 ? exec->device : NULL;\n"
      "  if (!session)\n"
      "    return %s_fail(exec, \"%s: exec->device is NULL: it runs on a session of "
      "nibrt_cuda_open\");\n"
      "  if (nibrt_cuda_model_of(session) != &%s_cuda)\n"
      "    return %s_fail(exec, \"%s: exec->device is a session of another model\");\n"
      "  const nibrt_status status =\n"
      "      nibrt_cuda_run(session, in, out, arenas ? arenas[NIBRT_SPACE_DEVICE] : NULL);\n"
      "  if (status != NIBRT_OK && exec->message)\n"
      "    exec->message(exec->user, nibrt_cuda_error(session));\n"
      "  return status;\n}\n",
      name, name, name, name, name, name);
  nib_text_printf(t, "\nnibrt_status %s(nibrt_cuda_session *session", wrapper);
  write_typed_ports(g, t);
  nib_text_printf(t, ") {\n");
  write_array("const void *const", "in", "in", g->n_inputs, t);
  write_array("void *const", "out", "out", g->n_outputs, t);
  nib_text_printf(t, "  return nibrt_cuda_run(session, in, out, NULL);\n}\n");
}

void nib_model_write_cuda_main(const nib_graph *g, const nib_model_options *o, nib_text *t) {
  nib_text_printf(t, "static void say(void *user, const char *text) {\n"
                     "  (void)user;\n  fprintf(stderr, \"%%s\\n\", text);\n}\n");
  nib_text_printf(t, "\nint main(int argc, char **argv) {\n");
  write_array("const void *const", "in", "in", g->n_inputs, t);
  write_array("void *const", "out", "out", g->n_outputs, t);
  nib_model_write_example_inputs(g, t);
  nib_text_printf(t,
                  "  nibrt_cuda_options options = {.size = sizeof options, .message = say};\n"
                  "  nibrt_cuda_session *session;\n"
                  "  if (nibrt_cuda_open(&%s_cuda, &options, &session) != NIBRT_OK)\n"
                  "    return 1;\n"
                  "  nibrt_exec exec = {.size = sizeof exec, .version = NIBRT_ABI_VERSION, .device "
                  "= session};\n"
                  "  const nibrt_status status = %s_run(&exec, in, out, NULL);\n"
                  "  nibrt_cuda_close(session);\n"
                  "  if (status != NIBRT_OK)\n    return 1;\n",
                  o->name, o->name);
  nib_model_write_example_outputs(g, t);
  nib_text_printf(t, "  return 0;\n}\n");
}
