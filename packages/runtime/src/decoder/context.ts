import { InvalidArgumentError } from '@lbs/format';
import type { ModelConfig } from '@lbs/model-loaders';

/** Longest context that gets a cache unless the caller asks for more: a model may declare 128 Ki positions. */
const defaultContextLength = 2048;

/**
 * Positions of a KV cache: what the caller asks for, or what the model was trained for, at most 2048. Throws InvalidArgumentError
 * for more than a model has learned positions.
 */
export function contextLengthOf(config: ModelConfig, asked: number | undefined): number {
  if (config.positionOffset !== undefined && asked !== undefined && asked > config.contextLength) {
    throw new InvalidArgumentError(
      `a context of ${asked} is longer than the ${config.contextLength} positions that the model has learned`,
      { mend: `Ask for a contextLength of up to ${config.contextLength}.` },
    );
  }
  return asked ?? Math.min(config.contextLength, defaultContextLength);
}

/** Throws InvalidArgumentError where the tokens do not fit the context. */
export function checkFits(tokens: number, config: ModelConfig, contextLength: number): void {
  if (tokens <= contextLength) return;
  throw new InvalidArgumentError(`${tokens} tokens do not fit the context of ${contextLength}`, {
    mend: `Shorten the text, or load the model with a contextLength of up to ${config.contextLength}.`,
  });
}

/** Throws InvalidArgumentError where the tokens do not fit the context or one is outside of the vocabulary. */
export function checkTokens(tokens: readonly number[], config: ModelConfig, contextLength: number): void {
  checkFits(tokens.length, config, contextLength);
  const bad = tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= config.vocabularySize);
  if (bad !== undefined) {
    throw new InvalidArgumentError(`token ${bad} is outside of the vocabulary of ${config.vocabularySize}`);
  }
}
