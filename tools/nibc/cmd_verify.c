/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc verify: the compiled model against the reference evaluator, and against given results.
 *
 * The oracle is the imported graph, operator by operator as its source defines them; for an ONNX
 * QDQ network it is the simplified graph (the integer arithmetic that such a network means, see
 * docs/numerics.md), and the imported one, in float as written, is run beside it: it may be off by
 * one step. */
#include "binary.h"
#include "commands.h"
#include "compare.h"
#include "feed.h"
#include "message.h"
#include "oracle.h"
#include "support.h"
#include "verify_layers.h"
#include "vocab/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct verification {
  nibc_session *session;
  nibc_binary binary;
  nibc_oracle oracle;
  nib_reference *as_written; /* QDQ: of the imported graph; else NULL */
  nibc_feed in, want;        /* want.n == 0: nothing expected */
  nibc_buffers x, y;
  nibc_tally *against_oracle, *against_want;
  nibc_step_tally steps; /* QDQ: as written against the integer form */
} verification;

/* Runs made up when no input is given: extremes first, then random values. */
enum { MADE_RUNS = 8 };

static nib_status make_inputs(const nib_graph *g, nibc_feed *in) {
  NIB_RETURN_IF_ERROR(
      nibc_feed_for_tensors(g, g->inputs, g->n_inputs, MADE_RUNS, NIBC_BATCH_EXTRA, in));
  for (int64_t run = 0; run < MADE_RUNS; ++run)
    for (int i = 0; i < in->n; ++i)
      nibc_fill(&g->tensors[g->inputs[i]], run, nibc_feed_at(in, i, run));
  printf("no --input: %d runs on extreme and random values\n", MADE_RUNS);
  return NIB_OK;
}

static nib_status read_data(verification *v) {
  const nibc_options *o = v->session->options;
  const nib_graph *g = nibc_session_source(v->session);
  nib_status status = NIB_OK;
  if (o->test_data && (o->inputs.n || o->expects.n))
    return nibc_fail(NIB_ERROR_INVALID_USAGE, "--test-data brings inputs and outputs: it excludes "
                                              "--input and --expect");
  if (o->test_data) {
    status = nibc_test_data_feed_inputs(&v->session->test_data, g, &v->in);
    if (status == NIB_OK)
      status = nibc_test_data_feed_outputs(&v->session->test_data, g, &v->want);
  } else if (o->inputs.n) {
    status = nibc_feed_read(g, g->inputs, g->n_inputs, &o->inputs, "input", &v->in);
    if (status == NIB_OK && o->expects.n)
      status =
          nibc_feed_read(g, g->outputs, g->n_outputs, &o->expects, "expected output", &v->want);
  } else if (o->expects.n) {
    return nibc_fail(NIB_ERROR_INVALID_USAGE, "--expect needs the --input it belongs to");
  } else {
    status = make_inputs(g, &v->in);
  }
  if (status == NIB_OK && v->want.n && v->want.runs != v->in.runs)
    status = nibc_fail(NIB_ERROR_INVALID_INPUT, "%lld runs of input, %lld of expected output",
                       (long long)v->in.runs, (long long)v->want.runs);
  return status;
}

static nib_status prepare(verification *v) {
  nibc_session *s = v->session;
  const nib_graph *g = nibc_session_source(s);
  const bool qdq = nibc_graph_is_qdq(g);
  NIB_RETURN_IF_ERROR(
      nibc_oracle_create(qdq ? s->simplified : g, nibc_graph_is_float(g), &v->oracle));
  if (qdq)
    NIB_RETURN_IF_ERROR(nib_reference_create(g, &v->as_written, nibc_diag()));
  NIB_RETURN_IF_ERROR(nibc_buffers_create(g, g->inputs, g->n_inputs, &v->x));
  NIB_RETURN_IF_ERROR(nibc_buffers_create(g, g->outputs, g->n_outputs, &v->y));
  v->against_oracle = calloc((size_t)g->n_outputs + 1, sizeof *v->against_oracle);
  v->against_want = calloc((size_t)g->n_outputs + 1, sizeof *v->against_want);
  if (!v->against_oracle || !v->against_want)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  return NIB_OK;
}

