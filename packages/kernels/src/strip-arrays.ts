import type { GroupParameters, SalientSearch } from './code-parameters.js';
import { stripRows } from './strips.js';

/**
 * Writes scales and zero-points [rows, groups] as [strips, groups, 3, 16]: scales in `unit`, their inverses, and zero-points. Rows behind the last
 * are 0.
 */
export function writeGroupParameters(
  target: Float32Array,
  { scales, zeroPoints }: GroupParameters,
  { rows, groups, unit }: { readonly rows: number; readonly groups: number; readonly unit: number },
): void {
  target.fill(0);
  for (let row = 0; row < rows; row++) {
    const lane = row % stripRows;
    for (let group = 0; group < groups; group++) {
      const i = row * groups + group;
      const place = ((row - lane) * groups + group * stripRows) * 3 + lane;
      const scale = scales[i]! / unit;
      target[place] = scale;
      target[place + stripRows] = inverse(scale);
      target[place + 2 * stripRows] = zeroPoints?.[i] ?? 0;
    }
  }
}

/** Writes the scales of residuals [rows] as [strips, 2, 16]: in `unit`, and their inverses. */
export function writeSigmas(target: Float32Array, { scales }: SalientSearch, unit: number): void {
  target.fill(0);
  for (const [row, sigma] of scales.entries()) {
    const scale = sigma / unit;
    const place = 2 * (row - (row % stripRows)) + (row % stripRows);
    target[place] = scale;
    target[place + stripRows] = inverse(scale);
  }
}

/** [K] where the salient weights of a matrix are in its strips [strips, columns, 16], whose columns have this order. */
export function salientPlaces({ indices }: SalientSearch, order: Uint32Array): Uint32Array {
  const columns = order.length;
  const placeOf = new Uint32Array(columns);
  for (let k = 0; k < columns; k++) placeOf[order[k]!] = k;
  const places = new Uint32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    const row = Math.floor(index / columns);
    const lane = row % stripRows;
    places[i] = (row - lane) * columns + placeOf[index - row * columns]! * stripRows + lane;
  }
  return places;
}

/** Writes 255 at the places of salient weights, and 0 elsewhere. */
export function writeSalientMask(target: Uint8Array, places: Uint32Array): void {
  target.fill(0);
  for (const place of places) target[place] = 255;
}

/** A power of two near the largest magnitude: in this unit, squares stay within float32. */
export function unitOf(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  return largest > 0 ? 2 ** Math.floor(Math.log2(largest)) : 1;
}

/** 0 for a scale of 0, and finite for the smallest ones: a weight of 0 stays 0. */
function inverse(scale: number): number {
  return scale > 0 ? Math.min(1 / scale, 2 ** 127) : 0;
}
