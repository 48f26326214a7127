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
  ['decode', (row) => label(row)],
  ['shape', ({ rows, columns }) => `${rows}x${columns}`],
  ['threads', ({ threads }) => String(threads)],
  ['1e9 weights/s', (row) => (weightsPerSecond(row) / 1e9).toFixed(1)],
  ['quartiles', (row) => quartiles(row, (seconds) => (row.rows * row.columns) / seconds / 1e9)],
  ['best', (row) => ((row.rows * row.columns) / row.seconds.least / 1e9).toFixed(1)],
  ['GB/s', (row) => (bytesPerSecond(row) / 1e9).toFixed(1)],
  ['of bandwidth', (row) => `${(100 * bandwidthShare(row)).toFixed(0)} %`],
];

export const prefillColumns: readonly Column<ReportRow>[] = [
  ['prefill', (row) => `${label(row)}, ${row.tokens} tokens`],
  ['shape', ({ rows, columns }) => `${rows}x${columns}`],
  ['threads', ({ threads }) => String(threads)],
  ['GOP/s', (row) => (operationsPerSecond(row) / 1e9).toFixed(1)],
  [
    'best',
    ({ seconds, ...row }) =>
      (operationsPerSecond({ ...row, seconds: { ...seconds, median: seconds.least } }) / 1e9).toFixed(1),
  ],
  [
    'quartiles',
    (row) => quartiles(row, (seconds) => (2 * row.rows * row.columns * row.tokens) / seconds / 1e9),
  ],
];

export function bandwidthLine({ threads, ...read }: BandwidthMeasurement): string {
  const speed = (seconds: number) => read.bytes / seconds / 1e9;
  return `read, ${threads} thread${threads === 1 ? '' : 's'}: ${speed(read.seconds.median).toFixed(1)} GB/s (${quartiles(read, speed)}, best ${speed(read.seconds.least).toFixed(1)})`;
}

function label({ name, activations }: ProductMeasurement): string {
  return activations ? `${name} x ${activations}` : name;
}

/** A comparison of two figures of one run, by medians and by the best of all rounds. */
export interface Ratio {
  readonly name: string;
  readonly ofMedians: number;
  readonly ofBest: number;
}

type Choice = Pick<ProductMeasurement, 'name' | 'threads' | 'tokens' | 'activations'>;

/** What the kernels are held to: shares of the bandwidth, what shared bits cost, and how products scale. */
export function ratios({ products, bandwidth }: ShapeMeasurements): Ratio[] {
  const find = (choice: Choice) =>
    products.find((product) =>
      (['name', 'threads', 'tokens', 'activations'] as const).every((key) => product[key] === choice[key]),
    );
  const precisions = [...new Set(products.flatMap(({ activations }) => activations ?? []))];
  const prefill = Math.max(...products.map(({ tokens }) => tokens));
  return precisions.flatMap((activations) => {
    const faster = (name: string, of: string, threads: number) =>
      ratio(
        `decode x ${activations}, ${threads} threads: ${name} against ${of}, speed`,
        find({ name: of, threads, tokens: 1, activations }),
        find({ name, threads, tokens: 1, activations }),
      );
    const share = (name: string, threads: number) => {
      const product = find({ name, threads, tokens: 1, activations });
      const read = bandwidth.find((each) => each.threads === threads);
      const asRead = read && product && { seconds: scaleSeconds(read.seconds, product.bytes / read.bytes) };
      return ratio(`decode x ${activations}, ${threads} threads: ${name} of the bandwidth`, asRead, product);
    };
    const scaling = (name: string) =>
      prefill === 1
        ? []
        : ratio(
            `prefill x ${activations}: ${name} on 2 threads against 1, speed`,
            find({ name, threads: 1, tokens: prefill, activations }),
            find({ name, threads: 2, tokens: prefill, activations }),
          );
    return [
      ...['int4', 'lbs4-s2x16', 'lbs4-s2x8', 'int8'].flatMap((name) => share(name, 2)),
      ...[1, 2].flatMap((threads) => [
        ...[2, 3, 4].flatMap((bits) => faster(`lbs${bits}-s2x8`, `int${bits}`, threads)),
        ...faster('lbs4-s2x8-linear', 'int4', threads),
        ...[2, 3].flatMap((bits) => faster(`lbs${bits}-s2x8`, 'lbs4-s2x8', threads)),
      ]),
      ...['int4', 'lbs4-s2x8', 'int8'].flatMap(scaling),
    ];
  });
}

function scaleSeconds({ least, median, lowerQuartile, upperQuartile }: Seconds, factor: number): Seconds {
  return {
    least: least * factor,
    median: median * factor,
    lowerQuartile: lowerQuartile * factor,
    upperQuartile: upperQuartile * factor,
  };
}

/** The time of the first over that of the second; nothing where one was not measured. */
function ratio(name: string, first?: { seconds: Seconds }, second?: { seconds: Seconds }): Ratio[] {
  if (!first || !second) return [];
  return [
    {
      name,
      ofMedians: first.seconds.median / second.seconds.median,
      ofBest: first.seconds.least / second.seconds.least,
    },
  ];
}

export const ratioColumns: readonly Column<Ratio>[] = [
  ['ratio', ({ name }) => name],
  ['medians', ({ ofMedians }) => ofMedians.toFixed(2)],
  ['best', ({ ofBest }) => ofBest.toFixed(2)],
];

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
