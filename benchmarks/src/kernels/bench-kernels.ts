import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type ActivationPrecision, createKernels, type SimdInstructions } from '@lbs/kernels';
import { describeEnvironment } from '../environment.js';
import { createProgress } from '../progress.js';
import { terminalTable } from '../table.js';
import { kernelCases, shapes } from './kernel-cases.js';
import {
  bandwidthLine,
  decodeColumns,
  prefillColumns,
  type ReportRow,
  ratioColumns,
  ratios,
  reportRows,
} from './kernel-report.js';
import { measureProducts, type ShapeMeasurements } from './measure-products.js';

const { values: options } = parseArgs({
  options: {
    /** One shape, and few rounds. */
    quick: { type: 'boolean', default: false },
    /** Regular expression for the names of the cases. */
    filter: { type: 'string', default: '' },
    /** As in 2048x2048; default all. */
    shape: { type: 'string', multiple: true, default: [] },
    threads: { type: 'string', multiple: true, default: ['1', '2'] },
    tokens: { type: 'string', multiple: true, default: ['1', '128'] },
    activations: { type: 'string', multiple: true, default: ['int16', 'int8'] },
    /** `plain` or `relaxed`; default what kernels choose. */
    simd: { type: 'string' },
    rounds: { type: 'string' },
    /** Whether this is a run to be committed. */
    reference: { type: 'boolean', default: false },
  },
});
const simd = (options.simd ?? (await createKernels()).simd) as SimdInstructions;
const startedAt = new Date();
const progress = createProgress();
const wanted = new RegExp(options.filter);
const quickShapes = ['2048x2048'];
const chosenShapes = options.shape.length > 0 ? options.shape : options.quick ? quickShapes : undefined;
const measured = shapes.filter(({ rows, columns }) => chosenShapes?.includes(`${rows}x${columns}`) ?? true);
const all: ShapeMeasurements[] = [];
for (const shape of measured) {
  progress.step(`${shape.rows}x${shape.columns}`);
  const measurements = await measureProducts({
    shape,
    cases: kernelCases.filter(({ name }) => wanted.test(name)),
    threads: options.threads.map(Number),
    tokens: options.tokens.map(Number),
    activations: options.activations as ActivationPrecision[],
    simd,
    rounds: Number(options.rounds ?? (options.quick ? 21 : 51)),
    streamBytes: 96 * 2 ** 20,
    passBytes: 8 * 2 ** 20,
  });
  all.push(measurements);
  const rows = reportRows(measurements);
  const isDecode = ({ tokens }: ReportRow) => tokens === 1;
  process.stdout.write(`${simd} SIMD\n${measurements.bandwidth.map(bandwidthLine).join('\n')}\n`);
  process.stdout.write(`${terminalTable(decodeColumns, rows.filter(isDecode))}\n`);
  process.stdout.write(
    `${terminalTable(
      prefillColumns,
      rows.filter((row) => !isDecode(row)),
    )}\n`,
  );
  process.stdout.write(`${terminalTable(ratioColumns, ratios(measurements))}\n`);
}
const folder = new URL('../../results/kernels/', import.meta.url);
await mkdir(folder, { recursive: true });
const start = startedAt.toISOString().replaceAll(':', '-').replace(/\..*/, '');
const name = options.reference ? `reference-${simd}` : start;
const results = {
  ...{ ...describeEnvironment(), startedAt: startedAt.toISOString(), simd },
  shapes: all.map((each) => ({ ...each, ratios: ratios(each) })),
};
await writeFile(new URL(`${name}.json`, folder), `${JSON.stringify(results, undefined, 2)}\n`);
progress.end();
