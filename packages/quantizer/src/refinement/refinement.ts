import type { QuantizedMatrix } from '@lbs/format';
import type { SolverInput } from '../solvers/solver.js';

/** How long a refinement goes on. */
export interface RefinementOptions {
  /** Most rounds. */
  readonly rounds?: number | undefined;
  /** Ends after a round that gains less than this share of what the first one gained. */
  readonly leastGain?: number | undefined;
}

/** Improves the codes that a solver has chosen: a post-correction. It makes no row worse by its own measure. */
export interface Refinement {
  readonly name: string;
  /** Whether it cannot do without the statistics of the inputs. */
  readonly needsStatistics: boolean;
  /** `matrix` is what a solver made of `input`. */
  refine(matrix: QuantizedMatrix, input: SolverInput, options?: RefinementOptions): QuantizedMatrix;
}
