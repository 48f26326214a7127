import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvaluationError, llamaCppChunks, scoredPositions } from './index.js';

const range = (length: number): number[] => Array.from({ length }, (_, index) => index + 100);

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof EvaluationError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
}

describe('llamaCppChunks', () => {
  it('cuts chunks one after another and leaves the rest out', () => {
    expect(llamaCppChunks(range(11), { contextLength: 4 })).toEqual([
      { tokens: [100, 101, 102, 103], first: 2 },
      { tokens: [104, 105, 106, 107], first: 2 },
    ]);
  });

  it('replaces the first token of every chunk by the beginning of sequence', () => {
    const tokens = range(10);
    expect(
      llamaCppChunks(tokens, { contextLength: 5, beginningOfSequence: 1 }).map((chunk) => chunk.tokens),
    ).toEqual([
      [1, 101, 102, 103, 104],
      [1, 106, 107, 108, 109],
    ]);
    expect(tokens[0]).toBe(100);
  });

  it('scores positions n/2 to n - 2: llama.cpp scores 255 of 512', () => {
    expect([512, 256, 15, 4, 3].map(scoredPositions)).toEqual([255, 127, 7, 1, 1]);
    expect(llamaCppChunks(range(30), { contextLength: 15 })[1]!.first).toBe(7);
  });

  it('evaluates as many chunks as are asked for, and all when more are', () => {
    expect(llamaCppChunks(range(40), { contextLength: 4, chunks: 3 })).toHaveLength(3);
    expect(llamaCppChunks(range(40), { contextLength: 4, chunks: 99 })).toHaveLength(10);
  });

  it('says how many tokens are needed and how many there are', () => {
    expect(codeOf(() => llamaCppChunks([], { contextLength: 512 }))).toMatch(
      /^LBS_EVAL_EMPTY_TEXT: .*0 tokens.*at least 1024 tokens/,
    );
    expect(codeOf(() => llamaCppChunks(range(1023), { contextLength: 512 }))).toMatch(
      /^LBS_EVAL_TEXT_TOO_SHORT: .*at least 1024 tokens, the text has 1023.*at most 511/,
    );
    expect(codeOf(() => llamaCppChunks(range(1024), { contextLength: 512 }))).toBe('no error');
  });

  it.each([2, 0, -4, 3.5, Number.NaN])('refuses a context of %s tokens', (contextLength) => {
    expect(codeOf(() => llamaCppChunks(range(20), { contextLength }))).toMatch(/^LBS_EVAL_INVALID_OPTION/);
  });

  it('refuses no chunks', () => {
    expect(codeOf(() => llamaCppChunks(range(20), { contextLength: 4, chunks: 0 }))).toMatch(/chunks is 0/);
  });

  it('keeps the order of the text, whatever its length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 20 }),
        fc.integer({ min: 0, max: 100 }),
        (contextLength, more) => {
          const tokens = range(2 * contextLength + more);
          const joined = llamaCppChunks(tokens, { contextLength }).flatMap((chunk) => chunk.tokens);
          expect(joined).toEqual(tokens.slice(0, joined.length));
          expect(tokens.length - joined.length).toBeLessThan(contextLength);
        },
      ),
    );
  });
});
