import type { NumberFormat, QuantizedMatrix } from '@lbs/format';

/** What a solver works on. */
export interface SolverInput {
  /** [rows, columns], finite. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly format: NumberFormat;
  /** Ascending indices into `weights` of those that get residuals of their own. */
  readonly salient?: Uint32Array;
}

/** Chooses the codes of one weight matrix. */
export interface Solver {
  readonly name: string;
  solve(input: SolverInput): QuantizedMatrix;
}
