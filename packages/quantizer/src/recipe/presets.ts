import {
  createRegistry,
  fineZeroPointFormat,
  int3,
  int4,
  int4Group128,
  int4ZeroPointGroup128,
  int8,
  lbs2,
  lbs3,
  lbs4,
  lbs5,
  type NumberFormat,
  nf4,
  type Registry,
  zeroPointFormat,
} from '@lbs/format';
import { uniformWeighting } from '../calibration/token-weighting.js';
import { clipSearch } from '../solvers/clip-search.js';
import { gptq } from '../solvers/gptq.js';
import { hqq } from '../solvers/hqq.js';
import { minMax } from '../solvers/min-max.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import { awq } from '../transforms/awq.js';
import type { Recipe, RecipeRule } from './recipe.js';

/**
 * The weight matrices inside of decoder blocks, under the names of all known architectures; embeddings, norms and the output head are copied. What
 * other towers of a model have is not among them.
 */
export const blockMatrices =
  're:(model\\.(decoder\\.)?layers|transformer\\.h|gpt_neox\\.layers)\\.\\d+\\.(\\w+\\.)?(\\w+_proj|c_attn|c_fc|fc[12]|query_key_value|dense\\w*)';

type PresetRule = Omit<RecipeRule, 'targets' | 'format'>;

function preset(name: string, format: NumberFormat, rule: PresetRule): Recipe {
  return { name, rules: [{ targets: [blockMatrices], format: format.name, ...rule }] };
}

const rounded: PresetRule = { solver: roundToNearest.name };
const calibrated: PresetRule = { solver: gptq.name };

/** Sharing-aware GPTQ, and half of the errors of layers before made up for. Salient weights would not pay: see the benchmark's ablation. */
function sharingPreset(name: string, format: NumberFormat): Recipe {
  return { ...preset(name, format, calibrated), errorPropagation: 0.5 };
}

/** AWQ as published: the projections whose outputs attention compares are not clipped. */
function awqPreset(name: string, format: NumberFormat): Recipe {
  const rule = { format: format.name, transform: awq.name };
  return {
    name,
    rules: [
      { targets: ['re:.*\\.(q|k)_proj'], solver: minMax.name, ...rule },
      { targets: [blockMatrices], solver: clipSearch.name, ...rule },
    ],
    tokenWeighting: { by: uniformWeighting.name, greatest: 1 },
  };
}

/** Formats by what each matrix needs, the embedding and the head included, within a budget. */
const mixed: Recipe = {
  name: 'lbs-mixed',
  rules: [
    {
      targets: [blockMatrices],
      format: lbs4.name,
      candidates: [lbs2, lbs3, lbs5].map(({ name }) => name),
      ...calibrated,
    },
    {
      targets: ['model.embed_tokens', 'lm_head'],
      format: int8.name,
      candidates: [lbs5, lbs4].map(({ name }) => name),
      ...rounded,
    },
  ],
  budget: { bitsPerWeight: 4.5 },
  errorPropagation: 0.5,
};

/** Recipes with a name; `lbs-N` has N private bits. Those of GPTQ and LBS are calibrated. */
export const presets: Registry<Recipe> = createRegistry<Recipe>('preset', [
  sharingPreset('lbs-5', lbs5),
  sharingPreset('lbs-4', lbs4),
  sharingPreset('lbs-3', lbs3),
  sharingPreset('lbs-2', lbs2),
  mixed,
  preset('int8', int8, rounded),
  preset('int4-g64', int4, rounded),
  preset('int3-g64', int3, rounded),
  preset('nf4', nf4, rounded),
  preset('gptq-int4-g64', int4, calibrated),
  preset('gptq-int3-g64', int3, calibrated),
  preset('gptq-int4-g128', int4Group128, calibrated),
  awqPreset('awq-int4-g64', zeroPointFormat(4)),
  awqPreset('awq-int4-g128', int4ZeroPointGroup128),
  preset('hqq-int4-g64', fineZeroPointFormat(4), { solver: hqq.name }),
]);
