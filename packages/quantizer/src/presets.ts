import { createRegistry, int3, int4, int8, lbs3, lbs4, type NumberFormat } from '@lbs/format';
import type { Recipe, RecipeRule } from './recipe.js';
import { roundToNearest } from './round-to-nearest.js';

/** The weight matrices inside of decoder blocks; embeddings, norms and the output head are copied. */
export const blockMatrices = 're:.*\\.(q|k|v|o|gate|up|down)_proj';

function preset(name: string, format: NumberFormat, salient?: RecipeRule['salient']): Recipe {
  const rule: RecipeRule = { targets: [blockMatrices], format: format.name, solver: roundToNearest.name };
  return { name, rules: [salient ? { ...rule, salient } : rule] };
}

/** Of the salient weights, the first fifth of a percent does most of the good. */
const largest = { score: 'magnitude', fraction: 0.002 };

/** Recipes with a name; `lbs-N` has N private bits. */
export const presets = createRegistry<Recipe>('preset', [
  preset('int8', int8),
  preset('int4-g64', int4),
  preset('int3-g64', int3),
  preset('lbs-4', lbs4, largest),
  preset('lbs-3', lbs3, largest),
]);
