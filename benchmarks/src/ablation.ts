import {
  defineNumberFormat,
  type LevelTable,
  lbs3,
  lbs3Linear,
  lbs4,
  lbs4Linear,
  lbsFormat,
  linearLevelTable,
  lloydLevelTable3,
  lloydLevelTable4,
  type NumberFormat,
} from '@lbs/format';
import { presets, type Recipe, type RecipeRule, roundToNearest } from '@lbs/quantizer';
import { leftoverError, magnitude } from '@lbs/topk-saliency';

/** A recipe that has one part more than the step before it. */
export interface AblationStep {
  readonly adds: string;
  readonly recipe: Recipe;
}

/** A recipe with something else in the place of one part, at about the same total bits. */
export interface Alternative {
  readonly part: string;
  /** What the alternative has in the place of the part. */
  readonly instead: string;
  readonly recipe: Recipe;
}

/** A recipe, and others that lack a part of it. */
export interface Comparison {
  readonly title: string;
  readonly recipe: Recipe;
  readonly alternatives: readonly Alternative[];
}

/** How a preset that shares bits comes about, and what its parts, and salient weights in several places, are worth. */
export interface Ablation {
  readonly preset: string;
  /** The last one is the preset. */
  readonly steps: readonly AblationStep[];
  /** The first one is of the preset. */
  readonly comparisons: readonly Comparison[];
  /** What the recipes name and the toolkit does not come with. */
  readonly formats: readonly NumberFormat[];
}

/** All recipes of an ablation. */
export function recipesOf({ steps, comparisons }: Ablation): Recipe[] {
  const compared = comparisons.flatMap(({ recipe, alternatives }) => [
    recipe,
    ...alternatives.map((alternative) => alternative.recipe),
  ]);
  return [...steps.map(({ recipe }) => recipe), ...compared];
}

interface AblatedFormats {
  readonly shared: NumberFormat;
  readonly sharedLinear: NumberFormat;
  /** The levels that are best where nothing is shared. */
  readonly unsharedLevels: LevelTable;
}

/** The ablation of a preset with 3 private bits and of one with 4. */
export const ablations: readonly Ablation[] = [
  ablationOf('lbs-3', { shared: lbs3, sharedLinear: lbs3Linear, unsharedLevels: lloydLevelTable3 }),
  ablationOf('lbs-4', { shared: lbs4, sharedLinear: lbs4Linear, unsharedLevels: lloydLevelTable4 }),
];

function ablationOf(preset: string, { shared, sharedLinear, unsharedLevels }: AblatedFormats): Ablation {
  const whole = presets.get(preset);
  const solved = whole.rules[0]!;
  const { privateBits, sharedBits, sharingBlock, groupSize, levelTable } = shared;
  const recipe = (name: string, rule: Partial<RecipeRule>, rest: Partial<Recipe> = {}): Recipe => ({
    name: `${preset}-${name}`,
    rules: [{ ...solved, ...rule }],
    ...rest,
  });
  const rounded = ({ name }: NumberFormat) => ({ format: name, solver: roundToNearest.name });
  const propagation = { errorPropagation: whole.errorPropagation };
  const instead = (name: string, rule: Partial<RecipeRule>) => recipe(name, rule, propagation);

  const unshared = (levels: LevelTable, size: number) =>
    defineNumberFormat({
      name: `${levels.name}-g${size}-log8`,
      privateBits,
      groupSize: size,
      levelTable: levels,
      scaleEncoding: 'log8',
    });
  const integers = linearLevelTable(privateBits);
  const integerFineScales = unshared(integers, groupSize);
  const integerHalfGroups = unshared(integers, groupSize / 2);
  const integerQuarterGroups = unshared(integers, groupSize / 4);
  const unsharedGroups = unshared(unsharedLevels, groupSize);
  const unsharedHalfGroups = unshared(unsharedLevels, groupSize / 2);
  const unsharedQuarterGroups = unshared(unsharedLevels, groupSize / 4);
  const sharedLargeBlocks = lbsFormat({
    privateBits,
    sharedBits,
    levelTable,
    sharingBlock: 2 * sharingBlock,
  });

  const integerName = `INT${privateBits}`;
  const sharingRate = sharedBits / sharingBlock;
  const halfGroupsRate = 8 / groupSize;
  const salient = (bitsPerWeight: number, score = leftoverError) => ({
    salient: { score: score.name, amount: { bitsPerWeight } },
  });
  const integersWith = (name: string, rule: Partial<RecipeRule>): Comparison => ({
    title: `${integerName} by ${name} with Top-K`,
    recipe: recipe(`${name}-salient`, { format: integerFineScales.name, ...rule }),
    alternatives: [
      {
        part: 'Top-K',
        instead: `groups of ${groupSize / 2}`,
        recipe: recipe(`${name}-g${groupSize / 2}`, { format: integerHalfGroups.name, solver: rule.solver! }),
      },
    ],
  });
  const salientInstead = instead('salient', {
    format: sharedLargeBlocks.name,
    ...salient(sharingRate / 2),
  });

  return {
    preset,
    steps: [
      { adds: 'private bits only', recipe: presets.get(`int${privateBits}-g64`) },
      { adds: '8-bit scales', recipe: recipe('scales', rounded(integerFineScales)) },
      { adds: 'sharing', recipe: recipe('sharing', rounded(sharedLinear)) },
      { adds: 'non-linear table', recipe: recipe('table', rounded(shared)) },
      { adds: 'importance', recipe: recipe('importance', { ...rounded(shared), calibrate: true }) },
      { adds: 'sharing-aware GPTQ', recipe: recipe('gptq', {}) },
      { adds: 'error propagation', recipe: whole },
    ],
    comparisons: [
      {
        title: `\`${preset}\``,
        recipe: whole,
        alternatives: [
          {
            part: 'sharing',
            instead: `groups of ${groupSize / 2}`,
            recipe: instead('unshared-half-groups', { format: unsharedHalfGroups.name }),
          },
          {
            part: 'sharing',
            instead: `groups of ${groupSize / 4}`,
            recipe: instead('unshared-quarter-groups', { format: unsharedQuarterGroups.name }),
          },
          {
            part: 'sharing',
            instead: 'salient weights',
            recipe: instead('unshared-salient', { format: unsharedGroups.name, ...salient(sharingRate) }),
          },
          {
            part: `bits shared by ${sharingBlock}`,
            instead: `bits shared by ${2 * sharingBlock} and salient weights`,
            recipe: salientInstead,
          },
          {
            part: 'the non-linear table',
            instead: 'evenly spaced levels',
            recipe: instead('linear', { format: sharedLinear.name }),
          },
          {
            part: 'sharing and the table',
            instead: `${integerName} in groups of ${groupSize / 4}`,
            recipe: instead('integer', { format: integerQuarterGroups.name }),
          },
        ],
      },
      integersWith('rtn', { solver: roundToNearest.name, ...salient(halfGroupsRate, magnitude) }),
      integersWith('gptq', { solver: solved.solver, ...salient(halfGroupsRate) }),
      {
        title: `bits shared by ${2 * sharingBlock} with Top-K`,
        recipe: salientInstead,
        alternatives: [
          {
            part: 'leftover error as the score',
            instead: 'magnitude',
            recipe: instead('magnitude', {
              format: sharedLargeBlocks.name,
              ...salient(sharingRate / 2, magnitude),
            }),
          },
        ],
      },
    ],
    formats: [
      integerFineScales,
      integerHalfGroups,
      integerQuarterGroups,
      unsharedGroups,
      unsharedHalfGroups,
      unsharedQuarterGroups,
      sharedLargeBlocks,
    ],
  };
}
