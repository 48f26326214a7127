import { describe, expect, it } from 'vitest';
import { bigramModel, logitsOf } from './fixtures/toy-models.js';
import {
  type EvaluationProgress,
  evaluateMultipleChoice,
  type MultipleChoiceItem,
  type MultipleChoiceTask,
} from './index.js';

const table = [
  logitsOf([1 / 2, 1 / 4, 1 / 4]),
  logitsOf([1 / 8, 1 / 8, 3 / 4]),
  logitsOf([1 / 10, 4 / 5, 1 / 10]),
];

function task(items: readonly MultipleChoiceItem[]): MultipleChoiceTask {
  return { kind: 'multiple_choice', task: 'toy', version: 1, description: '', targetDelimiter: '', items };
}

describe('evaluateMultipleChoice', () => {
  it('sums log-probabilities over the choice, not over the context', async () => {
    const model = bigramModel(table);
    const items = [{ context: 'cca', choices: ['b', 'aa', 'cb'], gold: 0 }];
    const { samples } = await evaluateMultipleChoice(model, task(items));
    const expected = [1 / 4, 1 / 2 / 2, (1 / 4) * (4 / 5)].map(Math.log);
    for (const [index, value] of expected.entries())
      expect(samples[0]!.logLikelihoods[index]).toBeCloseTo(value, 6);
  });

  it('scores choices of an item one after another, from the last token of the context on', async () => {
    const model = bigramModel(table);
    await evaluateMultipleChoice(model, task([{ context: 'cca', choices: ['b', 'aa'], gold: 0 }]));
    expect(model.calls).toEqual([
      { tokens: [2, 2, 0], first: 2 },
      { tokens: [2, 2, 0, 0], first: 2 },
    ]);
  });

  it('takes the first of equal choices', async () => {
    const model = bigramModel(table);
    const items = [
      { context: 'a', choices: ['b', 'c'], gold: 0 },
      { context: 'a', choices: ['b', 'c'], gold: 1 },
    ];
    const result = await evaluateMultipleChoice(model, task(items));
    expect(result.samples.map((sample) => sample.prediction)).toEqual([0, 0]);
    expect(result.accuracy.value).toBe(0.5);
  });

  it('divides by characters for the normalized accuracy', async () => {
    // Sums: ln 1/4 and ln 1/8 (a a a): by the sum the first wins, by character the second does.
    const items = [{ context: 'a', choices: ['b', 'aaa'], gold: 1 }];
    const result = await evaluateMultipleChoice(bigramModel(table), task(items));
    expect(result.accuracy.value).toBe(0);
    expect(result.accuracyNormalized.value).toBe(1);
  });

  it('counts characters as code points and without the delimiter', async () => {
    // Every token has probability 1/2; an emoji is one token, one code point, two UTF-16 units.
    const even = bigramModel([
      [0, 0],
      [0, 0],
    ]);
    const model = { ...even, encode: (text: string) => Array.from(text, () => 0) };
    const items = [
      { context: 'a', choices: ['ab', '\u{1f600}'], gold: 1 },
      { context: 'a', choices: ['a', 'aaa'], gold: 1 },
    ];
    const { samples } = await evaluateMultipleChoice(model, { ...task(items), targetDelimiter: ' ' });
    // Tokens per character: 3/2 against 2/1; in UTF-16 units it would be 3/2 against 2/2.
    expect(samples[0]!.predictionNormalized).toBe(0);
    // 2/1 against 4/3; with the delimiter counted it would be 2/2 against 4/4.
    expect(samples[1]!.predictionNormalized).toBe(1);
  });

  it('gives the sample standard error of the share', async () => {
    const right = { context: 'a', choices: ['a', 'b'], gold: 0 };
    const wrong = { ...right, gold: 1 };
    const { accuracy, items } = await evaluateMultipleChoice(
      bigramModel(table),
      task([right, right, right, wrong]),
    );
    expect(items).toBe(4);
    expect(accuracy).toEqual({ value: 0.75, stderr: 0.25 });
  });

  it('cuts a context that does not fit at its beginning, and says so', async () => {
    const model = bigramModel(table, { contextLength: 4 });
    const result = await evaluateMultipleChoice(
      model,
      task([
        { context: 'cbcba', choices: ['ab', 'b'], gold: 0 },
        { context: 'abc', choices: ['ab', 'b'], gold: 0 },
      ]),
    );
    expect(model.calls[0]).toEqual({ tokens: [2, 1, 0, 0], first: 2 });
    expect(model.calls[2]).toEqual({ tokens: [0, 1, 2, 0], first: 2 });
    expect(result.truncatedItems).toBe(1);
  });

  it('refuses a choice longer than the context', async () => {
    const model = bigramModel(table, { contextLength: 4 });
    const run = evaluateMultipleChoice(model, task([{ context: 'a', choices: ['abcab', 'a'], gold: 0 }]));
    await expect(run).rejects.toMatchObject({ code: 'LBS_EVAL_CONTEXT_TOO_LONG' });
  });

  it('refuses a choice that adds no token', async () => {
    const model = { ...bigramModel(table), encode: () => [0, 1] };
    const run = evaluateMultipleChoice(model, task([{ context: 'a', choices: ['b', 'c'], gold: 0 }]));
    await expect(run).rejects.toMatchObject({ code: 'LBS_EVAL_EMPTY_TEXT' });
  });

  it('scores the choices together where the model can, with the same result', async () => {
    const items = [
      { context: 'abc', choices: ['ab', 'c', 'bca'], gold: 1 },
      { context: 'a', choices: ['a', 'b'], gold: 0 },
      { context: 'cabcabcabcab', choices: ['a', 'bb'], gold: 1 },
    ];
    const alone = bigramModel(table, { contextLength: 8 });
    const expected = await evaluateMultipleChoice(alone, task(items));
    const inner = bigramModel(table, { contextLength: 8 });
    const calls: (readonly number[])[] = [];
    const together = {
      ...inner,
      async continuations(context: readonly number[], continuations: readonly (readonly number[])[]) {
        calls.push(context);
        const logits: Float32Array[] = [];
        for (const continuation of continuations) {
          const whole = [...context, ...continuation].slice(0, -1);
          logits.push((await inner.logits(whole, context.length - 1)).slice());
        }
        return logits;
      },
    };
    expect(await evaluateMultipleChoice(together, task(items))).toEqual(expected);
    expect(calls.length).toBe(2);
    const broken = { ...inner, continuations: async () => [new Float32Array(1)] };
    await expect(evaluateMultipleChoice(broken, task(items))).rejects.toMatchObject({
      code: 'LBS_EVAL_WRONG_LOGITS',
    });
  });

  it('evaluates the first items up to the limit, reports each and stops when aborted', async () => {
    const items = Array<MultipleChoiceItem>(5).fill({ context: 'a', choices: ['a', 'b'], gold: 0 });
    const events: EvaluationProgress[] = [];
    const onProgress = (event: EvaluationProgress): number => events.push(event);
    const result = await evaluateMultipleChoice(bigramModel(table), task(items), { limit: 2, onProgress });
    expect(result.items).toBe(2);
    expect(events).toEqual([
      { unit: 'items', completed: 1, total: 2, value: 1 },
      { unit: 'items', completed: 2, total: 2, value: 1 },
    ]);

    const controller = new AbortController();
    const model = bigramModel(table);
    const options = { signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) };
    await expect(evaluateMultipleChoice(model, task(items), options)).rejects.toThrow('enough');
    expect(model.calls).toHaveLength(2);
  });

  it.each([0, -1, 1.5])('refuses a limit of %s', async (limit) => {
    const run = evaluateMultipleChoice(bigramModel(table), task([]), { limit });
    await expect(run).rejects.toMatchObject({ code: 'LBS_EVAL_INVALID_OPTION' });
  });
});
