import { bitsPerWeight } from '@lbs/format';
import { type RecipeRule, ResolvedRule } from '@lbs/quantizer';
import { expect, test } from 'vitest';
import { ablations, recipesOf } from './ablation.js';
import { benchmarkParts } from './benchmark-parts.js';

const rateOf = (format: string) => bitsPerWeight(benchmarkParts.formats.get(format), 256, 256);

test('every recipe of an ablation names parts that exist, and has a name of its own', () => {
  for (const ablation of ablations) {
    const recipes = [...new Set(recipesOf(ablation))];
    expect(new Set(recipes.map(({ name }) => name)).size).toBe(recipes.length);
    for (const { rules } of recipes) for (const rule of rules) new ResolvedRule(rule, benchmarkParts);
  }
});

test('the last step and the first comparison are of the preset', () => {
  for (const { preset, steps, comparisons } of ablations) {
    expect(steps.at(-1)!.recipe.name).toBe(preset);
    expect(comparisons[0]!.recipe.name).toBe(preset);
  }
});

test('each step changes one thing of the step before it', () => {
  for (const { steps } of ablations) {
    const parts = steps.map(({ recipe: { rules, errorPropagation } }) => {
      const [{ format, solver, calibrate }] = rules as [(typeof rules)[number]];
      return { format, statistics: solver === 'gptq' ? solver : Boolean(calibrate), errorPropagation };
    });
    const changes = parts
      .slice(1)
      .map((part, i) =>
        Object.keys(part).filter(
          (key) => part[key as keyof typeof part] !== parts[i]![key as keyof typeof part],
        ),
      );
    expect(changes).toEqual([
      ['format'],
      ['format'],
      ['format'],
      ['statistics'],
      ['statistics'],
      ['errorPropagation'],
    ]);
  }
});

test('salient weights cost what they stand against, or smaller groups do', () => {
  for (const { comparisons } of ablations) {
    const rates = comparisons
      .map(({ recipe, alternatives }) => [recipe, ...alternatives.map((alternative) => alternative.recipe)])
      .filter((recipes) => recipes.some(({ rules }) => rules[0]!.salient))
      .map((recipes) =>
        recipes
          .filter(({ rules }, i) => i === 0 || rules[0]!.salient || recipes.length === 2)
          .map(({ rules }) => rateOf(rules[0]!.format) + salientRate(rules[0]!)),
      );
    for (const [whole, ...others] of rates) expect(others).toEqual(others.map(() => whole));
    expect(rates.length).toBe(comparisons.length);
  }
});

function salientRate({ salient }: RecipeRule): number {
  return salient && 'bitsPerWeight' in salient.amount ? salient.amount.bitsPerWeight : 0;
}
