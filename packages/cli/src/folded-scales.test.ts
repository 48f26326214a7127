import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { float32FromBfloat16, serializeQuantizationConfig, zeroPointFormat } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import {
  type CalibrationModel,
  type CalibrationSequence,
  presets,
  quantizeModel,
  ResolvedRule,
  ScaledNorm,
  scaleWeights,
  standardParts,
  type Transform,
  transformBlock,
  uniformWeighting,
} from '@lbs/quantizer';
import { loadDecoder, openCalibrationModel } from '@lbs/runtime';
import { afterAll, describe, expect, test } from 'vitest';

const kernels = await createKernels({ threads: 2 });
const open = (name: string) =>
  openModel(fileURLToPath(new URL(`../../../datasets/${name}/`, import.meta.url)));
// Three heads of queries to one of values and a head of its own; two to one and tied embeddings. Norms are BF16.
const models = [await open('tiny-lm'), await open('reference-lm')];
afterAll(async () => {
  for (const source of models) await source.close();
  kernels.close();
});

const tokensOf = (count: number, step: number) => Array.from({ length: count }, (_, i) => (i * step) % 500);

async function logitsOf(source: ModelSource, tokens: readonly number[]): Promise<Float32Array> {
  const decoder = await loadDecoder(source, { contextLength: 64 });
  return decoder.logits([...tokens], 0);
}

/** The model with other values of some tensors. */
function withTensors(source: ModelSource, changed: ReadonlyMap<string, Float32Array>): ModelSource {
  return {
    ...source,
    readFloat32: async (name, options) => changed.get(name)?.slice() ?? source.readFloat32(name, options),
  };
}

function meanSquare(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0) / values.length;
}

/** Random scales over two octaves. */
const random: Transform = {
  name: 'random',
  async chooseScales({ stages }) {
    let state = 1;
    const next = () => {
      state = (Math.imul(1664525, state) + 1013904223) >>> 0;
      return 2 ** (state / 2 ** 31 - 1);
    };
    const scalesOf = (rows: Uint32Array) => Float32Array.from({ length: Math.max(...rows) + 1 }, next);
    return new Map(stages.map((stage) => [stage.index, stage.realize(scalesOf(stage.rows))]));
  },
};

describe.each(models.map((source) => [source.name.split('/').at(-2) ?? source.name, source] as const))(
  '%s',
  (_, source) => {
    test('has the same logits with scales folded into norms and layers', async () => {
      const model: CalibrationModel = await openCalibrationModel(source, { kernels, contextLength: 64 });
      const rule = new ResolvedRule(
        { targets: ['re:.*_proj'], format: zeroPointFormat(8).name, solver: 'min-max', transform: 'random' },
        { ...standardParts, transforms: { names: ['random'], get: () => random } },
      );
      const changed = new Map<string, Float32Array>();
      const sequence: CalibrationSequence = {
        hidden: (await model.embed([[1, 2, 3]]))[0]!,
        input: new Float32Array(0),
      };
      for (let index = 0; index < model.blocks; index++) {
        const block = await model.loadBlock(index);
        const scaling = await transformBlock(block, [sequence], {
          kernels,
          tokenWeights: (begun, of) => uniformWeighting.weights(begun, of, 1),
          ruleOf: () => rule,
          pause: async () => {},
          readWeights: (module) => source.readFloat32(`${module}.weight`),
          readNorm: (module) => ScaledNorm.read(source, `${module}.weight`, undefined),
        });
        block.release();
        for (const { modules, columns } of block.stages) {
          for (const module of modules) {
            const weights = await source.readFloat32(`${module}.weight`);
            changed.set(`${module}.weight`, scaleWeights(weights, columns, scaling.of(module)!));
          }
        }
        expect(scaling.norms).toHaveLength(2);
        for (const { name, dtype, bytes } of scaling.norms) {
          expect(dtype).toBe('BF16');
          changed.set(name, float32FromBfloat16(new Uint16Array(bytes.slice().buffer)));
        }
      }
      const tokens = tokensOf(40, 37);
      const expected = await logitsOf(source, tokens);
      const folded = await logitsOf(withTensors(source, changed), tokens);
      const difference = folded.map((value, i) => value - expected[i]!);
      expect(meanSquare(difference)).toBeLessThan(1e-10 * meanSquare(expected));
    });

    test('as written with AWQ computes what its calibration computed', async () => {
      const model: CalibrationModel = await openCalibrationModel(source, { kernels, contextLength: 64 });
      /** The last weights that were put in place of each module. */
      const replaced = new Map<string, Float32Array>();
      const observed: CalibrationModel = {
        ...model,
        async loadBlock(index, options) {
          const block = await model.loadBlock(index, options);
          return {
            ...block,
            replaceWeights(module, weights) {
              replaced.set(`${module}.weight`, weights);
              block.replaceWeights(module, weights);
            },
          };
        },
      };
      const sequences = [tokensOf(48, 11), tokensOf(48, 29)];
      // Two blocks say as much as six.
      const recipe = { ...presets.get('awq-int4-g64'), ignore: ['re:model\\.layers\\.[2-9]\\..*'] };
      const { tensors, config } = await quantizeModel(source, recipe, {
        kernels,
        calibration: { model: observed, sequences },
      });
      const directory = await mkdtemp(join(tmpdir(), 'lbs-awq-'));
      try {
        await writeModelDirectory(join(directory, 'model'), {
          config: { ...source.configJson, quantization_config: serializeQuantizationConfig(config) },
          tensors,
          tokenizerFiles: source.tokenizerFiles,
        });
        const written = await openModel(join(directory, 'model'));
        const tokens = tokensOf(40, 37);
        const calibrated = await logitsOf(withTensors(source, replaced), tokens);
        const actual = await logitsOf(written, tokens);
        const norms = source.tensorNames.filter((name) => /layers\.[01]\..*layernorm/.test(name));
        let changed = 0;
        for (const norm of norms) {
          expect(written.tensorInfo(norm)).toEqual(source.tensorInfo(norm));
          const [before, after] = [await source.readFloat32(norm), await written.readFloat32(norm)];
          if (after.some((value, i) => value !== before[i])) changed++;
        }
        expect(changed).toBeGreaterThan(1);
        await written.close();
        const difference = actual.map((value, i) => value - calibrated[i]!);
        // Activations before quantized layers are rounded to 16 bits.
        expect(meanSquare(difference)).toBeLessThan(1e-6 * meanSquare(calibrated));
        const original = await logitsOf(source, tokens);
        const cost = calibrated.map((value, i) => value - original[i]!);
        expect(meanSquare(cost)).toBeGreaterThan(100 * meanSquare(difference));
      } finally {
        await rm(directory, { recursive: true });
      }
    });
  },
);
