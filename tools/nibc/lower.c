/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "lower.h"
#include "bridge/bridge.h"
#include "emit/model.h"
#include "file_io.h"
#include "message.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

bool nibc_is_lowered(const nibc_options *o) {
  return o->codegen && strcmp(o->codegen, "mlir") == 0;
}

nib_status nibc_session_lower(nibc_session *s) {
  const char *rounding = s->options->rounding;
  char *pipeline = nibc_format("builtin.module(nib-to-llvm-pipeline{simplify=false name=%s%s%s})",
                               s->name, rounding ? " rounding=" : "", rounding ? rounding : "");
  if (!pipeline)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const double begin = nibc_step_begin("lower");
  const nib_status status = nibc_session_run_text(s, pipeline);
  nibc_step_end(begin, status);
  free(pipeline);
  return status;
}

static void append(MlirStringRef piece, void *user) {
  nib_text_printf(user, "%.*s", (int)piece.length, piece.data);
}

static nib_status write_text(const char *dir, const char *name, const char *extension,
                             const char *text, size_t size) {
  char *file = nibc_format("%s.%s", name, extension);
  char *path = file ? nibc_path_join(dir, file) : NULL;
  const nib_status status = path ? nibc_file_write(path, text, size)
                                 : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  free(path);
  free(file);
  return status;
}

nib_status nibc_lowered_write(const nibc_session *s, const char *dir) {
  nib_text ir, header;
  nib_text_init(&ir);
  nib_text_init(&header);
  const nib_model_options options = {.name = s->name, .target = &s->target, .allocates = true};
  nib_model_write_header(s->planned, &options, (size_t)nibc_count_weights(s->planned), &header);
  nib_status status = NIB_OK;
  if (!nibModuleToLLVMIR(s->module, s->name, append, &ir))
    status = nibc_error_count()
                 ? NIB_ERROR_INTERNAL
                 : nibc_fail(NIB_ERROR_INTERNAL, "the lowered network has no form in LLVM IR");
  else if (ir.failed || header.failed)
    status = nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  if (status == NIB_OK)
    status = write_text(dir, s->name, "ll", ir.data, ir.size);
  if (status == NIB_OK)
    status = write_text(dir, s->name, "h", header.data, header.size);
  if (status == NIB_OK)
    status = write_text(dir, "nibrt_abi", "h", nib_model_abi(), strlen(nib_model_abi()));
  nib_text_free(&ir);
  nib_text_free(&header);
  return status;
}
