import { InvalidArgumentError } from '@lbs/format';

/** How a calibration text is cut. */
export interface SequenceOptions {
  /** Tokens of a sequence; at most the model's context. Default 512. */
  readonly length?: number | undefined;
  /** Tokens to use in all; fewer where the text is shorter. Default 64 * 512. */
  readonly tokens?: number | undefined;
  /** Replaces the first token of every sequence; pass it where the tokenizer puts it before texts. */
  readonly beginningOfSequence?: number | undefined;
}

/** 64 sequences of 512 tokens. */
const defaultLength = 512;
const defaultTokens = 64 * defaultLength;

/**
 * Cuts the tokens of a text into sequences of one length, in order; what is left over at the end is not used. Throws
 * InvalidArgumentError where the text does not fill one sequence.
 */
export function cutSequences(tokens: readonly number[], options: SequenceOptions = {}): number[][] {
  const { length = defaultLength, tokens: wanted = defaultTokens, beginningOfSequence } = options;
  const count = Math.floor(Math.min(tokens.length, wanted) / length);
  if (count < 1) {
    throw new InvalidArgumentError(
      `the calibration text has ${tokens.length} tokens and does not fill a sequence of ${length}`,
      { mend: 'Give a longer text.' },
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const sequence = tokens.slice(i * length, (i + 1) * length);
    if (beginningOfSequence !== undefined) sequence[0] = beginningOfSequence;
    return sequence;
  });
}
