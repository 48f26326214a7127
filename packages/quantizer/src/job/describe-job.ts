import { formatVersion } from '@lbs/format';
import type { Recipe } from '../recipe/recipe.js';
import { type QuantizerParts, standardParts } from '../recipe/resolved-rule.js';
import type { ModelWeights } from '../source/model-weights.js';

/** What the bytes of a result depend on beside the recipe and the names of the tensors. */
export interface JobCircumstances {
  readonly parts?: QuantizerParts;
  /** Tokens of the calibration sequences; leave out where the recipe measures no activations. */
  readonly sequences?: readonly (readonly number[])[] | undefined;
  /** What tells the model from another with the same tensors, as JSON: hashes of its files, its config. */
  readonly modelIdentity: unknown;
  /** Version of the program that quantizes. */
  readonly toolVersion: string;
}

/**
 * All that decides the bytes of a job's result, by part, as JSON: two jobs may share a storage only where the parts are equal. The number of
 * threads is none of it.
 */
export function describeJob(
  source: ModelWeights,
  recipe: Recipe,
  { parts = standardParts, sequences, modelIdentity, toolVersion }: JobCircumstances,
): Readonly<Record<'recipe' | 'model' | 'calibration' | 'version', unknown>> {
  const tensors = source.tensorNames.map((name) => {
    const { dtype, shape } = source.tensorInfo(name);
    return [name, dtype, shape];
  });
  // A format may be declared anew under a name that was used before.
  const formats = recipe.rules.flatMap(({ format, candidates = [] }) =>
    [format, ...candidates].map((name) => parts.formats.get(name)),
  );
  return {
    recipe: { recipe, formats },
    model: { tensors, identity: modelIdentity },
    calibration: sequences ?? null,
    version: { tool: toolVersion, format: formatVersion },
  };
}
