import type { Column } from '../table.js';
import type {
  BandwidthMeasurement,
  ProductMeasurement,
  Seconds,
  ShapeMeasurements,
} from './measure-products.js';

/** A line of the table: a product, and what the memory could have given. */
export interface ReportRow extends ProductMeasurement {
  /** Bytes a second that were read from the memory in the same run, on as many threads. */
  readonly bandwidth: number;
}

export function reportRows({ products, bandwidth }: ShapeMeasurements): ReportRow[] {
  return products.map((product) => {
    const read = bandwidth.find(({ threads }) => threads === product.threads);
    return { ...product, bandwidth: read ? bytesPerSecond(read) : Number.NaN };
  });
}

export const decodeColumns: readonly Column<ReportRow>[] = [
  ['decode', ({ name }) => name],
  ['shape', ({ rows, columns }) => `${rows}x${columns}`],
  ['threads', ({ threads }) => String(threads)],
  ['1e9 weights/s', (row) => (weightsPerSecond(row) / 1e9).toFixed(1)],
  ['quartiles', (row) => quartiles(row, (seconds) => (row.rows * row.columns) / seconds / 1e9)],
  ['GB/s', (row) => (bytesPerSecond(row) / 1e9).toFixed(1)],
  ['of bandwidth', (row) => `${(100 * bandwidthShare(row)).toFixed(0)} %`],
];

export const prefillColumns: readonly Column<ReportRow>[] = [
  ['prefill', ({ name, tokens }) => `${name}, ${tokens} tokens`],
  ['shape', ({ rows, columns }) => `${rows}x${columns}`],
  ['threads', ({ threads }) => String(threads)],
  ['GOP/s', (row) => (operationsPerSecond(row) / 1e9).toFixed(1)],
  [
    'quartiles',
    (row) => quartiles(row, (seconds) => (2 * row.rows * row.columns * row.tokens) / seconds / 1e9),
  ],
];

export function bandwidthLine({ threads, ...read }: BandwidthMeasurement): string {
  const speed = (seconds: number) => read.bytes / seconds / 1e9;
  return `read, ${threads} thread${threads === 1 ? '' : 's'}: ${speed(read.seconds.median).toFixed(1)} GB/s (${quartiles(read, speed)})`;
}

/** Weights a product meets in a second, each once for all tokens. */
export function weightsPerSecond({ rows, columns, seconds }: ProductMeasurement): number {
  return (rows * columns) / seconds.median;
}

export function bytesPerSecond({
  bytes,
  seconds,
}: {
  readonly bytes: number;
  readonly seconds: Seconds;
}): number {
  return bytes / seconds.median;
}

export function bandwidthShare(row: ReportRow): number {
  return bytesPerSecond(row) / row.bandwidth;
}

/** A multiplication and an addition are two operations. */
export function operationsPerSecond({ rows, columns, tokens, seconds }: ProductMeasurement): number {
  return (2 * rows * columns * tokens) / seconds.median;
}

function quartiles({ seconds }: { readonly seconds: Seconds }, speed: (seconds: number) => number): string {
  return `${speed(seconds.upperQuartile).toFixed(1)} to ${speed(seconds.lowerQuartile).toFixed(1)}`;
}
