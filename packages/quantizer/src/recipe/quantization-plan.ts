import { matchesAny, TensorMismatchError } from '@lbs/format';
import type { TensorReader } from '../source/copy-tensor.js';
import type { ModelWeights } from '../source/model-weights.js';
import type { Recipe } from './recipe.js';
import { type QuantizerParts, ResolvedRule } from './resolved-rule.js';

/** Which tensors of a model a recipe quantizes, and how. */
export class QuantizationPlan {
  readonly rules: readonly ResolvedRule[];
  /** The rule of each tensor that is quantized; the others are copied. */
  readonly targets: ReadonlyMap<string, ResolvedRule>;
  /** Weights of all targets. */
  readonly weights: number;

  /** Throws TensorMismatchError where the recipe matches nothing, and InvalidArgumentError where it names an unknown part. */
  constructor(source: ModelWeights, recipe: Recipe, parts: QuantizerParts) {
    this.rules = recipe.rules.map((rule) => new ResolvedRule(rule, parts));
    const isIgnored = matchesAny(recipe.ignore ?? []);
    const targets = new Map<string, ResolvedRule>();
    for (const tensor of source.tensorNames) {
      const module = moduleOf(tensor);
      if (module === undefined || isIgnored(module)) continue;
      const rule = this.rules.find(({ matches }) => matches(module));
      if (rule) targets.set(tensor, rule);
    }
    if (targets.size === 0) {
      throw new TensorMismatchError(`no tensor matches the targets of recipe "${recipe.name}"`, {
        file: source.name,
      });
    }
    this.targets = targets;
    this.weights = [...targets.keys()].reduce((sum, name) => sum + weightsOf(source, name), 0);
  }

  get needsGradients(): boolean {
    return [...this.targets.values()].some((rule) => rule.needsGradients);
  }

  get needsStatistics(): boolean {
    return [...this.targets.values()].some((rule) => rule.needsStatistics);
  }
}

/** Number of a tensor's weights. */
export function weightsOf(source: TensorReader, tensor: string): number {
  return source.tensorInfo(tensor).shape.reduce((product, size) => product * size, 1);
}

/** The module that a weight belongs to; undefined for other tensors. */
export function moduleOf(tensor: string): string | undefined {
  return tensor.endsWith('.weight') ? tensor.slice(0, -'.weight'.length) : undefined;
}
