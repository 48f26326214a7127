import { fileURLToPath } from 'node:url';
import { int4, serializeQuantizationConfig } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openCalibrationModel } from '../calibration/calibration-model.js';
import { loadDecoder } from '../decoder/decoder.js';
import type { GeneratedPiece, GenerationOptions } from './generation.js';
import { loadLanguageModel } from './language-model.js';

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

describe('continuations of a context', () => {
  const sequence = (step: number, length: number) => Array.from({ length }, (_, i) => (7 + i * step) % 512);

  test('have the logits that they have alone, to the bit', async () => {
    const decoder = await loadDecoder(source, { contextLength: 400 });
    for (const [contextTokens, lengths] of [
      [20, [3, 1, 9, 0, 5]],
      [1, [4, 4]],
      [130, [100, 140, 2]],
      [256, [144, 1]],
    ] as const) {
      const context = sequence(31, contextTokens);
      const continuations = lengths.map((length, i) => sequence(11 + 2 * i, length));
      const expected: Float32Array[] = [];
      for (const continuation of continuations) {
        const whole = [...context, ...continuation].slice(0, -1);
        const isEmpty = continuation.length === 0;
        expected.push(isEmpty ? new Float32Array(0) : await decoder.logits(whole, context.length - 1));
      }
      decoder.clear();
      expect(await decoder.continuations(context, continuations)).toEqual(expected);
      expect(decoder.cachedTokens([...context, 1])).toBe(context.length);
      // Again, with the context in the cache, and a context that shares its beginning.
      expect(await decoder.continuations(context, continuations)).toEqual(expected);
      const next = await decoder.logits([...context, 5], context.length);
      decoder.clear();
      expect(next).toEqual(await decoder.logits([...context, 5], context.length));
    }
  });

  test('are refused where they do not fit, or there is no context', async () => {
    await expect(model.continuations([], [[1]])).rejects.toThrow(/the context has no tokens/);
    await expect(model.continuations([1], [sequence(3, 130)])).rejects.toThrow(
      /129 tokens do not fit|do not fit/,
    );
    await expect(model.continuations([1], [[2, 512, 3]])).rejects.toThrow(/token 512/);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(model.continuations([1], [[2, 3]], { signal })).rejects.toThrow('enough');
  });
});

describe('hidden states', () => {
  test('are those of the model block by block', async () => {
    const calibration = await openCalibrationModel(source);
    const long = Array.from({ length: 120 }, (_, i) => (i * i) % 512);
    const [hidden] = await calibration.embed([long]);
    const sequence = { hidden: hidden!, input: new Float32Array(0) };
    for (let blocks = 0; blocks <= model.decoder.config.layers; blocks++) {
      expect(await model.decoder.hiddenStates(long, blocks)).toEqual(sequence.hidden);
      if (blocks === model.decoder.config.layers) break;
      const block = await calibration.loadBlock(blocks);
      block.begin(sequence);
      for (const stage of block.stages.keys()) block.advance(stage, sequence);
      block.release();
    }
    model.decoder.clear();
    const fresh = await model.logits(long, 119);
    await model.decoder.hiddenStates(long, 1);
    expect(await model.logits(long, 119)).toEqual(fresh);
    for (const blocks of [-1, 0.5, model.decoder.config.layers + 1])
      await expect(model.decoder.hiddenStates(long, blocks)).rejects.toThrow(/blocks are not among the/);
  });
});

describe('calls at the same time', () => {
  test('wait for each other', async () => {
    const texts = [7, 11, 13].map((step) => Array.from({ length: 200 }, (_, i) => (i * step) % 512));
    const decoder = await loadDecoder(source, { contextLength: 200 });
    const alone: Float32Array[] = [];
    for (const text of texts) alone.push(await decoder.logits(text, 199));
    expect(await Promise.all(texts.map((text) => decoder.logits(text, 199)))).toEqual(alone);
    const failing = decoder.logits([], 0);
    const next = decoder.logits(texts[0]!, 199);
    await expect(failing).rejects.toThrow(/first position/);
    expect(await next).toEqual(alone[0]);
  });
});

