import { fileURLToPath } from 'node:url';
import { int4, serializeQuantizationConfig } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { loadDecoder } from '../decoder/decoder.js';
import { loadLanguageModel } from './language-model.js';
import { createSampler } from './sampling.js';

const source = await openModel(fileURLToPath(new URL('../../../../datasets/tiny-lm/', import.meta.url)));
const model = await loadLanguageModel(source);
afterAll(() => source.close());
const tokens = Array.from({ length: 40 }, (_, i) => (i * 37) % model.vocabularySize);

const closeTo = (actual: Float32Array, expected: Float32Array) =>
  expect(actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)).toBeLessThan(
    1e-4,
  );

describe('logits', () => {
  beforeEach(() => model.decoder.clear());

  test('leading tokens that are still in the cache change nothing', async () => {
    const fresh = await model.logits(tokens, 30);
    await model.logits([...tokens.slice(0, 20), 5, 6, 7], 3);
    closeTo(await model.logits(tokens, 30), fresh);
    closeTo(await model.logits(tokens, 30), fresh);
    const other = await model.logits([...tokens.slice(0, 39), (tokens[39]! + 1) % 512], 38);
    closeTo(other.subarray(0, 512), fresh.subarray(8 * 512, 9 * 512));
  });

  test('a shorter text after a longer one sees only its own past', async () => {
    const short = await model.logits(tokens.slice(0, 10), 9);
    await model.logits(tokens, 39);
    closeTo(await model.logits(tokens.slice(0, 10), 9), short);
  });

  test('the first position of the answer may be any', async () => {
    const all = await model.logits(tokens, 0);
    for (const first of [1, 17, 39]) {
      model.decoder.clear();
      closeTo(await model.logits(tokens, first), all.slice(first * model.vocabularySize));
    }
  });

  test('prompts longer than a batch are the same as many short steps', async () => {
    const long = Array.from({ length: 150 }, (_, i) => (i * i) % 512);
    const decoder = await loadDecoder(source, { contextLength: 160 });
    const whole = await decoder.logits(long, 149);
    decoder.clear();
    for (let end = 7; end < 150; end += 7) await decoder.logits(long.slice(0, end), end - 1);
    closeTo(await decoder.logits(long, 149), whole);
  });

  test('the number of threads changes no bit, and closing the model ends its own threads only', async () => {
    const long = Array.from({ length: 120 }, (_, i) => (i * i) % 512);
    const expected = await (await loadDecoder(source)).logits(long, 119);
    const threaded = await loadLanguageModel(source, { threads: 3 });
    expect(await threaded.logits(long, 119)).toEqual(expected);
    threaded.close();
    threaded.decoder.clear();
    await expect(threaded.logits(long, 119)).rejects.toThrow('the threads of the kernels cannot be used');
    const kernels = await createKernels({ threads: 2 });
    const guest = await loadDecoder(source, { kernels });
    guest.close();
    expect(await guest.logits(long, 119)).toEqual(expected);
    kernels.close();
  });

  test.each([
    [[], 0, /first position 0 is not within the 0 tokens/],
    [[1, 2], 2, /first position 2/],
    [[1, 512], 0, /token 512 is outside of the vocabulary of 512/],
    [[1, -1], 0, /token -1/],
    [[1.5], 0, /token 1.5/],
  ])('tokens %j from %i are refused', async (list, first, message) => {
    await expect(model.logits(list, first)).rejects.toThrow(message);
  });

  test('a text that does not fit the context is an error with a mend', async () => {
    const decoder = await loadDecoder(source, { contextLength: 8 });
    await expect(decoder.logits(tokens, 0)).rejects.toThrow(
      /40 tokens do not fit the context of 8.*contextLength/,
    );
  });

  test('stop when aborted', async () => {
    const reason = new Error('enough');
    await expect(model.logits(tokens, 0, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('generation', () => {
  const collect = async (stream: AsyncIterable<number>) => {
    const generated: number[] = [];
    for await (const token of stream) generated.push(token);
    return generated;
  };

  test('the same seed gives the same text, another one another', async () => {
    const sample = (seed: number) =>
      collect(model.stream([1, 2, 3], { maxTokens: 20, temperature: 1, seed, stopTokens: [] }));
    expect(await sample(1)).toEqual(await sample(1));
    expect(await sample(1)).not.toEqual(await sample(2));
  });

  test('ends before a stop token', async () => {
    const free = await collect(model.stream([1, 2, 3], { maxTokens: 8, stopTokens: [] }));
    const stop = free[4]!;
    const stopped = await collect(model.stream([1, 2, 3], { maxTokens: 8, stopTokens: [stop] }));
    expect(stopped).toEqual(free.slice(0, free.indexOf(stop)));
  });

  test('ends before a stop text', async () => {
    const prompt = [1, 2, 3];
    const whole = await model.generate(prompt, { maximumTokens: 12, until: [] });
    const stop = whole.slice(6, 8);
    expect(await model.generate(prompt, { maximumTokens: 12, until: ['never this', stop] })).toBe(
      whole.slice(0, whole.indexOf(stop)),
    );
  });

  test('refuses an empty prompt and more tokens than fit', async () => {
    await expect(collect(model.stream([]))).rejects.toThrow(/the prompt has no tokens/);
    const { contextLength } = model;
    await expect(collect(model.stream([1], { maxTokens: contextLength + 1 }))).rejects.toThrow(
      /do not fit the context/,
    );
  });
});

describe('sampling', () => {
  test('temperature 0 takes the first of the largest logits', () => {
    expect(createSampler()(Float32Array.of(1, 5, 5, -1))).toBe(1);
  });

  test('frequencies follow the likelihoods', () => {
    const sample = createSampler({ temperature: 2, seed: 7 });
    const counts = [0, 0, 0];
    for (let i = 0; i < 20_000; i++) counts[sample(Float32Array.of(0, 2 * Math.log(2), 2 * Math.log(5)))]!++;
    for (const [i, share] of [1 / 8, 2 / 8, 5 / 8].entries())
      expect(counts[i]! / 20_000).toBeCloseTo(share, 1.7);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('refuses the temperature %s', (temperature) => {
    expect(() => createSampler({ temperature })).toThrow(/temperature/);
  });
});

describe('loading', () => {
  test('reports every tensor, and stops when aborted', async () => {
    const seen: string[] = [];
    await loadDecoder(source, {
      onProgress: ({ tensor, done, total }) => seen.push(`${done}/${total} ${tensor}`),
    });
    expect(seen.at(-1)).toBe('21/21 lm_head');
    await expect(loadDecoder(source, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });

  test('a quantized model whose parts are missing is an error that names the tensor', async () => {
    const config = serializeQuantizationConfig({
      groups: [{ targets: ['re:.*'], format: int4 }],
      provenance: {},
    });
    const lost = 'model.layers.1.mlp.up_proj.weight';
    const broken = {
      ...source,
      has: (name: string) => name !== lost && source.has(name),
      configJson: { quantization_config: JSON.parse(JSON.stringify(config)) },
    };
    await expect(loadDecoder(broken)).rejects.toThrow(
      /tensor "model.layers.1.mlp.up_proj.weight_shape": the tensor is missing/,
    );
  });
});