static nib_status run_once(verification *v, int64_t run) {
  const nib_graph *g = nibc_session_source(v->session);
  for (int i = 0; i < v->in.n; ++i)
    memcpy(v->x.at[i], nibc_feed_at(&v->in, i, run), nib_tensor_bytes(&g->tensors[g->inputs[i]]));
  const void *const *x = (const void *const *)v->x.at;
  NIB_RETURN_IF_ERROR(nibc_oracle_run(&v->oracle, x));
  NIB_RETURN_IF_ERROR(nibc_binary_run(&v->binary, x, v->y.at));
  for (int i = 0; i < g->n_outputs; ++i) {
    const nib_tensor *t = &g->tensors[g->outputs[i]];
    const int64_t n = nib_tensor_elems(t);
    nibc_oracle_compare(&v->oracle, v->oracle.graph->outputs[i], v->y.at[i], run,
                        &v->against_oracle[i]);
    if (v->want.n && v->session->options->test_data)
      nibc_tally_add_standard(&v->against_want[i], t->format, v->y.at[i],
                              nibc_feed_at(&v->want, i, run), n, run);
    else if (v->want.n)
      nibc_tally_add(&v->against_want[i], t->format, v->y.at[i], nibc_feed_at(&v->want, i, run), n,
                     run);
  }
  if (v->as_written) {
    NIB_RETURN_IF_ERROR(nib_reference_run(v->as_written, x, nibc_diag()));
    nibc_step_tally_add(&v->steps, g, v->as_written, v->oracle.graph, v->oracle.exact, run);
  }
  return NIB_OK;
}

static nib_status run_all(verification *v) {
  for (int64_t run = 0; run < v->in.runs; ++run)
    NIB_RETURN_IF_ERROR(run_once(v, run));
  return NIB_OK;
}

/* One line per output; an error if anything differs, unless that is `judged` by kernels. */
static nib_status report_tally(const verification *v, const nibc_tally *tallies, const char *with,
                               bool judged) {
  const nib_graph *g = nibc_session_source(v->session);
  nib_status status = NIB_OK;
  for (int i = 0; i < g->n_outputs; ++i) {
    const nibc_tally *t = &tallies[i];
    const nib_tensor *tensor = &g->tensors[g->outputs[i]];
    char text[256];
    if (t->differing) {
      nibc_tally_describe(t, text, sizeof text);
      if (judged) {
        printf("output %d ('%s') and %s: %s; reals between two codes may be rounded to either, so "
               "that kernels are judged one by one\n",
               i, tensor->name, with, text);
        continue;
      }
      status =
          nibc_fail(NIB_ERROR_MISMATCH, "output %d ('%s') and %s: %s", i, tensor->name, with, text);
    } else if (nib_format_get(tensor->format)->kind == NIB_KIND_FLOAT) {
      nibc_tally_describe_distance(t, text, sizeof text);
      printf("output %d ('%s') agrees with %s: %lld runs, %lld elements, %s\n", i, tensor->name,
             with, (long long)v->in.runs, (long long)t->elems, text);
    } else {
      printf("output %d ('%s') equals %s: %lld runs, %lld elements\n", i, tensor->name, with,
             (long long)v->in.runs, (long long)t->elems);
    }
  }
  return status;
}

/* A step's difference grows in the operators that follow: where more than one step came out, each
 * operator is judged by itself, on the codes of the integer form. */
static nib_status judge_operators(verification *v) {
  const nib_graph *g = nibc_session_source(v->session);
  nibc_step_tally t = {0};
  const void *const *x = (const void *const *)v->x.at;
  for (int64_t run = 0; run < v->in.runs; ++run) {
    for (int i = 0; i < v->in.n; ++i)
      memcpy(v->x.at[i], nibc_feed_at(&v->in, i, run), nib_tensor_bytes(&g->tensors[g->inputs[i]]));
    NIB_RETURN_IF_ERROR(nibc_oracle_run(&v->oracle, x));
    NIB_RETURN_IF_ERROR(
        nibc_step_tally_run(&t, g, v->as_written, v->oracle.graph, v->oracle.exact, x, run));
  }
  printf("each operator on equal codes: %lld of %lld elements differ, by at most %.4g step%s\n",
         (long long)t.differing, (long long)t.elems, t.largest, t.largest == 1 ? "" : "s");
  v->steps = t;
  return NIB_OK;
}

