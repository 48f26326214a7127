import { type ErrorPlace, InvalidArgumentError, MalformedFileError } from './errors.js';
import { float16NotBelow, numberFromFloat16 } from './float16.js';
import { log8Scale } from './scale-encodings/log8.js';

/** Residuals of a salient weight reach from the negative of this to this. */
export const largestResidual = 127;

/** The scales of the rows that have salient weights, as stored (SPEC 7.2). */
export interface StoredSalientScales {
  readonly codes: Uint8Array;
  /** binary16 bits. */
  readonly base: number;
}

/**
 * The scales of a matrix's salient weights (sigma), chosen among those that can be stored: with its row's scale, a
 * difference of `largest` has a residual of at most `largestResidual`. `largest` [rows] holds the greatest magnitude of
 * a difference in each row, 0 where there is none; so it must be known for all rows before any residual is. Beyond
 * 127 times the largest binary16 the residuals have to be clamped.
 *
 * Up to about 150 salient weights a row, rounding a scale up leaves less squared error than the nearest one and a
 * clamped residual.
 */
export function chooseSalientScales(largest: ArrayLike<number>): Float32Array {
  const ideal = Float64Array.from(largest, (difference) => difference / largestResidual);
  const base = numberFromFloat16(baseOf(ideal));
  return Float32Array.from(ideal, (scale) => {
    const nearest = log8Scale.nearest(scale, base);
    const isBelow = log8Scale.decode(nearest, base) < scale && nearest > 0;
    return log8Scale.decode(isBelow ? nearest - 1 : nearest, base);
  });
}

/** Throws InvalidArgumentError where a scale is not one that `chooseSalientScales` may choose beside the others. */
export function encodeSalientScales(scales: Float32Array): StoredSalientScales {
  const base = baseOf(scales);
  const value = numberFromFloat16(base);
  const codes = Uint8Array.from(scales, (scale) => log8Scale.nearest(scale, value));
  const bad = scales.findIndex((scale, i) => log8Scale.decode(codes[i]!, value) !== scale);
  if (bad >= 0) {
    throw new InvalidArgumentError(
      `the scale ${scales[bad]} of salient weights cannot be stored beside the largest one, which asks for the base ${value}`,
      { mend: 'Choose the scales of a matrix with chooseSalientScales.' },
    );
  }
  return { codes, base };
}

/** Where the parts of the scales are stored, for errors. */
export interface SalientScalePlaces {
  readonly codes: ErrorPlace;
  readonly base: ErrorPlace;
}

/** Reverses `encodeSalientScales`. Throws MalformedFileError where base and codes are not the ones that it gives. */
export function decodeSalientScales(
  { codes, base }: StoredSalientScales,
  places: SalientScalePlaces = { codes: {}, base: {} },
): Float32Array {
  const value = numberFromFloat16(base);
  const scales = Float32Array.from(codes, (code) => log8Scale.decode(code, value));
  if (base !== baseOf(scales)) {
    throw new MalformedFileError(
      `the base ${value} is not the smallest binary16 from the largest scale of salient weights on`,
      places.base,
    );
  }
  const bad = codes.findIndex((code, i) => code !== log8Scale.nearest(scales[i]!, value));
  if (bad >= 0) {
    throw new MalformedFileError(
      `code ${codes[bad]} stands for a scale of 0 where 255 should be, of the row with salient weights number ${bad}`,
      places.codes,
    );
  }
  return scales;
}

/** The base of scales in a matrix, as binary16 bits. */
function baseOf(scales: Iterable<number>): number {
  let largest = 0;
  for (const scale of scales) largest = Math.max(largest, scale);
  return float16NotBelow(largest);
}
