import { readFileSync } from 'node:fs';
import { decodeScales, zeroPointFormat } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { measureInputs } from '../calibration/measure-inputs.js';
import { firstPositionWeighting, uniformWeighting } from '../calibration/token-weighting.js';
import { moduleOf, PlainDecoderBlock } from '../fixtures/decoder-block.js';
import { clipSearch } from '../solvers/clip-search.js';
import { activationScales, awq } from './awq.js';
import { type MatrixScaling, scaleWeights } from './matrix-scaling.js';
import type { ScalableStage, TransformInput } from './transform.js';

/** A case of fixtures/awq.json; scripts/make-awq-vectors.py tells what its fields hold. */
interface Case {
  readonly keyValueHeads: number;
  readonly firstPositionWeight: number;
  readonly seed: number;
  readonly stages: readonly {
    readonly modules: readonly string[];
    readonly exponent: number;
    readonly scales: readonly number[];
  }[];
  readonly clipping: Readonly<
    Record<string, { readonly scales: readonly number[]; readonly zeroPoints: readonly number[] }>
  >;
}

const cases: readonly Case[] = JSON.parse(
  readFileSync(new URL('../fixtures/awq.json', import.meta.url), 'utf8'),
);
const kernels = await createKernels();
const format = zeroPointFormat(4, 32);

function stagesOf(block: PlainDecoderBlock): ScalableStage[] {
  return block.stages.map(({ modules, producer }, index) => ({
    index,
    rows: producer!.rows,
    realize: (scales) => scales,
    layers: modules.map((module) => ({
      module,
      format,
      readWeights: async () => block.weights.get(module)!,
    })),
  }));
}

describe.each(cases)('AWQ with $keyValueHeads heads of values', (vector) => {
  const { keyValueHeads, firstPositionWeight, seed } = vector;
  const tokenWeights: TransformInput['tokenWeights'] = (sequence, block) =>
    firstPositionWeighting.weights(sequence, block, firstPositionWeight);

  test('chooses the scales of the PyTorch implementation, and leaves the block as it was', async () => {
    const block = new PlainDecoderBlock(keyValueHeads, seed);
    const before = new Map(block.weights);
    const hidden = block.sequences.map((sequence) => sequence.hidden.slice());
    const { sequences } = block;
    const pause = async () => {};
    const input = { kernels, block, sequences, tokenWeights, stages: stagesOf(block), pause };
    const scales = await awq.chooseScales(input);
    expect(scales.size).toBe(4);
    for (const [index, expected] of vector.stages.entries()) {
      const chosen = scales.get(index)!;
      expect(chosen.length).toBe(expected.scales.length);
      for (const [row, scale] of expected.scales.entries()) expect(chosen[row]! / scale).toBeCloseTo(1, 4);
    }
    expect(block.weights).toEqual(before);
    expect(block.sequences.map((sequence) => sequence.hidden)).toEqual(hidden);
  });

  test('clips as the PyTorch implementation, which computes outputs', () => {
    const block = new PlainDecoderBlock(keyValueHeads, seed);
    const columnsOf = (stage: number) =>
      Float32Array.from(block.stages[stage]!.producer!.rows, (row) => vector.stages[stage]!.scales[row]!);
    const rowsOf: Record<string, Float32Array> = {
      v: Float32Array.from(vector.stages[1]!.scales),
      up: Float32Array.from(vector.stages[3]!.scales),
    };
    for (const sequence of block.sequences) block.begin(sequence);
    const weights = block.sequences.map((sequence) => tokenWeights(sequence, block));
    for (const [index, stage] of block.stages.entries()) {
      const columns = columnsOf(index);
      const statistics = measureInputs(kernels, stage, { quantized: block.sequences }, weights).dividedBy(
        columns,
      );
      for (const name of vector.stages[index]!.modules) {
        const expected = vector.clipping[name];
        if (!expected) continue;
        const scaling: MatrixScaling = { columns, rows: rowsOf[name] };
        const weights = scaleWeights(block.weights.get(moduleOf(name))!, stage.columns, scaling);
        const rows = weights.length / stage.columns;
        const matrix = clipSearch.solve({
          ...{ weights, rows, columns: stage.columns, format, kernels, statistics },
        });
        expect([...decodeScales(matrix)]).toEqual(expected.scales);
        expect([...matrix.zeroPoints!]).toEqual(expected.zeroPoints);
      }
      for (const sequence of block.sequences) block.advance(index, sequence);
    }
  });
});

test('scales are normalised powers of the mean magnitudes, bounded below where inputs are never active', () => {
  const rows = Uint32Array.of(0, 1, 2, 3);
  const magnitudes = Float64Array.of(1, 4, 0.25, 0);
  const scales = activationScales({ rows: rows.slice(0, 3) }, magnitudes.slice(0, 3), 0.5);
  expect([...scales]).toEqual([1, 2, 0.5]);
  const withDead = activationScales({ rows }, magnitudes, 0.5);
  expect(withDead[3]! / withDead[0]!).toBeCloseTo(1e-4, 8);
  expect([...activationScales({ rows }, magnitudes, 0)]).toEqual([1, 1, 1, 1]);
});

test('features that come from one row have the scale of their mean', () => {
  const scales = activationScales({ rows: Uint32Array.of(0, 1, 0, 1) }, Float64Array.of(1, 2, 3, 6), 1);
  expect(scales[1]! / scales[0]!).toBeCloseTo(2, 6);
});

test('stops between exponents when the job is aborted', async () => {
  const block = new PlainDecoderBlock(4, 1);
  let pauses = 0;
  const pause = async () => {
    if (++pauses === 3) throw new Error('enough');
  };
  const { sequences } = block;
  const stages = stagesOf(block);
  const search = awq.chooseScales({
    ...{ kernels, block, sequences, stages, pause },
    tokenWeights: (sequence) => uniformWeighting.weights(sequence, block, 1),
  });
  await expect(search).rejects.toThrow('enough');
  expect(pauses).toBe(3);
});
