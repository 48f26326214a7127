import { type GgufType, ggufTypeNamed } from './gguf-types.js';

/** A type that values can be stored in. */
export interface GgufQuantizer extends GgufType {
  /**
   * `general.file_type` of a file whose matrices have this type (llama_ftype of llama.h).
   */
  readonly fileType: number;
  /** Bytes of whole blocks of finite values. */
  quantize(values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

/** Writes the block of the values from `index` on to `target`, from `offset` on. */
export type BlockQuantizer = (
  values: Float32Array,
  index: number,
  target: Uint8Array,
  offset: number,
) => void;

/** Makes a quantizer from that of one block. */
export function blockwiseQuantizer(name: string, fileType: number, block: BlockQuantizer): GgufQuantizer {
  const type = ggufTypeNamed(name)!;
  const { blockSize, bytesPerBlock } = type;
  return {
    ...type,
    fileType,
    quantize(values) {
      const blocks = values.length / blockSize;
      const target = new Uint8Array(blocks * bytesPerBlock);
      for (let i = 0; i < blocks; i++) block(values, i * blockSize, target, i * bytesPerBlock);
      return target;
    },
  };
}
