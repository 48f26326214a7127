import {
  createFormatRegistry,
  createRegistry,
  matchesAny,
  type NumberFormat,
  type Registry,
} from '@lbs/format';
import { type Granularity, type SaliencyScore, type StatisticName, saliencyScores } from '@lbs/topk-saliency';
import { type TokenWeighting, tokenWeightings } from '../calibration/token-weighting.js';
import { coordinateDescent } from '../refinement/coordinate-descent.js';
import type { Refinement, RefinementOptions } from '../refinement/refinement.js';
import { fisherSensitivity } from '../sensitivity/fisher-sensitivity.js';
import { outputErrorSensitivity } from '../sensitivity/output-error-sensitivity.js';
import type { Sensitivity } from '../sensitivity/sensitivity.js';
import { clipSearch } from '../solvers/clip-search.js';
import { gptq } from '../solvers/gptq.js';
import { hqq } from '../solvers/hqq.js';
import { imatrix } from '../solvers/imatrix.js';
import { minMax } from '../solvers/min-max.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import type { Solver } from '../solvers/solver.js';
import { awq } from '../transforms/awq.js';
import type { Transform } from '../transforms/transform.js';
import type { RecipeRule } from './recipe.js';

/** What recipes can name. Extend the lists to use formats, solvers, scores, transforms and refinements of your own. */
export interface QuantizerParts {
  readonly formats: Registry<NumberFormat>;
  readonly solvers: Registry<Solver>;
  readonly scores: Registry<SaliencyScore>;
  readonly weightings: Registry<TokenWeighting>;
  readonly sensitivities: Registry<Sensitivity>;
  readonly refinements: Registry<Refinement>;
  readonly transforms: Registry<Transform>;
}

/** The parts that come with the toolkit. */
export const standardParts: QuantizerParts = {
  formats: createFormatRegistry(),
  solvers: createRegistry<Solver>('solver', [roundToNearest, minMax, gptq, hqq, imatrix, clipSearch]),
  scores: createRegistry<SaliencyScore>('saliency score', saliencyScores),
  weightings: createRegistry<TokenWeighting>('token weighting', tokenWeightings),
  sensitivities: createRegistry<Sensitivity>('sensitivity', [fisherSensitivity, outputErrorSensitivity]),
  refinements: createRegistry<Refinement>('refinement', [coordinateDescent]),
  transforms: createRegistry<Transform>('transform', [awq]),
};

/** What scores need that gradients tell. */
const ofGradients: readonly StatisticName[] = ['fisher', 'rowSensitivity'];

/** What scores need that is measured on the inputs of a layer. */
const ofInputs: readonly StatisticName[] = ['inputSquares', 'inverseHessianDiagonal'];

type RecipeSalient = NonNullable<RecipeRule['salient']>;

/** Which weights of a matrix are salient. */
export interface SalientRule {
  readonly score: SaliencyScore;
  readonly amount: RecipeSalient['amount'];
  readonly per: Granularity;
}

/** A rule of a recipe with the parts that it names. */
export class ResolvedRule {
  readonly format: NumberFormat;
  /** The formats that a budget may choose from: the rule's own first. */
  readonly candidates: readonly NumberFormat[];
  readonly solver: Solver;
  readonly salient: SalientRule | undefined;
  readonly refine: { readonly method: Refinement; readonly options: RefinementOptions } | undefined;
  readonly transform: Transform | undefined;
  readonly matches: (module: string) => boolean;

  constructor(
    readonly rule: RecipeRule,
    parts: QuantizerParts,
  ) {
    this.format = parts.formats.get(rule.format);
    this.candidates = [this.format, ...(rule.candidates ?? []).map((name) => parts.formats.get(name))];
    this.solver = parts.solvers.get(rule.solver);
    this.salient = rule.salient && {
      score: parts.scores.get(rule.salient.score),
      amount: rule.salient.amount,
      per: rule.salient.per ?? 'tensor',
    };
    this.refine = rule.refine && {
      method: parts.refinements.get(rule.refine.method),
      options: { rounds: rule.refine.rounds, leastGain: rule.refine.leastGain },
    };
    this.transform = rule.transform === undefined ? undefined : parts.transforms.get(rule.transform);
    this.matches = matchesAny(rule.targets);
  }

  /** Whether the model's loss has to be differentiated. */
  get needsGradients(): boolean {
    return this.salient?.score.needs.some((need) => ofGradients.includes(need)) ?? false;
  }

  /** Whether the inputs of its layers have to be measured. */
  get needsStatistics(): boolean {
    const { calibrate = false } = this.rule;
    const scoreNeeds = this.salient?.score.needs ?? [];
    return (
      calibrate ||
      this.transform !== undefined ||
      this.solver.needsStatistics ||
      this.refine?.method.needsStatistics === true ||
      scoreNeeds.some((need) => ofInputs.includes(need))
    );
  }
}
