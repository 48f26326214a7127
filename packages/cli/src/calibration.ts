import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Kernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { type Calibration, type CalibrationSize, cutSequences } from '@lbs/quantizer';
import { openCalibrationModel } from '@lbs/runtime';
import { readText } from './read-text.js';

/** The text of @lbs/datasets, which the build copies. */
const shippedText = fileURLToPath(new URL('calibration.txt', import.meta.url));

const sequenceLength = 512;

/** Sequences of a calibration text. */
export interface CalibrationText {
  readonly sequences: readonly (readonly number[])[];
  /** Of the text, in hexadecimal. */
  readonly sha256: string;
}

/** Reads a calibration text, the shipped one unless another is named, and cuts it into sequences. */
export async function readCalibration(
  { tokenizer, config }: ModelSource,
  file: string | undefined,
): Promise<CalibrationText> {
  const text = await readText(file ?? shippedText);
  const sequences = cutSequences(tokenizer.encode(text), {
    length: Math.min(sequenceLength, config.contextLength),
    beginningOfSequence: tokenizer.addsBeginningOfSequence ? tokenizer.beginningOfSequence : undefined,
  });
  return { sequences, sha256: createHash('sha256').update(text).digest('hex') };
}

/** Opens the model to run on the sequences. */
export async function openCalibration(
  source: ModelSource,
  kernels: Kernels,
  { sequences }: CalibrationText,
  signal: AbortSignal,
): Promise<Calibration> {
  const contextLength = Math.min(sequenceLength, source.config.contextLength);
  return { model: await openCalibrationModel(source, { kernels, contextLength, signal }), sequences };
}

/** What the calibration of a model takes. */
export function calibrationSize({ config }: ModelSource, { sequences }: CalibrationText): CalibrationSize {
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = config;
  const attentionSize = heads * headSize;
  return {
    blocks: config.layers,
    sequences: sequences.map(({ length }) => length),
    width: hiddenSize,
    stages: [
      { columns: hiddenSize, weights: hiddenSize * (attentionSize + 2 * keyValueHeads * headSize) },
      { columns: attentionSize, weights: attentionSize * hiddenSize },
      { columns: hiddenSize, weights: 2 * hiddenSize * intermediateSize },
      { columns: intermediateSize, weights: intermediateSize * hiddenSize },
    ],
    headWeights: config.vocabularySize * hiddenSize,
  };
}
