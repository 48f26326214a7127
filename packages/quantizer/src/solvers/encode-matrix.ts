import { chooseSalientScales, type QuantizedMatrix, type SalientWeights } from '@lbs/format';
import { type ChosenCodes, CodeSearch, type ErrorFeedback } from '@lbs/kernels';
import type { MatrixScales } from '../scales/matrix-scales.js';
import { searchStorableScales } from '../scales/storable-scales.js';
import { packMatrixCodes } from './codes-of-matrix.js';
import { decodeCodes } from './decode-codes.js';
import type { SolverInput } from './solver.js';

/** How far residuals may reach beyond those of rounding without feedback: weights move while errors are fed back. */
const feedbackHeadroom = 1.15;

/** How the codes of a matrix are chosen. */
export interface EncodingOptions {
  /** [columns] how much the squared error of each input feature counts; or [rows, columns] of each weight. */
  readonly importance: Float32Array;
  readonly feedback?: ErrorFeedback | undefined;
  /** Chooses scales and zero-points for the weights of a matrix; default: those with the least importance-weighted squared error. */
  readonly fitScales?: ((matrix: ScaledMatrix) => MatrixScales) | undefined;
}

/** What scales and zero-points are chosen for: [rows, columns] weights, those that are salient set to 0. */
export type ScaledMatrix = Pick<SolverInput, 'weights' | 'rows' | 'columns' | 'format'>;

/**
 * Chooses scales, codes and residuals of a matrix. Salient weights are zero for the scale fit, and their residuals are chosen with the codes, inside
 * of the feedback of rounding errors where there is one.
 */
export function encodeMatrix(input: SolverInput, options: EncodingOptions): QuantizedMatrix {
  const { importance, feedback } = options;
  const { weights, rows, columns, format, salient, kernels } = input;
  const shape = { format, rows, columns, importance };
  const scales = chooseScales(input, options);
  const parameters = { scales: scales.values, ...(format.zeroPoint && { zeroPoints: scales.zeroPoints }) };
  const search = new CodeSearch(kernels, { ...shape, weights });
  try {
    if (!salient) return assemble(input, scales, search.choose(parameters, { feedback }));
    // Residuals that can be anything tell what dense codes are chosen when they need not serve the salient weights.
    const roughly = chooseSalientScales(largestOfRows(input, (index) => Math.abs(weights[index]!)));
    const dense = search.choose(parameters, { salient: { indices: salient, scales: roughly } });
    const rounded = decodeCodes(input, scales, dense);
    const headroom = feedback ? feedbackHeadroom : 1;
    const sigmas = chooseSalientScales(
      largestOfRows(input, (index) => headroom * Math.abs(weights[index]! - rounded[index]!)),
    );
    const chosen = search.choose(parameters, { salient: { indices: salient, scales: sigmas }, feedback });
    return assemble(input, scales, chosen, sigmas);
  } finally {
    search.release();
  }
}

/** [rows] the greatest value that a row's salient weights have. */
function largestOfRows(
  { rows, columns, salient = new Uint32Array() }: SolverInput,
  value: (index: number) => number,
): Float64Array {
  const largest = new Float64Array(rows);
  for (const index of salient) {
    const row = Math.floor(index / columns);
    largest[row] = Math.max(largest[row]!, value(index));
  }
  return largest;
}

/** The scales that fit everything but the salient weights. */
function chooseScales(
  { weights, rows, columns, format, salient, kernels }: SolverInput,
  { importance, fitScales }: EncodingOptions,
): MatrixScales {
  const fitted = salient ? weights.slice() : weights;
  for (const index of salient ?? []) fitted[index] = 0;
  if (fitScales) return fitScales({ weights: fitted, rows, columns, format });
  const search = new CodeSearch(kernels, { format, weights: fitted, rows, columns, importance });
  try {
    return searchStorableScales(format, search, { weights: fitted, rows, columns, importance });
  } finally {
    search.release();
  }
}

function assemble(
  { rows, columns, format, salient }: SolverInput,
  { scales, scaleBases, zeroPoints }: MatrixScales,
  { codes, shared, residuals }: ChosenCodes,
  sigmas?: Float32Array,
): QuantizedMatrix {
  const matrix = {
    ...{ format, rows, columns },
    ...packMatrixCodes({ codes, shared }, { format, rows, columns }),
    ...{ scales, scaleBases },
    ...(format.zeroPoint && { zeroPoints }),
  };
  if (!salient || !sigmas) return matrix;
  return { ...matrix, salient: salientWeights(rows, columns, salient, residuals, sigmas) };
}

function salientWeights(
  rows: number,
  columns: number,
  indices: Uint32Array,
  residuals: Int8Array,
  scales: Float32Array,
): SalientWeights {
  const counts = new Uint32Array(rows);
  for (const index of indices) counts[Math.floor(index / columns)]!++;
  return { counts, columns: indices.map((index) => index % columns), residuals, scales };
}
