import type { Ablation } from './ablation.js';
import type { AblationResults, AblationRow, ModelSize } from './benchmark-results.js';
import { bitsSaved } from './equivalent-bits.js';
import type { Fidelity } from './jobs.js';

type MeasuredRecipe = ModelSize & Fidelity;

/** The rows of an ablation from what was measured of its recipes, by name. */
export function ablationResults(
  { preset, steps, alternatives }: Ablation,
  measured: ReadonlyMap<string, MeasuredRecipe>,
  perBit: number,
): AblationResults {
  const whole = measured.get(preset)!;
  return {
    preset,
    steps: steps.map(({ adds, recipe: { name } }, i): AblationRow => {
      const step = measured.get(name)!;
      const before = steps[i - 1];
      const worth = before ? bitsSaved(step, measured.get(before.recipe.name)!, perBit) : null;
      return { name, part: adds, instead: null, ...step, worth };
    }),
    alternatives: alternatives.map(({ part, instead, recipe: { name } }): AblationRow => {
      const alternative = measured.get(name)!;
      return { name, part, instead, ...alternative, worth: bitsSaved(whole, alternative, perBit) };
    }),
  };
}
