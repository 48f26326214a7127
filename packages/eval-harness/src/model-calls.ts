import { EvaluationError } from './errors.js';
import type { EvaluatedModel } from './evaluated-model.js';

/** Calls `model.logits` and checks that [tokens.length - first, vocabularySize] values came back. */
export async function requestLogits(
  model: EvaluatedModel,
  tokens: readonly number[],
  first: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  signal?.throwIfAborted();
  const logits = await model.logits(tokens, first, { signal });
  signal?.throwIfAborted();
  const expected = (tokens.length - first) * model.vocabularySize;
  if (logits.length !== expected)
    throw new EvaluationError(
      'LBS_EVAL_WRONG_LOGITS',
      `The model returned ${logits.length} logits for positions ${first} to ${tokens.length - 1} of a vocabulary of ` +
        `${model.vocabularySize}, ${expected} are needed. Mend the adapter's logits method.`,
    );
  return logits;
}

/** Calls `model.continuations`, which it has, and checks that [continuation.length, vocabularySize] values came back for each. */
export async function requestContinuations(
  model: EvaluatedModel,
  context: readonly number[],
  continuations: readonly (readonly number[])[],
  signal: AbortSignal | undefined,
): Promise<readonly Float32Array[]> {
  signal?.throwIfAborted();
  const logits = await model.continuations!(context, continuations, { signal });
  signal?.throwIfAborted();
  const isWhole = (tokens: readonly number[], i: number) =>
    logits[i]?.length === tokens.length * model.vocabularySize;
  if (!continuations.every(isWhole))
    throw new EvaluationError(
      'LBS_EVAL_WRONG_LOGITS',
      `The model returned ${logits.map(({ length }) => length).join(', ')} logits for continuations of ` +
        `${continuations.map(({ length }) => length).join(', ')} tokens and a vocabulary of ${model.vocabularySize}. Mend the ` +
        `adapter's continuations method.`,
    );
  return logits;
}

/** Throws EvaluationError when a token is not in the vocabulary: it was made by another tokenizer. */
export function checkTokens(tokens: readonly number[], vocabularySize: number): void {
  const wrong = tokens.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (wrong >= 0)
    throw new EvaluationError(
      'LBS_EVAL_UNKNOWN_TOKEN',
      `Token ${tokens[wrong]} at position ${wrong} is not in the vocabulary of ${vocabularySize}. Encode the text with ` +
        `the tokenizer of this model.`,
    );
}
