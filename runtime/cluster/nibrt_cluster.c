/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nibrt_cluster.c: a job lies between two barriers. Before the first all other cores wait for it; core 0 has
 * written what is to be done. Core i does part i. Self-contained: nibc writes this file beside the models
 * that can use it. */
#include "nibrt_cluster.h"

void nibrt_cluster_init(nibrt_cluster *c, uint32_t cores, void (*barrier)(void *user), void *user) {
  c->cores = cores;
  c->parts = 0;
  c->barrier = barrier;
  c->user = user;
  c->task = NULL;
  c->context = NULL;
}

void nibrt_cluster_parallel(void *cluster, nibrt_task *task, void *context, uint32_t parts) {
  nibrt_cluster *c = (nibrt_cluster *)cluster;
  if (parts > c->cores)
    parts = c->cores;
  if (parts <= 1) {
    task(context, 0, 1);
    return;
  }
  c->task = task;
  c->context = context;
  c->parts = parts;
  c->barrier(c->user);
  task(context, 0, parts);
  c->barrier(c->user);
}

void nibrt_cluster_exec(nibrt_cluster *c, nibrt_exec *out_exec) {
  nibrt_exec exec = {0};
  exec.size = sizeof exec;
  exec.version = NIBRT_ABI_VERSION;
  exec.parallel = nibrt_cluster_parallel;
  exec.pool = c;
  *out_exec = exec;
}

void nibrt_cluster_work(nibrt_cluster *c, uint32_t core) {
  for (;;) {
    c->barrier(c->user);
    const uint32_t parts = c->parts;
    if (!parts)
      return;
    if (core < parts)
      c->task(c->context, core, parts);
    c->barrier(c->user);
  }
}

void nibrt_cluster_stop(nibrt_cluster *c) {
  c->parts = 0;
  if (c->cores > 1)
    c->barrier(c->user);
}
