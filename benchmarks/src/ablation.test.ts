import { bitsPerWeight } from '@lbs/format';
import { ResolvedRule } from '@lbs/quantizer';
import { expect, test } from 'vitest';
import { ablations, recipesOf } from './ablation.js';
import { benchmarkParts } from './benchmark-parts.js';

const rateOf = (format: string) => bitsPerWeight(benchmarkParts.formats.get(format), 256, 256);

test('every recipe of an ablation names parts that exist, and has a name of its own', () => {
  for (const ablation of ablations) {
    const recipes = recipesOf(ablation);
    expect(new Set(recipes.map(({ name }) => name)).size).toBe(recipes.length);
    for (const { rules } of recipes) for (const rule of rules) new ResolvedRule(rule, benchmarkParts);
  }
});

test('the last step is the preset', () => {
  for (const { preset, steps } of ablations) expect(steps.at(-1)!.recipe.name).toBe(preset);
});

test('each step changes one thing of the step before it', () => {
  for (const { steps } of ablations) {
    const parts = steps.map(({ recipe: { rules, errorPropagation } }) => {
      const [{ format, solver, calibrate, salient }] = rules as [(typeof rules)[number]];
      return {
        format,
        statistics: solver === 'gptq' ? solver : Boolean(calibrate),
        errorPropagation,
        salient,
      };
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
      ['salient'],
    ]);
  }
});

test('without shared bits, smaller groups cost what sharing costs', () => {
  for (const { steps, alternatives } of ablations) {
    const whole = rateOf(steps.at(-1)!.recipe.rules[0]!.format);
    const unshared = alternatives.find(({ part }) => part === 'sharing')!.recipe;
    expect(rateOf(unshared.rules[0]!.format)).toBe(whole);
    expect(benchmarkParts.formats.get(unshared.rules[0]!.format).sharedBits).toBe(0);
  }
});
