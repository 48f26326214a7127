import { packingUnit, type QuantizedMatrix, rowLayout } from '@lbs/format';
import type { DecodingPlan } from './decoding-plan.js';

/** Rows of a quad, whose units are interleaved. */
export const quadRows = 4;

/** Where the parts of a record of assembly/quantized-header.ts are, in bytes. */
export interface RecordLayout {
  readonly bytes: number;
  readonly sharedOffset: number;
  readonly scaleOffset: number;
  /** 0 where the format has no zero-points. */
  readonly zeroPointOffset: number;
  readonly quads: number;
  readonly units: number;
  readonly chunkColumns: number;
}

/** Columns that share one weight scale and one activation scale: gcd(64, group size), a multiple of 16. */
export function chunkColumnsOf(groupSize: number): number {
  return [64, 32].find((columns) => groupSize % columns === 0) ?? 16;
}

export function recordLayout({ format, rows, columns }: QuantizedMatrix, plan: DecodingPlan): RecordLayout {
  const chunkColumns = chunkColumnsOf(format.groupSize);
  const chunks = packingUnit / chunkColumns;
  const sharedOffset = quadRows * 8 * format.privateBits;
  const scaleOffset = sharedOffset + quadRows * (plan.shared?.bytes ?? 0);
  const scalesEnd = scaleOffset + quadRows * 4 * chunks;
  return {
    bytes: scalesEnd + (format.zeroPoint ? quadRows * chunks : 0),
    sharedOffset,
    scaleOffset,
    zeroPointOffset: format.zeroPoint ? scalesEnd : 0,
    quads: Math.ceil(rows / quadRows),
    units: rowLayout(format, columns).units,
    chunkColumns,
  };
}
