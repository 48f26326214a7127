import {
  InvalidArgumentError,
  type QuantizedMatrix,
  rowLayout,
  scaleEncodingOf,
  writeScaleCode,
} from '@lbs/format';
import { CodeRefinement } from '@lbs/kernels';
import { assignmentOf, packMatrixCodes } from '../solvers/codes-of-matrix.js';
import { nearbyScales } from './nearby-scales.js';
import type { Refinement } from './refinement.js';

const defaultRounds = 2;
const defaultLeastGain = 0.1;
/** A row that gains less than this share of its loss may have gained nothing: sums are float32. */
const leastShare = 1e-5;

/**
 * Coordinate descent on tr((W - Q) H (W - Q)^T), the squared error of the outputs on the calibration text, with the damped second moments H of the
 * inputs. A round visits each group: its scale takes the best of the nearby storable values, then each of its sharing blocks the row of the
 * level table with the codes and residuals that are best given everything else. Cyclic descent on codes is COMQ (arXiv 2403.07134), the
 * alternation with scales decoupleQ (arXiv 2404.12759). Zero-points, scale bases and the salient weights' scales stay as they are.
 */
export const coordinateDescent: Refinement = {
  name: 'coordinate-descent',
  needsStatistics: true,
  refine(matrix, input, { rounds = defaultRounds, leastGain = defaultLeastGain } = {}) {
    const { weights, rows, columns, kernels, statistics } = input;
    if (!statistics) {
      throw new InvalidArgumentError('coordinate descent needs the second moments of the inputs', {
        mend: 'Calibrate the layer, or leave the refinement out.',
      });
    }
    const { format } = matrix;
    const refinement = new CodeRefinement(kernels, {
      ...{ format, weights, rows, columns },
      hessian: statistics.dampedHessian(),
      start: assignmentOf(matrix),
    });
    try {
      const encoding = scaleEncodingOf(format);
      const gained = new Float64Array(rows);
      let refined = matrix;
      let losses: Float64Array = gained;
      let first = 0;
      for (let round = 0; round < rounds; round++) {
        const nearby = nearbyScales(refined);
        const sweep = refinement.sweep(nearby);
        const scales = refined.scales.slice();
        for (const [i, choice] of sweep.chosen.entries()) {
          writeScaleCode(scales, encoding.bytes, i, nearby.codes[i * nearby.count + choice]!);
        }
        refined = { ...refined, scales };
        losses = sweep.losses;
        let gain = 0;
        for (const [row, value] of sweep.gains.entries()) {
          gained[row]! += value;
          gain += value;
        }
        first ||= gain;
        if (!(gain > 0) || gain < leastGain * first) break;
      }
      const { residuals, ...codes } = refinement.read();
      refined = { ...refined, ...packMatrixCodes(codes, matrix) };
      if (refined.salient) refined = { ...refined, salient: { ...refined.salient, residuals } };
      return keepRows(matrix, refined, (row) => !(gained[row]! > leastShare * losses[row]!));
    } finally {
      refinement.release();
    }
  },
};

/** `to` with the rows of `from` where `keeps` says so: those that float32 sums took for better when they were not. */
function keepRows(
  from: QuantizedMatrix,
  to: QuantizedMatrix,
  keeps: (row: number) => boolean,
): QuantizedMatrix {
  const { packedBytes, sharedBytes, scaleBytes } = rowLayout(from.format, from.columns);
  const { counts } = from.salient ?? {};
  let salientStart = 0;
  for (let row = 0; row < from.rows; row++) {
    const copy = (part: 'packed' | 'shared' | 'scales', bytes: number) =>
      to[part].set(from[part].subarray(row * bytes, (row + 1) * bytes), row * bytes);
    const salientEnd = salientStart + (counts?.[row] ?? 0);
    if (keeps(row)) {
      copy('packed', packedBytes);
      copy('shared', sharedBytes);
      copy('scales', scaleBytes);
      to.salient?.residuals.set(from.salient!.residuals.subarray(salientStart, salientEnd), salientStart);
    }
    salientStart = salientEnd;
  }
  return to;
}
