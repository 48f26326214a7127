import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Kernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { type Calibration, cutSequences } from '@lbs/quantizer';
import { openCalibrationModel } from '@lbs/runtime';
import { readText } from './read-text.js';

/** The text of @lbs/datasets, which the build copies. */
const shippedText = fileURLToPath(new URL('calibration.txt', import.meta.url));

const sequenceLength = 512;

/** Reads a calibration text, the shipped one unless another is named, and opens the model to run on it. */
export async function openCalibration(
  source: ModelSource,
  kernels: Kernels,
  file: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly calibration: Calibration; readonly sha256: string }> {
  const text = await readText(file ?? shippedText);
  const { tokenizer, config } = source;
  const length = Math.min(sequenceLength, config.contextLength);
  const sequences = cutSequences(tokenizer.encode(text), {
    length,
    beginningOfSequence: tokenizer.addsBeginningOfSequence ? tokenizer.beginningOfSequence : undefined,
  });
  const model = await openCalibrationModel(source, { kernels, contextLength: length, signal });
  return { calibration: { model, sequences }, sha256: createHash('sha256').update(text).digest('hex') };
}
