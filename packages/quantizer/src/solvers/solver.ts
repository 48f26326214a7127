import type { NumberFormat, QuantizedMatrix } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import type { InputStatistics } from '../calibration/input-statistics.js';

/** What a solver works on. */
export interface SolverInput {
  /** [rows, columns], finite. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly format: NumberFormat;
  /** Ascending indices into `weights` of those that get residuals of their own. */
  readonly salient?: Uint32Array | undefined;
  /** Of the layer's inputs, where they were measured. */
  readonly statistics?: InputStatistics | undefined;
  readonly kernels: Kernels;
}

/** Chooses the codes of one weight matrix. */
export interface Solver {
  readonly name: string;
  /** Whether it cannot do without the statistics of the inputs. */
  readonly needsStatistics: boolean;
  solve(input: SolverInput): QuantizedMatrix;
}
