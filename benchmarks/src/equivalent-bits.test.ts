import { expect, test } from 'vitest';
import { bitsSaved, logDivergencePerBit } from './equivalent-bits.js';

const at = (bitsPerWeight: number, value: number, stderr = 0) => ({ bitsPerWeight, kld: { value, stderr } });

test('a divergence that falls to a quarter with each bit falls by ln 4', () => {
  expect(logDivergencePerBit(at(3, 0.16), at(5, 0.01))).toBeCloseTo(Math.log(4), 12);
});

test('half of the divergence is worth half a bit where a bit quarters it, less the bits that it costs', () => {
  const { value, stderr } = bitsSaved(at(3.2, 0.05, 0.003), at(3, 0.1, 0.004), Math.log(4));
  expect(value).toBeCloseTo(0.3, 12);
  expect(stderr).toBeCloseTo(Math.hypot(0.06, 0.04) / Math.log(4), 12);
});

test('two rates of the method itself save nothing', () => {
  const [low, high] = [at(3.4, 0.026), at(4.4, 0.006)];
  expect(bitsSaved(high, low, logDivergencePerBit(low, high)).value).toBeCloseTo(0, 12);
});
