import { createFormatRegistry, type NumberFormat } from '@lbs/format';
import { CodeSearch, createKernels, type ErrorFeedback } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { defaultDamping, InputStatistics } from '../calibration/input-statistics.js';
import { bytesOf, float32Of } from '../fixtures/base64.js';
import { hessianOf, type Layer, layers } from '../fixtures/gptq-layers.js';

const formats = createFormatRegistry();
const kernels = await createKernels();

interface Comparison {
  /** Rows in which every code is as expected. */
  readonly equal: number;
  /** Rows that go another way after a tie. */
  readonly tied: number;
  /** Rows with another code where there is no tie. */
  readonly different: number;
}

type FeedbackOf = (statistics: InputStatistics, format: NumberFormat) => ErrorFeedback;

/** Quantizes a layer with the code search and compares each row up to the first tie that it takes otherwise. */
function compare(
  layer: Layer,
  {
    damping = defaultDamping,
    feedbackOf = (statistics, format) => statistics.feedback(format),
  }: { damping?: number; feedbackOf?: FeedbackOf } = {},
): Comparison {
  const { rows, columns } = layer;
  const format = formats.get(layer.format);
  const mark = kernels.mark();
  const statistics = new InputStatistics(kernels, { hessian: hessianOf(layer) }, columns, damping);
  const feedback = feedbackOf(statistics, format);
  const { importance } = statistics;
  const search = new CodeSearch(kernels, {
    format,
    weights: float32Of(layer.weights),
    rows,
    columns,
    importance,
  });
  const { codes, shared } = search.choose({ scales: float32Of(layer.scales) }, { feedback });
  kernels.release(mark);

  const block = format.sharedBits > 0 ? format.sharingBlock : 1;
  const blocks = Math.ceil(columns / block);
  const expected = bytesOf(layer.codes);
  const ties = new Set(layer.ties);
  const count = { equal: 0, tied: 0, different: 0 };
  for (let row = 0; row < rows; row++) {
    const first = feedback.order.find((column) => {
      const low = format.sharedBits > 0 ? shared[row * blocks + Math.floor(column / block)]! : 0;
      return (
        ((codes[row * columns + column]! << format.sharedBits) | low) !== expected[row * columns + column]
      );
    });
    if (first === undefined) count.equal++;
    else if (ties.has(row * blocks + Math.floor(first / block))) count.tied++;
    else count.different++;
  }
  return count;
}

function sum(comparisons: readonly Comparison[], field: keyof Comparison): number {
  return comparisons.reduce((total, comparison) => total + comparison[field], 0);
}

describe.each([
  ['GPTQ', layers.filter(({ format }) => formats.get(format).sharedBits === 0)],
  ['sharing-aware GPTQ', layers.filter(({ format }) => formats.get(format).sharedBits > 0)],
])('%s', (_, ofMethod) => {
  test.each(ofMethod.map((layer, i) => [i, layer.format, layer.kind, layer] as const))(
    'layer %i in %s, %s: chooses the codes of the PyTorch implementation',
    (_i, _format, _kind, layer) => {
      expect(compare(layer).different).toBe(0);
    },
  );

  test('at least 99 % of the rows are compared whole', () => {
    const comparisons = ofMethod.map((layer) => compare(layer));
    const rows = ofMethod.reduce((total, layer) => total + layer.rows, 0);
    expect(sum(comparisons, 'equal')).toBeGreaterThanOrEqual(0.99 * rows);
  });

  test('the comparison notices another damping', () => {
    const comparisons = ofMethod.map((layer) => compare(layer, { damping: 1.1 * defaultDamping }));
    expect(sum(comparisons, 'different')).toBeGreaterThan(ofMethod.length);
  });

  test('the comparison notices errors that are fed back without act-order', () => {
    // Equal powers leave the columns as they are in the row; the inverse Hessian stays that of the layer.
    const inputOrder: FeedbackOf = (statistics, format) => {
      statistics.importance.fill(1);
      return statistics.feedback(format);
    };
    const comparisons = ofMethod.map((layer) => compare(layer, { feedbackOf: inputOrder }));
    expect(sum(comparisons, 'different')).toBeGreaterThan(ofMethod.length);
  });
});
