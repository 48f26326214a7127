import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bigramModel, logitsOf } from './fixtures/toy-models.js';
import { compareModels, evaluatePerplexity } from './index.js';

const golden = JSON.parse(readFileSync(new URL('./fixtures/kl-divergence.json', import.meta.url), 'utf8'));
const settings = { beginningOfSequence: golden.beginningOfSequence, addsBeginningOfSequence: true };
const goldenTable: number[][] = golden.reference.map((row: (number | null)[]) =>
  row.map((value) => value ?? -Infinity),
);
const reference = () => bigramModel(goldenTable, settings);
const model = () => bigramModel(golden.model, settings);
const { tokens: text, contextLength } = golden;

/** Expects every number of `expected` in `actual`, to a relative error. */
function expectClose(actual: object, expected: object, tolerance = 1e-10): void {
  for (const [key, value] of Object.entries(expected)) {
    const found = (actual as Record<string, unknown>)[key];
    if (typeof value === 'object') expectClose(found as object, value, tolerance);
    else {
      expect(typeof found, key).toBe('number');
      expect(Math.abs((found as number) - value), key).toBeLessThan(
        tolerance * Math.max(1e-3, Math.abs(value)),
      );
    }
  }
}

describe('compareModels', () => {
  it("equals NumPy's figures", async () => {
    const result = await compareModels({
      reference: reference(),
      models: { model: model() },
      text,
      contextLength,
    });
    expect(result.tokens).toBe(golden.count);
    expectClose(result.reference.perplexity, golden.referencePerplexity);
    expectClose(result.models.model.perplexity, golden.perplexity);
    expectClose(result.models.model.kld, golden.kld);
  });

  it('agrees with a divergence computed by hand', async () => {
    const original = bigramModel([logitsOf([1 / 2, 1 / 2]), logitsOf([1 / 4, 3 / 4])]);
    const other = bigramModel([logitsOf([1 / 4, 3 / 4]), logitsOf([1 / 4, 3 / 4])]);
    // Chunks of 3: position 1 is scored. a: ln 2 - (ln 3) / 2 with another best token; b: equal.
    const { models } = await compareModels({
      reference: original,
      models: { other },
      text: 'aabbba',
      contextLength: 3,
    });
    expect(models.other.kld.mean).toBeCloseTo((Math.LN2 - Math.log(3) / 2) / 2, 7);
    expect(models.other.kld.max).toBeCloseTo(Math.LN2 - Math.log(3) / 2, 7);
    expect(models.other.kld.topAgreement).toBe(0.5);
    expect(models.other.kld.deltaProbability.value).toBeCloseTo(1 / 8, 7);
    expect(models.other.kld.rmsDeltaProbability.value).toBeCloseTo(Math.sqrt(1 / 32), 7);
  });

  it('finds no difference between equal models', async () => {
    const { models } = await compareModels({
      reference: model(),
      models: { same: model() },
      text,
      contextLength,
    });
    expect(models.same.kld).toMatchObject({
      mean: 0,
      max: 0,
      topAgreement: 1,
      topAgreementStderr: 0,
      rmsDeltaProbability: { value: 0, stderr: 0 },
      logPerplexityRatio: { value: 0, stderr: 0 },
    });
  });

  it('runs the reference once for any number of models', async () => {
    const original = reference();
    const models = { first: model(), second: reference(), third: model() };
    const result = await compareModels({ reference: original, models, text, contextLength, chunks: 3 });
    expect(original.calls).toHaveLength(3);
    expect(Object.keys(result.models)).toEqual(['first', 'second', 'third']);
    expect(result.models.third).toEqual(result.models.first);
    const alone = await evaluatePerplexity(models.third, text, { contextLength, chunks: 3 });
    expect(result.models.first.perplexity).toEqual(alone.perplexity);
    expect(result.tokensSha256).toBe(alone.tokensSha256);
  });

  it('allows models that overwrite their logits at the next call', async () => {
    const sharing = (): ReturnType<typeof bigramModel> => {
      const inner = model();
      let buffer = new Float32Array(0);
      return {
        ...inner,
        async logits(tokens, first) {
          const fresh = await inner.logits(tokens, first);
          if (buffer.length !== fresh.length) buffer = new Float32Array(fresh.length);
          buffer.set(fresh);
          return buffer;
        },
      };
    };
    const result = await compareModels({
      reference: reference(),
      models: { model: sharing() },
      text,
      contextLength,
    });
    expectClose(result.models.model.kld, golden.kld);
  });

  it('refuses models of another vocabulary or too short a context', async () => {
    const small = bigramModel([[0, 0]]);
    await expect(compareModels({ reference: reference(), models: { small }, text })).rejects.toMatchObject({
      code: 'LBS_EVAL_VOCABULARY_MISMATCH',
      message: expect.stringMatching(/"small" has a vocabulary of 2, the reference one of 24/),
    });
    const short = bigramModel(golden.model, { ...settings, contextLength: 8 });
    await expect(
      compareModels({ reference: reference(), models: { short }, text, contextLength }),
    ).rejects.toMatchObject({ code: 'LBS_EVAL_CONTEXT_TOO_LONG' });
    const fitting = await compareModels({ reference: reference(), models: { short }, text });
    expect(fitting.contextLength).toBe(8);
  });

  it('stops when aborted', async () => {
    const controller = new AbortController();
    const original = reference();
    const run = compareModels({
      reference: original,
      models: { model: model() },
      text,
      contextLength,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
    expect(original.calls).toHaveLength(1);
  });
});
