import type { Recipe } from '@lbs/quantizer';
import { benchmarkParts } from './benchmark-parts.js';

/** What a recipe is known by: LBS where bits are shared, otherwise its transform or its solver. */
export function methodOf({ rules }: Recipe): string {
  const { format, transform, solver } = rules[0]!;
  return benchmarkParts.formats.get(format).sharedBits > 0 ? 'lbs' : (transform ?? solver);
}
