import { dequantize, zeroPointFormat } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { uniformWeighting } from '../calibration/token-weighting.js';
import { moduleOf, PlainDecoderBlock } from '../fixtures/decoder-block.js';
import { quantizeBlock } from '../job/quantize-block.js';
import { quantizeMatrix } from '../job/quantize-matrix.js';
import { parseRecipe, type RecipeRule } from '../recipe/recipe.js';
import { ResolvedRule, standardParts } from '../recipe/resolved-rule.js';
import { scaleWeights, unscaleWeights } from './matrix-scaling.js';
import { ScaledNorm } from './scaled-norm.js';
import type { Transform } from './transform.js';
import { type TransformTask, transformBlock } from './transform-block.js';

const kernels = await createKernels();

/** Scales that differ from row to row, for all stages it is given. */
const steps: Transform = {
  name: 'steps',
  async chooseScales({ stages }) {
    const scalesOf = (rows: Uint32Array) => {
      const count = Math.max(...rows) + 1;
      return Float32Array.from({ length: count }, (_, row) => 0.5 + (row % 7) / 3);
    };
    return new Map(stages.map((stage) => [stage.index, stage.realize(scalesOf(stage.rows))]));
  },
};

const parts = { ...standardParts, transforms: { names: ['steps'], get: () => steps } };
const format = zeroPointFormat(8).name;
const solver = 'min-max';

function taskOf(
  block: PlainDecoderBlock,
  rules: readonly Omit<RecipeRule, 'format' | 'solver'>[],
): TransformTask {
  const resolved = rules.map((rule) => new ResolvedRule({ format, solver, ...rule }, parts));
  return {
    kernels,
    tokenWeights: (sequence, block) => uniformWeighting.weights(sequence, block, 1),
    ruleOf: (module) => resolved.find(({ matches }) => matches(module)),
    readWeights: async (module) => block.weights.get(module)!,
    pause: async () => {},
    readNorm: (module) => {
      const values = block.norms.get(module)!;
      const source = {
        tensorInfo: () => ({ dtype: 'F32', shape: [values.length] }),
        readFloat32: async () => values,
        readBytes: async () => new Uint8Array(),
      };
      return ScaledNorm.read(source, `${module}.weight`, undefined);
    },
  };
}

const everything = { targets: ['re:.*_proj'], transform: steps.name };

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

describe.each([4, 2, 1])('with %i heads of values', (keyValueHeads) => {
  test('a block computes the same with scaled weights and norms', async () => {
    const block = new PlainDecoderBlock(keyValueHeads, 5);
    const scaling = await transformBlock(block, block.sequences, taskOf(block, [everything]));
    const scaled = new PlainDecoderBlock(keyValueHeads, 5);
    for (const [index, { modules, columns }] of block.stages.entries()) {
      for (const module of modules) {
        expect(scaling.of(module)?.columns?.length).toBe(columns);
        scaled.weights.set(module, scaleWeights(block.weights.get(module)!, columns, scaling.of(module)!));
      }
      expect(Boolean(scaling.of(modules.at(-1)!)?.rows)).toBe(index % 2 === 0);
    }
    expect(scaling.norms.map(({ name }) => name)).toEqual(
      [...block.norms.keys()].map((name) => `${name}.weight`),
    );
    for (const { name, bytes } of scaling.norms) {
      const values = scaled.norms.get(name.slice(0, -'.weight'.length))!;
      const before = values.slice();
      values.set(new Float32Array(bytes.slice().buffer));
      expect(values).not.toEqual(before);
    }
    for (const [i, sequence] of block.sequences.entries()) {
      const other = scaled.sequences[i]!;
      for (const [each, state] of [
        [block, sequence],
        [scaled, other],
      ] as const) {
        each.begin(state);
        for (const stage of each.stages.keys()) each.advance(stage, state);
      }
      expect(largestDifference(sequence.hidden, other.hidden)).toBeLessThan(1e-4);
    }
  });

  test('quantized weights, with the scales taken back, are those of the block', async () => {
    const block = new PlainDecoderBlock(keyValueHeads, 6);
    const original = new Map(block.weights);
    const task = taskOf(block, [everything]);
    const stored = new Map<string, Float32Array>();
    const norms = await quantizeBlock(
      block,
      { quantized: block.sequences },
      {
        ...task,
        async quantize(module, { statistics, scaling }) {
          const values = original.get(module)!;
          const { columns } = block.stages.find(({ modules }) => modules.includes(module))!;
          const tensor = { name: module, shape: [values.length / columns, columns], values, file: 'block' };
          const rule = task.ruleOf(module)!;
          const { matrix, dequantized, relativeError } = quantizeMatrix(tensor, rule, {
            kernels,
            statistics,
            scaling,
          });
          stored.set(module, unscaleWeights(dequantize(matrix), columns, scaling!));
          expect(relativeError).toBeLessThan(3e-4);
          return dequantized;
        },
      },
    );
    expect(norms).toHaveLength(2);
    expect(stored.size).toBe(7);
    for (const [module, weights] of stored) {
      expect(block.weights.get(module)).toEqual(weights);
      expect(largestDifference(weights, original.get(module)!)).toBeLessThan(0.05);
    }
  });
});

describe('what is scaled', () => {
  const scaledModules = async (rules: readonly Omit<RecipeRule, 'format' | 'solver'>[]) => {
    const block = new PlainDecoderBlock(2, 5);
    const scaling = await transformBlock(block, block.sequences, taskOf(block, rules));
    const names = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'];
    return {
      columns: names.filter((name) => scaling.of(moduleOf(name))?.columns),
      rows: names.filter((name) => scaling.of(moduleOf(name))?.rows),
      norms: scaling.norms.length,
    };
  };

  test('nothing without the transform', async () => {
    expect(await scaledModules([{ targets: ['re:.*_proj'] }])).toEqual({ columns: [], rows: [], norms: 0 });
  });

  test('a norm is left alone where one of its layers stays as it is', async () => {
    const found = await scaledModules([{ ...everything, targets: ['re:.*(q|k|o|gate|up|down)_proj'] }]);
    // The layer o has nothing to fold its scales into either: v is not quantized.
    expect(found).toEqual({ columns: ['gate', 'up', 'down'], rows: ['up'], norms: 1 });
  });

  test('the layer before may have a rule without the transform', async () => {
    const rules = [{ ...everything, targets: ['re:.*down_proj'] }, { targets: ['re:.*_proj'] }];
    expect(await scaledModules(rules)).toEqual({ columns: ['down'], rows: ['up'], norms: 0 });
  });

  test('not what several stages read', async () => {
    const block = new PlainDecoderBlock(4, 5);
    const { producer } = block.stages[0]!;
    const stages = block.stages.map((stage, i) => (i === 2 ? { ...stage, producer } : stage));
    const parallel = Object.assign(Object.create(block) as PlainDecoderBlock, { stages });
    const scaling = await transformBlock(parallel, block.sequences, taskOf(block, [everything]));
    expect(scaling.norms).toEqual([]);
    expect(scaling.of(moduleOf('gate'))).toBeUndefined();
    expect(scaling.of(moduleOf('down'))?.columns).toBeDefined();
  });
});

test('a recipe names a transform that there is', () => {
  const rule = { targets: ['re:.*'], format, solver, transform: 'magic' };
  expect(() => new ResolvedRule(parseRecipe({ name: 'x', rules: [rule] }).rules[0]!, standardParts)).toThrow(
    /unknown transform "magic". Known: awq/,
  );
  expect(new ResolvedRule({ ...rule, transform: 'awq' }, standardParts).needsStatistics).toBe(true);
});
