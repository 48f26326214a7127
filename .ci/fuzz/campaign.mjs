import { createRandom } from './random.mjs';

/** Executions between two turns of the event loop, in which rejections that nobody handled show up. */
const BATCH = 64;

/** Inputs that are kept because they led to an outcome of a new kind. */
const MAX_KEPT = 400;
const MAX_KEPT_BYTES = 20_000;

/**
 * Mutates the seeds of one target and judges each execution. An input with an outcome that has not been seen becomes a
 * seed. `onStart` is called before each execution, `onFailure` with what is wrong. Ends after `executions` or at
 * `deadline` (of performance.now()). Gives the number of executions.
 */
export async function fuzzTarget(target, oracle, { seed, executions, deadline, onStart, onFailure }) {
  const random = createRandom(seed);
  const pool = [...target.seeds];
  const signatures = new Set();
  let done = 0;
  while (done < executions && performance.now() < deadline) {
    const batch = [];
    while (batch.length < Math.min(BATCH, executions - done)) {
      const input = mutant(random, target, pool);
      onStart(target, input);
      const { failure, signature, stack } = await oracle.judge(target, input);
      batch.push(input);
      if (failure) onFailure({ target, input, failure, stack });
      else if (!signatures.has(signature)) {
        signatures.add(signature);
        if (pool.length < MAX_KEPT && input.length < MAX_KEPT_BYTES) pool.push({ bytes: input });
      }
    }
    done += batch.length;
    if ((await oracle.takeRejections()).length > 0) await findRejected(target, oracle, batch, onFailure);
  }
  return done;
}

/** Several changes on top of each other, mostly one. */
function mutant(random, target, pool) {
  const start = random.pick(pool);
  let { bytes } = start;
  let fields = start.fields ?? [];
  const changes = random.oneIn(3) ? 2 + random.below(4) : 1;
  for (let i = 0; i < changes; i++) {
    const size = bytes.length;
    bytes = target.mutate(random, bytes, { fields, other: random.pick(pool).bytes });
    // The known places have moved.
    if (bytes.length !== size) fields = [];
  }
  return bytes;
}

async function findRejected(target, oracle, batch, onFailure) {
  for (const input of batch) {
    await oracle.judge(target, input);
    for (const failure of await oracle.takeRejections()) onFailure({ target, input, failure });
  }
}
