import { compileModulePattern, InvalidArgumentError } from '@lbs/format';
import * as v from 'valibot';

const salientSchema = v.strictObject({
  /** Name of a saliency score. */
  score: v.string(),
  /** Share of a tensor's weights that are salient. */
  fraction: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
});

const ruleSchema = v.strictObject({
  /** Module names, or `re:` and a regular expression for the whole name. */
  targets: v.pipe(v.array(v.string()), v.minLength(1)),
  /** Name of a number format. */
  format: v.string(),
  /** Name of a solver. */
  solver: v.string(),
  /** Name of a transform that scales the inputs of the layers before they are quantized. */
  transform: v.optional(v.string()),
  salient: v.optional(salientSchema),
  /** Whether the inputs of the layers are measured although the solver can do without: errors then count by the inputs' mean squares. */
  calibrate: v.optional(v.boolean()),
});

const recipeSchema = v.strictObject({
  name: v.string(),
  /** The first rule with a target that matches a module says how it is quantized; others are copied. */
  rules: v.pipe(v.array(ruleSchema), v.minLength(1)),
  /** Modules, named as targets are, that are copied although a target matches. */
  ignore: v.optional(v.array(v.string())),
  /** How many times the first position of a calibration sequence counts; default 16. */
  firstPositionWeight: v.optional(v.pipe(v.number(), v.minValue(0))),
});

/** How one kind of module is quantized. */
export type RecipeRule = v.InferOutput<typeof ruleSchema>;

/** A quantization method as data: JSON in, JSON out. */
export type Recipe = v.InferOutput<typeof recipeSchema>;

/** Checks a recipe that came as JSON. Throws InvalidArgumentError that names the field. */
export function parseRecipe(value: unknown): Recipe {
  const result = v.safeParse(recipeSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new InvalidArgumentError(`recipe: ${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
  }
  const { rules, ignore = [] } = result.output;
  for (const { targets } of rules) targets.forEach(compileModulePattern);
  ignore.forEach(compileModulePattern);
  return result.output;
}
