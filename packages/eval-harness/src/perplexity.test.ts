import { describe, expect, it } from 'vitest';
import { bigramModel, logitsOf } from './fixtures/toy-models.js';
import { type EvaluationProgress, evaluatePerplexity } from './index.js';

// After a: a 1/2, b 1/4, c 1/4. After b and c: other distributions, so that a wrong position changes the value.
const table = [
  logitsOf([1 / 2, 1 / 4, 1 / 4]),
  logitsOf([1 / 8, 1 / 8, 3 / 4]),
  logitsOf([1 / 10, 4 / 5, 1 / 10]),
];

describe('evaluatePerplexity', () => {
  it('scores the second half of each chunk by the tokens that follow', async () => {
    const model = bigramModel(table);
    // Chunks "ccabab" and "aaaacb", first = 3: a is not scored; b->a 1/8, a->b 1/4; then a->c 1/4, c->b 4/5.
    const result = await evaluatePerplexity(model, 'ccababaaaacb', { contextLength: 6 });
    const losses = [1 / 8, 1 / 4, 1 / 4, 4 / 5].map((probability) => -Math.log(probability));
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / 4;
    const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / 4;
    expect(result.perplexity.value).toBeCloseTo((8 * 4 * 4 * 1.25) ** (1 / 4), 6);
    expect(result.perplexity.stderr).toBeCloseTo(Math.sqrt(variance / 3) * Math.exp(mean), 6);
    expect(result.negativeLogLikelihood.value).toBeCloseTo(mean, 6);
    expect(result).toMatchObject({ protocol: 'llama.cpp', contextLength: 6, chunks: 2, tokens: 4 });
  });

  it('asks for no logits that it does not score', async () => {
    const model = bigramModel(table);
    await evaluatePerplexity(model, 'ccababaaaacb', { contextLength: 6 });
    expect(model.calls).toEqual([
      { tokens: [2, 2, 0, 1, 0], first: 3 },
      { tokens: [0, 0, 0, 0, 2], first: 3 },
    ]);
  });

  it('gives a uniform model the vocabulary size', async () => {
    const model = bigramModel([[7, 7, 7, 7]].concat(Array(3).fill([-2, -2, -2, -2])));
    const { perplexity } = await evaluatePerplexity(model, 'abcdabcddcba', { contextLength: 4 });
    expect(perplexity.value).toBeCloseTo(4, 12);
    expect(perplexity.stderr).toBeCloseTo(0, 12);
  });

  it('replaces first tokens only where the tokenizer adds a beginning of sequence', async () => {
    const adds = bigramModel(table, { beginningOfSequence: 2, addsBeginningOfSequence: true });
    await evaluatePerplexity(adds, 'aaaaaaa', { contextLength: 4 });
    expect(adds.calls.map((call) => call.tokens)).toEqual([
      [2, 0, 0],
      [2, 0, 0],
    ]);
    const has = bigramModel(table, { beginningOfSequence: 2 });
    await evaluatePerplexity(has, 'aaaaaaaa', { contextLength: 4 });
    expect(has.calls[0]!.tokens).toEqual([0, 0, 0]);
  });

  it('takes token ids, and tells texts apart by their hash', async () => {
    const model = bigramModel(table);
    const text = await evaluatePerplexity(model, 'abcabcab', { contextLength: 4 });
    const tokens = await evaluatePerplexity(model, [0, 1, 2, 0, 1, 2, 0, 1], { contextLength: 4 });
    expect(tokens).toEqual(text);
    const other = await evaluatePerplexity(model, 'bbcabcab', { contextLength: 4 });
    expect(other.tokensSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(other.tokensSha256).not.toBe(text.tokensSha256);
  });

  it('defaults to a context of 512, or the whole of a shorter one', async () => {
    const short = bigramModel(table, { contextLength: 8 });
    expect((await evaluatePerplexity(short, 'a'.repeat(20))).contextLength).toBe(8);
    const long = bigramModel(table, { contextLength: 2048 });
    expect((await evaluatePerplexity(long, 'a'.repeat(1100))).contextLength).toBe(512);
  });

  it.each([
    ['an empty text', '', {}, 'LBS_EVAL_EMPTY_TEXT', /0 tokens/],
    ['no tokens', [], {}, 'LBS_EVAL_EMPTY_TEXT', /128 tokens/],
    [
      'a text shorter than two contexts',
      'abcabc',
      { contextLength: 4 },
      'LBS_EVAL_TEXT_TOO_SHORT',
      /8 tokens.*has 6/,
    ],
    [
      'a context that the model does not hold',
      'abc',
      { contextLength: 65 },
      'LBS_EVAL_CONTEXT_TOO_LONG',
      /at most 64/,
    ],
    [
      'tokens of another tokenizer',
      'abcdabcd',
      { contextLength: 4 },
      'LBS_EVAL_UNKNOWN_TOKEN',
      /Token 3 at position 3/,
    ],
  ] as const)('refuses %s', async (_, text, options, code, message) => {
    const run = evaluatePerplexity(bigramModel(table), text, options);
    await expect(run).rejects.toMatchObject({
      name: 'EvaluationError',
      code,
      message: expect.stringMatching(message),
    });
  });

  it('treats a text as empty although the tokenizer adds a token', async () => {
    const model = bigramModel(table, { beginningOfSequence: 0, addsBeginningOfSequence: true });
    await expect(evaluatePerplexity(model, '')).rejects.toMatchObject({ code: 'LBS_EVAL_EMPTY_TEXT' });
  });

  it('notices a model that returns all positions', async () => {
    const model = { ...bigramModel(table), logits: async () => new Float32Array(9) };
    const run = evaluatePerplexity(model, 'abcabcab', { contextLength: 4 });
    await expect(run).rejects.toMatchObject({
      code: 'LBS_EVAL_WRONG_LOGITS',
      message: expect.stringMatching(/3 are needed/),
    });
  });

  it('reports progress after every chunk', async () => {
    const events: EvaluationProgress[] = [];
    const onProgress = (event: EvaluationProgress): number => events.push(event);
    const { perplexity } = await evaluatePerplexity(bigramModel(table), 'abcabcabcabc', {
      contextLength: 4,
      onProgress,
    });
    expect(events.map(({ unit, completed, total }) => [unit, completed, total])).toEqual([
      ['chunks', 1, 3],
      ['chunks', 2, 3],
      ['chunks', 3, 3],
    ]);
    expect(events[2]!.value).toBeCloseTo(perplexity.value, 12);
  });

  it('stops when aborted, before and between chunks', async () => {
    const reason = new Error('enough');
    const model = bigramModel(table);
    const aborted = evaluatePerplexity(model, 'abcabcab', {
      contextLength: 4,
      signal: AbortSignal.abort(reason),
    });
    await expect(aborted).rejects.toBe(reason);
    expect(model.calls).toHaveLength(0);

    const controller = new AbortController();
    const options = {
      contextLength: 4,
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    };
    await expect(evaluatePerplexity(model, 'abcabcabcabc', options)).rejects.toBe(reason);
    expect(model.calls).toHaveLength(1);
  });
});
