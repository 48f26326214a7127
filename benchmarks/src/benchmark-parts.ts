import { createFormatRegistry } from '@lbs/format';
import { type QuantizerParts, standardParts } from '@lbs/quantizer';
import { ablations } from './ablation.js';

/** The parts of the toolkit, and the formats that only ablations have. */
export const benchmarkParts: QuantizerParts = {
  ...standardParts,
  formats: createFormatRegistry(ablations.flatMap(({ formats }) => formats)),
};
