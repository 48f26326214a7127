import type { Kernels } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';

/** Pointers to the cosines and sines [positions, headSize / 2] of the rotary embedding. */
export interface RotaryTables {
  readonly cosines: number;
  readonly sines: number;
}

/**
 * Angles position * theta^(-2i / headSize) (RoFormer, arXiv 2104.09864, equation 15), with the roundings to
 * float32 that transformers makes.
 */
export function createRotaryTables(kernels: Kernels, config: ModelConfig, positions: number): RotaryTables {
  const half = config.headSize / 2;
  const frequencies = Float32Array.from(
    { length: half },
    (_, i) => 1 / Math.fround(config.ropeTheta ** ((2 * i) / config.headSize)),
  );
  const tables = {
    cosines: kernels.allocate(4 * positions * half),
    sines: kernels.allocate(4 * positions * half),
  };
  const cosines = kernels.float32(tables.cosines, positions * half);
  const sines = kernels.float32(tables.sines, positions * half);
  for (let i = 0; i < cosines.length; i++) {
    const angle = Math.fround(Math.floor(i / half) * frequencies[i % half]!);
    cosines[i] = Math.cos(angle);
    sines[i] = Math.sin(angle);
  }
  return tables;
}