describe('generation', () => {
  const prompt = [1, 2, 3];
  const piecesOf = async (options?: GenerationOptions) => {
    const pieces: GeneratedPiece[] = [];
    const stream = model.stream(prompt, options);
    for (;;) {
      const { done, value } = await stream.next();
      if (done) return { pieces, result: value };
      pieces.push(value);
    }
  };

  test('the pieces are the tokens and the text of the result', async () => {
    const { pieces, result } = await piecesOf({ maxTokens: 40, temperature: 1.3, seed: 3, stopTokens: [] });
    expect(pieces.map(({ token }) => token)).toEqual(result.tokens);
    expect(pieces.map(({ text }) => text).join('')).toBe(result.text);
    expect(result.text).toBe(model.decode(result.tokens));
    expect(result).toMatchObject({
      finishReason: 'length',
      usage: { promptTokens: 3, completionTokens: 40, prefillSeconds: expect.any(Number) },
    });
    expect(pieces.some((piece) => 'logProbability' in piece)).toBe(false);
    expect(
      await model.generate(prompt, { maxTokens: 40, temperature: 1.3, seed: 3, stopTokens: [] }),
    ).toMatchObject({
      text: result.text,
      tokens: result.tokens,
    });
  });

  test('the same seed gives the same text, another one another', async () => {
    const sample = async (seed: number) =>
      (await model.generate(prompt, { maxTokens: 20, temperature: 1, seed, stopTokens: [] })).tokens;
    expect(await sample(1)).toEqual(await sample(1));
    expect(await sample(1)).not.toEqual(await sample(2));
  });

  test('ends before a stop token', async () => {
    const free = (await model.generate(prompt, { maxTokens: 8, stopTokens: [] })).tokens;
    const stop = free[4]!;
    const { pieces, result } = await piecesOf({ maxTokens: 8, stopTokens: [stop] });
    expect(result.tokens).toEqual(free.slice(0, free.indexOf(stop)));
    expect(result.finishReason).toBe('stop');
    expect(pieces.map(({ text }) => text).join('')).toBe(model.decode(result.tokens));
  });

  test('ends before a stop text, wherever tokens part it', async () => {
    const whole = (await model.generate(prompt, { maxTokens: 12, stopTokens: [] })).text;
    for (let begin = 0; begin + 3 <= whole.length; begin++) {
      const stop = whole.slice(begin, begin + 3);
      const { pieces, result } = await piecesOf({
        maxTokens: 12,
        stopTokens: [],
        stop: ['never this', stop],
      });
      expect(result.text).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(pieces.map(({ text }) => text).join('')).toBe(result.text);
      expect(result.finishReason).toBe('stop');
    }
  });

  test('gives text that was held back when nothing follows', async () => {
    const { tokens, text } = await model.generate(prompt, { maxTokens: 12, stopTokens: [] });
    const held = `${text.slice(-2)}and what never comes`;
    expect((await model.generate(prompt, { maxTokens: 12, stopTokens: [], stop: [held] })).text).toBe(text);
    const last = tokens.findIndex((token, i) => i > 3 && tokens.indexOf(token) === i);
    const before = model.decode(tokens.slice(0, last));
    const options = { maxTokens: 12, stopTokens: [tokens[last]!], stop: [`${before.slice(-2)}\0`] };
    const { pieces, result } = await piecesOf(options);
    expect(result.text).toBe(before);
    expect(pieces.at(-1)).toEqual({ text: before.slice(-2) });
  });

  test('tells log-probabilities of the distribution of the model', async () => {
    const { pieces } = await piecesOf({
      maxTokens: 3,
      temperature: 2,
      seed: 5,
      stopTokens: [],
      topLogProbabilities: 4,
    });
    const context = [...prompt];
    for (const { token, logProbability, top } of pieces) {
      const logits = Array.from(await model.logits(context, context.length - 1));
      const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
      const sorted = logits.map((logit, id) => ({ token: id, logProbability: logit - sum }));
      expect(logProbability).toBeCloseTo(sorted[token!]!.logProbability, 6);
      sorted.sort((a, b) => b.logProbability - a.logProbability || a.token - b.token);
      expect(top!.map((entry) => entry.token)).toEqual(sorted.slice(0, 4).map((entry) => entry.token));
      expect(top![3]!.logProbability).toBeCloseTo(sorted[3]!.logProbability, 6);
      context.push(token!);
    }
  });

  test('counts what the cache held', async () => {
    model.decoder.clear();
    const reused = async (tokens: readonly number[]) =>
      (await model.generate(tokens, { maxTokens: 4, stopTokens: [] })).usage.reusedTokens;
    expect(model.decoder.cachedTokens(tokens)).toBe(0);
    expect(await reused(tokens.slice(0, 30))).toBe(0);
    expect(model.decoder.cachedTokens(tokens)).toBe(30);
    expect(await reused(tokens)).toBe(30);
    expect(await reused([...tokens.slice(0, 12), 400, 401])).toBe(12);
    expect(await reused(tokens.slice(0, 12))).toBe(11);
  });

  test('stops when aborted, within an answer too', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const stream = model.stream(prompt, { maxTokens: 100, stopTokens: [], signal: controller.signal });
    await stream.next();
    setTimeout(() => controller.abort(reason));
    const drain = async () => {
      for await (const _ of stream);
    };
    await expect(drain()).rejects.toBe(reason);
  });

  test('refuses an empty prompt, more tokens than fit, and an empty stop text', async () => {
    await expect(model.generate([])).rejects.toThrow(/the prompt has no tokens/);
    const { contextLength } = model;
    await expect(model.generate([1], { maxTokens: contextLength + 1 })).rejects.toThrow(
      /do not fit the context/,
    );
    await expect(model.generate([1], { stop: [''] })).rejects.toThrow(/a stop text is empty/);
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
