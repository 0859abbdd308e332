// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The last stage: text of every file, checked, then written.
#include "pipeline/stages.h"

#include "emit/check_c.h"
#include "emit/files.h"
#include "emit/model.h"
#include "params/params.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { max_name = 100 };

static nib_status check_name(const char *name, const nib_diag *diag) {
  size_t n = 0;
  for (; name[n]; ++n)
    if (!isalnum((unsigned char)name[n]) && name[n] != '_')
      break;
  if (n == 0 || name[n] || isdigit((unsigned char)name[0]) || n > max_name)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "'%s' cannot name a model: use a C identifier of at most %d characters",
                          name, max_name);
  return NIB_OK;
}

static nib_status model_options(const nib_graph *g, const nib_options *o, nib_target *target,
                                nib_model_options *out, const nib_diag *diag) {
  const char *weights = o->weights ? o->weights : "words";
  out->name = o->name ? o->name : g->name;
  out->target = target;
  out->size = o->size;
  out->unroll = o->unroll;
  out->weights = strcmp(weights, "bytes") == 0 ? NIB_WEIGHTS_BYTES : NIB_WEIGHTS_WORDS;
  if (strcmp(weights, "bytes") != 0 && strcmp(weights, "words") != 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "--weights=%s: words or bytes", weights);
  NIB_RETURN_IF_ERROR(check_name(out->name, diag));
  return nib_target_parse(o->target ? o->target : "c99", target, diag);
}

static nib_status write_files(const nib_model_options *mo, const nib_model_text *m, const char *dir,
                              const nib_diag *diag) {
  char header[max_name + 16], source[max_name + 16], weights[max_name + 16], example[max_name + 16];
  char device[max_name + 16];
  snprintf(device, sizeof device, "%s.cu", mo->name);
  snprintf(header, sizeof header, "%s.h", mo->name);
  snprintf(source, sizeof source, "%s.c", mo->name);
  snprintf(weights, sizeof weights, "%s_weights.c", mo->name);
  snprintf(example, sizeof example, "%s_main.c", mo->name);
  const nib_file pool[] = {
      {"nibrt_pool.h", nib_model_pool_header(), strlen(nib_model_pool_header())},
      {"nibrt_pool.c", nib_model_pool_source(), strlen(nib_model_pool_source())},
  };
  const nib_file cluster[] = {
      {"nibrt_cluster.h", nib_model_cluster_header(), strlen(nib_model_cluster_header())},
      {"nibrt_cluster.c", nib_model_cluster_source(), strlen(nib_model_cluster_source())},
  };
  const nib_file cuda[] = {
      {"nibrt_cuda.h", nib_model_cuda_header(), strlen(nib_model_cuda_header())},
      {"nibrt_cuda.c", nib_model_cuda_source(), strlen(nib_model_cuda_source())},
      {device, m->device.data, m->device.size},
  };
  nib_file files[5 + 3] = {
      {header, m->header.data, m->header.size},    {source, m->source.data, m->source.size},
      {weights, m->weights.data, m->weights.size}, {"nibrt_abi.h", m->abi, strlen(m->abi)},
      {example, m->example.data, m->example.size},
  };
  size_t n = 5;
  if (m->device.size) {
    memcpy(files + n, cuda, sizeof cuda);
    n += sizeof cuda / sizeof *cuda;
  } else if (m->is_cut) {
    memcpy(files + n, mo->target->bare_metal ? cluster : pool, sizeof pool);
    n += sizeof pool / sizeof *pool;
  }
  return nib_files_write(dir, files, n, diag);
}

nib_status nib_emit_graph(const nib_graph *g, const nib_options *o, const nib_diag *diag) {
  nib_target target;
  nib_model_options mo = {0};
  nib_model_text m;
  if (!o->out_dir || !o->out_dir[0])
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "no folder to write the C files into");
  NIB_RETURN_IF_ERROR(nib_check_integer_only(g, diag));
  NIB_RETURN_IF_ERROR(model_options(g, o, &target, &mo, diag));
  NIB_RETURN_IF_ERROR(nib_model_write(g, &mo, &m, diag));
  nib_status status = o->check_c ? nib_check_c(g, &mo, &m, diag) : NIB_OK;
  if (status == NIB_OK)
    status = write_files(&mo, &m, o->out_dir, diag);
  nib_model_free(&m);
  return status;
}
