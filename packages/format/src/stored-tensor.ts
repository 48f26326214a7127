import type { SafetensorsDtype } from './safetensors-dtype.js';

/** A tensor as a safetensors file holds it. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Reads a tensor of the open file by name; undefined where the file has none of that name. */
export type StoredTensorReader = (name: string) => Promise<FoundTensor | undefined>;

/** A tensor as a file gives it, not checked yet. */
export interface FoundTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * Suffixes of the tensors that stand in for `<module>.weight` (SPEC 8). All but the private codes end in a name that
 * model hubs know as a helper of quantization, and do not count as parameters (SPEC 11).
 */
export const storedSuffixes = {
  shape: 'weight_shape',
  packed: 'weight_packed',
  shared: 'shared.weight_g_idx',
  scales: 'weight_scale',
  scaleBases: 'weight_scale_2',
  zeroPoints: 'weight_zero_point',
  salientGaps: 'salient.weight_g_idx',
  salientResiduals: 'salient.weight_zero_point',
  salientScales: 'salient.weight_scale',
  salientScaleBase: 'salient.weight_scale_2',
} as const;