static nib_status report_steps(verification *v) {
  const nibc_step_tally *t = &v->steps;
  printf(
      "in float as written: %lld of %lld elements of %d tensors differ, by at most %.4g step%s\n",
      (long long)t->differing, (long long)t->elems, t->tensors, t->largest,
      t->largest == 1 ? "" : "s");
  if (t->largest <= 1)
    return NIB_OK;
  NIB_RETURN_IF_ERROR(judge_operators(v));
  if (t->largest <= 1)
    return NIB_OK;
  return nibc_fail(NIB_ERROR_MISMATCH,
                   "the network in float as written differs by %.4g steps, first in '%s' at run "
                   "%lld, element %lld",
                   t->largest, t->worst_name, (long long)t->worst_run, (long long)t->worst_index);
}

static bool differs(const verification *v) {
  for (int i = 0; i < nibc_session_source(v->session)->n_outputs; ++i)
    if (v->against_oracle[i].differing)
      return true;
  return false;
}

static nib_status verify_session(verification *v) {
  nibc_session *s = v->session;
  NIB_RETURN_IF_ERROR(read_data(v));
  NIB_RETURN_IF_ERROR(prepare(v));
  NIB_RETURN_IF_ERROR(nibc_binary_load(s, &v->binary));
  if (s->options->dry_run)
    return NIB_OK;
  NIB_RETURN_IF_ERROR(run_all(v));
  if (nibc_tallies_restart(v->against_oracle, s->imported->n_outputs)) {
    memset(v->against_want, 0, (size_t)s->imported->n_outputs * sizeof *v->against_want);
    NIB_RETURN_IF_ERROR(run_all(v));
  }
  fflush(stdout);
  const bool by_kernels = differs(v) && nibc_graph_is_mixed(v->oracle.graph);
  nib_status status = report_tally(v, v->against_oracle, "the reference", by_kernels);
  if (v->want.n) {
    const nib_status other = report_tally(v, v->against_want, "what is expected", false);
    status = status != NIB_OK ? status : other;
  }
  if (v->as_written) {
    const nib_status other = report_steps(v);
    status = status != NIB_OK ? status : other;
  }
  if (s->options->per_layer || by_kernels) {
    const nib_status other = nibc_verify_layers(s, &v->in, v->oracle.graph);
    status = status != NIB_OK ? status : other;
  }
  return status;
}

/* Whether products of some layer are summed in f16, as models of f16 are where the processor does
 * so. */
static bool sums_in_f16(const nib_graph *g) {
  for (int32_t i = 0; g && i < g->n_kernels; i++) {
    const nib_kernel *k = &g->kernels[i];
    const nib_vocab *v = k->vocab ? nib_vocab_find(k->vocab) : NULL;
    const nib_op op = g->nodes[k->nodes[0]].op;
    if (v && (v->real_f16 || v->type_sum) &&
        (op == NIB_OP_CONV2D || op == NIB_OP_DEPTHWISE_CONV2D || op == NIB_OP_FULLY_CONNECTED))
      return true;
  }
  return false;
}

nib_status nibc_command_verify(const nibc_options *o) {
  NIB_RETURN_IF_ERROR(nibc_check_options(o));
  nibc_session session;
  NIB_RETURN_IF_ERROR(nibc_compile_model(o, true, &session));
  verification v = {.session = &session};
  if (nibc_has_narrow_floats(o))
    nibc_allow_precision(nib_format_find(o->precision));
  else if (sums_in_f16(session.planned))
    nibc_allow_precision(NIB_F16);
  nib_status status = NIB_OK;
  if (o->out_dir || o->report || o->verbose)
    status = nibc_write_files(&session, o->verbose ? stdout : NULL);
  if (status == NIB_OK)
    status = verify_session(&v);
  nibc_oracle_free(&v.oracle);
  nib_reference_destroy(v.as_written);
  nibc_binary_unload(&v.binary);
  nibc_buffers_free(&v.x);
  nibc_buffers_free(&v.y);
  nibc_feed_free(&v.in);
  nibc_feed_free(&v.want);
  free(v.against_oracle);
  free(v.against_want);
  nibc_session_close(&session);
  return status;
}
