import { int4, lbs3, type StoredTensor } from '@lbs/format';
import { describe, expect, test } from 'vitest';
import type { CalibrationModel } from '../calibration/calibration-model.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import type { Recipe } from '../recipe/recipe.js';
import { loadTensor } from '../source/lazy-tensor.js';
import type { ModelWeights } from '../source/model-weights.js';
import type { JobStorage } from './job-storage.js';
import { MemoryJobStorage } from './memory-job-storage.js';
import type { QuantizationProgress } from './quantization-progress.js';
import { quantizeModel } from './quantize-model.js';

const blocks = 4;
const columns = 32;
const blockNames = Array.from({ length: blocks }, (_, i) => `model.layers.${i}.mlp.up_proj.weight`);
const names = ['model.embed_tokens.weight', ...blockNames, 'lm_head.weight', 'model.norm.weight'];
const values = new Map(names.map((name, i) => [name, normalWeights(columns * columns + i).subarray(i)]));

/** A model of square matrices, and the tensors that were read from it as float32. */
function squareModel(): ModelWeights & { readonly reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    name: 'square',
    tensorNames: names,
    tensorInfo: () => ({ dtype: 'F32', shape: [columns, columns] }),
    async readFloat32(name) {
      reads.push(name);
      return values.get(name)!.slice();
    },
    readBytes: async (name) => new Uint8Array(values.get(name)!.slice().buffer),
  };
}

/** Blocks of one layer, whose output is added to the hidden states. */
const calibrationModel: CalibrationModel = {
  blocks,
  embed: async (texts) => texts.map((tokens) => normalWeights(columns * tokens.length)),
  async loadBlock(index) {
    const module = blockNames[index]!.slice(0, -'.weight'.length);
    let weights = values.get(blockNames[index]!)!;
    return {
      stages: [{ modules: [module], columns }],
      begin(sequence) {
        sequence.input = sequence.hidden.slice();
      },
      advance(_, sequence) {
        const { input } = sequence;
        sequence.hidden = sequence.hidden.map((value, i) => {
          const [token, row] = [i - (i % columns), (i % columns) * columns];
          let sum = 0;
          for (let j = 0; j < columns; j++) sum += weights[row + j]! * input[token + j]!;
          return value + sum / columns;
        });
      },
      replaceWeights(_, replacement) {
        weights = replacement;
      },
      attentionReceived: ({ hidden }) => new Float32Array(hidden.length / columns),
      release() {},
    };
  },
};

const recipe: Recipe = {
  name: 'x',
  rules: [
    { targets: ['re:.*_proj'], format: lbs3.name, solver: 'gptq' },
    { targets: ['lm_head'], format: int4.name, solver: 'rtn' },
  ],
};
const calibration = {
  model: calibrationModel,
  sequences: [
    [1, 2, 3, 4],
    [5, 6],
  ],
};

async function run(storage: JobStorage, source = squareModel()): Promise<StoredTensor[]> {
  const { tensors } = await quantizeModel(source, recipe, { calibration, storage });
  return Promise.all(tensors.map(loadTensor));
}

/** Throws at the n-th change, before it is made or behind it. */
class FailingStorage implements JobStorage {
  changes = 0;

  constructor(
    private readonly inner: JobStorage,
    private readonly at: number,
    private readonly made: boolean,
  ) {}

  find = (unit: string) => this.inner.find(unit);
  read = (unit: string, tensor: string) => this.inner.read(unit, tensor);
  loadStates = (block: number) => this.inner.loadStates(block);
  commit: JobStorage['commit'] = (unit, tensors) => this.#change(() => this.inner.commit(unit, tensors));
  saveStates: JobStorage['saveStates'] = (block, states) =>
    this.#change(() => this.inner.saveStates(block, states));
  removeStates: JobStorage['removeStates'] = (block) => this.#change(() => this.inner.removeStates(block));

