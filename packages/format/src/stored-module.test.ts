import { expect, test } from 'vitest';
import { storedModuleOf } from './stored-module.js';
import { storedSuffixes } from './stored-tensor.js';

test.each(Object.values(storedSuffixes))('%s belongs to the module before it', (suffix) => {
  expect(storedModuleOf(`model.layers.0.mlp.up_proj.${suffix}`)).toBe('model.layers.0.mlp.up_proj');
});

test.each(['model.norm.weight', 'weight_packed', '.weight_packed', 'a.weight_packed.b', 'aweight_packed'])(
  '%s is no part of a matrix',
  (name) => {
    expect(storedModuleOf(name)).toBeUndefined();
  },
);
