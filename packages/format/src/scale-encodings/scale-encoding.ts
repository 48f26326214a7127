import type { SafetensorsDtype } from '../safetensors-dtype.js';

/**
 * How the scales of groups are stored (SPEC 6): a code of `bytes` bytes for each group, little-endian, and for some
 * encodings a base that a row or the whole tensor stores once. Code that stores, reads or searches scales asks these
 * members and never the name.
 */
export interface ScaleEncoding {
  readonly name: string;
  /** Element type of the tensor of codes. */
  readonly dtype: SafetensorsDtype;
  /** Bytes of one code. */
  readonly bytes: number;
  /** What all codes of a span are relative to. */
  readonly base?: ScaleBase;
  /** The scale that a code stands for, as a float32; NaN or infinite where the code stands for none. */
  decode(code: number, base: number): number;
  /** The code of the storable finite scale nearest to `scale` >= 0. */
  nearest(scale: number, base: number): number;
}

/** The base of an encoding's codes. */
export interface ScaleBase {
  /** What has a base of its own. */
  readonly span: 'row' | 'tensor';
  /** How the base itself is stored; an encoding without a base. */
  readonly encoding: ScaleEncoding;
  /** The code of the base for a span whose largest scale is `largest` >= 0. */
  choose(largest: number): number;
}