  async #change(make: () => Promise<void>): Promise<void> {
    const fails = ++this.changes === this.at;
    if (!fails || this.made) await make();
    if (fails) throw new Error('the storage fails');
  }
}

describe('a job that stopped', async () => {
  const counting = new FailingStorage(new MemoryJobStorage(), 0, false);
  const expected = await run(counting);

  test.each(
    Array.from({ length: counting.changes }, (_, i) => i + 1).flatMap((at) => [
      [at, 'before', false] as const,
      [at, 'behind', true] as const,
    ]),
  )('at change %i, %s it, goes on to the same bytes', async (at, _, made) => {
    const storage = new MemoryJobStorage();
    await expect(run(new FailingStorage(storage, at, made))).rejects.toThrow('the storage fails');
    expect(await run(storage)).toEqual(expected);
  });

  test('computes no finished unit again', async () => {
    const storage = new MemoryJobStorage();
    // States behind block 0, block 0, states behind block 1, block 1, and then those behind block 0 go.
    await expect(run(new FailingStorage(storage, 5, false))).rejects.toThrow();
    const source = squareModel();
    expect(await run(storage, source)).toEqual(expected);
    expect(source.reads).toEqual([...blockNames.slice(2), 'lm_head.weight']);
    const finished = squareModel();
    expect(await run(storage, finished)).toEqual(expected);
    expect(finished.reads).toEqual([]);
  });

  test('tells where it goes on, and counts what is done', async () => {
    const storage = new MemoryJobStorage();
    await expect(run(new FailingStorage(storage, 5, false))).rejects.toThrow();
    const seen: QuantizationProgress[] = [];
    const onProgress = (progress: QuantizationProgress) => seen.push(progress);
    await quantizeModel(squareModel(), recipe, { calibration, storage, onProgress });
    const weights = columns * columns;
    expect(seen[0]).toMatchObject({ stage: 'resuming', block: 2, blocks, weightsDone: 2 * weights });
    expect(seen[0]!.secondsLeft).toBeUndefined();
    expect(seen.at(-1)).toMatchObject({
      stage: 'quantizing',
      block: undefined,
      tensor: 'lm_head.weight',
      weightsDone: 5 * weights,
      weightsTotal: 5 * weights,
      secondsLeft: 0,
    });
    expect(seen.filter(({ stage }) => stage === 'measuring').map(({ block }) => block)).toEqual([
      ...[2, 2, 2, 2],
      ...[3, 3, 3, 3],
    ]);
  });

  test('begins anew where a block or the states before the next one are lost', async () => {
    for (const lost of ['block 0', 'states']) {
      const storage = new MemoryJobStorage();
      await expect(run(new FailingStorage(storage, 5, false))).rejects.toThrow();
      const damaged: JobStorage = new FailingStorage(storage, 0, false);
      if (lost === 'states') await storage.removeStates(1);
      else damaged.find = async (unit) => (unit === lost ? undefined : storage.find(unit));
      let broken = true;
      const commit = damaged.commit;
      damaged.commit = async (unit, tensors) => {
        await commit(unit, tensors);
        if (broken) damaged.find = storage.find.bind(storage);
        broken = false;
      };
      const source = squareModel();
      expect(await run(damaged, source)).toEqual(expected);
      expect(source.reads).toEqual([...blockNames, 'lm_head.weight']);
    }
  });

  test('keeps its work when it is cancelled', async () => {
    const storage = new MemoryJobStorage();
    const controller = new AbortController();
    const job = quantizeModel(squareModel(), recipe, {
      calibration,
      storage,
      signal: controller.signal,
      onProgress: ({ block }) => block === 2 && controller.abort(new Error('enough')),
    });
    await expect(job).rejects.toThrow('enough');
    const source = squareModel();
    expect(await run(storage, source)).toEqual(expected);
    expect(source.reads).toEqual([...blockNames.slice(2), 'lm_head.weight']);
  });
});
