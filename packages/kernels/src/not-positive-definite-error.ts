import { type ErrorPlace, LbsError } from '@lbs/format';

/** A symmetric matrix has no Cholesky factorization: it is not positive definite, or too close to it for float32. */
export class NotPositiveDefiniteError extends LbsError {
  readonly code = 'LBS_NOT_POSITIVE_DEFINITE';
  /** Row and column of the pivot that is not positive and finite. */
  readonly pivot: number;

  constructor(problem: string, pivot: number, place: ErrorPlace = {}) {
    super(problem, place);
    this.pivot = pivot;
  }
}
