import { describe, expect, it } from 'vitest';
import { encodePair } from './encode-pair.js';
import type { EvaluatedModel } from './index.js';

/** Words with the space before them are tokens, numbered in the order in which they are first seen. */
function wordModel(settings: Partial<EvaluatedModel> = {}): EvaluatedModel & { words: string[] } {
  const words = ['<s>'];
  const encode = (text: string): number[] => {
    const tokens = (text.match(/ ?[^ ]+| /g) ?? []).map((word) => {
      if (!words.includes(word)) words.push(word);
      return words.indexOf(word);
    });
    return settings.addsBeginningOfSequence ? [0, ...tokens] : tokens;
  };
  const logits = async (): Promise<Float32Array> => new Float32Array(0);
  return {
    vocabularySize: 100,
    contextLength: 64,
    addsBeginningOfSequence: false,
    encode,
    logits,
    words,
    ...settings,
  };
}

function pieces(model: ReturnType<typeof wordModel>, context: string, continuation: string): string[][] {
  const pair = encodePair(model, context, continuation);
  return [pair.context, pair.continuation].map((tokens) => tokens.map((token) => model.words[token]!));
}

describe('encodePair', () => {
  it('splits what was encoded together', () => {
    expect(pieces(wordModel(), 'the cat', ' sat down')).toEqual([
      ['the', ' cat'],
      [' sat', ' down'],
    ]);
  });

  it('moves spaces at the end of the context to the continuation', () => {
    expect(pieces(wordModel(), 'the cat ', 'sat')).toEqual([['the', ' cat'], [' sat']]);
  });

  it('counts the context alone where a token spans the boundary', () => {
    expect(pieces(wordModel(), 'the ca', 't sat')).toEqual([['the', ' cat'], [' sat']]);
  });

  it('keeps the beginning of sequence in the context', () => {
    const model = wordModel({ beginningOfSequence: 0, addsBeginningOfSequence: true });
    expect(pieces(model, 'the', ' cat')).toEqual([['<s>', 'the'], [' cat']]);
  });

  it.each([true, false])(
    'stands a beginning of sequence for an empty context (tokenizer adds it: %s)',
    (adds) => {
      const model = wordModel({ beginningOfSequence: 0, addsBeginningOfSequence: adds });
      expect(pieces(model, '', 'the cat')).toEqual([['<s>'], ['the', ' cat']]);
    },
  );

  it('refuses an empty context without a beginning of sequence', () => {
    expect(() => encodePair(wordModel(), '', 'the')).toThrowError(
      expect.objectContaining({ code: 'LBS_EVAL_EMPTY_TEXT' }),
    );
  });
});
