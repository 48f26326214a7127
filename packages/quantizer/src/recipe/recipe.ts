import { compileModulePattern, InvalidArgumentError } from '@lbs/format';
import * as v from 'valibot';

const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const size = v.pipe(v.number(), v.integer(), v.minValue(1));

/** Name of what tells how much the loss depends on each matrix; default `fisher`. */
const sensitivity = v.optional(v.string());

const salientSchema = v.strictObject({
  /** Name of a saliency score. */
  score: v.string(),
  /** How many weights: a share of a matrix's, so many of each part, or as many as that many bits for each weight of the matrix pay for. */
  amount: v.union(
    [
      v.strictObject({ fraction: share }),
      v.strictObject({ count }),
      v.strictObject({ bitsPerWeight: v.pipe(v.number(), v.minValue(0)) }),
    ],
    'Expected one of { fraction }, { count } and { bitsPerWeight }',
  ),
  /** What competes for the places; default `tensor`. */
  per: v.optional(
    v.union(
      [
        v.picklist(['tensor', 'row']),
        v.strictObject({ groupSize: size }),
        v.strictObject({ columnBlock: size }),
      ],
      'Expected "tensor", "row", { groupSize } or { columnBlock }',
    ),
  ),
});

const refineSchema = v.strictObject({
  /** Name of a refinement. */
  method: v.string(),
  /** Most rounds; the refinement has a default. */
  rounds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  /** Ends after a round that gains less than this share of what the first one gained; the refinement has a default. */
  leastGain: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
});

const ruleSchema = v.strictObject({
  /** Module names, or `re:` and a regular expression for the whole name. */
  targets: v.pipe(v.array(v.string()), v.minLength(1)),
  /** Name of a number format. */
  format: v.string(),
  /** Names of other formats that a budget may choose in its place. */
  candidates: v.optional(v.array(v.string())),
  /** Name of a solver. */
  solver: v.string(),
  /** Name of a transform that scales the inputs of the layers before they are quantized. */
  transform: v.optional(v.string()),
  salient: v.optional(salientSchema),
  /** How the codes are improved after the solver has chosen them; they stay as they are without it. */
  refine: v.optional(refineSchema),
  /** Whether the inputs of the layers are measured although the solver can do without: errors then count by the inputs' mean squares. */
  calibrate: v.optional(v.boolean()),
});

const recipeSchema = v.strictObject({
  name: v.string(),
  /** The first rule with a target that matches a module says how it is quantized; others are copied. */
  rules: v.pipe(v.array(ruleSchema), v.minLength(1)),
  /** Modules, named as targets are, that are copied although a target matches. */
  ignore: v.optional(v.array(v.string())),
  /**
   * What all may take: bits for each weight of the quantized matrices, or bytes of all tensors, copied ones too. The format of each matrix is chosen
   * among its rule's format and candidates, so that the loss rises least. Without it every matrix has its rule's format.
   */
  budget: v.optional(
    v.union(
      [
        v.strictObject({ bitsPerWeight: positive, by: sensitivity }),
        v.strictObject({ bytes: positive, by: sensitivity }),
      ],
      'Expected { bitsPerWeight } or { bytes }',
    ),
  ),
  /** Share, 0 to 1, of the error of the quantized layers before it that a layer makes up for (arXiv 2504.09629); default 0. */
  errorPropagation: v.optional(share),
  /** How much tokens of the calibration text count; default: the first position of each sequence 16 times. */
  tokenWeighting: v.optional(
    v.strictObject({
      /** Name of a token weighting. */
      by: v.string(),
      /** How much the token that matters most counts against one that matters least. */
      greatest: v.pipe(v.number(), v.minValue(1)),
    }),
  ),
});

/** How one kind of module is quantized. */
export type RecipeRule = v.InferOutput<typeof ruleSchema>;

/** A quantization method as data: JSON in, JSON out. */
export type Recipe = v.InferOutput<typeof recipeSchema>;

/** The token weighting of recipes that name none. */
export const defaultTokenWeighting: NonNullable<Recipe['tokenWeighting']> = {
  by: 'first-position',
  greatest: 16,
};

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
