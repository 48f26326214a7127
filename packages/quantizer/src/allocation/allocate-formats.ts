import { InvalidArgumentError } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import type { CalibrationModel } from '../calibration/calibration-model.js';
import { expectedBytes, expectedCopiedBytes } from '../recipe/expected-bytes.js';
import { moduleOf, QuantizationPlan } from '../recipe/quantization-plan.js';
import type { Recipe } from '../recipe/recipe.js';
import { type QuantizerParts, ResolvedRule } from '../recipe/resolved-rule.js';
import { expectedSalientCount } from '../recipe/salient-amount.js';
import { fisherSensitivity } from '../sensitivity/fisher-sensitivity.js';
import type { ModelSensitivities } from '../sensitivity/sensitivity.js';
import type { ModelWeights } from '../source/model-weights.js';
import { checkMatrix } from '../source/weight-tensor.js';
import { allocateBits, type StorageChoice } from './allocate-bits.js';
import { expectedLoss } from './expected-loss.js';

/** What formats are allocated with. */
export interface AllocationOptions {
  readonly parts: QuantizerParts;
  readonly model: CalibrationModel;
  readonly sequences: readonly (readonly number[])[];
  readonly kernels: Kernels;
  /** By what the budget names, where they are known already. */
  readonly sensitivities?: ModelSensitivities | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Share of the work that is done, 0 to 1: sensitivities are the first half. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

/**
 * Chooses the format of each matrix among the candidates of its rule, so that the whole is within the recipe's budget and the expected rise of the loss
 * is least. Returns the recipe with a rule for each format, which names its modules, and without a budget. Deterministic.
 * Throws InvalidArgumentError where even the smallest formats exceed the budget.
 */
export async function allocateFormats(
  source: ModelWeights,
  recipe: Recipe,
  options: AllocationOptions,
): Promise<Recipe> {
  const { budget, ...rest } = recipe;
  if (!budget) return recipe;
  const plan = new QuantizationPlan(source, recipe, options.parts);
  const matrices = await measureChoices(source, plan, sensitivityOf(budget), options);
  const chosen = allocateBits(
    matrices.map(({ choices }) => choices),
    'bitsPerWeight' in budget
      ? budget.bitsPerWeight * plan.weights
      : 8 * (budget.bytes - expectedCopiedBytes(source, plan)),
  );
  const targets = new Map<ResolvedRule, Map<string, string[]>>();
  for (const [i, { module, rule }] of matrices.entries()) {
    const format = rule.candidates[chosen[i]!]!.name;
    const formats = targets.get(rule) ?? new Map<string, string[]>();
    targets.set(rule, formats);
    formats.set(format, [...(formats.get(format) ?? []), module]);
  }
  return {
    ...rest,
    rules: plan.rules.flatMap((rule) => {
      const { candidates: _, ...fields } = rule.rule;
      return [...(targets.get(rule) ?? [])].map(([format, modules]) => ({
        ...fields,
        targets: modules,
        format,
      }));
    }),
  };
}

/** What the formats of a budget are chosen by. */
export function sensitivityOf({ by = fisherSensitivity.name }: NonNullable<Recipe['budget']>): string {
  return by;
}

interface MatrixChoices {
  readonly module: string;
  readonly rule: ResolvedRule;
  /** One for each candidate of the rule. */
  readonly choices: readonly StorageChoice[];
}

async function measureChoices(
  source: ModelWeights,
  plan: QuantizationPlan,
  by: string,
  { parts, model, sequences, kernels, sensitivities: known, signal, onProgress }: AllocationOptions,
): Promise<MatrixChoices[]> {
  const sensitivities =
    known ??
    (await parts.sensitivities.get(by).measure({
      ...{ source, model, sequences, signal },
      onProgress: ({ done, total }) => onProgress?.((0.5 * done) / total),
    }));
  const matrices: MatrixChoices[] = [];
  let weightsDone = 0;
  for (const [name, rule] of plan.targets) {
    signal?.throwIfAborted();
    const module = moduleOf(name)!;
    const ofMatrix = sensitivities.get(module);
    if (!ofMatrix) {
      throw new InvalidArgumentError(
        `bits are allocated by the sensitivity "${by}", which does not tell of this matrix`,
        {
          file: source.name,
          tensor: name,
          mend: 'Put it on the ignore list.',
        },
      );
    }
    const { shape } = source.tensorInfo(name);
    const values = await source.readFloat32(name, { signal });
    const { rows, columns } = checkMatrix({ name, shape, values, file: source.name });
    const salient = rule.salient ? expectedSalientCount(rule.salient, rows, columns) : 0;
    const salientShare = salient / values.length;
    const input = { weights: values, rows, columns, sensitivities: ofMatrix, salientShare, kernels };
    const choices = rule.candidates.map((format) => ({
      bits: 8 * expectedBytes(new ResolvedRule({ ...rule.rule, format: format.name }, parts), rows, columns),
      loss: expectedLoss(format, input),
    }));
    matrices.push({ module, rule, choices });
    weightsDone += values.length;
    onProgress?.(0.5 + (0.5 * weightsDone) / plan.weights);
    // Long runs of computation would otherwise keep an abort from being seen.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return matrices;
}
