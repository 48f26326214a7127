import {
  createFormatRegistry,
  createRegistry,
  matchesAny,
  type NumberFormat,
  type Registry,
} from '@lbs/format';
import { type SaliencyScore, type StatisticName, saliencyScores } from '@lbs/topk-saliency';
import { clipSearch } from '../solvers/clip-search.js';
import { gptq } from '../solvers/gptq.js';
import { hqq } from '../solvers/hqq.js';
import { minMax } from '../solvers/min-max.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import type { Solver } from '../solvers/solver.js';
import type { RecipeRule } from './recipe.js';

/** What recipes can name. Extend the lists to use formats, solvers and scores of your own. */
export interface QuantizerParts {
  readonly formats: Registry<NumberFormat>;
  readonly solvers: Registry<Solver>;
  readonly scores: Registry<SaliencyScore>;
}

/** The parts that come with the toolkit. */
export const standardParts: QuantizerParts = {
  formats: createFormatRegistry(),
  solvers: createRegistry<Solver>('solver', [roundToNearest, minMax, gptq, hqq, clipSearch]),
  scores: createRegistry<SaliencyScore>('saliency score', saliencyScores),
};

/** What scores need that is measured on the inputs of a layer. */
const ofInputs: readonly StatisticName[] = ['inputSquares', 'inverseHessianDiagonal'];

/** A rule of a recipe with the parts that it names. */
export class ResolvedRule {
  readonly format: NumberFormat;
  readonly solver: Solver;
  readonly salient: { readonly score: SaliencyScore; readonly fraction: number } | undefined;
  readonly matches: (module: string) => boolean;

  constructor(
    readonly rule: RecipeRule,
    parts: QuantizerParts,
  ) {
    this.format = parts.formats.get(rule.format);
    this.solver = parts.solvers.get(rule.solver);
    this.salient = rule.salient && {
      score: parts.scores.get(rule.salient.score),
      fraction: rule.salient.fraction,
    };
    this.matches = matchesAny(rule.targets);
  }

  /** Whether the inputs of its layers have to be measured. */
  get needsStatistics(): boolean {
    const { calibrate = false } = this.rule;
    const scoreNeeds = this.salient?.score.needs ?? [];
    return calibrate || this.solver.needsStatistics || scoreNeeds.some((need) => ofInputs.includes(need));
  }
}
