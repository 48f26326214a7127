import { fileURLToPath } from 'node:url';
import { openModel } from '@lbs/model-loaders/node';
import type { CalibrationModel, CalibrationSequence } from '@lbs/quantizer';
import { openCalibrationModel } from '@lbs/runtime';
import { expect, test } from 'vitest';

test('the runtime gives the quantizer its calibration model', async () => {
  const source = await openModel(fileURLToPath(new URL('../../../datasets/tiny-lm/', import.meta.url)));
  try {
    const model: CalibrationModel = await openCalibrationModel(source);
    const sequence: CalibrationSequence = {
      hidden: (await model.embed([[3, 1, 4, 1, 5]]))[0]!,
      input: new Float32Array(0),
    };
    const modules: string[] = [];
    for (let index = 0; index < model.blocks; index++) {
      const block = await model.loadBlock(index, { signal: undefined });
      block.begin(sequence);
      for (const [stage, { modules: names, columns }] of block.stages.entries()) {
        modules.push(...names);
        expect(sequence.input.length).toBe(5 * columns);
        for (const name of names) expect(source.tensorInfo(`${name}.weight`).shape[1]).toBe(columns);
        block.advance(stage, sequence);
      }
      block.release();
    }
    const projections = source.tensorNames.filter((name) => name.endsWith('_proj.weight'));
    expect(modules.map((name) => `${name}.weight`).sort()).toEqual(projections.sort());
  } finally {
    await source.close();
  }
});
