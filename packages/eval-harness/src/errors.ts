/** Why an evaluation could not be done; stable, for programs. */
export type EvaluationErrorCode =
  /** The text has no tokens. */
  | 'LBS_EVAL_EMPTY_TEXT'
  /** The text has fewer tokens than the protocol needs. */
  | 'LBS_EVAL_TEXT_TOO_SHORT'
  /** A chunk or an item is longer than the model's context. */
  | 'LBS_EVAL_CONTEXT_TOO_LONG'
  /** An option has a value outside its range. */
  | 'LBS_EVAL_INVALID_OPTION'
  /** A token id is not in the model's vocabulary. */
  | 'LBS_EVAL_UNKNOWN_TOKEN'
  /** Models that are compared do not share a vocabulary. */
  | 'LBS_EVAL_VOCABULARY_MISMATCH'
  /** The model returned another number of logits than it was asked for. */
  | 'LBS_EVAL_WRONG_LOGITS'
  /** The model returned NaN or infinite logits. */
  | 'LBS_EVAL_NOT_FINITE'
  /** The task needs a method that the model does not have. */
  | 'LBS_EVAL_UNSUPPORTED_TASK'
  /** A task's declaration or items break the rules of the format. */
  | 'LBS_EVAL_MALFORMED_TASK';

/** The one error class of this package; the message names the values and what to do about them. */
export class EvaluationError extends Error {
  readonly code: EvaluationErrorCode;

  constructor(code: EvaluationErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'EvaluationError';
    this.code = code;
  }
}
