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
import { blockMatrices, presets, type Recipe, type RecipeRule, roundToNearest } from '@lbs/quantizer';
import { magnitude } from '@lbs/topk-saliency';

/** A recipe that has one part more than the step before it. */
export interface AblationStep {
  readonly adds: string;
  readonly recipe: Recipe;
}

/** The preset with something else in the place of one part, at about the same total bits. */
export interface Alternative {
  readonly part: string;
  /** What the alternative has in the place of the part. */
  readonly instead: string;
  readonly recipe: Recipe;
}

/** How a preset that shares bits comes about, and what stands against each of its parts. */
export interface Ablation {
  readonly preset: string;
  /** The last one is the preset. */
  readonly steps: readonly AblationStep[];
  readonly alternatives: readonly Alternative[];
  /** What the recipes name and the toolkit does not come with. */
  readonly formats: readonly NumberFormat[];
}

/** All recipes of an ablation. */
export function recipesOf({ steps, alternatives }: Ablation): Recipe[] {
  return [...steps, ...alternatives].map(({ recipe }) => recipe);
}

/** Salient weights that take what the presets spend on 0.5 % of them and on 2 bits shared by 16 weights. */
const unsharedSalient = 0.013;

interface AblatedFormats {
  readonly shared: NumberFormat;
  readonly sharedLinear: NumberFormat;
  /** The levels that are best where nothing is shared. */
  readonly unsharedLevels: LevelTable;
}

/** The ablation of a preset with 3 private bits and of one with 4. */
export const ablations: readonly Ablation[] = [
  ablationOf('lbs-3', {
    shared: lbs3,
    sharedLinear: lbs3Linear,
    unsharedLevels: lloydLevelTable3,
  }),
  ablationOf('lbs-4', {
    shared: lbs4,
    sharedLinear: lbs4Linear,
    unsharedLevels: lloydLevelTable4,
  }),
];

function ablationOf(preset: string, { shared, sharedLinear, unsharedLevels }: AblatedFormats): Ablation {
  const whole = presets.get(preset);
  const { salient, ...solved } = whole.rules[0]!;
  const { privateBits, sharedBits, sharingBlock, levelTable } = shared;
  const recipe = (name: string, rule: RecipeRule, rest: Partial<Recipe> = {}): Recipe => ({
    name: `${preset}-${name}`,
    rules: [rule],
    ...rest,
  });
  const rounded = ({ name }: NumberFormat): RecipeRule => ({
    targets: [blockMatrices],
    format: name,
    solver: roundToNearest.name,
  });
  const propagation = { errorPropagation: whole.errorPropagation };
  const instead = (name: string, rule: Partial<RecipeRule>) =>
    recipe(name, { ...solved, ...(salient && { salient }), ...rule }, propagation);

  const unshared = (levels: LevelTable, groupSize: number) =>
    defineNumberFormat({
      name: `${levels.name}-g${groupSize}-log8`,
      privateBits,
      groupSize,
      levelTable: levels,
      scaleEncoding: 'log8',
    });
  const integerFineScales = unshared(linearLevelTable(privateBits), 64);
  const integerSmallGroups = unshared(linearLevelTable(privateBits), 32);
  const unsharedGroups = unshared(unsharedLevels, 64);
  const unsharedSmallGroups = unshared(unsharedLevels, 32);
  const sharing = { privateBits, sharedBits, levelTable };
  const sharedSmallGroups = lbsFormat({ ...sharing, sharingBlock, groupSize: 32 });
  const sharedSmallBlocks = lbsFormat({ ...sharing, sharingBlock: sharingBlock / 2 });

  return {
    preset,
    steps: [
      { adds: 'private bits only', recipe: presets.get(`int${privateBits}-g64`) },
      { adds: '8-bit scales', recipe: recipe('scales', rounded(integerFineScales)) },
      { adds: 'sharing', recipe: recipe('sharing', rounded(sharedLinear)) },
      { adds: 'non-linear table', recipe: recipe('table', rounded(shared)) },
      { adds: 'importance', recipe: recipe('importance', { ...rounded(shared), calibrate: true }) },
      { adds: 'sharing-aware GPTQ', recipe: recipe('gptq', solved) },
      { adds: 'error propagation', recipe: recipe('propagation', solved, propagation) },
      { adds: 'Top-K', recipe: whole },
    ],
    alternatives: [
      {
        part: 'sharing',
        instead: 'groups of 32',
        recipe: instead('unshared-g32', { format: unsharedSmallGroups.name }),
      },
      {
        part: 'sharing',
        instead: 'more salient weights',
        recipe: instead('unshared-salient', {
          format: unsharedGroups.name,
          ...(salient && { salient: { ...salient, amount: { fraction: unsharedSalient } } }),
        }),
      },
      {
        part: 'Top-K',
        instead: 'groups of 32',
        recipe: recipe('dense-g32', { ...solved, format: sharedSmallGroups.name }, propagation),
      },
      {
        part: 'Top-K',
        instead: 'bits shared by 8',
        recipe: recipe('dense-s8', { ...solved, format: sharedSmallBlocks.name }, propagation),
      },
      {
        part: 'leftover error as the score',
        instead: 'magnitude',
        recipe: instead('magnitude', salient ? { salient: { ...salient, score: magnitude.name } } : {}),
      },
      {
        part: 'the non-linear table',
        instead: 'evenly spaced levels',
        recipe: instead('linear', { format: sharedLinear.name }),
      },
      {
        part: 'sharing and the table',
        instead: `INT${privateBits} in groups of 32`,
        recipe: instead('integer', { format: integerSmallGroups.name }),
      },
    ],
    formats: [
      integerFineScales,
      integerSmallGroups,
      unsharedGroups,
      unsharedSmallGroups,
      sharedSmallGroups,
      sharedSmallBlocks,
    ],
  };
}
