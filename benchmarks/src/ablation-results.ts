import type { Recipe } from '@lbs/quantizer';
import type { Ablation } from './ablation.js';
import type { AblationResults, AblationRow, ModelSize } from './benchmark-results.js';
import { bitsSaved } from './equivalent-bits.js';
import type { Fidelity } from './jobs.js';

type MeasuredRecipe = ModelSize & Fidelity;

/** The rows of an ablation from what was measured of its recipes, by name. */
export function ablationResults(
  { preset, steps, comparisons }: Ablation,
  measured: ReadonlyMap<string, MeasuredRecipe>,
  perBit: number,
): AblationResults {
  const of = ({ name }: Recipe) => measured.get(name)!;
  return {
    preset,
    steps: steps.map(({ adds, recipe }, i): AblationRow => {
      const before = steps[i - 1];
      const worth = before ? bitsSaved(of(recipe), of(before.recipe), perBit) : null;
      return { name: recipe.name, part: adds, instead: null, ...of(recipe), worth };
    }),
    comparisons: comparisons.map(({ title, recipe, alternatives }) => ({
      title,
      whole: { name: recipe.name, part: null, instead: null, ...of(recipe), worth: null },
      alternatives: alternatives.map(({ part, instead, recipe: other }): AblationRow => {
        return {
          name: other.name,
          part,
          instead,
          ...of(other),
          worth: bitsSaved(of(recipe), of(other), perBit),
        };
      }),
    })),
  };
}
