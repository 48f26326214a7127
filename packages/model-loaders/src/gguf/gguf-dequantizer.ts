import { type GgufType, ggufTypeNamed } from './gguf-types.js';

/** A type whose bytes become values. */
export interface GgufDequantizer extends GgufType {
  /** Values of whole blocks. `bytes` is a whole buffer, which may come back as the result. */
  dequantize(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

/** Writes the values of the block whose bytes begin at `offset` to `target`, from `index` on. */
export type BlockDequantizer = (
  bytes: Uint8Array,
  offset: number,
  target: Float32Array,
  index: number,
) => void;

/** Makes a dequantizer from that of one block; the type says how many elements and bytes a block has. */
export function blockwise(name: string, block: BlockDequantizer): GgufDequantizer {
  const type = ggufTypeNamed(name)!;
  const { blockSize, bytesPerBlock } = type;
  return {
    ...type,
    dequantize(bytes) {
      const blocks = bytes.length / bytesPerBlock;
      const target = new Float32Array(blocks * blockSize);
      for (let i = 0; i < blocks; i++) block(bytes, i * bytesPerBlock, target, i * blockSize);
      return target;
    },
  };
}
