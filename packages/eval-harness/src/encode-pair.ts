import { EvaluationError } from './errors.js';
import type { EvaluatedModel } from './evaluated-model.js';

/** Tokens of a context and of what follows it. */
export interface EncodedPair {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

/**
 * Encodes a context and its continuation as lm-eval does (TemplateLM._encode_pair): trailing spaces of the
 * context move to the continuation, both are encoded together, and the continuation is what lies beyond as
 * many tokens as the context has alone. Encoding them apart would score tokens that the model never sees in
 * running text.
 *
 * An empty context becomes the beginning of sequence; throws EvaluationError LBS_EVAL_EMPTY_TEXT when there
 * is none.
 */
export function encodePair(model: EvaluatedModel, context: string, continuation: string): EncodedPair {
  const trimmed = context.trimEnd();
  const moved = context.slice(trimmed.length) + continuation;
  if (trimmed === '')
    return { context: beginning(model), continuation: withoutBeginning(model, model.encode(moved)) };
  const whole = model.encode(trimmed + moved);
  const length = model.encode(trimmed).length;
  return { context: whole.slice(0, length), continuation: whole.slice(length) };
}

function beginning(model: EvaluatedModel): readonly number[] {
  if (model.beginningOfSequence === undefined)
    throw new EvaluationError(
      'LBS_EVAL_EMPTY_TEXT',
      'The context is empty, and the model has no beginning of sequence that could stand for it. Give the item a context.',
    );
  return [model.beginningOfSequence];
}

function withoutBeginning(model: EvaluatedModel, tokens: readonly number[]): readonly number[] {
  return model.addsBeginningOfSequence ? tokens.slice(1) : tokens;
}
